//! Whole folders: what is refused, where and in which words.

use crate::{NOON, ask, files_with, policy, problems, sample_files, sample_folder};
use authz::{Files, Policy};
use proptest::prelude::*;

#[test]
fn the_sample_is_clean_and_has_the_shipped_model() {
    let policy = Policy::load(&sample_folder()).unwrap();
    let warnings: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with("nobody has role:drives"), "{warnings:?}");
    assert_eq!(policy.files().get("model.conf"), Some(Policy::MODEL.as_bytes()));
    assert_eq!(policy.hash(), sample_files().hash());
}

#[test]
fn each_slip_of_a_rule_is_told_with_its_place_and_a_way_out() {
    let head = "g, person:tech-1@vendor-a, role:press-service\n";
    for (rule, told) in [
        (
            "p, role:pres-service, *, modbus:read, , allow",
            "2:4: unknown role role:pres-service (did you mean role:press-service?)",
        ),
        (
            "p, role:nothing-like-it, *, modbus:read, , allow",
            "2:4: unknown role role:nothing-like-it (give it to someone",
        ),
        ("p, press-service, *, modbus:read, , allow", "2:4: expected role:NAME, person:HANDLE or *"),
        ("p, person:Tech, *, modbus:read, , allow", "2:11: 'T' can't be part of a handle"),
        (
            "p, *, press-line/plc8, modbus:read, , allow",
            "2:7: unknown target press-line/plc8 (did you mean press-line/plc7?)",
        ),
        (
            "p, *, press-line/*, modbus:read, , allow",
            "2:7: '*' can't be part of a target (allowed: a-z 0-9 . _ - /) (only a lone *",
        ),
        (
            "p, *, zone:pres, modbus:read, , allow",
            "2:7: unknown group of targets zone:pres (did you mean zone:press?)",
        ),
        ("p, *, *, modbus:raed, , allow", "2:17: unknown class \"raed\" (did you mean read?)"),
        ("p, *, *, modbus:write:holding[9-3], , allow", "2:31: the range runs backwards"),
        (
            "p, *, *, modbus:write:tag[pump_setpiont], , allow",
            "2:10: none of the rule's targets has a tag pump_setpiont (did you mean pump_setpoint?)",
        ),
        (
            "p, *, packaging/plc1, modbus:write:tag[pump_setpoint], , allow",
            "2:23: none of the rule's targets has a tag",
        ),
        ("p, *, *, modbus:write:tag[door_closed], , allow", "2:10: write never touches discrete"),
        (
            "p, *, *, modbus:read, windwo:tue-night, allow",
            "2:23: unknown condition \"windwo\" (did you mean window?)",
        ),
        (
            "p, *, *, modbus:read, window:tue-nigth, allow",
            "2:30: unknown window tue-nigth (did you mean tue-night?)",
        ),
        (
            "p, *, *, modbus:read, mfa:webauthn & hold:shift-laed, allow",
            "2:43: unknown group shift-laed (did you mean shift-lead?)",
        ),
        ("p, *, *, modbus:read, value:0..9, allow", "2:23: value: needs a write to typed addresses"),
        ("p, *, *, modbus:write, value:0..9, allow", "2:24: value: needs a write to typed"),
        ("p, *, *, modbus:write:coil[3], value:0..1, allow", "2:32: value: needs a write to typed"),
        ("p, *, *, modbus:file-write:file[3], value:0..1, allow", "2:37: value: needs a write to typed"),
        (
            "p, *, *, tcp:use, , allow",
            "2:19: the action includes services whose bytes nobody understands (say opaque-accepted",
        ),
        ("p, *, *, ssh:use, , allow", "2:19: the action includes services"),
        ("p, *, *, rfb, , allow", "2:15: the action includes services"),
        ("p, *, *, *, , allow", "2:13: the action includes services"),
        ("p, *, *, modbus:read, opaque-accepted, allow", "2:23: opaque-accepted has no meaning"),
        ("p, *, *, modbus:read, approval:shift-lead, deny", "2:23: a deny can only have"),
        ("p, *, *, modbus:read, rate:1/s, deny", "2:23: a deny can only have"),
        ("p, *, *, tcp:use, opaque-accepted, deny", "2:19: a deny can only have"),
        (
            "p, *, *, modbus:read, , alow",
            "2:25: expected allow or deny, found \"alow\" (did you mean allow?)",
        ),
        (
            "p, *, *, modbus:read, allow",
            "2:1: expected 6 fields: p, who, target, action, condition, effect; found 5",
        ),
        ("p, *, *, modbus:read, , allow, allow", "2:1: expected 6 fields"),
        ("p", "2:1: expected 6 fields"),
        ("g, person:a", "2:1: expected 3 fields"),
        ("g, a, role:b", "2:4: expected person:HANDLE or role:NAME"),
        ("g, person:a, b", "2:14: expected role:NAME"),
        ("g, person:tech-1@vendor-a, role:press-service", "2:1: the same as line 1"),
        ("g2, press-line/plc7, zone:packaging", "2:22: press-line/plc7 is in zone press already"),
        ("g2, press-line/plc9, zone:press", "2:5: unknown target press-line/plc9"),
        ("g2, press-line/plc7, press", "2:22: expected zone:NAME or group:NAME"),
        ("g2, zone:pess, group:hall", "2:5: zone:pess has no member (did you mean zone:press?)"),
        ("g, role:press-service, role:press-service", "2:24: role:press-service is a member of itself"),
        ("q, a, b", "2:1: unknown kind of rule \"q\""),
    ] {
        let all = problems(&format!("{head}{rule}\n"));
        assert!(all.starts_with(&format!("policy.csv:{told}")), "{rule}\n  {all}");
    }
}

