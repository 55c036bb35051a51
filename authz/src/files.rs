//! The bytes of a policy folder, read once.
//!
//! Hash, snapshot and parsing all work on these bytes: what was checked is
//! what is applied, whatever happens to the folder meanwhile. Only the files
//! with a meaning are read ([`Files::KNOWN`]); any other is listed by
//! [`Files::ignored`] and has no part in the hash. Never reads more than
//! [`Files::LARGEST`] bytes of one.

use crate::problem::{Collector, Problem, Problems};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The files of a policy folder by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    contents: BTreeMap<String, Vec<u8>>,
    ignored: Vec<String>,
}

/// SHA-256 of [`Files::to_snapshot_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyHash(pub [u8; 32]);

impl fmt::Display for PolicyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// How a snapshot begins; the last byte is its version.
const MAGIC: &[u8; 18] = b"gatehouse-policy\x00\x01";

/// So many ignored names are kept; a folder may hold anything.
const IGNORED: usize = 100;

impl Files {
    /// The files with a meaning, in the order of a snapshot.
    pub const KNOWN: [&'static str; 6] =
        ["conditions.toml", "decisions.golden", "model.conf", "policy.csv", "targets.toml", "tests.toml"];

    /// The largest size of one file, in bytes.
    pub const LARGEST: usize = 4 * 1024 * 1024;

    /// Reads the files of a folder. A known file may be a symbolic link (a
    /// mounted folder often is made of them) but must end at a plain file.
    ///
    /// # Errors
    /// A folder or file that can't be read or is out of bounds.
    pub fn read(folder: &Path) -> Result<Self, Problems> {
        let listing = std::fs::read_dir(folder).map_err(|error| {
            Problem::of_file(&folder.display().to_string(), format!("can't be read: {error}"))
        })?;
        let mut files = Self::default();
        let mut problems = Collector::default();
        for entry in listing {
            match entry {
                Ok(entry) => files.take_entry(&entry, &mut problems),
                Err(error) => problems.push(Problem::of_file("", format!("can't be listed: {error}"))),
            }
        }
        files.ignored.sort();
        problems.finish(files).map_err(|problems| problems.in_folder(folder))
    }

    fn take_entry(&mut self, entry: &std::fs::DirEntry, problems: &mut Collector) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !Self::KNOWN.contains(&name.as_str()) {
            if self.ignored.len() < IGNORED && !name.starts_with('.') {
                self.ignored.push(name);
            }
            return;
        }
        match read_plain(&entry.path()) {
            Ok(bytes) => problems.take(self.add(&name, bytes)).unwrap_or_default(),
            Err(error) => problems.push(Problem::of_file(&name, format!("can't be read: {error}"))),
        }
    }

    /// Files that are already in memory, by name.
    ///
    /// # Errors
    /// A name without a meaning, or a file that is too large.
    pub fn from_contents<'a>(
        contents: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, Problems> {
        let mut files = Self::default();
        for (name, bytes) in contents {
            files.add(name, bytes.to_vec())?;
        }
        Ok(files)
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        if !Self::KNOWN.contains(&name) {
            return Err(Problem::of_file(name, "is no file of a policy"));
        }
        if bytes.len() > Self::LARGEST {
            return Err(Problem::of_file(name, format!("is larger than {} bytes", Self::LARGEST)));
        }
        self.contents.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// The bytes of one file.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.contents.get(name).map(Vec::as_slice)
    }

    /// Names and bytes, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Names that lay in the folder and have no meaning, at most 100.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// SHA-256 of the snapshot: names and contents of all files.
    pub fn hash(&self) -> PolicyHash {
        let digest = digest::digest(&digest::SHA256, &self.to_snapshot_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        PolicyHash(hash)
    }

    /// One canonical blob with everything: magic, then per file the length of
    /// the name (u8), the name, the length of the content (u32, little
    /// endian), the content; in the order of the names.
    pub fn to_snapshot_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in &self.contents {
            // Both fit: `add` lets in known names and bounded contents only.
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(content);
        }
        bytes
    }

