//! Makes the site log vectors of `vectors/log`: a log with an entry of each
//! kind, changed copies of it, some signed anew with its key, and receipts.
//! The key is thrown away, so they can't be made again, only anew.
//!
//! ```text
//! cargo run -p recording --example log_vectors -- FOLDER
//! ```

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a tool at the desk, sharing the tests' own reading of the format"
)]

#[path = "../tests/main/format.rs"]
mod format;

use recording::log::{
    Finding, Gap, Happening, KeyRole, LogEntry, LogFile, LogHead, LogVerdict, LogWriter, Pseudonym, Receipt,
    Recovered, Told, read_log,
};
use recording::{PublicKey, SigningKey};
use serde_json::{Value, json};
use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Logs by name.
type Logs = Vec<(String, Vec<u8>)>;

fn at(second: i64) -> Result<jiff::Timestamp> {
    Ok(jiff::Timestamp::from_second(1_793_442_667 + second)?)
}

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: log_vectors FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let key = Arc::new(SigningKey::generate("plant-a")?);
    let other = Arc::new(SigningKey::generate("plant-b")?);
    key.public().write(&folder.join("signing.pub"))?;
    let (small, notes) = written(&key, &[vec![start(1)], vec![end(1), LogEntry::GatewayStopped]])?;
    let (kinds, later) = written(&key, &every_kind())?;
    let (foreign, foreign_notes) = written(&other, &[vec![start(1)]])?;
    let mut logs: Logs = vec![("small".to_owned(), small.clone()), ("every-kind".to_owned(), kinds.clone())];
    logs.push(("signed-by-another-key".to_owned(), foreign));
    changed(&small, &mut logs);
    signed_anew(&small, &kinds, &key, &mut logs)?;
    let receipts = [
        ("created", Receipt { session: None, log: notes.first().cloned() }),
        ("whole", Receipt { session: None, log: notes.last().cloned() }),
        ("another-log", Receipt { session: None, log: later.last().cloned() }),
        ("another-key", Receipt { session: None, log: foreign_notes.last().cloned() }),
    ];
    for (name, receipt) in &receipts {
        std::fs::write(folder.join(format!("{name}.receipt")), receipt.to_text())?;
    }
    let mut expected = serde_json::Map::new();
    for (name, content) in &logs {
        std::fs::write(folder.join(format!("{name}.log")), content)?;
        expected.insert(format!("{name}.log"), expectation(content, key.public(), &receipts)?);
    }
    let text = serde_json::to_string_pretty(&Value::Object(expected))?;
    std::fs::write(folder.join("expected.json"), text + "\n")?;
    Ok(())
}

/// A log of these groups; gives its bytes and its heads.
fn written(key: &Arc<SigningKey>, groups: &[Vec<LogEntry>]) -> Result<(Vec<u8>, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("site.log");
    let file = LogFile::open(&path)?;
    let existing = file.reader()?;
    let (mut log, _) = LogWriter::open(file, existing, Arc::clone(key), at(0)?)?;
    let mut notes = vec![log.newest().note.clone()];
    for (second, group) in (1..).zip(groups) {
        let entries: Vec<_> =
            group.iter().map(|entry| Ok((at(second)?, entry.clone()))).collect::<Result<_>>()?;
        notes.push(log.append(&entries, at(second)?)?.note);
    }
    Ok((std::fs::read(&path)?, notes))
}

fn start(session: u8) -> LogEntry {
    LogEntry::SessionStarted { session: Pseudonym::of(&[session; 16]), header: [session; 32] }
}

fn end(session: u8) -> LogEntry {
    let session_name = Pseudonym::of(&[session; 16]);
    LogEntry::SessionEnded { session: session_name, leaves: 9, root: [session; 32], bytes: 4711 }
}

