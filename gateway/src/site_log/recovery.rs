//! What a crash left: recordings that nothing in the log accounts for.
//!
//! The order of a session is: header synced, start logged, dialled; sealed,
//! end logged, receipt given. After a start whose step before was cut off,
//! each such recording is looked at once, nothing of it is changed, and an
//! entry says what was found and how far it is proven. From then on a change
//! of it, or its absence, is found like that of any other.

use crate::audit::Kind;
use crate::office::Office;
use crate::record::file_name;
use jiff::Timestamp;
use recording::log::{Finding, Gap, Ledger, LogEntry, Pseudonym, Recovered, hash_of};
use recording::{PublicKey, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::SessionId;

/// How long a starting gateway looks at recordings before it serves; what is
/// left is looked at in its rounds.
const BEFORE_SERVING: Duration = Duration::from_secs(3);

/// The recordings that are still to be looked at.
#[derive(Debug, Default)]
pub struct Recovery(Vec<Todo>);

#[derive(Debug)]
struct Todo {
    session: Pseudonym,
    /// `None`: the log knows of it, and there is no such file.
    path: Option<PathBuf>,
    gap: Gap,
}

impl Recovery {
    /// Finds all of them: sessions of the log without an end, files without a
    /// start, and sessions of the index whose client may lack its receipt.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn find(ledger: &Ledger, folder: &Path, origin: &str, interrupted: &[SessionId]) -> io::Result<Self> {
        let files = recordings(folder)?;
        let mut todo = Vec::new();
        let open =
            ledger.sessions.iter().filter(|(_, account)| account.started.is_some() && account.is_open());
        for (session, _) in open {
            todo.push(Todo { session: *session, path: files.get(session).cloned(), gap: Gap::NoEnd });
        }
        for (session, path) in &files {
            if !ledger.sessions.contains_key(session) && belongs(path, origin)? {
                todo.push(Todo { session: *session, path: Some(path.clone()), gap: Gap::NoStart });
            }
        }
        for session in interrupted.iter().map(|id| Pseudonym::of(&id.to_bytes())).collect::<BTreeSet<_>>() {
            let account = ledger.sessions.get(&session);
            if account.is_some_and(|account| account.ended.is_some() && account.recovered.is_none()) {
                let path = files.get(&session).cloned();
                todo.push(Todo { session, path, gap: Gap::ReceiptNotGiven });
            }
        }
        // The last one is looked at first.
        todo.reverse();
        Ok(Self(todo))
    }

    /// Looks at them until the time for it is over.
    ///
    /// # Errors
    /// In words: when an entry can't be made.
    pub fn begin(&mut self, office: &Office) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < BEFORE_SERVING && self.step(office)? {}
        if !self.0.is_empty() {
            tracing::warn!("{} recordings of before the start are still to be looked at", self.0.len());
        }
        Ok(())
    }

    /// Looks at the next one; whether there was one.
    ///
    /// # Errors
    /// In words: when the entry can't be made. It is tried again.
    pub fn step(&mut self, office: &Office) -> Result<bool, String> {
        let Some(todo) = self.0.last() else { return Ok(false) };
        let key = office.config.recording.signing_key.public();
        match examine(todo.session, todo.path.as_deref(), todo.gap, key) {
            Ok(found) => {
                tell(office, todo, &found);
                let entry = LogEntry::SessionRecovered(found);
                office.log.commit_blocking(entry).map_err(|error| error.to_string())?;
            }
            // A file that can't be read now is looked at after the next start.
            Err(error) => office.audit.alarm().raise(&format!("{}: {error}", todo.name())),
        }
        self.0.pop();
        Ok(true)
    }
}

impl Todo {
    fn name(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => format!("the recording of the session that the site log calls {}", self.session),
        }
    }
}

