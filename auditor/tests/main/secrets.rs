//! Passwords: masked everywhere unless they are asked for.

use crate::plant::{Plant, bytes, closed, event, opened, started};
use recording::{Decision, Entry, Event, Tap};
use serde_json::Value;

/// Set session password, as a client sends it.
const PASSWORD: &str = "0300002502f08032070000001d0008000c0001120411450100ff0900082630101720365543";
const SECRET: &str = "2630101720365543";
const MASKED: &str = "0300002502f08032070000001d0008000c0001120411450100ff090008****************";
/// The same in two fragments.
const FRAGMENTS: &str = "0300001d02f00032070000001e0008000c0001120411450100ff090008\
    0300000f02f0802630101720365543";
const DISCONNECT: &str = "0300000b06800000000000";

fn operation(request: u64, (offset, frame): (u64, &str), text: &str, decision: Decision) -> Event {
    Event::Operation {
        request,
        channel: 1,
        offset,
        length: u32::try_from(frame.len() / 2).unwrap(),
        function: "a function".to_owned(),
        text: text.to_owned(),
        effect: "changes".to_owned(),
        decision,
        rule: String::new(),
        reason: String::new(),
    }
}

/// A password that is allowed, one in fragments that is denied, a goodbye that
/// nobody answers.
fn session() -> Vec<Entry> {
    let frames = [PASSWORD, FRAGMENTS, DISCONNECT];
    let text = "security = *** (set session password)";
    let stream = hex::decode(frames.concat()).unwrap();
    vec![
        event(0, started("tech-1@vendor-a")),
        event(1, opened(1, "plc", "s7", 102)),
        bytes(2, 1, Tap::FromClient, 0, &stream),
        event(3, operation(1, (0, PASSWORD), text, Decision::Allow)),
        event(4, operation(2, (37, FRAGMENTS), text, Decision::Deny)),
        event(5, operation(3, (81, DISCONNECT), "housekeeping (disconnect)", Decision::Allow)),
        event(6, closed(1)),
    ]
}

fn plant() -> Plant {
    let plant = Plant::new();
    assert_eq!(FRAGMENTS.len() / 2, 44);
    plant.record("a.ghr", &session());
    plant
}

/// What the secret would look like, in whichever form it got out.
fn assert_masked(text: &str) {
    let wide: String = SECRET.as_bytes().chunks(2).map(|digits| String::from_utf8_lossy(digits)).collect();
    assert!(!text.contains(SECRET) && !text.contains(&wide), "{text}");
    assert!(text.contains("***"), "{text}");
}

const REPLAY: [&str; 6] = ["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max"];
const SEARCH: [&str; 4] = ["search", "@a.ghr", "--identity", "@auditor.age"];

#[test]
fn replay_and_search_show_no_password_unless_asked() {
    let plant = plant();
    for words in [&REPLAY[..], &SEARCH] {
        for more in [&[][..], &["--json"]] {
            let called = plant.call(&[words, more].concat());
            assert_eq!((called.code, called.err.as_str()), (0, ""));
            assert_masked(&called.out);
            let shown = plant.call(&[words, more, &["--show-secrets"]].concat());
            assert_eq!((shown.code, shown.err.as_str()), (0, ""));
            assert_eq!(shown.out.matches(&format!("0x{SECRET}")).count(), 2, "{}", shown.out);
            assert!(!shown.out.contains("**"), "{}", shown.out);
        }
    }
    let called = plant.call(&REPLAY);
    assert!(called.out.contains("SECURITY = *** (set session password) -> no answer"), "{}", called.out);
    assert!(called.out.contains("HOUSEKEEPING (disconnect) -> sent\n"), "{}", called.out);
}

#[test]
fn rows_mask_the_bytes_of_a_password() {
    let plant = plant();
    let rows = |more: &[&str], out: &str| -> Vec<Value> {
        let words = ["export", "@a.ghr", "--identity", "@auditor.age", "--format", "jsonl", "--out", out];
        assert_eq!(plant.call(&[&words, more].concat()).code, 0);
        let text = std::fs::read_to_string(plant.path(out.trim_start_matches('@'))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of = |rows: &[Value], request: u64| {
        let row = rows.iter().find(|row| row["request"] == request).unwrap();
        (row["operation"].as_str().unwrap().to_owned(), row["request_bytes"].as_str().unwrap().to_owned())
    };
    let masked = rows(&[], "@masked.jsonl");
    let text = "security = *** (set session password)".to_owned();
    assert_eq!(of(&masked, 1), (text.clone(), MASKED.to_owned()));
    assert_eq!(of(&masked, 2), (text, "*".repeat(FRAGMENTS.len())));
    assert_eq!(of(&masked, 3).1, DISCONNECT);
    let shown = rows(&["--show-secrets"], "@shown.jsonl");
    let text = format!("security = 0x{SECRET} (set session password)");
    assert_eq!(of(&shown, 1), (text.clone(), PASSWORD.to_owned()));
    assert_eq!(of(&shown, 2), (text, FRAGMENTS.to_owned()));
    let csv = ["export", "@a.ghr", "--identity", "@auditor.age", "--format", "csv", "--out", "@masked.csv"];
    assert_eq!(plant.call(&csv).code, 0);
    assert_masked(&std::fs::read_to_string(plant.path("masked.csv")).unwrap());
}

#[test]
fn bytes_with_a_password_are_exported_only_when_asked() {
    let plant = plant();
    for format in ["pcapng", "raw"] {
        let out = format!("@out.{format}");
        let words = ["export", "@a.ghr", "--identity", "@auditor.age", "--format", format, "--out", &out];
        let refused = plant.call(&words);
        assert_eq!(refused.code, 4, "{}", refused.err);
        for said in ["request 2 holds a password", "--show-secrets", "jsonl or csv"] {
            assert!(refused.err.contains(said), "{}", refused.err);
        }
        let left: Vec<_> = std::fs::read_dir(plant.path("")).unwrap().collect();
        assert_eq!(left.len(), 3, "{format}: {left:?}");
        let done = plant.call(&[&words[..], &["--show-secrets"]].concat());
        assert_eq!((done.code, done.err.as_str()), (0, ""));
        let path = plant.path(&format!("out.{format}"));
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
    }
}

/// One that was never answered is told last of all, after all bytes.
#[test]
fn a_password_without_an_answer_is_one_too() {
    let plant = Plant::new();
    let entries: Vec<Entry> = session().into_iter().take(4).collect();
    plant.record_crash("a.ghr", &entries);
    for format in ["pcapng", "raw"] {
        let words = ["export", "@a.ghr", "--identity", "@auditor.age", "--format", format, "--out", "@out"];
        let refused = plant.call(&words);
        assert_eq!(refused.code, 4, "{}", refused.err);
        assert!(!plant.path("out").exists());
    }
}
