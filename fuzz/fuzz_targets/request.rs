#![no_main]

#[path = "../../gateway/src/ca/request.rs"]
mod request;
#[path = "../src/requests.rs"]
mod requests;

use rcgen::PublicKeyData;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    requests::request(input, |der| {
        request::RequestedKey::read(der).ok().map(|key| key.subject_public_key_info())
    });
});
