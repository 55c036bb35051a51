//! What has to hold for any bytes that somebody sends as a request for a
//! certificate. The parser is the gateway's; its tests replay the corpus through
//! the same function.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// Whatever is taken from a request is the key that stands in it, byte for
/// byte, and a request with anything behind it is none. `read` gives the key's
/// SubjectPublicKeyInfo. Gives whether there was one.
pub(super) fn request(input: &[u8], read: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let Some(key) = read(input) else { return false };
    let (rest, request) = X509CertificationRequest::from_der(input).expect("it was read");
    assert!(rest.is_empty());
    assert_eq!(request.certification_request_info.subject_pki.raw, key);
    assert_eq!(read(&[input, &[0]].concat()), None, "with a byte behind it");
    assert_eq!(read(&input[..input.len() - 1]), None, "without its last byte");
    true
}
