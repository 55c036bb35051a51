#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::framing(dissect::Protocol::S7, input);
    fuzz::channel(dissect::Protocol::S7, input);
});
