//! What the check of a site log comes to.

use crate::books::{Books, Leads, Receipts};
use crate::exit::Exit;
use crate::recording_file;
use crate::time::stamp;
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use recording::PublicKey;
use recording::log::{Finding, LogVerdict, Pseudonym};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Missing recordings that are named one by one.
const NAMED: usize = 100;

/// What is asked of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Itself.
    LogAlone,
    /// That it accounts for the recordings given.
    Excerpt,
    /// And that every session of it has its recording.
    All,
}

/// The finding, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct LogFinding {
    file: String,
    /// `sound`, `torn`, `altered`, `rolled-back`, `forked` or `foreign`.
    verdict: &'static str,
    exit: u8,
    origin: Option<String>,
    entries: u64,
    signed_until: Option<String>,
    /// Entries of kinds that this program does not know.
    unknown_entries: u64,
    sessions: u64,
    /// Sessions without an end, a recovery or an erasure.
    open_sessions: u64,
    /// Receipts that the log leads to.
    receipts: u64,
    /// Entries and time of the newest of them: up to there nothing was cut.
    proven_entries: u64,
    proven_until: Option<String>,
    /// Where the log stops being as it was signed, or where a torn end begins.
    offset: Option<u64>,
    reason: Option<String>,
    /// Sessions of the log without a recording.
    missing: Vec<Missing>,
    missing_count: u64,
    #[serde(skip)]
    outcome: Exit,
}

/// A session whose recording is not there.
#[derive(Debug, Serialize)]
struct Missing {
    /// Its name in the log.
    session: String,
    /// The number of the entry that began it.
    entry: u64,
    started: String,
}

impl LogFinding {
    /// Holds the log against receipts and recordings.
    pub(crate) fn new(
        books: &Books,
        receipts: &Receipts,
        scope: Scope,
        files: &[PathBuf],
    ) -> Result<Self, Trouble> {
        let mut finding = Self::of_itself(books);
        if books.is_genuine() {
            finding.hold_receipts(books, receipts);
            if finding.outcome != Exit::No && scope == Scope::All {
                finding.miss(books, files)?;
            }
            let unproven = scope == Scope::LogAlone && finding.receipts == 0;
            if unproven {
                finding.outcome = finding.outcome.max(Exit::Uncertain);
            }
        }
        finding.exit = finding.outcome.code();
        Ok(finding)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.outcome
    }

    fn of_itself(books: &Books) -> Self {
        let report = &books.report;
        let (verdict, outcome, offset, reason) = match &report.verdict {
            LogVerdict::Sound => ("sound", Exit::Done, None, None),
            LogVerdict::Torn => ("torn", Exit::Uncertain, report.tail.broken, None),
            LogVerdict::Altered { offset, fault } => {
                ("altered", Exit::No, Some(*offset), Some(fault.to_string()))
            }
        };
        let open = books.ledger.sessions.values().filter(|account| account.is_open()).count();
        let head = report.head.as_ref();
        Self {
            file: books.path.display().to_string(),
            verdict,
            exit: outcome.code(),
            origin: report.log.map(|log| log.origin()),
            entries: head.map_or(0, |head| head.size),
            signed_until: head.map(|head| stamp(head.time, &TimeZone::UTC)),
            unknown_entries: books.ledger.unknown,
            sessions: count(books.ledger.sessions.len()),
            open_sessions: count(open),
            receipts: 0,
            proven_entries: 0,
            proven_until: None,
            offset,
            reason,
            missing: Vec::new(),
            missing_count: 0,
            outcome,
        }
    }

    /// The first receipt that the log does not lead to decides.
    fn hold_receipts(&mut self, books: &Books, receipts: &Receipts) {
        for (from, head) in &receipts.heads {
            let verdict = match books.leads(head) {
                Leads::Here => {
                    self.receipts = self.receipts.saturating_add(1);
                    if head.size >= self.proven_entries {
                        self.proven_entries = head.size;
                        self.proven_until = Some(stamp(head.time, &TimeZone::UTC));
                    }
                    continue;
                }
                Leads::RolledBack => "rolled-back",
                Leads::Forked => "forked",
                Leads::Foreign => "foreign",
            };
            let until = stamp(head.time, &TimeZone::UTC);
            self.reason = Some(format!(
                "{} proves {} entries of {} at {until}",
                from.display(),
                head.size,
                head.log.origin()
            ));
            (self.verdict, self.outcome) = (verdict, Exit::No);
            return;
        }
    }

