//! Secrets of the state, sealed at rest by a key that lies outside of it.
//!
//! A copy of the database alone (a stolen backup, a discarded disk, a support
//! bundle) gives no second factor away. Each secret is sealed for one
//! [`Place`], the column and row where it belongs: moved to another row it
//! does not open, so nobody who can write the database can give one person
//! another's factor.
//!
//! AES-256-GCM-SIV (RFC 8452) with random nonces: should a cloned machine ever
//! draw a nonce twice, that shows equal secrets as equal and nothing more.
//! This module never logs a key or a secret.

use super::StateError;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// What a key file begins with; the number is that of its form.
const KEY_PREFIX: &str = "gatehouse-state-key-1 ";

/// Bytes of a key.
const KEY_LENGTH: usize = 32;

/// The longest key file that is read, in bytes.
const LONGEST_KEY_FILE: u64 = 1024;

/// What the additional data of every sealing begins with.
const CONTEXT: &[u8] = b"gatehouse state sealing 1\0";

/// A column and row of the state: where a secret belongs, and the only place
/// where it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Table and column, such as `factors.seed`. Without a NUL.
    pub column: &'static str,
    /// The row's number, never reused for anything else in that table.
    pub row: i64,
}

impl Place {
    /// Column, NUL, row: no two places share their bytes.
    fn additional_data(self) -> Vec<u8> {
        let row = self.row.to_be_bytes();
        [CONTEXT, self.column.as_bytes(), b"\0", row.as_slice()].concat()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of row {}", self.column, self.row)
    }
}

/// A sealed secret as it is stored: nonce, ciphertext, tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// What was stored; whether it is genuine shows when it is opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The key that seals the state's secrets. Prints as nothing.
pub struct Vault(RandomizedNonceKey);

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault(..)")
    }
}

impl Vault {
    /// Reads a key file; `None` where there is none.
    ///
    /// # Errors
    /// In words, also for a file that others than its owner may read.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("is no ordinary file".to_owned());
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!("others may read it (mode {mode:03o}); chmod 600 it"));
        }
        let mut text = Zeroizing::new(String::new());
        let read = file.take(LONGEST_KEY_FILE).read_to_string(&mut text);
        read.map_err(|error| error.to_string())?;
        let digits = text.strip_prefix(KEY_PREFIX).map(|rest| rest.strip_suffix('\n').unwrap_or(rest));
        let mut key = Zeroizing::new([0_u8; KEY_LENGTH]);
        let parsed = digits.is_some_and(|digits| hex::decode_to_slice(digits, key.as_mut()).is_ok());
        if !parsed {
            return Err("is no key of a Gatehouse state".to_owned());
        }
        Self::of(&key).map(Some)
    }

    /// Makes a new key in a new file of mode 0600, on stable storage before
    /// this returns.
    ///
    /// # Errors
    /// In words, also where the file exists already.
    pub fn create(path: &Path) -> Result<Self, String> {
        let mut key = Zeroizing::new([0_u8; KEY_LENGTH]);
        aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| "no randomness".to_owned())?;
        let digits = Zeroizing::new(hex::encode(*key));
        let text = Zeroizing::new(format!("{KEY_PREFIX}{}\n", *digits));
        store(path, text.as_bytes()).map_err(|error| error.to_string())?;
        Self::of(&key)
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    /// [`StateError::Sealing`] if the library or its randomness fails.
    pub fn seal(&self, place: Place, secret: &[u8]) -> Result<Sealed, StateError> {
        // Room for the tag, so that the secret is not left behind by a move.
        let mut sealed = Vec::with_capacity(secret.len().saturating_add(AES_256_GCM_SIV.tag_len()));
        sealed.extend_from_slice(secret);
        let nonce = self.0.seal_in_place_append_tag(Aad::from(place.additional_data()), &mut sealed);
        let nonce = nonce.map_err(|_| StateError::Sealing(place))?;
        Ok(Sealed([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`StateError::Sealed`] for anything else: altered, moved from another
    /// place, sealed with another key.
    pub fn open(&self, place: Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, StateError> {
        let (nonce, secret) = sealed.0.split_first_chunk::<NONCE_LEN>().ok_or(StateError::Sealed(place))?;
        let mut secret = Zeroizing::new(secret.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(place.additional_data()), &mut secret);
        let length = opened.map_err(|_| StateError::Sealed(place))?.len();
        secret.truncate(length);
        Ok(secret)
    }

    fn of(key: &[u8; KEY_LENGTH]) -> Result<Self, String> {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key);
        key.map(Self).map_err(|_| "the cryptographic library refuses it".to_owned())
    }
}

/// A new file of mode 0600 with its entry in the folder, both synced.
fn store(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use tempfile::TempDir;

    const HERE: Place = Place { column: "factors.seed", row: 1 };

    fn vault() -> (TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(&folder.path().join("key")).unwrap();
        (folder, vault)
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let (_folder, vault) = vault();
        let sealed = vault.seal(HERE, b"a secret of twenty b").unwrap();
        assert_eq!(vault.open(HERE, &sealed).unwrap().as_slice(), b"a secret of twenty b");
        for place in [Place { row: 2, ..HERE }, Place { column: "factors.seal", ..HERE }] {
            assert!(matches!(vault.open(place, &sealed), Err(StateError::Sealed(at)) if at == place));
        }
    }

    #[test]
    fn no_bit_of_it_can_be_changed_and_no_end_cut() {
        let (_folder, vault) = vault();
        let sealed = vault.seal(HERE, b"secret").unwrap();
        for bit in 0..sealed.0.len() * 8 {
            let mut changed = sealed.clone();
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.open(HERE, &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.0.len() {
            assert!(vault.open(HERE, &Sealed(sealed.0[..length].to_vec())).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn another_key_opens_nothing_and_no_sealing_is_like_another() {
        let ((_one, vault), (_two, other)) = (vault(), vault());
        let sealed = vault.seal(HERE, b"secret").unwrap();
        assert!(other.open(HERE, &sealed).is_err());
        assert_ne!(vault.seal(HERE, b"secret").unwrap(), sealed);
    }

    #[test]
    fn a_key_file_is_its_owners_alone_and_is_never_overwritten() {
        let (folder, vault) = vault();
        let path = folder.path().join("key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = vault.seal(HERE, b"secret").unwrap();
        assert!(Vault::create(&path).is_err());
        let again = Vault::read(&path).unwrap().unwrap();
        assert_eq!(again.open(HERE, &sealed).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = Vault::read(&path).unwrap_err();
            assert_eq!(refused, format!("others may read it (mode {mode:03o}); chmod 600 it"));
        }
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused_without_being_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(Vault::read(&path).unwrap().is_none());
        let key = "0f".repeat(KEY_LENGTH);
        for wrong in [
            String::new(),
            key.clone(),
            format!("{KEY_PREFIX}{}", &key[2..]),
            format!("{KEY_PREFIX}{key}00\n"),
            format!("{KEY_PREFIX}{key}\n\n"),
            format!("{KEY_PREFIX}{}\n", key.replace("0f", "0g")),
            "x".repeat(5000),
        ] {
            std::fs::write(&path, &wrong).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert_eq!(Vault::read(&path).unwrap_err(), "is no key of a Gatehouse state", "{wrong:?}");
        }
        assert!(Vault::read(folder.path()).is_err());
        assert_eq!(format!("{:?}", vault().1), "Vault(..)");
    }
}