/// The audit file's line and, where it is serious, an alarm.
fn tell(office: &Office, todo: &Todo, found: &Recovered) {
    let why = match (found.gap, found.finding) {
        (_, Finding::Missing) => "its recording is missing: it was deleted or never reached the disk",
        (_, Finding::Altered) => "its recording is not what was signed",
        (_, Finding::Holed) => {
            "its recording is whole up to a checkpoint and lacks signed bytes behind it, as a power failure \
             can leave it, or somebody who had the disk"
        }
        (Gap::NoStart, _) => "the gateway stopped before the session was logged; nothing was dialled",
        (Gap::NoEnd, _) => "the gateway stopped while the session ran",
        (Gap::EndNotLogged, _) => "the gateway stopped after the recording was sealed",
        (Gap::ReceiptNotGiven, _) => "the gateway stopped before the receipt was given",
    };
    if matches!(found.finding, Finding::Missing | Finding::Altered | Finding::Holed) {
        office.audit.alarm().raise(&format!("{}: {why}", todo.name()));
    }
    let what = format!("{} bytes are signed, until {}", found.signed_bytes, found.signed_until);
    let mut event = office.audit.event(Kind::SessionRecovered).what(&what).why(why);
    if let Some(id) = todo.path.as_deref().and_then(session_of) {
        event = event.session(id);
    }
    office.audit.tell(&event);
}

/// What a recording that broke off just now amounts to.
///
/// # Errors
/// When it can't be read.
pub fn broken_off(office: &Office, id: SessionId) -> io::Result<Recovered> {
    let path = office.config.recording.dir.join(file_name(id));
    let key = office.config.recording.signing_key.public();
    examine(Pseudonym::of(&id.to_bytes()), Some(&path), Gap::NoEnd, key)
}

/// Looks at one recording without touching it.
fn examine(session: Pseudonym, path: Option<&Path>, gap: Gap, key: &PublicKey) -> io::Result<Recovered> {
    let nothing = Recovered {
        session,
        header: [0; 32],
        gap,
        finding: Finding::Missing,
        signed_bytes: 0,
        signed_until: Timestamp::UNIX_EPOCH,
        bytes: 0,
        hash: hash_of(&[]),
    };
    let Some(path) = path else { return Ok(nothing) };
    let report = recording::verify(File::open(path)?, key)?;
    let signed = report.signed.as_ref();
    let finding = match report.verdict {
        Verdict::Clean => Finding::Clean,
        Verdict::Untrimmed => Finding::Untrimmed,
        Verdict::Unclean => Finding::Unclean,
        Verdict::Altered { .. } if report.could_be_a_power_failure() => Finding::Holed,
        Verdict::Altered { .. } => Finding::Altered,
    };
    let gap = match (gap, finding) {
        (Gap::NoEnd, Finding::Clean | Finding::Untrimmed) => Gap::EndNotLogged,
        (gap, _) => gap,
    };
    Ok(Recovered {
        header: report.header_hash.unwrap_or_default(),
        gap,
        finding,
        signed_bytes: signed.map_or(0, |signed| signed.bytes),
        signed_until: signed.map_or(Timestamp::UNIX_EPOCH, |signed| signed.time),
        bytes: report.length,
        hash: recording::log::hash_of_reader(File::open(path)?.take(report.length))?,
        ..nothing
    })
}

/// The recordings of a folder by their sessions' pseudonyms.
fn recordings(folder: &Path) -> io::Result<BTreeMap<Pseudonym, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(id) = session_of(&path) {
            files.insert(Pseudonym::of(&id.to_bytes()), path);
        }
    }
    Ok(files)
}

fn session_of(path: &Path) -> Option<SessionId> {
    let id: SessionId = path.file_stem()?.to_str()?.parse().ok()?;
    (path.file_name()?.to_str()? == file_name(id)).then_some(id)
}

/// Whether a recording was begun under this log. One whose header can't be
/// read is looked at; one of another log, or of none, is another's business.
fn belongs(path: &Path, origin: &str) -> io::Result<bool> {
    match recording::read_head(File::open(path)?) {
        Ok((header, _)) => Ok(header.log.origin == origin),
        Err(recording::ScanError::Header(_)) => Ok(true),
        Err(recording::ScanError::Io(error)) => Err(error),
    }
}
