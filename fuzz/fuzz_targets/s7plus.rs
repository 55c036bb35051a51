#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::sights(dissect::Protocol::S7Plus, input);
});
