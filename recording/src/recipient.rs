//! Who can read a recording: native age X25519 recipients and identities.
//!
//! Nothing else is accepted. Other kinds would run a plugin at the gateway, or
//! share a passphrase with it.

use crate::keys::{self, KeyError};
use crate::ratchet::{CryptoError, FileKey};
use crate::tree::{self, Hash};
use age::secrecy::ExposeSecret;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Most recipients of one recording.
pub const MAX_RECIPIENTS: usize = 16;

/// Why the file key could not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum RecipientError {
    /// The text is no native X25519 recipient.
    #[error("{0:?} is not an age X25519 recipient (age1...); plugins and passphrases are not accepted")]
    NotARecipient(String),
    /// The text holds no native X25519 identity; its content is not repeated.
    #[error("there is no age X25519 identity (AGE-SECRET-KEY-1...) in line {line}")]
    NotAnIdentity {
        /// Line of the text, from 1.
        line: usize,
    },
    /// There is nobody to encrypt to, or nothing to decrypt with.
    #[error("there is no recipient or identity")]
    Nobody,
    /// More than [`MAX_RECIPIENTS`].
    #[error("there are more than {MAX_RECIPIENTS} recipients")]
    TooMany,
    /// None of the identities is a recipient of this recording.
    #[error("this recording is not encrypted to this identity")]
    NoMatch,
    /// The wrapped key is not what the format says.
    #[error("the wrapped file key is damaged")]
    KeyBlock,
    /// The unwrapped key is not the one that the header commits to.
    #[error("the file key is not the one that the header commits to")]
    Commitment,
    /// Every recipient's identity is at hand, and they are not those that the
    /// header names.
    #[error("the recipients are not those whose hash the header has")]
    Recipients,
    /// The cryptographic library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Someone to whom recordings are encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(age::x25519::Recipient);

impl Recipient {
    /// As the library wants it.
    pub(crate) fn native(&self) -> &dyn age::Recipient {
        &self.0
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = || RecipientError::NotARecipient(text.chars().take(80).collect());
        text.trim().parse().map(Self).map_err(|_| named())
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Recipient({})", self.0)
    }
}

/// The keys with which an auditor reads.
pub struct Identity(Vec<age::x25519::Identity>);

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity(REDACTED)")
    }
}

impl Identity {
    /// Makes a new identity.
    pub fn generate() -> Self {
        Self(vec![age::x25519::Identity::generate()])
    }

    /// Reads an identity file: one identity per line, blank lines and lines
    /// that begin with `#` left out.
    ///
    /// # Errors
    /// [`RecipientError::NotAnIdentity`] for any other line,
    /// [`RecipientError::Nobody`] for a text without an identity.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let mut identities = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refused = |_| RecipientError::NotAnIdentity { line: index.saturating_add(1) };
            identities.push(line.parse().map_err(refused)?);
        }
        if identities.is_empty() {
            return Err(RecipientError::Nobody);
        }
        Ok(Self(identities))
    }

    /// Reads an identity file.
    ///
    /// # Errors
    /// [`KeyError::Readable`] where group or others have any right on the
    /// file, [`KeyError::Identity`] for content that is not as
    /// [`Identity::parse`] wants it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Ok(Self::parse(&keys::read_private(path)?)?)
    }

    /// Writes the identity to a new file of mode 0600.
    ///
    /// # Errors
    /// [`KeyError::File`], also where the file exists already.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        keys::write_private(path, &self.to_text())
    }

    /// The identity file's text, secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for (identity, recipient) in self.0.iter().zip(self.recipients()) {
            text.push_str(&format!("# recipient: {recipient}\n"));
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        text
    }

    /// As the library wants them.
    pub(crate) fn natives(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|identity| identity as &dyn age::Identity)
    }

    /// Whom to encrypt to so that this identity can read.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.0.iter().map(|identity| Recipient(identity.to_public())).collect()
    }
}

/// SHA-256 over the recipients, sorted, each with a newline.
pub(crate) fn hash(recipients: &[Recipient]) -> Hash {
    let mut texts: Vec<String> = recipients.iter().map(|recipient| format!("{recipient}\n")).collect();
    texts.sort();
    tree::sha256(&[texts.concat().as_bytes()])
}

/// Wraps the file key to the recipients: an age file of 32 bytes.
pub(crate) fn wrap(key: &FileKey, recipients: &[Recipient]) -> Result<Vec<u8>, RecipientError> {
    if recipients.is_empty() {
        return Err(RecipientError::Nobody);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(RecipientError::TooMany);
    }
    let all = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(all).map_err(|_| RecipientError::KeyBlock)?;
    let mut block = Vec::with_capacity(1024);
    let mut writer = encryptor.wrap_output(&mut block).map_err(|_| RecipientError::KeyBlock)?;
    writer.write_all(key.as_bytes()).map_err(|_| RecipientError::KeyBlock)?;
    writer.finish().map_err(|_| RecipientError::KeyBlock)?;
    Ok(block)
}

