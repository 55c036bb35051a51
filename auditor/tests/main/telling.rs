//! `replay`.

use crate::plant::{Plant, answer, bytes, closed, event, observed, opened, operation, session, started};
use auditor::is_harmless;
use recording::{Decision, Event, Tap};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The lines of a replay with the machine's own zone taken out: without the
/// time in front.
fn told(out: &str) -> Vec<String> {
    let time = "00:00:00.000 ".len();
    out.lines().map(|line| if line.starts_with("==") { line } else { &line[time..] }.to_owned()).collect()
}

#[test]
fn a_session_is_told_line_by_line() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max"]);
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    let lines = told(&called.out);
    assert!(lines[0].starts_with("== session ") && lines[0].ends_with(", mode default"), "{}", lines[0]);
    assert_eq!(
        lines[1..],
        [
            "== tech-1@vendor-a on press-line/plc7 (press, 127.0.0.1) from 192.0.2.10, certificate and TOTP",
            &format!("== policy {}, gatehouse 0.1.0; reason: axis referencing", "04".repeat(32)),
            "plc7 channel 1 opened: plc (modbus, port 502)",
            "plc7 WRITE holding[100] = 731 -> ok",
            "plc7 WRITE holding[100] = 1200 -> DENIED policy.csv:14: value 1200 is not in 0..900",
            "plc7 WRITE holding[731] = 1 -> DENIED: no rule allows it",
            "plc7 READ holding[0-1] -> 1 2",
            "plc7 READ holding[9999] -> REFUSED by the device: illegal data address",
            "plc7 READ coil[0] -> no answer",
            "plc7 channel 1 closed by client: done (bytes: from_client 26, to_device 0, from_device 0, \
             to_client 0)",
            "== ended after 5.050 s: client closed; 6 operations, 2 denied; bytes: from_client 26, to_device 0, \
             from_device 0, to_client 0",
        ]
    );
    let minute_and_on = |line: &str| line.contains(":31:07.412 plc7 WRITE holding[100] = 731 -> ok");
    assert!(called.out.lines().any(minute_and_on), "a request has its own time, not its answer's");
}

#[test]
fn json_has_one_object_per_line() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "1000", "--json"]);
    let objects: Vec<Value> = called.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let operations: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "operation").collect();
    assert_eq!(operations.len(), 6);
    assert_eq!(operations[0]["operation"], "write holding[100] = 731");
    assert_eq!((&operations[0]["decision"], &operations[0]["answer"]), (&"allow".into(), &"ok".into()));
    assert_eq!(
        (&operations[1]["decision"], &operations[1]["rule"]),
        (&"deny".into(), &"policy.csv:14".into())
    );
    assert_eq!(operations[5]["answer"], Value::Null);
    assert_eq!(objects.last().unwrap()["kind"], "ended");
    assert!(objects.iter().all(|object| object["session"].is_string() && object["time"].is_string()));
}

#[test]
fn opaque_channels_are_told_by_count_and_preview() {
    let plant = Plant::new();
    let long = [0xab; 40];
    plant.record(
        "a.ghr",
        &[
            event(0, started("tech-1@vendor-a")),
            event(1, opened(1, "vnc", "tcp", 5900)),
            bytes(2, 1, Tap::FromClient, 0, b"RFB\x1b[2J"),
            bytes(2, 1, Tap::ToDevice, 0, b"RFB\x1b[2J"),
            bytes(3, 1, Tap::FromDevice, 0, &long),
            event(4, observed(1, "rfb.version", "3.8\x1b[2J")),
            event(5, closed(1)),
        ],
    );
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max"]);
    let lines = told(&called.out);
    assert_eq!(lines[4], "plc7:vnc from_client 7 bytes: 5246421b5b324a");
    assert_eq!(lines[5], format!("plc7:vnc from_device 40 bytes: {}...", "ab".repeat(16)));
    assert_eq!(lines[6], "plc7:vnc from_device shows rfb.version: 3.8\\x1b[2J");
    assert!(lines[7].starts_with("plc7:vnc channel 1 closed"), "passed bytes are told twice: {lines:?}");
    let called = plant.call(&["show", "@a.ghr", "--identity", "@auditor.age"]);
    let seen = "seen              vnc rfb.version: 3.8\\x1b[2J (from_device)";
    assert!(called.out.contains(seen), "{}", called.out);
    let called = plant.call(&["show", "@a.ghr", "--identity", "@auditor.age", "--json"]);
    let shown: Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!(shown["content"]["facts"][0]["value"], "3.8\x1b[2J");
}

