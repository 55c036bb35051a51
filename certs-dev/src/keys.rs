//! The keys that are not certificates: the gateway's signing key and the age identities.

use age::secrecy::ExposeSecret as _;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Problem;

/// The name under which the gateway signs (C2SP signed-note key name).
const SIGNER: &str = "gatehouse";

/// The signature type of Ed25519 in a verifier key (C2SP signed-note, section "Verifier keys").
const ED25519: u8 = 0x01;

/// A key as it stands in its two files.
pub(crate) struct KeyFiles {
    pub(crate) private: String,
    pub(crate) public: String,
}

/// A fresh Ed25519 key: PKCS#8 version 1 (RFC 8410, the form that every tool reads) in PEM, and the public half as one
/// C2SP verifier-key line.
pub(crate) fn signing_key() -> Result<KeyFiles, Problem> {
    let failed =
        || Problem::Crypto { what: "a signing key", why: "the cryptographic library refused".to_owned() };
    let pair = Ed25519KeyPair::generate().map_err(|_| failed())?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
    // 48 bytes are 64 characters: exactly one line of PEM (RFC 7468).
    let line = BASE64_STANDARD.encode(der.as_ref());
    Ok(KeyFiles {
        private: format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n"),
        public: verifier_key(SIGNER, pair.public_key().as_ref()) + "\n",
    })
}

/// `name+key id in hex+base64(type || public key)`; the id is the start of SHA-256(name || newline || type || key).
fn verifier_key(name: &str, public_key: &[u8]) -> String {
    let key = [&[ED25519][..], public_key].concat();
    let hash = digest(&SHA256, &[name.as_bytes(), b"\n", &key].concat());
    let id: String = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}+{id}+{}", BASE64_STANDARD.encode(key))
}

/// A fresh X25519 identity in age's own file format, and its recipient.
pub(crate) fn age_identity(owner: &str) -> KeyFiles {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    KeyFiles {
        private: format!(
            "# {owner}, for development only\n# public key: {recipient}\n{}\n",
            secret.expose_secret()
        ),
        public: format!("{recipient}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read by an implementation of signed notes that is not ours, which computes the key id itself.
    #[test]
    fn the_public_line_is_a_verifier_key() {
        let files = signing_key().unwrap();
        let verifier = signed_note::StandardVerifier::new(files.public.trim_end()).unwrap();
        assert_eq!(signed_note::Verifier::name(&verifier), SIGNER);
    }

    #[test]
    fn what_the_private_key_signs_the_public_line_verifies() {
        let files = signing_key().unwrap();
        let lines: Vec<&str> = files.private.lines().collect();
        assert_eq!((lines.len(), lines[1].len()), (3, 64), "one full line of PEM");
        let pair = Ed25519KeyPair::from_pkcs8(&BASE64_STANDARD.decode(lines[1]).unwrap()).unwrap();
        let signature = pair.sign(b"text");
        let verifier = signed_note::StandardVerifier::new(files.public.trim_end()).unwrap();
        assert!(signed_note::Verifier::verify(&verifier, b"text", signature.as_ref()));
        assert!(!signed_note::Verifier::verify(&verifier, b"test", signature.as_ref()));
    }

    #[test]
    fn an_age_identity_file_opens_what_is_sealed_to_its_recipient() {
        let files = age_identity("auditor");
        let recipient: age::x25519::Recipient = files.public.trim_end().parse().unwrap();
        let sealed = age::encrypt(&recipient, b"key").unwrap();
        let identities =
            age::IdentityFile::from_buffer(files.private.as_bytes()).unwrap().into_identities().unwrap();
        let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
        let mut opened =
            decryptor.decrypt(identities.iter().map(|identity| &**identity as &dyn age::Identity)).unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut opened, &mut text).unwrap();
        assert_eq!(text, b"key");
    }
}
