//! `ls`: the recordings of a folder, the oldest first.
//!
//! Without an identity it shows what the plain headers tell; with one also
//! who and what, from each recording's first entries.

use crate::arguments::List;
use crate::escape::safe;
use crate::exit::Exit;
use crate::recording_file;
use crate::run::Output;
use crate::time::stamp;
use crate::trouble::Trouble;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use recording::{Body, Event, Identity, Opened, Outline, Started};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Entries of a recording among which its start is looked for.
const START_WITHIN: usize = 16;

pub(crate) fn list(arguments: &List, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let identity = match &arguments.identity {
        Some(path) => Some(Identity::read(path).map_err(Trouble::key(path))?),
        None => None,
    };
    let mut worst = Exit::Done;
    let mut rows = Vec::new();
    for path in recordings(&arguments.folder)? {
        match Row::read(&path, identity.as_ref()) {
            Ok(row) => rows.push(row),
            Err(trouble) => worst = worst.max(output.complain(&trouble)),
        }
    }
    rows.sort_by(|one, other| (one.start, &one.session).cmp(&(other.start, &other.session)));
    if arguments.json {
        output.json(&rows)?;
    } else {
        print(&rows, output)?;
    }
    Ok(worst)
}

/// The folder's recordings, by name.
fn recordings(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Trouble::file(folder))? {
        let path = entry.map_err(Trouble::file(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "ghr") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What is told of one recording.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    session: String,
    #[serde(skip)]
    start: Timestamp,
    started: String,
    mode: &'static str,
    /// Bytes of header and whole frames.
    bytes: u64,
    frames: u64,
    /// Whether it was closed; not verified.
    closed: bool,
    person: Option<String>,
    target: Option<String>,
    /// Why who and what can't be told although there is an identity.
    unreadable: Option<String>,
}

impl Row {
    fn read(path: &Path, identity: Option<&Identity>) -> Result<Self, Trouble> {
        let file = recording_file::open(path)?;
        let outline =
            recording::outline(file).map_err(|source| Trouble::Outline { path: path.to_owned(), source })?;
        let (started, unreadable) = match identity.map(|identity| first_entries(path, identity)) {
            None => (None, None),
            Some(Ok(started)) => (started, None),
            Some(Err(trouble)) => (None, Some(trouble.to_string())),
        };
        Ok(Self::new(path, &outline, started, unreadable))
    }

    fn new(
        path: &Path,
        outline: &Outline,
        started: Option<Box<Started>>,
        unreadable: Option<String>,
    ) -> Self {
        let (person, target) = started.map(|started| (started.person, started.target)).unzip();
        Self {
            file: path.display().to_string(),
            session: outline.header.session_hex(),
            start: outline.header.started_wall,
            started: stamp(outline.header.started_wall, &TimeZone::system()),
            mode: outline.header.mode.name(),
            bytes: outline.bytes,
            frames: outline.frames,
            closed: outline.ended,
            person,
            target,
            unreadable,
        }
    }

    fn who_and_what(&self) -> String {
        match (&self.person, &self.target, &self.unreadable) {
            (Some(person), Some(target), _) => format!("{person} -> {target}"),
            (_, _, Some(why)) => format!("({why})"),
            (_, _, None) => String::new(),
        }
    }
}

/// Who and what; `None` for a recording that ends before it tells.
pub(crate) fn first_entries(path: &Path, identity: &Identity) -> Result<Option<Box<Started>>, Trouble> {
    let file = recording_file::open(path)?;
    let opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
    for recorded in opened.take(START_WITHIN) {
        let recorded = recorded.map_err(Trouble::recording(path))?;
        if let Body::Event(Event::Started(started)) = recorded.entry.body {
            return Ok(Some(started));
        }
    }
    Ok(None)
}

fn print(rows: &[Row], output: &mut Output<'_>) -> Result<(), Trouble> {
    if rows.is_empty() {
        return output.line("no recordings");
    }
    output.line(format_args!(
        "{:29}  {:32}  {:>12}  {:8}  WHO AND WHAT",
        "STARTED", "SESSION", "BYTES", "STATE"
    ))?;
    for row in rows {
        let state = if row.closed { "closed" } else { "open" };
        let line = format!(
            "{:29}  {:32}  {:>12}  {state:8}  {}",
            row.started,
            row.session,
            row.bytes,
            row.who_and_what()
        );
        output.line(safe(line.trim_end()))?;
    }
    Ok(())
}
