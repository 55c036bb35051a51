//! Where a recording's bytes go: a small trait, and files.
//!
//! It only ever appends and reserves. What a failure means is decided by the
//! writer above: nothing here tries anything again.

use std::io;

/// Append-only storage of one recording, used by one thread.
pub trait Storage: Send {
    /// Writes all of `bytes` behind what was written before.
    ///
    /// # Errors
    /// Whatever the system says; part of the bytes may then be there.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reserves space, filled with zeros, so that writes up to `length` bytes
    /// from the start can't fail for want of it.
    ///
    /// # Errors
    /// Whatever the system says; what was reserved before is still there.
    fn allocate(&mut self, length: u64) -> io::Result<Allocation>;

    /// Gives back all space behind `length` bytes from the start.
    ///
    /// # Errors
    /// Whatever the system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// A handle that brings what was written to stable storage, for another
    /// thread.
    ///
    /// # Errors
    /// Whatever the system says.
    fn syncer(&self) -> io::Result<Box<dyn SyncStorage>>;
}

/// Brings what was written to stable storage; usable beside the writes.
pub trait SyncStorage: Send {
    /// Returns when all that was written before the call is on stable
    /// storage.
    ///
    /// # Errors
    /// Whatever the system says. It must not be called again afterwards: a
    /// kernel reports a lost write once.
    fn sync(&self) -> io::Result<()>;
}

/// What became of a wish to reserve space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// The space is reserved.
    Reserved,
    /// This storage can't reserve space.
    Unsupported,
}

#[cfg(unix)]
pub use file::FileStorage;

#[cfg(unix)]
mod file {
    use super::{Allocation, Storage, SyncStorage};
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use std::path::Path;

    /// A recording in a file of its own.
    #[derive(Debug)]
    pub struct FileStorage {
        file: File,
        written: u64,
        allocated: u64,
    }

    impl FileStorage {
        /// Makes a new file of mode 0600 and brings its name to stable
        /// storage.
        ///
        /// # Errors
        /// `AlreadyExists` where there is anything of that name: a recording
        /// is never appended to. Else whatever the system says.
        pub fn create(path: &Path) -> io::Result<Self> {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                Some(_) | None => Path::new("."),
            };
            File::open(folder)?.sync_all()?;
            Ok(Self { file, written: 0, allocated: 0 })
        }
    }

    impl Storage for FileStorage {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.file.write_all_at(bytes, self.written)?;
            let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.written = self.written.saturating_add(count);
            Ok(())
        }

        fn allocate(&mut self, length: u64) -> io::Result<Allocation> {
            let from = self.allocated.max(self.written);
            let Some(count) = length.checked_sub(from).filter(|count| *count > 0) else {
                return Ok(Allocation::Reserved);
            };
            match fallocate(&self.file, FallocateFlags::empty(), from, count) {
                Ok(()) => {
                    self.allocated = length;
                    Ok(Allocation::Reserved)
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Allocation::Unsupported),
                Err(error) => {
                    // A refused request may keep the blocks that it got
                    // (ext4 does); they are given back at once.
                    self.file.set_len(from)?;
                    Err(error.into())
                }
            }
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.file.set_len(length)?;
            self.allocated = length;
            Ok(())
        }

        fn syncer(&self) -> io::Result<Box<dyn SyncStorage>> {
            Ok(Box::new(FileSync(self.file.try_clone()?)))
        }
    }

    struct FileSync(File);

    impl SyncStorage for FileSync {
        fn sync(&self) -> io::Result<()> {
            self.0.sync_data()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_existing_file_is_never_opened() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.ghr");
            FileStorage::create(&path).unwrap();
            let again = FileStorage::create(&path).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            let link = dir.path().join("b.ghr");
            std::os::unix::fs::symlink(dir.path().join("nowhere"), &link).unwrap();
            assert!(FileStorage::create(&link).is_err(), "follows a link");
        }

        #[test]
        fn writes_lie_one_behind_the_other_in_reserved_space() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.ghr");
            let mut storage = FileStorage::create(&path).unwrap();
            let reserved = storage.allocate(4096).unwrap();
            storage.write(b"one").unwrap();
            storage.write(b"two").unwrap();
            storage.syncer().unwrap().sync().unwrap();
            let content = std::fs::read(&path).unwrap();
            assert!(content.starts_with(b"onetwo"));
            assert!(content[6..].iter().all(|byte| *byte == 0));
            if reserved == Allocation::Reserved {
                assert_eq!(content.len(), 4096);
            }
            storage.truncate(6).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
        }

        #[test]
        fn a_reserve_that_does_not_fit_leaves_the_file_as_it_was() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.ghr");
            let mut storage = FileStorage::create(&path).unwrap();
            storage.write(b"one").unwrap();
            storage.allocate(1 << 60).unwrap_err();
            assert_eq!(std::fs::read(&path).unwrap(), b"one");
        }
    }
}