#[test]
fn the_same_rule_twice_is_told() {
    let rule = "p, *, *, modbus:read, , allow\n";
    assert_eq!(problems(&format!("{rule}# between\n{rule}")), "policy.csv:3:1: the same as line 1");
}

#[test]
fn a_zone_said_twice_the_same_way_is_fine() {
    assert!(policy("g2, press-line/plc7, zone:press\n").is_ok());
}

#[test]
fn a_zone_may_be_given_in_either_file() {
    let sample = sample_files();
    let targets = String::from_utf8(sample.get("targets.toml").unwrap().to_vec()).unwrap();
    let without = targets.replacen("zone = \"press\"\n", "", 1);
    let with_rules = |rules: &str| {
        let contents = [
            ("model.conf", Policy::MODEL.as_bytes()),
            ("targets.toml", without.as_bytes()),
            ("policy.csv", rules.as_bytes()),
        ];
        Policy::from_files(&Files::from_contents(contents).unwrap()).unwrap()
    };
    let zone_of = |policy: &Policy| {
        let id = authz::TargetId::parse("press-line/plc7").unwrap();
        policy.inventory().target(&id).unwrap().zone.as_ref().map(ToString::to_string)
    };
    let linked = with_rules("g2, press-line/plc7, zone:press\np, *, zone:press, modbus:read, , allow\n");
    assert_eq!(zone_of(&linked).as_deref(), Some("press"));
    assert!(ask(&linked, "operator-1", "press-line/plc7", NOON).is_ok());
    let nowhere = with_rules("p, *, zone:press, modbus:read, , allow\n");
    assert_eq!(zone_of(&nowhere), None);
    assert!(ask(&nowhere, "operator-1", "press-line/plc7", NOON).is_err());
    assert!(nowhere.warnings()[0].to_string().contains("press-line/plc7 is in no zone"));
}

#[test]
fn missing_files_are_not_empty_ones() {
    for missing in ["policy.csv", "targets.toml"] {
        let sample = sample_files();
        let kept = sample.iter().filter(|(name, _)| *name != missing);
        let problems = Policy::from_files(&Files::from_contents(kept).unwrap()).unwrap_err();
        assert!(problems.to_string().contains(&format!("{missing}: is missing")), "{problems}");
    }
    let sample = sample_files();
    let kept = sample.iter().filter(|(name, _)| *name != "model.conf");
    let without_model = Policy::from_files(&Files::from_contents(kept).unwrap()).unwrap();
    assert!(without_model.warnings()[0].to_string().starts_with("model.conf: is missing"));
    let problems = Policy::load(std::path::Path::new("/nonexistent/policies")).unwrap_err();
    assert!(problems.to_string().starts_with("/nonexistent/policies"), "{problems}");
}

#[test]
fn later_files_are_part_of_the_hash_only() {
    let sample = sample_files();
    let more = sample.iter().chain([("tests.toml", &b"[whatever"[..]), ("decisions.golden", b"x")]);
    let policy = Policy::from_files(&Files::from_contents(more).unwrap()).unwrap();
    assert_ne!(policy.hash(), sample.hash());
}

#[test]
fn all_problems_are_told_at_once_by_path() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files_with("p, a\np, b\n").iter() {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    std::fs::write(folder.path().join("conditions.toml"), "[window.x]\n").unwrap();
    let problems = Policy::load(folder.path()).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems}");
    let path = folder.path().join("policy.csv").display().to_string();
    assert!(problems.iter().any(|problem| problem.to_string().starts_with(&format!("{path}:2:1: "))));
}

/// Cut anywhere, the policy is refused or its rules are whole lines of the
/// sample: no rule ever turns into another one. (A name in a `g` line may be
/// cut to another name; a manifest is the answer to that.)
#[test]
fn a_cut_policy_is_refused_or_shorter() {
    let sample = sample_files();
    let rules = String::from_utf8(sample.get("policy.csv").unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = rules.lines().collect();
    for cut in (0..rules.len()).step_by(7) {
        let text = &rules[..cut];
        if let Ok(policy) = policy(text) {
            let kept = text.lines().filter(|line| line.starts_with("p,")).all(|line| lines.contains(&line));
            assert!(kept, "cut at {cut} was let in as {}", policy.hash());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_rules_never_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let sample = sample_files();
        let mut rules = sample.get("policy.csv").unwrap().to_vec();
        let index = at.index(rules.len());
        rules[index] = byte;
        let kept = sample.iter().filter(|(name, _)| *name != "policy.csv");
        let files = Files::from_contents(kept.chain([("policy.csv", rules.as_slice())])).unwrap();
        if let Ok(policy) = Policy::from_files(&files) {
            let _ = ask(&policy, "tech-1@vendor-a", "press-line/plc7", NOON);
        }
    }

    #[test]
    fn damaged_inventories_never_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let sample = sample_files();
        let mut targets = sample.get("targets.toml").unwrap().to_vec();
        let index = at.index(targets.len());
        targets[index] = byte;
        let kept = sample.iter().filter(|(name, _)| *name != "targets.toml");
        let files = Files::from_contents(kept.chain([("targets.toml", targets.as_slice())])).unwrap();
        let _ = Policy::from_files(&files);
    }
}
