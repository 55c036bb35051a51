//! `search`, and the filters of `replay`.

use crate::plant::{Plant, session};
use crate::work::work;
use serde_json::Value;

/// The numbers of the requests that a filter finds.
fn found(plant: &Plant, filter: &str) -> Vec<u64> {
    let words = ["search", "@a.ghr", "--identity", "@auditor.age", "--json", "--filter", filter];
    let called = plant.call(&words);
    assert_eq!((called.code, called.err.as_str()), (0, ""), "{filter}");
    let objects = called.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.map(|object| object["request"].as_u64().unwrap()).collect()
}

#[test]
fn filters_find_what_they_say() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    // Request 1 is the opening of the opaque service; see `work` for the rest.
    for (filter, wanted) in [
        ("*", &[1, 2, 3, 4, 5, 6, 7, 8][..]),
        ("write", &[2, 3, 4, 7]),
        ("write and denied", &[3, 4]),
        ("denied", &[3, 4, 6]),
        ("allowed and not use", &[2, 5, 7, 8]),
        ("malformed", &[6]),
        ("read", &[4, 5, 8]),
        ("holding[100]", &[2, 3, 4]),
        // Both are in one request, but the write is elsewhere.
        ("write and holding[100]", &[2, 3]),
        ("write:holding[300]", &[4]),
        ("modbus:write:holding[100-199]", &[2, 3, 7]),
        ("holding[200-400]", &[4]),
        ("coil", &[8]),
        ("coil[8-9]", &[]),
        ("unit[3]", &[7]),
        ("tag[force]", &[2, 3, 4]),
        ("write and tag[force]", &[2, 3]),
        ("tag[sp*]", &[7]),
        ("channel[2]", &[1]),
        ("channel[1-9] and observes", &[5, 8]),
        ("tcp", &[1]),
        ("text[use panel]", &[1]),
        ("service[pan*]", &[1]),
        ("refused", &[5]),
        ("unanswered", &[8]),
        ("answered and not refused", &[2, 7]),
        ("request[3-4]", &[3, 4]),
        ("person[*@vendor-a] and zone[press] and target[press-line/*] and unit[3]", &[7]),
        ("person[*@vendor-b]", &[]),
        ("rule[policy.csv:2] and allowed", &[2, 7]),
        ("text[731]", &[2]),
        ("answer[illegal]", &[5]),
        ("function[write single register]", &[2, 3]),
        ("not (read or write) and not use", &[6]),
        ("read or write and denied", &[3, 4, 5, 8]),
        ("(read or write) and denied", &[3, 4]),
    ] {
        assert_eq!(found(&plant, filter), wanted, "{filter}");
    }
}

#[test]
fn what_is_found_in_several_recordings_says_where() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    plant.record("b.ghr", &session());
    let words = ["search", "@a.ghr", "@b.ghr", "--identity", "@auditor.age", "--filter", "text[731]"];
    let called = plant.call(&words);
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    let lines: Vec<&str> = called.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", called.out);
    let what = "#2 tech-1@vendor-a press-line/plc7:plc: WRITE holding[100] = 731 -> ok";
    assert!(lines[0].starts_with("2026-10-31T") && lines[0].ends_with(what), "{}", lines[0]);
    assert_eq!(lines[3], "3 of 14 requests in 2 recordings");
    let called = plant.call(&[&words[..], &["--json"]].concat());
    let first: Value = serde_json::from_str(called.out.lines().next().unwrap()).unwrap();
    assert!(first["file"].as_str().unwrap().ends_with("a.ghr"));
    assert_eq!((&first["decision"], &first["answer"]), (&"allow".into(), &"ok".into()));
    assert_eq!(first["accesses"][0]["place"], "holding[100]");
    assert_eq!(first["accesses"][0]["tags"][0], "force");
}

#[test]
fn a_search_goes_on_after_what_it_can_not_read() {
    let plant = Plant::new();
    plant.record("altered.ghr", &work());
    plant.flip("altered.ghr", 1000);
    plant.record("good.ghr", &work());
    std::fs::write(plant.path("bad.ghr"), "nonsense").unwrap();
    let files = ["@altered.ghr", "@bad.ghr", "@nowhere.ghr", "@good.ghr"];
    let called = plant.call(&[&["search"], &files[..], &["--identity", "@auditor.age"]].concat());
    assert_eq!(called.code, 1);
    assert_eq!(called.err.lines().count(), 3, "{}", called.err);
    assert!(called.out.ends_with(" requests in 1 recordings\n"), "{}", called.out);
}

#[test]
fn a_search_that_is_interrupted_says_that_it_is_not_complete() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    let interrupt = auditor::Interrupt::default();
    interrupt.raise();
    let called = plant.call_until(&["search", "@a.ghr", "--identity", "@auditor.age"], interrupt);
    assert_eq!((called.code, called.out.as_str()), (4, ""));
    assert!(called.err.contains("interrupted: the answer is not complete"), "{}", called.err);
}

#[test]
fn a_replay_with_a_filter_tells_what_fits_and_counts_all() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    let words = ["replay", "@a.ghr", "--identity", "@auditor.age", "--speed", "max", "--filter"];
    let called = plant.call(&[&words[..], &["denied or from_device"]].concat());
    let lines: Vec<&str> = called.out.lines().collect();
    assert_eq!(lines.len(), 8, "{}", called.out);
    assert!(
        lines[3]
            .ends_with("plc7 WRITE holding[100] = 1200 -> DENIED policy.csv:2: value 1200 is not in 0..900")
    );
    assert!(lines[6].ends_with("plc7:panel from_device 16 bytes: 524642203030332e3030380a1b5b324a"));
    assert!(lines[7].contains("8 operations, 3 denied"), "{}", lines[7]);
}
