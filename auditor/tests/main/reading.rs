//! `ls` and `show`.

use crate::plant::{Plant, session};
use auditor::is_harmless;
use serde_json::Value;

#[test]
fn ls_tells_who_and_what_only_with_an_identity() {
    let plant = Plant::new();
    plant.record("b.ghr", &session());
    plant.record_crash("a.ghr", &session());
    std::fs::write(plant.path("notes.txt"), "no recording").unwrap();
    let called = plant.call(&["ls", "@"]);
    assert_eq!((called.code, called.out.lines().count()), (0, 3), "{}", called.out);
    assert!(called.out.contains("closed") && called.out.contains("open"));
    assert!(!called.out.contains("tech-1"));
    let called = plant.call(&["ls", "@", "--identity", "@auditor.age", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&called.out).unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((&row["person"], &row["target"]), (&"tech-1@vendor-a".into(), &"press-line/plc7".into()));
        assert_eq!(row["closed"], row["file"].as_str().unwrap().ends_with("b.ghr"));
    }
}

#[test]
fn ls_goes_on_after_a_file_that_is_no_recording() {
    let plant = Plant::new();
    plant.record("good.ghr", &session());
    std::fs::write(plant.path("bad\x1b[2J.ghr"), "nonsense!").unwrap();
    let called = plant.call(&["ls", "@"]);
    assert_eq!((called.code, called.out.lines().count()), (4, 2));
    assert!(called.err.contains("bad\\x1b[2J.ghr: this is not a Gatehouse recording"), "{}", called.err);
    assert_eq!(plant.call(&["ls", "@nowhere"]).code, 4);
}

/// A pipe would wait for a writer for ever, a device never ends.
#[test]
fn what_is_no_regular_file_is_refused_by_every_command() {
    let plant = Plant::new();
    plant.record("good.ghr", &session());
    let pipe = plant.path("pipe.ghr");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for place in ["@pipe.ghr", "/dev/zero"] {
        for words in [
            vec!["verify", place, "--key", "@signing.pub"],
            vec!["show", place],
            vec!["show", place, "--identity", "@auditor.age"],
            vec!["replay", place, "--identity", "@auditor.age"],
            vec!["export", place, "--identity", "@auditor.age", "--format", "jsonl", "--out", "@out"],
        ] {
            let called = plant.call(&words);
            assert_eq!(called.code, 4, "{words:?}: {}", called.err);
            assert!(called.err.contains("no regular file"), "{words:?}: {}", called.err);
        }
    }
    let called = plant.call(&["ls", "@"]);
    assert_eq!((called.code, called.out.lines().count()), (4, 2), "the others are listed");
}

#[test]
fn ls_says_so_where_there_is_nothing() {
    let plant = Plant::new();
    assert_eq!(plant.call(&["ls", "@"]).out, "no recordings\n");
    assert_eq!(plant.call(&["ls", "@", "--json"]).out, "[]\n");
}

#[test]
fn ls_shows_recordings_of_others_without_who_and_what() {
    let (plant, other) = (Plant::new(), Plant::new());
    plant.record("a.ghr", &session());
    let identity = other.path("auditor.age").display().to_string();
    let called = plant.call(&["ls", "@", "--identity", &identity]);
    assert_eq!(called.code, 0);
    assert!(called.out.contains("not encrypted to this identity"), "{}", called.out);
}

#[test]
fn show_tells_the_header_and_the_rest_with_an_identity() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    let called = plant.call(&["show", "@a.ghr"]);
    assert_eq!(called.code, 0);
    assert!(called.out.contains("signed by         plant-a+") && !called.out.contains("tech-1"));
    let called = plant.call(&["show", "@a.ghr", "--identity", "@auditor.age"]);
    for told in [
        "person            tech-1@vendor-a",
        "target            press-line/plc7 (press, 127.0.0.1)",
        "operations        6, 2 of them denied, on 1 channels",
        "ended             after 5.050 s: client closed",
        "bytes             bytes: from_client 26, to_device 0",
    ] {
        assert!(called.out.contains(told), "{told}\n{}", called.out);
    }
    let called = plant.call(&["show", "@a.ghr", "--identity", "@auditor.age", "--json"]);
    let shown: Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!(shown["content"]["started"]["person"], "tech-1@vendor-a");
    assert_eq!((&shown["closed"], &shown["content"]["denied"]), (&true.into(), &2.into()));
}

#[cfg(unix)]
#[test]
fn an_identity_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(plant.path("auditor.age"), open).unwrap();
    for words in [
        vec!["show", "@a.ghr", "--identity", "@auditor.age"],
        vec!["ls", "@", "--identity", "@auditor.age"],
        vec!["replay", "@a.ghr", "--identity", "@auditor.age"],
    ] {
        let called = plant.call(&words);
        assert_eq!((called.code, called.out.as_str()), (4, ""));
        assert!(called.err.contains("chmod 600"), "{}", called.err);
        assert!(called.err.chars().all(|character| is_harmless(character) || character == '\n'));
    }
}
