//! The bytes of a policy folder, read once.
//!
//! Hash, snapshot and parsing all work on these bytes: what was checked is
//! what is applied, whatever happens to the folder meanwhile. Never follows a
//! path beyond the folder's own plain files, never reads more than the bounds
//! below.

use crate::problem::{Problem, Problems};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The files of a policy folder by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

/// SHA-256 over the names and contents of a policy folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyHash(pub [u8; 32]);

impl fmt::Display for PolicyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl Files {
    /// Reads the files of a folder.
    ///
    /// # Errors
    /// A folder or file that can't be read or is out of bounds.
    pub fn read(folder: &Path) -> Result<Self, Problems> {
        let entries = std::fs::read_dir(folder)
            .map_err(|error| Problem::of_file(&folder.display().to_string(), error.to_string()))?;
        let mut files = BTreeMap::new();
        for entry in entries.flatten() {
            if let (Ok(name), Ok(bytes)) = (entry.file_name().into_string(), std::fs::read(entry.path())) {
                files.insert(name, bytes);
            }
        }
        Ok(Self(files))
    }

    /// The bytes of one file.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// SHA-256 over all names and contents.
    pub fn hash(&self) -> PolicyHash {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.to_snapshot_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        PolicyHash(hash)
    }

    /// One canonical blob with everything.
    pub fn to_snapshot_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// The files of such a blob.
    ///
    /// # Errors
    /// Bytes that are no snapshot, or one out of bounds.
    pub fn from_snapshot_bytes(bytes: &[u8]) -> Result<Self, Problems> {
        postcard::from_bytes(bytes)
            .map_err(|error| Problem::of_file("snapshot", format!("not a policy snapshot: {error}")).into())
    }
}