    /// The files of such a blob.
    ///
    /// # Errors
    /// Bytes that are no snapshot, not canonical, or out of bounds.
    pub fn from_snapshot_bytes(bytes: &[u8]) -> Result<Self, Problems> {
        let refuse = |why: &str| Problem::of_file("snapshot", why);
        let mut files = Self::default();
        let mut rest =
            bytes.strip_prefix(MAGIC).ok_or_else(|| refuse("is no policy snapshot of this version"))?;
        while !rest.is_empty() {
            let (name, content, after) = take_file(rest).ok_or_else(|| refuse("is cut or damaged"))?;
            files.add(name, content.to_vec())?;
            rest = after;
        }
        if files.to_snapshot_bytes() != bytes {
            return Err(refuse("is not in its one canonical form").into());
        }
        Ok(files)
    }
}

fn take_file(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (&name_length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(name_length))?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (content, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((std::str::from_utf8(name).ok()?, content, rest))
}

fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut bytes = Vec::new();
    // One byte past the bound, so that `add` sees what is too large.
    let bound = u64::try_from(Files::LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Files {
        Files::from_contents([("policy.csv", &b"p\n"[..]), ("model.conf", b"m")]).unwrap()
    }

    #[test]
    fn snapshot_form_and_hash_are_pinned() {
        let bytes = sample().to_snapshot_bytes();
        assert_eq!(
            hex::encode(&bytes),
            "67617465686f7573652d706f6c6963790001\
             0a6d6f64656c2e636f6e66010000006d0a706f6c6963792e63737602000000700a"
        );
        assert_eq!(Files::from_snapshot_bytes(&bytes).unwrap(), sample());
        let digest = digest::digest(&digest::SHA256, &bytes);
        assert_eq!(sample().hash().to_string(), hex::encode(digest.as_ref()));
    }

    #[test]
    fn hash_tells_names_and_contents_apart() {
        let moved = Files::from_contents([("policy.csv", &b"m"[..]), ("model.conf", b"p\n")]).unwrap();
        assert_ne!(moved.hash(), sample().hash());
    }

    #[test]
    fn a_folder_is_read_once_and_strangers_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.csv"), "p\n").unwrap();
        std::fs::write(folder.path().join("model.conf"), "m").unwrap();
        std::fs::write(folder.path().join("README.md"), "hello").unwrap();
        let files = Files::read(folder.path()).unwrap();
        std::fs::write(folder.path().join("policy.csv"), "changed").unwrap();
        assert_eq!(files.hash(), sample().hash());
        assert_eq!(files.ignored(), ["README.md"]);
    }

    #[test]
    fn too_large_and_not_plain_are_refused_by_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.csv"), vec![b'#'; Files::LARGEST + 1]).unwrap();
        std::fs::create_dir(folder.path().join("targets.toml")).unwrap();
        let problems = Files::read(folder.path()).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems}");
        let all = problems.to_string();
        assert!(all.contains("policy.csv: is larger than"), "{all}");
        assert!(all.contains("targets.toml: can't be read"), "{all}");
        assert!(all.contains(&folder.path().display().to_string()), "{all}");
    }

    #[test]
    fn snapshots_are_canonical_only() {
        let good = sample().to_snapshot_bytes();
        for cut in 0..good.len() {
            let bytes = &good[..cut];
            // Cut between two files it is another, shorter snapshot.
            if let Ok(files) = Files::from_snapshot_bytes(bytes) {
                assert_eq!(files.to_snapshot_bytes(), bytes);
            }
        }
        let (head, tail) = good.split_at(MAGIC.len());
        let (first, second) = tail.split_at(16);
        let swapped = [head, second, first].concat();
        assert!(Files::from_snapshot_bytes(&swapped).is_err(), "order is part of the form");
        let twice = [head, first, first].concat();
        assert!(Files::from_snapshot_bytes(&twice).is_err(), "each file once");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_canonical(tail in proptest::collection::vec(any::<u8>(), 0..64)) {
            let bytes = [&MAGIC[..], &tail].concat();
            if let Ok(files) = Files::from_snapshot_bytes(&bytes) {
                prop_assert_eq!(files.to_snapshot_bytes(), bytes);
            }
        }
    }
}
