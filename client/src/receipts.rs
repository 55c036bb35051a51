//! Receipts: what the gateway signed for the technician, kept on this machine.
//!
//! What it is for: with a receipt anybody who has the plant's public key finds a recording that was deleted or cut, and
//! a site log that was rolled back or rewritten. One file per session, `SESSION.receipt`, plain text of one or two
//! signed notes, replaced as a whole by each newer one. What it never does: it believes nothing in a note (checking is
//! the auditor's part), and it sends nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use recording::Statement;
use recording::log::{LogHead, MAX_RECEIPT, Receipt};
use serde::Serialize;
use wire::SessionId;

use crate::escape::escape;
use crate::screen::Screen;
use crate::targets::{Listing, harmless_json};
use crate::{Problem, platform};

/// The ending of a receipt's file.
const ENDING: &str = "receipt";

/// The most receipts that are kept. Each newer one covers the whole site log before it, so the oldest goes first.
const MOST: usize = 10_000;

/// The folder with this technician's receipts.
#[derive(Debug)]
pub struct Receipts {
    folder: PathBuf,
}

impl Receipts {
    /// The receipts in `folder`, which is made when the first one is kept.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Keeps the newest receipt of a session in place of the one before.
    ///
    /// # Errors
    /// [`Problem::Io`]; [`Problem::Unreachable`] for a text that is no receipt. The one before is still there.
    pub fn keep(&self, session: SessionId, receipt: &Receipt) -> Result<(), Problem> {
        let text = receipt.to_text();
        if Receipt::parse(text.as_bytes()).as_ref() != Ok(receipt) {
            return Err(Problem::Unreachable("the gateway sent something that is no receipt".to_owned()));
        }
        let file = self.folder.join(format!("{session}.{ENDING}"));
        let written = platform::create_private_folder(&self.folder)
            .and_then(|()| if file.exists() { Ok(()) } else { self.make_room() })
            .and_then(|()| replace(&file, text.as_bytes()));
        written.map_err(|source| Problem::of_file(&file, source))
    }

    fn make_room(&self) -> io::Result<()> {
        let mut kept = files(&self.folder)?;
        if kept.len() < MOST {
            return Ok(());
        }
        kept.sort_by_key(|file| fs::metadata(file).and_then(|metadata| metadata.modified()).ok());
        let surplus = kept.len().saturating_sub(MOST.saturating_sub(1));
        kept.iter().take(surplus).try_for_each(fs::remove_file)
    }
}

fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("receipt-new");
    let mut options = OpenOptions::new();
    let mut new = platform::private_file(options.write(true).create(true).truncate(true)).open(&beside)?;
    new.write_all(text)?;
    new.sync_all()?;
    fs::rename(&beside, file)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    Ok(files)
}

/// A receipt as it is listed; nothing of it is checked.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// Its file.
    pub file: String,
    /// What it says of the session's recording.
    pub recording: Option<Recording>,
    /// What it says of the site log.
    pub log: Option<Log>,
    /// Why it can't be read.
    pub problem: Option<String>,
}

/// A checkpoint of a recording.
#[derive(Debug, Serialize)]
pub struct Recording {
    /// The session's id.
    pub session: String,
    /// Bytes of the recording that it covers.
    pub bytes: u64,
    /// When it was signed, by the gateway's clock.
    pub signed: Timestamp,
}

/// A head of the site log.
#[derive(Debug, Serialize)]
pub struct Log {
    /// The log's origin line.
    pub origin: String,
    /// Entries that it covers.
    pub entries: u64,
    /// When it was signed, by the gateway's clock.
    pub signed: Timestamp,
}

impl Kept {
    fn read(path: &Path) -> Self {
        let file = path.display().to_string();
        let read = || {
            let mut bytes = Vec::new();
            let most = u64::try_from(MAX_RECEIPT).unwrap_or(u64::MAX).saturating_add(1);
            io::Read::read_to_end(&mut io::Read::take(File::open(path)?, most), &mut bytes)?;
            Receipt::parse(&bytes).map_err(io::Error::other)
        };
        let receipt = match read() {
            Ok(receipt) => receipt,
            Err(error) => return Self { file, recording: None, log: None, problem: Some(error.to_string()) },
        };
        let session = receipt.session.as_deref().and_then(Statement::unverified);
        let log = receipt.log.as_deref().and_then(LogHead::unverified);
        Self {
            file,
            recording: session.map(|said| Recording {
                session: SessionId::from_bytes(said.session).to_string(),
                bytes: said.bytes,
                signed: said.time,
            }),
            log: log.map(|said| Log { origin: said.log.origin(), entries: said.size, signed: said.time }),
            problem: None,
        }
    }

