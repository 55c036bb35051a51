//! The site log: everything that can be done to it is found, and a torn end
//! is no alteration.

use jiff::Timestamp;
use proptest::prelude::*;
use recording::log::{
    Happening, History, Ledger, LogEntry, LogFile, LogId, LogReport, LogVerdict, LogWriter, Pseudonym, Told,
    read_log,
};
use recording::{PublicKey, SigningKey};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_793_442_667 + second).unwrap()
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate("plant").unwrap())
}

fn writer(path: &Path, key: &Arc<SigningKey>, second: i64) -> (LogWriter<LogFile>, Ledger) {
    let file = LogFile::open(path).unwrap();
    let existing = file.reader().unwrap();
    LogWriter::open(file, existing, Arc::clone(key), at(second)).unwrap()
}

fn start(session: u8) -> LogEntry {
    LogEntry::SessionStarted { session: Pseudonym::of(&[session; 16]), header: [session; 32] }
}

fn end(session: u8) -> LogEntry {
    LogEntry::SessionEnded {
        session: Pseudonym::of(&[session; 16]),
        leaves: 9,
        root: [session; 32],
        bytes: 4711,
    }
}

fn event() -> LogEntry {
    LogEntry::Event { what: Happening::SessionRefused, count: 1, told: Told([7; 32]) }
}

/// A small log in a folder of its own, and its bytes.
fn small(key: &Arc<SigningKey>) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.log");
    let (mut log, _) = writer(&path, key, 0);
    log.append(&[(at(1), start(1))], at(1)).unwrap();
    log.append(&[(at(2), event()), (at(2), end(1)), (at(3), start(2))], at(3)).unwrap();
    log.append(&[(at(4), LogEntry::GatewayStopped)], at(4)).unwrap();
    log.syncer().unwrap().sync().unwrap();
    let bytes = fs::read(&path).unwrap();
    (folder, bytes)
}

fn check(bytes: &[u8], key: &PublicKey) -> (LogReport, Ledger, History) {
    let mut ledger = Ledger::default();
    let (report, history) =
        read_log(Cursor::new(bytes), key, |number, entry| ledger.take(number, entry)).unwrap();
    (report, ledger, history)
}

#[test]
fn a_log_reads_back_as_it_was_written() {
    let key = key();
    let (_folder, bytes) = small(&key);
    let (report, ledger, history) = check(&bytes, key.public());
    assert_eq!(report.verdict, LogVerdict::Sound);
    let head = report.head.unwrap();
    assert_eq!((head.size, head.bytes), (6, bytes.len() as u64));
    assert_eq!(history.root(6), Some(head.root));
    assert_eq!(ledger.log, report.log);
    let first = &ledger.sessions[&Pseudonym::of(&[1; 16])];
    assert!(!first.is_open() && first.started.is_some_and(|(place, _)| place.number == 1));
    assert!(ledger.sessions[&Pseudonym::of(&[2; 16])].is_open());
    assert_eq!(ledger.sessions.len(), 2);
}

#[test]
fn every_single_bit_of_a_log_is_guarded() {
    let key = key();
    let (_folder, bytes) = small(&key);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (report, _, _) = check(&changed, key.public());
        assert!(
            matches!(report.verdict, LogVerdict::Altered { .. }),
            "bit {bit} of byte {}: {:?}",
            bit / 8,
            report.verdict
        );
    }
}

#[test]
fn every_cut_is_a_torn_end_or_an_earlier_head() {
    let key = key();
    let (_folder, bytes) = small(&key);
    let mut whole = 0;
    for length in 0..bytes.len() {
        let (report, _, _) = check(&bytes[..length], key.public());
        match report.verdict {
            LogVerdict::Sound => whole += 1,
            LogVerdict::Torn => {
                // Space that was never written changes nothing about it.
                let mut blank = bytes[..length].to_vec();
                blank.resize(length + 700, 0);
                assert_eq!(check(&blank, key.public()).0.verdict, LogVerdict::Torn, "{length}");
            }
            LogVerdict::Altered { .. } => panic!("cut at {length}: {report:?}"),
        }
    }
    // Cut right behind a head it is an earlier log: only a later head held
    // elsewhere tells.
    assert_eq!(whole, 3);
}

#[test]
fn a_torn_end_is_dropped_by_an_entry_that_says_so_and_nothing_signed_is_touched() {
    let key = key();
    let (_folder, bytes) = small(&key);
    let heads: Vec<usize> = (0..=bytes.len())
        .filter(|length| check(&bytes[..*length], key.public()).0.verdict == LogVerdict::Sound)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    // Each place in the last group and its surroundings, and many before.
    let near = heads[heads.len() - 2] - 20;
    for length in (0..bytes.len()).filter(|length| *length > near || length % 7 == 0) {
        let path = folder.path().join(format!("{length}.log"));
        fs::write(&path, &bytes[..length]).unwrap();
        let (mut log, _) = writer(&path, &key, 100);
        log.append(&[(at(101), event())], at(101)).unwrap();
        drop(log);
        let after = fs::read(&path).unwrap();
        let (report, _, _) = check(&after, key.public());
        assert_eq!(report.verdict, LogVerdict::Sound, "cut at {length}");
        let kept = heads.iter().rev().find(|head| **head <= length).copied().unwrap_or(0);
        assert_eq!(after[..kept], bytes[..kept], "cut at {length}");
        let mut dropped = Vec::new();
        let mut look = |_: u64, entry: &[u8]| {
            // Kind 7, then the time; offset and count follow.
            if entry[0] == 7 {
                dropped.push(entry[9..25].to_vec());
            }
        };
        read_log(Cursor::new(&after), key.public(), &mut look).unwrap();
        let lost = (length - kept) as u64;
        let expected = [(kept as u64).to_le_bytes(), lost.to_le_bytes()].concat();
        assert_eq!(dropped, if lost == 0 { vec![] } else { vec![expected] }, "cut at {length}");
    }
}

