//! The technician's key: made here, kept here, never sent.
//!
//! What it is for: a new key pair with its request for a certificate, and reading the key of a profile. A key may be
//! protected by a passphrase, in the form that every tool knows (encrypted PKCS#8, RFC 5958 section 3, with scrypt and
//! AES-256): a key made by `openssl pkcs8 -topk8 -scrypt` is read as well.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pkcs8::{EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo, SecretDocument};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use wire::Der;
use zeroize::Zeroizing;

use crate::passphrase::Passphrases;
use crate::{Problem, platform};

/// How an encrypted key is called in PEM (RFC 7468, section 11).
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// The largest key file that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// A key pair that nobody has a certificate for yet.
pub struct NewKey(KeyPair);

impl fmt::Debug for NewKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NewKey(hidden)")
    }
}

impl NewKey {
    /// A new ECDSA key on P-256.
    ///
    /// # Errors
    /// [`Problem::Io`] if the system gives no randomness.
    pub fn generate() -> Result<Self, Problem> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map(Self).map_err(|error| failed(&error))
    }

    /// A request for a certificate, without a name: who we are is the gateway's to say.
    ///
    /// # Errors
    /// [`Problem::Io`] if the library can't make one.
    pub fn request(&self) -> Result<Der, Problem> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&self.0).map_err(|error| failed(&error))?;
        Der::new(request.der().to_vec()).map_err(|error| failed(&error))
    }

    /// The key in PEM, encrypted if there is a passphrase.
    ///
    /// # Errors
    /// [`Problem::Io`] if it can't be encrypted.
    pub fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>, Problem> {
        let Some(passphrase) = passphrase else { return Ok(Zeroizing::new(self.0.serialize_pem())) };
        let plain = Zeroizing::new(self.0.serialize_der());
        let key = PrivateKeyInfo::try_from(plain.as_slice()).map_err(|error| failed(&error))?;
        let sealed = key.encrypt(pkcs8::rand_core::OsRng, passphrase).map_err(|error| failed(&error))?;
        sealed.to_pem(ENCRYPTED, LineEnding::LF).map_err(|error| failed(&error))
    }
}

fn failed(error: &dyn fmt::Display) -> Problem {
    Problem::Io { what: "a new key".to_owned(), source: std::io::Error::other(error.to_string()) }
}

/// A key that was read.
#[derive(Debug)]
pub struct LoadedKey {
    /// The key.
    pub der: PrivateKeyDer<'static>,
    /// What it was opened with.
    pub passphrase: KeptPassphrase,
}

/// The passphrase of a key in use, so that a new key can have the same. Hidden in its `Debug` form.
#[derive(Clone, Default)]
pub struct KeptPassphrase(Option<Arc<Zeroizing<String>>>);

impl KeptPassphrase {
    /// The passphrase, if the key has one.
    #[must_use]
    pub fn expose(&self) -> Option<&str> {
        self.0.as_ref().map(|passphrase| passphrase.as_str())
    }
}

impl fmt::Debug for KeptPassphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeptPassphrase(hidden)")
    }
}

/// Reads a private key in PEM, with its passphrase if it has one.
///
/// # Errors
/// [`Problem::Configuration`] if others may read it, it is none, or the passphrase is wrong; [`Problem::Io`].
pub fn load(file: &Path, passphrases: &Passphrases) -> Result<LoadedKey, Problem> {
    platform::refuse_if_others_may_read(file)?;
    let wrong = |why: &str| Problem::Configuration(format!("{}: {why}", file.display()));
    let length = std::fs::metadata(file).map_err(|source| Problem::of_file(file, source))?.len();
    if length > LARGEST {
        return Err(wrong("longer than any key"));
    }
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|source| Problem::of_file(file, source))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("no private key in PEM"))?;
    if !text.contains(ENCRYPTED) {
        let der = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| wrong("no private key in PEM"))?;
        return Ok(LoadedKey { der, passphrase: KeptPassphrase::default() });
    }
    let (_, sealed) = SecretDocument::from_pem(text).map_err(|_| wrong("no private key in PEM"))?;
    let sealed = EncryptedPrivateKeyInfo::try_from(sealed.as_bytes()).map_err(|_| {
        wrong("encrypted in a way that this program does not know: use `openssl pkcs8 -topk8`")
    })?;
    let passphrase = passphrases.of(file)?;
    // A wrong passphrase gives bytes that are no key; it can't be told from a damaged file.
    let plain = sealed.decrypt(passphrase.as_bytes()).map_err(|_| wrong("the passphrase is wrong"))?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()));
    Ok(LoadedKey { der, passphrase: KeptPassphrase(Some(Arc::new(passphrase))) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;

    use super::*;

    fn write(place: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let file = place.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        platform::private_file(&mut options).open(&file).unwrap().write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_key_with_a_passphrase_is_read_with_it_alone() {
        let place = tempfile::tempdir().unwrap();
        let key = NewKey::generate().unwrap();
        let plain = write(&place, "plain.key", &key.to_pem(None).unwrap());
        let sealed_text = key.to_pem(Some("correct horse")).unwrap();
        assert!(sealed_text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{}", &sealed_text[..40]);
        let sealed = write(&place, "sealed.key", &sealed_text);
        let right = Passphrases::File(write(&place, "right", "correct horse\n"));
        let wrong = Passphrases::File(write(&place, "wrong", "battery staple\n"));
        let known = load(&plain, &wrong).unwrap().der;
        assert_eq!(load(&sealed, &right).unwrap().der.secret_der(), known.secret_der());
        let refused = load(&sealed, &wrong).unwrap_err();
        assert_eq!(refused.exit_code(), 5);
        assert!(refused.to_string().ends_with("sealed.key: the passphrase is wrong"), "{refused}");
    }

    #[test]
    fn what_is_no_key_is_told_so_and_not_repeated() {
        let place = tempfile::tempdir().unwrap();
        for text in [
            "secret",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ] {
            let file = write(&place, "key", text);
            let problem = load(&file, &Passphrases::File(file.clone())).unwrap_err();
            assert_eq!(problem.exit_code(), 5);
            assert!(!problem.to_string().contains("secret"), "{problem}");
        }
    }

    #[test]
    fn a_request_is_signed_by_the_key_and_names_nobody() {
        let key = NewKey::generate().unwrap();
        let request = key.request().unwrap();
        let (_, parsed) = <x509_parser::certification_request::X509CertificationRequest<'_> as x509_parser::prelude::FromDer<_>>::from_der(request.as_bytes()).unwrap();
        assert_eq!(parsed.certification_request_info.subject.iter().count(), 0);
    }
}