    fn signed(&self) -> Option<Timestamp> {
        let recording = self.recording.as_ref().map(|recording| recording.signed);
        recording.max(self.log.as_ref().map(|log| log.signed))
    }

    fn line(&self) -> String {
        let recording = self
            .recording
            .as_ref()
            .map(|one| format!("session {}, {} bytes signed at {}", one.session, one.bytes, one.signed));
        let log = self
            .log
            .as_ref()
            .map(|one| format!("site log of {} entries signed at {}", one.entries, one.signed));
        let parts: Vec<String> = [recording, log, self.problem.clone()].into_iter().flatten().collect();
        format!("{}: {}", self.file, parts.join("; "))
    }
}

/// The receipts of a folder, the oldest first. One that can't be read is listed with the reason.
///
/// # Errors
/// [`Problem::Io`] if the folder can't be read; one that is not there has no receipts.
pub fn list(folder: &Path) -> Result<Vec<Kept>, Problem> {
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::of_file(folder, error)),
    };
    let mut kept: Vec<Kept> = files.iter().map(|file| Kept::read(file)).collect();
    kept.sort_by(|one, other| (one.signed(), &one.file).cmp(&(other.signed(), &other.file)));
    Ok(kept)
}

/// Writes them.
///
/// # Errors
/// [`Problem::Io`] if the output does not take it.
pub fn show(kept: &[Kept], listing: Listing, screen: &mut Screen) -> Result<(), Problem> {
    match listing {
        Listing::Json => screen.answer(&harmless_json(&kept)?),
        Listing::Text if kept.is_empty() => {
            screen.remark("there are no receipts");
            Ok(())
        }
        Listing::Text => kept.iter().try_for_each(|one| screen.answer(&escape(&one.line()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(origin: &str, more: &str) -> String {
        let root = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        format!("{origin}\n18\n{root}\n{more}time 2026-10-31T10:31:07.412Z\n\n\u{2014} plant 50mr9A==\n")
    }

    fn session(id: u8) -> (SessionId, String) {
        let id = SessionId::from_bytes([id; 16]);
        (id, note(&format!("gatehouse/session/{id}"), "bytes 4711\n"))
    }

    fn log() -> String {
        note(&format!("gatehouse/log/{}", "ab".repeat(16)), "")
    }

    #[test]
    fn the_newest_receipt_of_each_session_is_kept_and_listed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("receipts");
        assert!(list(&folder).unwrap().is_empty());
        let receipts = Receipts::at(&folder);
        let (id, one) = session(1);
        receipts.keep(id, &Receipt { session: None, log: Some(log()) }).unwrap();
        receipts.keep(id, &Receipt { session: Some(one.clone()), log: Some(log()) }).unwrap();
        let (other, two) = session(2);
        receipts.keep(other, &Receipt { session: Some(two), log: None }).unwrap();
        let kept = list(&folder).unwrap();
        assert_eq!(kept.len(), 2);
        let first = kept.iter().find(|one| one.log.is_some()).unwrap();
        assert_eq!(first.recording.as_ref().unwrap().session, id.to_string());
        assert_eq!(
            (first.recording.as_ref().unwrap().bytes, first.log.as_ref().unwrap().entries),
            (4711, 18)
        );
        let text = fs::read_to_string(folder.join(format!("{id}.receipt"))).unwrap();
        assert_eq!(text, format!("{one}{}", log()));
    }

    #[test]
    fn what_is_no_receipt_is_not_kept() {
        let place = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(place.path());
        let (id, good) = session(1);
        receipts.keep(id, &Receipt { session: Some(good.clone()), log: None }).unwrap();
        for bad in ["", "\u{1b}[2J\n", &good.replace("bytes", "bites"), &"x".repeat(2000)] {
            let receipt = Receipt { session: Some(bad.to_owned()), log: None };
            assert!(receipts.keep(id, &receipt).is_err(), "{bad:?}");
        }
        assert_eq!(fs::read_to_string(place.path().join(format!("{id}.receipt"))).unwrap(), good);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_receipt_is_listed_with_its_reason() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a.receipt"), "\u{1b}[2J").unwrap();
        fs::write(place.path().join("b.receipt"), vec![b'x'; 1 << 20]).unwrap();
        let kept = list(place.path()).unwrap();
        assert_eq!(kept.len(), 2);
        assert!(kept.iter().all(|one| one.problem.as_ref().is_some_and(|why| why.contains("not a receipt"))));
    }

    #[cfg(unix)]
    #[test]
    fn receipts_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("receipts");
        let (id, one) = session(1);
        Receipts::at(&folder).keep(id, &Receipt { session: Some(one), log: None }).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(format!("{id}.receipt"))), 0o600);
    }
}