#[test]
fn an_altered_log_is_refused_and_left_as_it_is() {
    let key = key();
    let (folder, bytes) = small(&key);
    let path = folder.path().join("site.log");
    for place in [3, 30, bytes.len() / 2, bytes.len() - 10] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        fs::write(&path, &changed).unwrap();
        let file = LogFile::open(&path).unwrap();
        let existing = file.reader().unwrap();
        assert!(LogWriter::open(file, existing, Arc::clone(&key), at(9)).is_err(), "byte {place}");
        assert_eq!(fs::read(&path).unwrap(), changed);
    }
    fs::write(&path, &bytes).unwrap();
    let file = LogFile::open(&path).unwrap();
    let existing = file.reader().unwrap();
    let other = key_named("other");
    assert!(LogWriter::open(file, existing, other, at(9)).is_err());
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

fn key_named(name: &str) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(name).unwrap())
}

#[test]
fn a_history_rewritten_with_the_same_key_differs_from_an_earlier_head() {
    let key = key();
    let (folder, bytes) = small(&key);
    let genuine = check(&bytes, key.public());
    let receipt = genuine.0.head.unwrap();
    // The attacker holds the key and leaves out the second session.
    let path = folder.path().join("site.log");
    let early = (0..bytes.len())
        .rfind(|length| check(&bytes[..*length], key.public()).0.head.is_some_and(|head| head.size == 2))
        .unwrap();
    fs::write(&path, &bytes[..early]).unwrap();
    let (mut log, _) = writer(&path, &key, 2);
    for second in 3..10 {
        log.append(&[(at(second), event())], at(second)).unwrap();
    }
    drop(log);
    let (report, _, history) = check(&fs::read(&path).unwrap(), key.public());
    assert_eq!(report.verdict, LogVerdict::Sound, "by itself it looks genuine");
    assert_eq!(report.log, genuine.0.log);
    assert!(history.size() >= receipt.size);
    assert_ne!(history.root(receipt.size), Some(receipt.root));
}

#[test]
fn a_log_without_its_head_or_with_endless_entries_is_bounded() {
    let key = key();
    let mut endless = recording::log::LOG_MAGIC.to_vec();
    let mut created = vec![0];
    created.extend_from_slice(&0_i64.to_le_bytes());
    created.extend_from_slice(&[1; 16]);
    created.extend_from_slice(&key.public().id().to_be_bytes());
    created.push(5);
    created.extend_from_slice(b"plant");
    for _ in 0..70_000 {
        endless.extend_from_slice(&(created.len() as u32 + 5).to_le_bytes());
        endless.push(1);
        endless.extend_from_slice(&created);
    }
    assert!(matches!(check(&endless, key.public()).0.verdict, LogVerdict::Altered { .. }));
    let mut visited = 0;
    read_log(Cursor::new(&endless), key.public(), |_, _| visited += 1).unwrap();
    assert_eq!(visited, 0, "nothing is believed that no head covers");
}

#[test]
fn entries_of_a_newer_program_still_verify() {
    let key = key();
    let (_folder, bytes) = small(&key);
    let (_, ledger, _) = check(&bytes, key.public());
    assert_eq!(ledger.unknown, 0);
    let mut newer = Ledger::default();
    newer.take(0, &[200; 40]);
    assert_eq!(newer.unknown, 1);
    assert_ne!(Some(LogId([0; 16])), ledger.log);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_are_never_sound(
        mut tail in proptest::collection::vec(any::<u8>(), 0..3000),
        magic in any::<bool>(),
    ) {
        let key = key();
        if magic {
            tail.splice(0..0, recording::log::LOG_MAGIC);
        }
        let (report, _, history) = check(&tail, key.public());
        prop_assert!(report.verdict != LogVerdict::Sound);
        prop_assert!(history.size() < 100);
    }

    #[test]
    fn swapped_doubled_or_removed_pieces_are_found(from in 0_usize..1000, length in 1_usize..400, to in 0_usize..1000) {
        let key = key();
        let (_folder, bytes) = small(&key);
        let (from, to) = (from % bytes.len(), to % bytes.len());
        let piece = bytes[from..(from + length).min(bytes.len())].to_vec();
        let mut doubled = bytes.clone();
        doubled.splice(to..to, piece.clone());
        let verdict = check(&doubled, key.public()).0.verdict;
        prop_assert!(doubled == bytes || verdict != LogVerdict::Sound, "{:?}", verdict);
        let mut removed = bytes.clone();
        removed.drain(from..from + piece.len());
        let report = check(&removed, key.public()).0;
        // What is left may be an earlier log, whole to its end.
        let earlier = bytes.starts_with(&removed);
        prop_assert!(earlier || report.verdict != LogVerdict::Sound, "{:?}", report);
    }
}
