//! `replay` from a place on, and of a recording that is still written.

use crate::plant::{Plant, answer, event, operation, started};
use crate::work::work;
use auditor::Interrupt;
use recording::{Decision, Entry, Event};
use std::time::Duration;

/// A session with a request at each of these milliseconds.
fn at(times: &[u64]) -> Vec<Entry> {
    let mut entries = vec![event(0, started("tech-1@vendor-a"))];
    for (number, ms) in (1..).zip(times) {
        let text = format!("write holding[{ms}] = 1");
        entries.push(event(*ms, operation(number, &text, Decision::Deny, "", "no rule allows it")));
    }
    entries
}

#[test]
fn a_replay_begins_where_it_is_told_to() {
    let plant = Plant::new();
    plant.record("a.ghr", &at(&[1_000, 60_000, 61_000]));
    for seek in ["60s", "1m", "2026-10-31T10:32:07.4Z", "2026-10-31T12:32:07.4+02:00"] {
        let words = ["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max", "--seek", seek];
        let called = plant.call(&words);
        assert_eq!((called.code, called.err.as_str()), (0, ""), "{seek}");
        let lines: Vec<&str> = called.out.lines().collect();
        assert_eq!(lines.len(), 7, "{}", called.out);
        assert!(
            lines[3].starts_with("== from 2026-10-31T") && lines[3].ends_with(", 1 min 0 s after the start")
        );
        assert!(lines[4].contains("WRITE holding[60000]") && lines[5].contains("WRITE holding[61000]"));
        assert!(lines[6].contains("3 operations, 3 denied"), "what was passed over counts: {}", lines[6]);
    }
    // Past the end there is nothing left to tell.
    let words = ["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max", "--seek", "5h"];
    assert_eq!(plant.call(&words).out.lines().count(), 4);
}

#[test]
fn a_replay_from_later_on_does_not_wait_for_what_it_passed_over() {
    let plant = Plant::new();
    plant.record("a.ghr", &at(&[3_600_000, 3_600_020]));
    let began = std::time::Instant::now();
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--seek", "1h"]);
    assert_eq!(called.code, 0);
    assert!((Duration::from_millis(20)..Duration::from_secs(1800)).contains(&began.elapsed()));
}

#[test]
fn a_recording_that_is_still_written_is_told_as_it_grows() {
    let plant = Plant::new();
    plant.record("whole.ghr", &work());
    let whole = std::fs::read(plant.path("whole.ghr")).unwrap();
    // Cut inside a frame, with reserved space behind it.
    let mut part = whole[..whole.len() / 2].to_vec();
    part.resize(whole.len() + 4096, 0);
    std::fs::write(plant.path("a.ghr"), part).unwrap();
    let words = ["replay", "@a.ghr", "--identity", "@auditor.age", "--follow"];
    // Each time it has told all there is, more is written.
    let mut stages = vec![whole.clone(), [&whole[..whole.len() - 400], &[0; 4496]].concat()];
    let mut told_before = Vec::new();
    let followed = plant.call_watched(&words, Interrupt::default(), |told| {
        if let Some(grown) = stages.pop() {
            told_before.push(told.len());
            std::fs::write(plant.path("a.ghr"), grown).unwrap();
        }
    });
    assert!(told_before[0] > 0 && told_before[0] < told_before[1], "{told_before:?}");
    assert!(told_before[1] < followed.out.len(), "{told_before:?} of {}", followed.out.len());
    let words = ["replay", "@whole.ghr", "--identity", "@auditor.age", "--speed", "max"];
    let told = plant.call(&words);
    assert_eq!((followed.code, followed.err.as_str()), (0, ""));
    assert_eq!(followed.out, told.out);
}

#[test]
fn following_ends_when_it_is_interrupted() {
    let plant = Plant::new();
    plant.record_crash("a.ghr", &work());
    let interrupt = Interrupt::default();
    let words = ["replay", "@a.ghr", "--identity", "@auditor.age", "--follow"];
    // When it has told all there is and waits for more.
    let called = plant.call_watched(&words, interrupt.clone(), |_| interrupt.raise());
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    assert!(called.out.contains("WRITE holding[100] = 731 -> ok") && !called.out.contains("not closed"));
}

#[test]
fn several_recordings_are_not_followed_at_once() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    let called = plant.call(&["replay", "@a.ghr", "@a.ghr", "--identity", "@auditor.age", "--follow"]);
    assert_eq!((called.code, called.out.as_str()), (4, ""));
    assert!(called.err.contains("--follow takes one recording, not 2"), "{}", called.err);
}

#[test]
fn an_answer_without_its_request_is_told_as_such() {
    let plant = Plant::new();
    let asked = operation(1, "read coil[0]", Decision::Allow, "policy.csv:2", "");
    let stray =
        Event::Answer { request: 1, channel: 1, offset: 0, length: 1, text: "ok".to_owned(), refused: false };
    plant.record(
        "a.ghr",
        &[
            event(0, started("tech-1@vendor-a")),
            event(1, asked),
            event(2, answer(1, "done", false)),
            event(3, stray),
        ],
    );
    let called = plant.call(&["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max"]);
    assert!(called.out.contains("plc7 ANSWER to request 1 -> ok"), "{}", called.out);
    assert!(called.out.contains("1 operations, 0 denied"), "{}", called.out);
}