    /// Every session that began must have its recording, among the files or
    /// beside them, or an entry that it was erased.
    fn miss(&mut self, books: &Books, files: &[PathBuf]) -> Result<(), Trouble> {
        let there = recordings(files)?;
        for (session, account) in &books.ledger.sessions {
            let lost = account.recovered.as_ref().is_some_and(|(_, found)| found.finding == Finding::Missing);
            let after = account.recovered.as_ref().map(|(place, found)| (*place, found.header));
            let known = account.started.or(after).filter(|(_, header)| *header != [0; 32]);
            let Some((place, header)) = known else { continue };
            let found = there.get(session).is_some_and(|headers| headers.contains(&header));
            if account.erased.is_some() || (found && !lost) {
                continue;
            }
            self.missing_count = self.missing_count.saturating_add(1);
            if self.missing.len() < NAMED {
                self.missing.push(Missing {
                    session: session.to_string(),
                    entry: place.number,
                    started: stamp(place.at, &TimeZone::UTC),
                });
            }
        }
        if self.missing_count > 0 {
            self.outcome = Exit::No;
        }
        Ok(())
    }

    /// The finding in sentences.
    pub(crate) fn lines(&self, key: &PublicKey) -> Vec<String> {
        let file = &self.file;
        let until = self.signed_until.as_deref().unwrap_or("never");
        let signed = format!("{} entries, signed until {until}", self.entries);
        let reason = self.reason.as_deref().unwrap_or_default();
        let first = match self.verdict {
            "altered" => {
                format!("{file}: ALTERED at offset {}: {reason}", self.offset.unwrap_or_default())
            }
            "rolled-back" => format!("{file}: ROLLED BACK to {signed}: {reason}"),
            "forked" => format!("{file}: FORKED: {reason}, and this log has other entries there"),
            "foreign" => format!("{file}: ANOTHER LOG than the one of the receipt: {reason}"),
            "torn" => format!(
                "{file}: {signed}; a write behind it was torn, which the next start of the gateway will enter"
            ),
            _ => format!("{file}: sound: {signed} by {}+{:08x}", key.name(), key.id()),
        };
        let mut lines = vec![first];
        if self.outcome == Exit::No && self.missing_count == 0 {
            return lines;
        }
        lines.push(match (&self.proven_until, self.receipts) {
            (Some(until), receipts) => format!(
                "{file}: {receipts} receipts lead to it; none of its first {} entries ({until}) was cut off",
                self.proven_entries
            ),
            (None, _) => {
                format!("{file}: without a receipt, that entries behind {} ({until}) were cut off can't be excluded", self.entries)
            }
        });
        for missing in &self.missing {
            lines.push(format!(
                "{file}: MISSING: the recording of the session that began at {} (entry {})",
                missing.started, missing.entry
            ));
        }
        if self.missing_count > count(self.missing.len()) {
            lines.push(format!("{file}: MISSING: {} recordings in all", self.missing_count));
        }
        lines
    }
}

/// The headers of all recordings among the files, and in their folders.
fn recordings(files: &[PathBuf]) -> Result<BTreeMap<Pseudonym, BTreeSet<[u8; 32]>>, Trouble> {
    let (folders, mut paths): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        files.iter().cloned().partition(|file| file.is_dir());
    let beside = paths.iter().filter_map(|file| file.parent()).map(|folder| match folder {
        here if here.as_os_str().is_empty() => PathBuf::from("."),
        folder => folder.to_owned(),
    });
    let folders: BTreeSet<PathBuf> = folders.into_iter().chain(beside).collect();
    for folder in &folders {
        paths.extend(recordings_of(folder)?);
    }
    let mut there: BTreeMap<Pseudonym, BTreeSet<[u8; 32]>> = BTreeMap::new();
    for path in paths {
        // What can't be read as a recording is none.
        let read = recording_file::open(&path).map(recording::read_head);
        if let Ok(Ok((header, hash))) = read {
            there.entry(Pseudonym::of(&header.session)).or_default().insert(hash);
        }
    }
    Ok(there)
}

/// The files of a folder that are named like recordings.
pub(crate) fn recordings_of(folder: &Path) -> Result<BTreeSet<PathBuf>, Trouble> {
    let mut paths = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(Trouble::file(folder))? {
        let path = entry.map_err(Trouble::file(folder))?.path();
        if path.extension().is_some_and(|ending| ending == "ghr") {
            paths.insert(path);
        }
    }
    Ok(paths)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
