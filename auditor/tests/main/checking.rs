//! `verify` and `keygen`.

use crate::plant::{Plant, session};
use recording::Identity;
use serde_json::Value;

#[test]
fn a_clean_recording_is_said_to_be_clean() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    let called = plant.call(&["verify", "@a.ghr", "--key", "@signing.pub"]);
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    let line = called.out.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n') && line.contains("a.ghr: clean: 5 frames, "), "{line}");
    assert!(line.contains("signed until 2026-10-31T10:31:12.450+00:00 by plant-a+"), "{line}");
}

#[test]
fn an_altered_recording_is_named_with_the_place() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    plant.flip("a.ghr", 500);
    let called = plant.call(&["verify", "@a.ghr", "--key", "@signing.pub"]);
    assert_eq!(called.code, 1);
    assert!(called.out.contains("a.ghr: ALTERED at offset "), "{}", called.out);
    let called = plant.call(&["verify", "@a.ghr", "--key", "@signing.pub", "--json"]);
    let found: Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!((&found[0]["verdict"], &found[0]["exit"]), (&"altered".into(), &1.into()));
    assert!(found[0]["offset"].as_u64().unwrap() > 0);
}

#[test]
fn the_worst_of_several_decides() {
    let plant = Plant::new();
    for name in ["clean.ghr", "altered.ghr", "untrimmed.ghr"] {
        plant.record(name, &session());
    }
    plant.record_crash("crash.ghr", &session());
    plant.flip("altered.ghr", 700);
    let mut content = std::fs::read(plant.path("untrimmed.ghr")).unwrap();
    content.resize(content.len() + 4096, 0);
    std::fs::write(plant.path("untrimmed.ghr"), content).unwrap();
    for (files, code) in [
        (vec!["@clean.ghr"], 0),
        (vec!["@clean.ghr", "@untrimmed.ghr"], 2),
        (vec!["@untrimmed.ghr", "@crash.ghr", "@clean.ghr"], 3),
        (vec!["@crash.ghr", "@altered.ghr", "@clean.ghr"], 1),
        (vec!["@crash.ghr", "@nowhere.ghr"], 4),
        (vec!["@nowhere.ghr", "@altered.ghr"], 1),
    ] {
        let words = [vec!["verify", "--key", "@signing.pub"], files.clone()].concat();
        let called = plant.call(&words);
        assert_eq!(called.code, code, "{files:?}: {}{}", called.out, called.err);
    }
}

#[test]
fn a_crash_is_told_with_what_is_proven() {
    let plant = Plant::new();
    plant.record_crash("a.ghr", &session());
    let called = plant.call(&["verify", "@a.ghr", "--key", "@signing.pub"]);
    assert_eq!(called.code, 3);
    assert!(called.out.contains("not closed: 1 frames, "), "{}", called.out);
    assert!(called.out.contains("1 frames, ") && called.out.contains("truncation can't be excluded"));
}

#[test]
fn another_gateway_s_key_does_not_pass() {
    let (plant, other) = (Plant::new(), Plant::new());
    plant.record("a.ghr", &session());
    let other_key = other.path("signing.pub").display().to_string();
    let called = plant.call(&["verify", "@a.ghr", "--key", &other_key]);
    assert_eq!(called.code, 1);
    assert!(called.out.contains("its header names the key plant-a+"), "{}", called.out);
}

#[test]
fn a_key_that_is_none_is_said_with_its_file() {
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    for key in ["@auditor.age", "@nowhere"] {
        let called = plant.call(&["verify", "@a.ghr", "--key", key]);
        assert_eq!((called.code, called.out.as_str()), (4, ""));
        assert!(called.err.contains(key.trim_start_matches('@')), "{}", called.err);
        assert!(!called.err.contains("AGE-SECRET"), "{}", called.err);
    }
}

#[test]
fn keygen_makes_an_identity_and_never_overwrites_one() {
    let plant = Plant::new();
    let called = plant.call(&["keygen", "--out", "@new.age"]);
    assert_eq!(called.code, 0);
    let identity = Identity::read(&plant.path("new.age")).unwrap();
    assert_eq!(called.out.trim(), identity.recipients()[0].to_string());
    let before = std::fs::read(plant.path("new.age")).unwrap();
    let again = plant.call(&["keygen", "--out", "@new.age"]);
    assert_eq!((again.code, again.out.as_str()), (4, ""));
    assert!(again.err.contains("new.age"), "{}", again.err);
    assert_eq!(std::fs::read(plant.path("new.age")).unwrap(), before);
}

#[test]
fn the_program_s_own_exit_codes_are_those_of_all_binaries() {
    let program = env!("CARGO_BIN_EXE_gatehouse-audit");
    let plant = Plant::new();
    plant.record("a.ghr", &session());
    plant.flip("a.ghr", 500);
    let (file, key) = (plant.path("a.ghr"), plant.path("signing.pub"));
    let (file, key) = (file.display().to_string(), key.display().to_string());
    for (words, code) in [
        (vec!["--help"], 0),
        (vec!["--version"], 0),
        (vec!["verify", "--help"], 0),
        (vec![], 4),
        (vec!["search", "x"], 4),
        (vec!["verify", "--key"], 4),
        (vec!["verify", &file, "--key", &key, "--unknown"], 4),
        (vec!["replay", &file, "--identity", "x", "--speed", "fast"], 4),
        (vec!["verify", &file, "--key", &key], 1),
    ] {
        let output = std::process::Command::new(program).args(&words).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}");
    }
}
