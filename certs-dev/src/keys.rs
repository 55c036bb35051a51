//! The keys that are not certificates: the gateway's signing key and the age identities.

use age::secrecy::ExposeSecret as _;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _};

use crate::Problem;

/// The name under which the gateway signs (C2SP signed-note key name).
const SIGNER: &str = "gatehouse-gateway";

/// The signature type of Ed25519 in a verifier key (C2SP signed-note, section "Verifier keys").
const ED25519: u8 = 0x01;

/// A key as it stands in its two files.
pub(crate) struct KeyFiles {
    pub(crate) private: String,
    pub(crate) public: String,
}

/// A fresh Ed25519 key: PKCS#8 (RFC 8410) in PEM, and the public half as one C2SP verifier-key line.
pub(crate) fn signing_key() -> Result<KeyFiles, Problem> {
    let pair = KeyPair::generate_for(&PKCS_ED25519)
        .map_err(|error| Problem::Crypto { what: "a signing key", why: error.to_string() })?;
    Ok(KeyFiles { private: pair.serialize_pem(), public: verifier_key(SIGNER, pair.der_bytes()) + "\n" })
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
        let pair = KeyPair::from_pem(&files.private).unwrap();
        let signature = rcgen::SigningKey::sign(&pair, b"text").unwrap();
        let verifier = signed_note::StandardVerifier::new(files.public.trim_end()).unwrap();
        assert!(signed_note::Verifier::verify(&verifier, b"text", &signature));
        assert!(!signed_note::Verifier::verify(&verifier, b"test", &signature));
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
