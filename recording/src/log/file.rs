//! The site log in a file, for one gateway at a time.

use super::writer::LogStorage;
use crate::storage::{Allocation, Storage, SyncStorage};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The log's file, locked: two gateways on one log would sign two histories.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    end: u64,
}

impl LogFile {
    /// Opens the file, or makes it with mode 0600 and brings its name to
    /// stable storage.
    ///
    /// # Errors
    /// `WouldBlock` where another process holds the log. Else whatever the
    /// system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another gateway writes this site log")
            }
            TryLockError::Error(error) => error,
        })?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
        let end = file.metadata()?.len();
        Ok(Self { file, end })
    }

    /// A second handle to read what is there.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl LogStorage for LogFile {
    fn rewind(&mut self, length: u64) {
        self.end = length;
    }
}

impl Storage for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end = self.end.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn allocate(&mut self, _length: u64) -> io::Result<Allocation> {
        Ok(Allocation::Unsupported)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn syncer(&self) -> io::Result<Box<dyn SyncStorage>> {
        Ok(Box::new(LogFileSync(self.file.try_clone()?)))
    }
}

struct LogFileSync(File);

impl SyncStorage for LogFileSync {
    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;
    use crate::log::{LogEntry, LogVerdict, LogWriter, read_log};
    use std::sync::Arc;

    #[test]
    fn a_log_goes_on_after_a_restart_and_serves_one_gateway_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let key = Arc::new(SigningKey::generate("plant").unwrap());
        let now = "2026-10-31T10:31:07.412Z".parse().unwrap();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let file = LogFile::open(&path).unwrap();
            assert_eq!(LogFile::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let existing = file.reader().unwrap();
            let (mut log, _) = LogWriter::open(file, existing, Arc::clone(&key), now).unwrap();
            let head = log.append(&[(now, LogEntry::Heartbeat { sessions: 0 })], now).unwrap();
            log.syncer().unwrap().sync().unwrap();
            sizes.push(head.position.size);
        }
        assert_eq!(sizes, [2, 3, 4]);
        let (report, _) = read_log(File::open(&path).unwrap(), key.public(), |_, _| ()).unwrap();
        assert_eq!((report.verdict, report.head.unwrap().size), (LogVerdict::Sound, 4));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
