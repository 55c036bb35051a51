#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::framing(dissect::Protocol::Enip, input);
    fuzz::channel(dissect::Protocol::Enip, input);
});
