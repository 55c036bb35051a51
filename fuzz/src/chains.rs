//! What has to hold for any bytes that somebody sends as a chain of certificates.
//! The rules are the gateway's; its tests replay the corpus through the same
//! function.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The most certificates that may come with the person's own.
const MOST_INTERMEDIATES: usize = 4;

/// The name of the key usage, 2.5.29.15 (RFC 5280, 4.2.1.3), in the one form
/// that DER gives it. In another it names an extension that nobody knows, as it
/// does for the chain builder.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// A chain, each certificate behind its length (two bytes, big endian). Whatever
/// `accepts` lets pass has a bounded number of certificates, each with a serial
/// number in its one form, with no extension twice, and with a key usage, if
/// any, that allows what it is used for. Gives whether it passed.
pub(super) fn chain(input: &[u8], accepts: impl Fn(&[&[u8]]) -> bool) -> bool {
    let chain = certificates(input);
    if chain.is_empty() || !accepts(&chain) {
        return false;
    }
    assert!(chain.len() <= 1 + MOST_INTERMEDIATES, "{} certificates", chain.len());
    for (number, certificate) in chain.iter().enumerate() {
        let (rest, certificate) = X509Certificate::from_der(certificate).expect("it was accepted");
        assert!(rest.is_empty(), "bytes behind a certificate");
        match certificate.raw_serial() {
            [] => panic!("no serial number"),
            [0, next, ..] => assert!(*next >= 0x80, "a serial number with a needless zero"),
            [0xFF, next, ..] => assert!(*next < 0x80, "a serial number with a needless sign"),
            [_, ..] => {}
        }
        let mut seen: Vec<&[u8]> =
            certificate.extensions().iter().map(|extension| extension.oid.as_bytes()).collect();
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all, "an extension twice");
        if seen.contains(&KEY_USAGE) {
            let usage = certificate.key_usage().expect("it was accepted").expect("it is there").value;
            let allowed = if number == 0 { usage.digital_signature() } else { usage.key_cert_sign() };
            assert!(allowed, "certificate {number} is not for this");
        }
    }
    true
}

fn certificates(mut input: &[u8]) -> Vec<&[u8]> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (certificate, behind) = rest.split_at(length);
        chain.push(certificate);
        input = behind;
    }
    chain
}
