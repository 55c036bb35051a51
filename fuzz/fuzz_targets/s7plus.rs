#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::observed(dissect::Protocol::S7Plus, input);
});
