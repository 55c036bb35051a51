//! The gateway's signing key and the public key that verifies with it.
//!
//! The private key is Ed25519 as PEM PKCS#8 in a file of mode 0600; a file
//! that others can read is refused. The public key is one C2SP signed-note
//! verifier key line, `name+keyid+base64`.

use crate::recipient::RecipientError;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::Zeroizing;

/// Name of a signing key that was given no other.
pub const DEFAULT_KEY_NAME: &str = "gatehouse";

/// Longest key file that is read, in bytes.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// Signature type Ed25519 (C2SP signed-note, "Signature types").
const ED25519_TYPE: u8 = 1;

/// Why a key could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read the private key.
    #[error("{path} can be read by others than its owner (mode {mode:04o}): chmod 600 it")]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no Ed25519 key in PEM PKCS#8.
    #[error("not an Ed25519 private key in PEM PKCS#8")]
    Private,
    /// It is no verifier key line.
    #[error("not an Ed25519 verifier key (name+keyid+base64)")]
    Public,
    /// It is no age identity file.
    #[error(transparent)]
    Identity(#[from] RecipientError),
    /// The name can't stand in a verifier key.
    #[error("{0:?} is not a key name: 1 to 255 graphic ASCII characters without '+'")]
    Name(String),
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to make a key")]
    Generate,
}

/// The key that signs checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public)
    }
}

impl SigningKey {
    /// Makes a new key of that name.
    ///
    /// # Errors
    /// [`KeyError::Name`] for a name that can't stand in a note.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?, name)
    }

    /// Reads a private key as [`SigningKey::write`] or `openssl genpkey`
    /// writes it. Its name is [`DEFAULT_KEY_NAME`].
    ///
    /// # Errors
    /// [`KeyError::Readable`] where group or others have any right on the
    /// file, [`KeyError::Private`] for content that is no Ed25519 key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read_private(path)?, DEFAULT_KEY_NAME)
    }

    /// Reads a private key of that name from PEM PKCS#8.
    ///
    /// # Errors
    /// [`KeyError::Private`] and [`KeyError::Name`].
    pub fn from_pem(text: &str, name: &str) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|_| KeyError::Private)?;
        if block.tag() != "PRIVATE KEY" {
            return Err(KeyError::Private);
        }
        let document = Zeroizing::new(block.into_contents());
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document).map_err(|_| KeyError::Private)?;
        Self::of(pair, name)
    }

    /// The private key as PEM PKCS#8, secret.
    ///
    /// # Errors
    /// [`KeyError::Generate`] if the library can't encode it.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Ok(Zeroizing::new(pem::encode(&pem::Pem::new("PRIVATE KEY", document.as_ref()))))
    }

    /// Writes the private key to a new file of mode 0600.
    ///
    /// # Errors
    /// [`KeyError::File`], also where the file exists already.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        write_private(path, &self.to_pem()?)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    fn of(pair: Ed25519KeyPair, name: &str) -> Result<Self, KeyError> {
        let key = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| KeyError::Generate)?;
        Ok(Self { public: PublicKey::of(name, key)?, pair })
    }
}

impl signed_note::Signer for SigningKey {
    fn name(&self) -> &str {
        self.public.name()
    }

    fn key_id(&self) -> u32 {
        self.public.id
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

/// The key that verifies checkpoints.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    id: u32,
    key: [u8; 32],
}

impl PublicKey {
    /// Reads a file that holds one verifier key line.
    ///
    /// # Errors
    /// [`KeyError::File`] and [`KeyError::Public`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(failed)?;
        text.parse()
    }

    /// Writes the verifier key line to a new file.
    ///
    /// # Errors
    /// [`KeyError::File`], also where the file exists already.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        write_new(path, format!("{self}\n").as_bytes(), 0o644)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id: the first four bytes of a hash over name and key, in
    /// network order (C2SP signed-note).
    pub fn id(&self) -> u32 {
        self.id
    }

    fn of(name: &str, key: [u8; 32]) -> Result<Self, KeyError> {
        if name.is_empty() || !crate::header::is_name(name) {
            return Err(KeyError::Name(name.chars().take(80).collect()));
        }
        let id = signed_note::key_id(name, &typed(&key));
        Ok(Self { name: name.to_owned(), id, key })
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (name, rest) = line.trim().split_once('+').ok_or(KeyError::Public)?;
        let (id, encoded) = rest.split_once('+').ok_or(KeyError::Public)?;
        let typed = BASE64_STANDARD.decode(encoded).map_err(|_| KeyError::Public)?;
        let [ED25519_TYPE, key @ ..] = typed.as_slice() else {
            return Err(KeyError::Public);
        };
        let public = Self::of(name, key.try_into().map_err(|_| KeyError::Public)?)?;
        if id != format!("{:08x}", public.id) {
            return Err(KeyError::Public);
        }
        Ok(public)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}+{:08x}+{}", self.name, self.id, BASE64_STANDARD.encode(typed(&self.key)))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

impl signed_note::Verifier for PublicKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(message, signature).is_ok()
    }
}

fn typed(key: &[u8; 32]) -> Vec<u8> {
    [[ED25519_TYPE].as_slice(), key].concat()
}

/// Reads a private file that nobody but its owner has any right on.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    refuse_readable(path, &file.metadata().map_err(failed)?)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a new file that nobody but its owner has any right on.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), KeyError> {
    write_new(path, text.as_bytes(), 0o600)
}

#[cfg(unix)]
fn refuse_readable(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Readable { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_readable(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signed_note::{Signer, Verifier};

    #[test]
    fn keys_survive_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("signing.key"), dir.path().join("signing.pub"));
        let key = SigningKey::generate(DEFAULT_KEY_NAME).unwrap();
        key.write(&private).unwrap();
        key.public().write(&public).unwrap();
        let read = PublicKey::read(&public).unwrap();
        let signature = SigningKey::read(&private).unwrap().sign(b"note\n").unwrap();
        assert!(read.verify(b"note\n", &signature));
        assert!(!read.verify(b"nope\n", &signature));
        assert!(matches!(key.write(&private), Err(KeyError::File { .. })), "overwrites");
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        SigningKey::generate("plant").unwrap().write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(SigningKey::read(&path), Err(KeyError::Readable { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_verifier_key_is_checked_whole() {
        let line = SigningKey::generate("plant").unwrap().public().to_string();
        assert_eq!(line.parse::<PublicKey>().unwrap().to_string(), line);
        let (head, key) = line.rsplit_once('+').unwrap();
        let id = head.rsplit_once('+').unwrap().1;
        for refused in [
            String::new(),
            "plant".to_owned(),
            format!("other+{id}+{key}"),
            format!("plant+00000000+{key}"),
            format!("plant+{id}+AAAA"),
            format!("pl ant+{id}+{key}"),
            format!("{line}+more"),
            format!("{line}\n{line}"),
        ] {
            assert!(refused.parse::<PublicKey>().is_err(), "{refused}");
        }
    }

    #[test]
    fn names_that_break_a_note_are_refused() {
        for name in ["", "a b", "a+b", "a\nb", "ä", &"n".repeat(256)] {
            assert!(matches!(SigningKey::generate(name), Err(KeyError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn other_pem_is_refused() {
        let pem = SigningKey::generate("plant").unwrap().to_pem().unwrap();
        assert!(SigningKey::from_pem(&pem, "plant").is_ok());
        let relabelled = pem.replace("PRIVATE KEY", "CERTIFICATE");
        assert!(matches!(SigningKey::from_pem(&relabelled, "plant"), Err(KeyError::Private)));
        assert!(SigningKey::from_pem("", "plant").is_err());
    }
}
