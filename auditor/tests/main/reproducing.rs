//! `replay --check`: recorded verdicts follow from recorded bytes and terms.

use crate::plant::{Called, Plant};
use crate::work::work;
use bytes::Bytes;
use recording::{Body, Decision, Entry, Event, Tap};

fn check(plant: &Plant, words: &[&str]) -> Called {
    plant.call(&[&["replay", "--check", "--identity", "@auditor.age"], words].concat())
}

/// The work, with its operation number `request` told differently.
fn told(request: u64, change: impl Fn(&mut Decision, &mut String, &mut String)) -> Vec<Entry> {
    let mut entries = work();
    for entry in &mut entries {
        if let Body::Event(Event::Operation { request: number, decision, rule, reason, .. }) = &mut entry.body
            && *number == request
        {
            change(decision, rule, reason);
        }
    }
    assert_ne!(entries, work(), "nothing was changed");
    entries
}

/// What it says of recordings in which one thing is wrong.
fn refuted(entries: &[Entry], request: u64) -> String {
    let plant = Plant::new();
    plant.record("a.ghr", entries);
    plant.record("whole.ghr", &work());
    let called = check(&plant, &["@whole.ghr", "@a.ghr"]);
    assert_eq!((called.code, called.err.as_str()), (1, ""), "{}", called.out);
    assert!(called.out.contains("1 verdicts DO NOT come out again"), "{}", called.out);
    assert!(called.out.contains(&format!("  request {request} at 2026-10-31T")), "{}", called.out);
    assert_eq!(called.out.matches("every verdict comes out the same again").count(), 1);
    called.out
}

#[test]
fn what_a_gateway_recorded_comes_out_again() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    plant.record_crash("b.ghr", &work());
    let called = check(&plant, &["@a.ghr", "@b.ghr"]);
    assert_eq!((called.code, called.err.as_str()), (0, ""), "{}", called.out);
    // With the opening of the opaque channel.
    assert_eq!(called.out.matches("8 requests, every verdict comes out the same again").count(), 2);
    let called = check(&plant, &["@a.ghr", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!((&found["requests"], &found["person"]), (&8.into(), &"tech-1@vendor-a".into()));
    assert_eq!(found["not_reproduced"], serde_json::json!([]));
}

#[test]
fn a_verdict_that_does_not_follow_is_named() {
    let allowed = told(3, |decision, _, _| *decision = Decision::Allow);
    let said = refuted(&allowed, 3);
    assert!(said.contains("    recorded allow") && said.contains("    judged   deny"), "{said}");
    refuted(&told(2, |_, rule, _| "policy.csv:1".clone_into(rule)), 2);
    refuted(&told(3, |_, _, reason| reason.push('!')), 3);
    // A request whose inside is broken is never allowed.
    refuted(&told(6, |decision, _, _| *decision = Decision::Allow), 6);
}

#[test]
fn bytes_that_would_have_been_judged_otherwise_are_named() {
    let mut entries = work();
    let written = entries.iter_mut().find_map(|entry| match &mut entry.body {
        Body::Bytes { tap: Tap::FromClient, channel: 1, bytes, .. } => Some(bytes),
        _ => None,
    });
    // 731 becomes 1243, which no rule allows.
    let mut bytes = written.as_ref().unwrap().to_vec();
    bytes[10] = 4;
    *written.unwrap() = Bytes::from(bytes);
    let said = refuted(&entries, 2);
    assert!(said.contains("    judged   deny"), "{said}");
}

#[test]
fn what_can_not_be_read_is_no_verdict() {
    let plant = Plant::new();
    std::fs::write(plant.path("a.ghr"), "no recording").unwrap();
    assert_eq!(check(&plant, &["@a.ghr"]).code, 4);
    assert_eq!(check(&plant, &["@missing.ghr"]).code, 4);
}