fn every_kind() -> Vec<Vec<LogEntry>> {
    let told = Told([0x70; 32]);
    let recovered = |session: u8, gap, finding| {
        LogEntry::SessionRecovered(Recovered {
            session: Pseudonym::of(&[session; 16]),
            header: [session; 32],
            gap,
            finding,
            signed_bytes: 1000,
            signed_until: jiff::Timestamp::UNIX_EPOCH,
            bytes: 1200,
            hash: [0x44; 32],
        })
    };
    let roles = KeyRole::ALL.into_iter().map(|role| LogEntry::KeyChanged { role, hash: [0xc1; 32] });
    let events = Happening::ALL.into_iter().map(|what| LogEntry::Event { what, count: 3, told });
    vec![
        vec![
            LogEntry::GatewayStarted { software: "gatehouse-gateway 1".to_owned() },
            LogEntry::PolicyApplied { policy: [0x90; 32], told },
        ],
        roles.collect(),
        vec![start(1), end(1), start(2), start(3)],
        vec![
            LogEntry::TailDropped { offset: 77, bytes: 5, hash: [0x7d; 32] },
            recovered(2, Gap::NoEnd, Finding::Holed),
            recovered(3, Gap::NoEnd, Finding::Unclean),
            recovered(4, Gap::NoStart, Finding::Untrimmed),
            recovered(5, Gap::EndNotLogged, Finding::Clean),
            recovered(6, Gap::ReceiptNotGiven, Finding::Altered),
            recovered(7, Gap::NoEnd, Finding::Missing),
        ],
        events.collect(),
        vec![
            LogEntry::Heartbeat { sessions: 3 },
            LogEntry::ClockStepped { seconds: -7200, told },
            LogEntry::SessionErased { session: Pseudonym::of(&[1; 16]), told },
            LogEntry::GatewayStopped,
        ],
    ]
}

/// Where each frame of a log begins, and where the last one ends.
fn frames(log: &[u8]) -> Vec<usize> {
    let mut places = vec![10];
    while let Some(length) = places.last().and_then(|at| log.get(*at..at + 4)) {
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
        places.push(places[places.len() - 1] + usize::try_from(length).unwrap_or(usize::MAX / 2));
    }
    places
}

/// What can be done without the key.
fn changed(log: &[u8], logs: &mut Logs) {
    let places = frames(log);
    let mut keep = |name: String, content: Vec<u8>| logs.push((name, content));
    for (number, pair) in places.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        for (word, at) in [("length", from), ("kind", from + 4), ("body", from + 5), ("last", to - 1)] {
            let mut one = log.to_vec();
            one[at] ^= 1;
            keep(format!("bit-{number}-{word}"), one);
        }
        keep(format!("cut-{number}"), log[..from].to_vec());
        keep(format!("cut-{number}-amid"), log[..(from + to) / 2].to_vec());
        keep(format!("dropped-{number}"), [&log[..from], &log[to..]].concat());
        keep(format!("doubled-{number}"), [&log[..to], &log[from..]].concat());
        let mut holed = log.to_vec();
        holed[from..to].fill(0);
        keep(format!("holed-{number}"), holed);
    }
    let half = (places[places.len() - 2] + log.len()) / 2;
    keep("blank-behind".to_owned(), [log, &[0; 600]].concat());
    keep("torn-head-blank".to_owned(), [&log[..half], &[0; 600]].concat());
    keep("garbage-behind".to_owned(), [log, &[0xa5; 40]].concat());
    keep("log-behind-a-hole".to_owned(), [log, &[0; 40], log].concat());
    keep("empty".to_owned(), Vec::new());
    keep("magic-torn".to_owned(), log[..6].to_vec());
    keep("magic-torn-blank".to_owned(), [&log[..6], &[0; 100]].concat());
    keep("version-0".to_owned(), [&b"GATEHLOG\0\0"[..], &log[10..]].concat());
    keep("version-2".to_owned(), [&b"GATEHLOG\x02\0"[..], &log[10..]].concat());
    keep("no-log".to_owned(), b"something else, longer than a magic".to_vec());
}