#[test]
fn a_recording_that_was_not_closed_is_told_to_its_last_entry() {
    let plant = Plant::new();
    plant.record_crash("a.ghr", &session()[..3]);
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max"]);
    assert_eq!(called.code, 0);
    let lines = told(&called.out);
    assert!(lines.iter().any(|line| line == "plc7 WRITE holding[100] = 731 -> no answer"));
    assert!(lines.last().unwrap().starts_with("== the recording was not closed: it stops at byte "));
}

#[test]
fn an_altered_recording_is_told_up_to_the_change_and_ends_in_no() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    // The end's frame lies before the last checkpoint.
    plant.flip("a.ghr", 310);
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max"]);
    assert_eq!(called.code, 1);
    assert!(called.err.contains("a.ghr: the frame at offset "), "{}", called.err);
    assert!(called.out.ends_with("== from here on it can't be read\n"), "{}", called.out);
    assert!(called.out.contains("WRITE holding[100] = 731 -> ok"));
}

#[test]
fn a_replay_takes_as_long_as_the_speed_says() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    let began = Instant::now();
    plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "50"]);
    assert!(began.elapsed() >= Duration::from_millis(5_050 / 50));
}

const HOSTILE: &str = "\x1b[2J\x1b]52;c;cm0=\x07\u{9b}31m\u{202e}x\r\n\u{7f}\u{2066}\0";

/// Every text of every event says something hostile, in every command.
#[test]
fn no_text_of_a_recording_reaches_the_terminal_as_it_is() {
    let plant = Plant::new();
    let text = || HOSTILE.to_owned();
    let totals = recording::Totals::default();
    let Event::Started(mut begin) = started(HOSTILE) else { unreachable!() };
    for field in [&mut begin.target, &mut begin.zone, &mut begin.address, &mut begin.source] {
        *field = text();
    }
    (begin.assurance, begin.software) = (text(), text());
    (begin.reason, begin.ticket) = (Some(text()), Some(text()));
    let tcp = Event::ChannelOpened { channel: 2, service: text(), protocol: "tcp".to_owned(), port: 1 };
    let events = vec![
        Event::Started(begin),
        Event::ChannelOpened { channel: 1, service: text(), protocol: text(), port: 1 },
        tcp,
        operation(1, HOSTILE, Decision::Allow, HOSTILE, HOSTILE),
        operation(2, HOSTILE, Decision::Deny, HOSTILE, HOSTILE),
        operation(3, "", Decision::Needs, HOSTILE, HOSTILE),
        operation(4, HOSTILE, Decision::Allow, HOSTILE, HOSTILE),
        operation(5, HOSTILE, Decision::Allow, HOSTILE, HOSTILE),
        answer(1, HOSTILE, false),
        answer(4, HOSTILE, true),
        answer(Event::UNASKED, HOSTILE, false),
        Event::Observed { channel: 2, tap: "from_client".to_owned(), offset: 0, fact: text(), value: text() },
        Event::Unframed { channel: 1, tap: "from_device".to_owned(), reason: text() },
        Event::PathChanged { source: text() },
        Event::Ending { reason: text(), in_s: 1 },
        Event::Note { text: text() },
        Event::ChannelClosed {
            channel: 1,
            by: "client".to_owned(),
            how: "reset".to_owned(),
            reason: text(),
            totals,
        },
    ];
    let mut entries: Vec<_> = (0..).zip(events).map(|(ms, known)| event(ms, known)).collect();
    entries.push(bytes(40, 2, Tap::FromClient, 0, HOSTILE.as_bytes()));
    let name = format!("{}.ghr", HOSTILE.replace('\0', ""));
    plant.record_until(&name, &entries, HOSTILE);
    let file = format!("@{name}");
    let identity = ["--identity", "@auditor.age"];
    for words in [
        vec!["replay", &file, identity[0], identity[1], "--speed", "max"],
        vec!["show", &file, identity[0], identity[1]],
        vec!["ls", "@", identity[0], identity[1]],
        vec!["verify", &file, "--key", "@signing.pub"],
        vec!["show", "@nowhere\x1b[2J", identity[0], identity[1]],
    ] {
        for json in [None, Some("--json")] {
            let words: Vec<&str> = words.iter().copied().chain(json).collect();
            let called = plant.call(&words);
            let shown = format!("{}{}", called.out, called.err);
            let harmful = |character: &char| !is_harmless(*character) && *character != '\n';
            assert_eq!(shown.chars().find(harmful), None, "{words:?}: {shown:?}");
            assert!(shown.contains("x1b[2J") || shown.contains("u001b[2J"), "{words:?} hides it: {shown}");
        }
    }
    let called = plant.call(&["replay", &file, identity[0], identity[1], "--speed", "max", "--json"]);
    assert!(called.out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
