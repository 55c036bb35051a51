//! The committed site logs of `vectors/log` have the answers that stand beside
//! them, and the page shows the small one.

use recording::PublicKey;
use recording::log::{LogEntry, LogHead, LogReport, LogVerdict, Receipt, read_log};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/log")
}

fn key() -> PublicKey {
    fs::read_to_string(folder().join("signing.pub")).unwrap().parse().unwrap()
}

/// What a receipt says of a log with this report and history.
fn leads(name: &str, report: &LogReport, history: &recording::log::History) -> &'static str {
    let text = fs::read(folder().join(name)).unwrap();
    let note = Receipt::parse(&text).unwrap().log.unwrap();
    let Ok(head) = LogHead::verify(note.as_bytes(), &key()) else { return "not of this key" };
    if report.log != Some(head.log) {
        return "foreign";
    }
    match history.root(head.size) {
        None => "rolled-back",
        Some(root) if root == head.root => "here",
        Some(_) => "forked",
    }
}

#[test]
fn each_has_the_answer_that_stands_beside_it() {
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap();
    let expected = expected.as_object().unwrap();
    assert!(expected.len() > 60, "{}", expected.len());
    let mut answers = BTreeSet::new();
    for (name, wanted) in expected {
        let content = fs::read(folder().join(name)).unwrap();
        let (report, history) = read_log(Cursor::new(&content), &key(), |_, _| ()).unwrap();
        let (answer, exit, offset) = match &report.verdict {
            LogVerdict::Sound => ("sound", 3, None),
            LogVerdict::Torn => ("torn", 3, None),
            LogVerdict::Altered { offset, .. } => ("altered", 1, Some(*offset)),
        };
        answers.insert(answer);
        let receipts = wanted["receipts"].as_object().unwrap();
        let receipts: serde_json::Map<String, Value> =
            receipts.keys().map(|name| (name.clone(), leads(name, &report, &history).into())).collect();
        let found = json!({
            "answer": answer,
            "exit": exit,
            "entries": report.head.as_ref().map_or(0, |head| head.size),
            "signed_bytes": report.head.as_ref().map_or(0, |head| head.bytes),
            "offset": offset,
            "receipts": receipts,
        });
        assert_eq!(&found, wanted, "{name}: {:?}", report.verdict);
    }
    assert_eq!(answers.len(), 3);
}

#[test]
fn each_kind_of_entry_is_known_in_the_one_of_every_kind() {
    let content = fs::read(folder().join("every-kind.log")).unwrap();
    let mut kinds = BTreeSet::new();
    read_log(Cursor::new(&content), &key(), |_, entry| {
        assert!(LogEntry::decode(entry).is_some(), "{}", hex::encode(entry));
        kinds.insert(entry[0]);
    })
    .unwrap();
    assert_eq!(kinds, (0..=12).collect());
}

#[test]
fn the_page_shows_the_small_one() {
    let page = include_str!("../../LOG.md");
    let content = fs::read(folder().join("small.log")).unwrap();
    for line in content.chunks(32).map(hex::encode) {
        assert!(page.contains(&line), "{line}");
    }
    let shown = page.split("## 8. Vectors").nth(1).unwrap();
    assert!(shown.contains(&key().to_string()));
}