/// What only the holder of the key can do; most of it is found all the same.
fn signed_anew(log: &[u8], kinds: &[u8], key: &Arc<SigningKey>, logs: &mut Logs) -> Result<()> {
    let (places, more) = (frames(log), frames(kinds));
    let head = |log: &[u8], places: &[usize], frame: usize| {
        LogHead::unverified(&String::from_utf8_lossy(&log[places[frame] + 5..places[frame + 1]]))
    };
    // The last frame is a head; the one of another log stands in its place.
    let last = places.len() - 2;
    let theirs = &kinds[more[more.len() - 2]..];
    logs.push(("head-of-another-log".to_owned(), [&log[..places[last]], theirs].concat()));
    let said = head(log, &places, last).ok_or("a log ends with a head")?;
    for (name, head) in [
        ("head-of-fewer", LogHead { size: said.size - 1, ..said.clone() }),
        ("head-of-more", LogHead { size: said.size + 1, ..said.clone() }),
        ("head-of-others", LogHead { root: [9; 32], ..said.clone() }),
    ] {
        let note = head.sign(key)?;
        logs.push((name.to_owned(), [&log[..places[last]], &frame(2, note.as_bytes())].concat()));
    }
    // An unknown kind and an entry that is too long for its kind are leaves.
    let unknown = [&[200_u8; 40][..], &[2, 0, 0, 0, 0, 0, 0, 0, 0, 1]];
    logs.push(("unknown-kinds".to_owned(), with_entries(log, &said, &unknown, key)?));
    let first = &log[places[0] + 5..places[1]];
    logs.push(("created-twice".to_owned(), with_entries(log, &said, &[first], key)?));
    Ok(())
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 5).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], &[kind], body].concat()
}

/// The log with these leaves and a head over all of it.
fn with_entries(log: &[u8], said: &LogHead, entries: &[&[u8]], key: &Arc<SigningKey>) -> Result<Vec<u8>> {
    let mut leaves = Vec::new();
    read_log(Cursor::new(log), key.public(), |_, entry| leaves.push(format::leaf(entry)))?;
    let mut out = log.to_vec();
    for entry in entries {
        leaves.push(format::leaf(entry));
        out.extend(frame(1, entry));
    }
    let (size, root) = (u64::try_from(leaves.len())?, format::root(&leaves).try_into().unwrap());
    out.extend(frame(2, LogHead { size, root, ..said.clone() }.sign(key)?.as_bytes()));
    Ok(out)
}

fn expectation(content: &[u8], key: &PublicKey, receipts: &[(&str, Receipt)]) -> Result<Value> {
    let (report, history) = read_log(Cursor::new(content), key, |_, _| ())?;
    let (answer, exit, offset) = match &report.verdict {
        LogVerdict::Sound => ("sound", 3, None),
        LogVerdict::Torn => ("torn", 3, None),
        LogVerdict::Altered { offset, .. } => ("altered", 1, Some(*offset)),
    };
    let mut leads = serde_json::Map::new();
    for (name, receipt) in receipts {
        let note = receipt.log.as_deref().unwrap_or_default();
        let said = match (LogHead::verify(note.as_bytes(), key), report.log) {
            (Err(_), _) => "not of this key",
            (Ok(head), log) if log != Some(head.log) => "foreign",
            (Ok(head), _) => match history.root(head.size) {
                None => "rolled-back",
                Some(root) if root == head.root => "here",
                Some(_) => "forked",
            },
        };
        leads.insert(format!("{name}.receipt"), json!(said));
    }
    Ok(json!({
        "answer": answer,
        "exit": exit,
        "entries": report.head.as_ref().map_or(0, |head| head.size),
        "signed_bytes": report.head.as_ref().map_or(0, |head| head.bytes),
        "offset": offset,
        "receipts": leads,
    }))
}
