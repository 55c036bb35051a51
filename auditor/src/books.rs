//! A site log as the auditor holds it: its entries, its tree, and the receipts
//! that others keep of it.

use crate::trouble::Trouble;
use recording::log::{
    History, LOG_FILE, Ledger, LogHead, LogReport, LogVerdict, MAX_RECEIPT, Receipt, read_log,
};
use recording::{LogPosition, PublicKey, Statement};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Most receipts that are read from one folder.
const MOST_RECEIPTS: usize = 1_000_000;

/// A site log that was read and checked.
#[derive(Debug)]
pub(crate) struct Books {
    /// The log's file.
    pub(crate) path: PathBuf,
    /// What checking found.
    pub(crate) report: LogReport,
    /// What its entries amount to.
    pub(crate) ledger: Ledger,
    history: History,
}

/// How a head that somebody holds stands to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// The log goes through it.
    Here,
    /// The log is shorter: it was rolled back.
    RolledBack,
    /// The log has another history at that size.
    Forked,
    /// It is of another log.
    Foreign,
}

impl Books {
    /// Reads the site log of a folder.
    pub(crate) fn open(folder: &Path, key: &PublicKey) -> Result<Self, Trouble> {
        let path = folder.join(LOG_FILE);
        let file = File::open(&path).map_err(Trouble::file(&path))?;
        let mut ledger = Ledger::default();
        let read = read_log(file, key, |number, entry| ledger.take(number, entry));
        let (report, history) = read.map_err(Trouble::file(&path))?;
        Ok(Self { path, report, ledger, history })
    }

    /// Whether all of it is what was signed, a torn end aside.
    pub(crate) fn is_genuine(&self) -> bool {
        !matches!(self.report.verdict, LogVerdict::Altered { .. })
    }

    /// How a head stands to this log.
    pub(crate) fn leads(&self, head: &LogHead) -> Leads {
        let position = LogPosition { origin: head.log.origin(), size: head.size, root: head.root };
        self.leads_from(&position)
    }

    /// The same for a position that a recording's header names.
    pub(crate) fn leads_from(&self, position: &LogPosition) -> Leads {
        if self.report.log.is_none_or(|log| log.origin() != position.origin) {
            return Leads::Foreign;
        }
        match self.history.root(position.size) {
            None => Leads::RolledBack,
            Some(root) if root == position.root => Leads::Here,
            Some(_) => Leads::Forked,
        }
    }
}

/// What is held outside the plant, checked against the key.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Heads of a site log, with the file that each came from.
    pub(crate) heads: Vec<(PathBuf, LogHead)>,
    /// Checkpoints of recordings, with their notes.
    pub(crate) sessions: Vec<(PathBuf, Statement, String)>,
}

impl Receipts {
    /// Reads receipts: files, or folders of them such as a witness's.
    pub(crate) fn read(paths: &[PathBuf], key: &PublicKey) -> Result<Self, Trouble> {
        let mut receipts = Self::default();
        for path in paths {
            let metadata = std::fs::metadata(path).map_err(Trouble::file(path))?;
            if metadata.is_dir() {
                for file in files(path)? {
                    receipts.take(&file, key)?;
                }
            } else {
                receipts.take(path, key)?;
            }
        }
        Ok(receipts)
    }

    fn take(&mut self, path: &Path, key: &PublicKey) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_RECEIPT).unwrap_or(u64::MAX).saturating_add(1);
        let file = File::open(path).map_err(Trouble::file(path))?;
        file.take(most).read_to_end(&mut bytes).map_err(Trouble::file(path))?;
        let wrong =
            |reason: String| Trouble::File { path: path.to_owned(), source: io::Error::other(reason) };
        let receipt = Receipt::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
        if let Some(note) = receipt.log {
            let head = LogHead::verify(note.as_bytes(), key).map_err(|error| wrong(error.to_string()))?;
            self.heads.push((path.to_owned(), head));
        }
        if let Some(note) = receipt.session {
            let said = Statement::verify(note.as_bytes(), key).map_err(|error| wrong(error.to_string()))?;
            self.sessions.push((path.to_owned(), said, note));
        }
        Ok(())
    }
}

/// The receipts of a folder, by their endings.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Trouble::file(folder))? {
        let path = entry.map_err(Trouble::file(folder))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("checkpoint" | "receipt")) {
            files.push(path);
        }
        if files.len() > MOST_RECEIPTS {
            let source = io::Error::other(format!("more than {MOST_RECEIPTS} receipts"));
            return Err(Trouble::File { path: folder.to_owned(), source });
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file contains these bytes as they stand.
pub(crate) fn contains(path: &Path, wanted: &[u8]) -> io::Result<bool> {
    let mut source = BufReader::new(File::open(path)?);
    let mut window = Vec::new();
    loop {
        let before = window.len();
        let read = source.by_ref().take(128 * 1024).read_to_end(&mut window)?;
        if window.windows(wanted.len().max(1)).any(|place| place == wanted) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        let kept = wanted.len().min(before.saturating_add(read));
        window.drain(..window.len().saturating_sub(kept));
    }
}