/// Unwraps the file key and holds it against the header's commitment, and the
/// recipients against the header's hash where all of them are known.
pub(crate) fn unwrap(
    block: &[u8],
    identity: &Identity,
    session: &[u8; 16],
    commitment: &Hash,
    recipients_hash: &Hash,
) -> Result<FileKey, RecipientError> {
    let decryptor = age::Decryptor::new(block).map_err(|_| RecipientError::KeyBlock)?;
    if decryptor.is_scrypt() {
        return Err(RecipientError::KeyBlock);
    }
    let stanzas = native_stanzas(block);
    if stanzas == 0 || stanzas > MAX_RECIPIENTS {
        return Err(RecipientError::KeyBlock);
    }
    let identities = identity.0.iter().map(|identity| identity as &dyn age::Identity);
    let reader = decryptor.decrypt(identities).map_err(|error| {
        if matches!(error, age::DecryptError::NoMatchingKeys) {
            RecipientError::NoMatch
        } else {
            RecipientError::KeyBlock
        }
    })?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    reader.take(64).read_to_end(&mut bytes).map_err(|_| RecipientError::KeyBlock)?;
    let key = FileKey::from_slice(&bytes)?;
    if key.commitment(session)? != *commitment {
        return Err(RecipientError::Commitment);
    }
    let known = matching(block, identity)?;
    if known.len() == stanzas && hash(&known) != *recipients_hash {
        return Err(RecipientError::Recipients);
    }
    Ok(key)
}

/// The recipients of `block` whose identities are at hand, each once.
fn matching(block: &[u8], identity: &Identity) -> Result<Vec<Recipient>, RecipientError> {
    let mut known: Vec<Recipient> = Vec::new();
    for one in &identity.0 {
        let decryptor = age::Decryptor::new(block).map_err(|_| RecipientError::KeyBlock)?;
        let recipient = Recipient(one.to_public());
        if decryptor.decrypt(std::iter::once(one as &dyn age::Identity)).is_ok()
            && !known.contains(&recipient)
        {
            known.push(recipient);
        }
    }
    Ok(known)
}

/// Count of native stanzas in the header of an age file that is well-formed:
/// nothing else in it begins a line like one.
pub(crate) fn native_stanzas(block: &[u8]) -> usize {
    let header = block.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"---"));
    header.filter(|line| line.starts_with(b"-> X25519 ")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_native_recipients_are_accepted() {
        let native = Identity::generate().recipients().remove(0).to_string();
        assert_eq!(native.parse::<Recipient>().unwrap().to_string(), native);
        for refused in [
            "",
            "age1",
            "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN",
            "AGE-SECRET-KEY-1QQQ",
        ] {
            assert!(refused.parse::<Recipient>().is_err(), "{refused}");
        }
    }

    #[test]
    fn an_identity_file_may_have_comments_but_nothing_else() {
        let identity = Identity::generate();
        let read = Identity::parse(&identity.to_text()).unwrap();
        assert_eq!(read.recipients(), identity.recipients());
        assert!(matches!(Identity::parse("# nothing\n\n"), Err(RecipientError::Nobody)));
        let error = Identity::parse("# a\nAGE-PLUGIN-YUBIKEY-1QQQ\n").unwrap_err();
        assert!(matches!(error, RecipientError::NotAnIdentity { line: 2 }));
        assert!(!error.to_string().contains("YUBIKEY"));
    }

    #[cfg(unix)]
    #[test]
    fn an_identity_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auditor.age");
        let identity = Identity::generate();
        identity.write(&path).unwrap();
        assert_eq!(Identity::read(&path).unwrap().recipients(), identity.recipients());
        assert!(matches!(identity.write(&path), Err(KeyError::File { .. })), "overwrites");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identity::read(&path), Err(KeyError::Readable { .. })));
    }

    #[test]
    fn every_recipient_unwraps_and_nobody_else() {
        let (one, two, stranger) = (Identity::generate(), Identity::generate(), Identity::generate());
        let recipients: Vec<Recipient> = [one.recipients(), two.recipients()].concat();
        let key = FileKey::random().unwrap();
        let commitment = key.commitment(&[9; 16]).unwrap();
        let block = wrap(&key, &recipients).unwrap();
        for identity in [&one, &two] {
            assert!(
                unwrap(&block, identity, &[9; 16], &commitment, &[0; 32]).is_ok(),
                "one does not know all"
            );
        }
        let refused = unwrap(&block, &stranger, &[9; 16], &commitment, &hash(&recipients));
        assert!(matches!(refused, Err(RecipientError::NoMatch)));
        // Who knows all of them, and one twice, holds them against the header.
        let all =
            [one.to_text(), two.to_text(), one.to_text(), stranger.to_text()].map(|text| text.to_string());
        let all = Identity::parse(&all.concat()).unwrap();
        let refused = unwrap(&block, &all, &[9; 16], &commitment, &[0; 32]);
        assert!(matches!(refused, Err(RecipientError::Recipients)));
        assert!(unwrap(&block, &all, &[9; 16], &commitment, &hash(&recipients)).is_ok());
    }

    #[test]
    fn a_key_that_the_header_does_not_commit_to_is_refused() {
        let identity = Identity::generate();
        let block = wrap(&FileKey::random().unwrap(), &identity.recipients()).unwrap();
        let commitment = FileKey::random().unwrap().commitment(&[9; 16]).unwrap();
        let refused = unwrap(&block, &identity, &[9; 16], &commitment, &hash(&identity.recipients()));
        assert!(matches!(refused, Err(RecipientError::Commitment)));
    }

    #[test]
    fn nobody_and_too_many_are_refused() {
        let key = FileKey::random().unwrap();
        assert!(matches!(wrap(&key, &[]), Err(RecipientError::Nobody)));
        let many = vec![Identity::generate().recipients().remove(0); MAX_RECIPIENTS + 1];
        assert!(matches!(wrap(&key, &many), Err(RecipientError::TooMany)));
    }

    #[test]
    fn the_hash_of_recipients_knows_no_order() {
        let (one, two) = (Identity::generate().recipients(), Identity::generate().recipients());
        let there = [one.clone(), two.clone()].concat();
        let back = [two, one].concat();
        assert_eq!(hash(&there), hash(&back));
        assert_ne!(hash(&there), hash(&there[..1]));
    }
}
