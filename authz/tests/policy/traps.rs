//! Casbin's traps, each with the proof that a folder can't lead into it.
//! (Empty and deny-only policies, text that is not ASCII in match functions,
//! whole names, depth and merged rows are proven beside the code that names
//! Casbin.)

use crate::{NOON, ask, circumstances, modbus, policy, problems, read, sample_files, sample_folder, write};
use authz::{Files, Policy, Verdict};
use dissect::Area;

fn may_read(policy: &Policy) -> bool {
    let Ok(grant) = ask(policy, "tech-1@vendor-a", "press-line/plc7", NOON) else { return false };
    let verdict = grant.terms().judge(&modbus([read(Area::Holding, 0, 1)]), &circumstances(NOON));
    matches!(verdict, Verdict::Allow { .. })
}

#[test]
fn a_failed_load_leaves_the_old_policy_as_it_was() {
    let old = Policy::load(&sample_folder()).unwrap();
    let before = (old.hash(), may_read(&old));
    for broken in ["p, short\n", "\"", "p, *, *, modbus:read, , allow # all\n"] {
        assert!(policy(broken).is_err());
        assert!(Policy::load(std::path::Path::new("/nonexistent")).is_err());
        assert_eq!((old.hash(), may_read(&old)), before);
    }
    assert!(before.1);
}

#[test]
fn an_empty_policy_denies_all() {
    for empty in ["", "\n\n", "# nothing yet\n"] {
        let policy = policy(empty).unwrap();
        assert!(ask(&policy, "tech-1@vendor-a", "press-line/plc7", NOON).is_err());
        assert!(policy.targets_for(&authz::Handle::parse("operator-1").unwrap()).is_empty());
    }
}

#[test]
fn denies_alone_grant_nothing() {
    let policy = policy("p, *, *, *:program-write, , deny\n").unwrap();
    assert!(ask(&policy, "tech-1@vendor-a", "press-line/plc7", NOON).is_err());
}

#[test]
fn a_model_that_only_denies_is_refused() {
    let sample = sample_files();
    let other = Policy::MODEL.replace("some(where (p.eft == allow)) && !some", "!some");
    let kept = sample.iter().filter(|(name, _)| *name != "model.conf");
    let files = Files::from_contents(kept.chain([("model.conf", other.as_bytes())])).unwrap();
    let problems = Policy::from_files(&files).unwrap_err().to_string();
    assert!(problems.starts_with("model.conf:15: has a meaning"), "{problems}");
}

#[test]
fn short_rules_are_refused_when_loaded() {
    assert!(problems("p, *, *, modbus:read\n").contains("policy.csv:1:1: expected 6 fields"));
}

#[test]
fn a_comment_never_becomes_part_of_a_field() {
    let told = problems("p, *, *, modbus:read, , allow # for now\n");
    assert_eq!(told, "policy.csv:1:31: # can't stand within a rule (a comment needs a line of its own)");
}

#[test]
fn an_unclosed_quote_does_not_swallow_the_denies_after_it() {
    let told = problems("p, *, *, \"modbus:read, , allow\np, *, *, *:program-write, , deny\n");
    assert_eq!(told, "policy.csv:1:10: the quote is not closed on this line");
}

#[test]
fn names_that_are_not_ascii_are_refused_when_loaded() {
    assert!(problems("p, *, *, modbus:read:tag[k\u{fc}hler], , allow\n").contains("1:27: only ASCII"));
}

#[test]
fn there_are_no_expressions_and_no_prefixes() {
    for pattern in ["press-line/.*", "press-line/*", "(", "press-line/plc[7"] {
        assert!(policy(&format!("p, *, \"{pattern}\", modbus:read, , allow\n")).is_err(), "{pattern}");
    }
    for action in ["modbus:*:holding[4]", "modbus:write:holding[4*]", "modbus:wri*", "modbus:write:holding/4"]
    {
        assert!(policy(&format!("p, *, *, {action}, , allow\n")).is_err(), "{action}");
    }
}

/// An unanchored or prefix match would take 40 for 400 or 4000.
#[test]
fn addresses_are_numbers_not_text() {
    let policy = policy("p, *, *, modbus:write:holding[40], , allow\n").unwrap();
    let grant = ask(&policy, "operator-1", "press-line/plc7", NOON).unwrap();
    let allowed = |address| {
        let operation = modbus([write(address, &[1])]);
        matches!(grant.terms().judge(&operation, &circumstances(NOON)), Verdict::Allow { .. })
    };
    assert!(allowed(40));
    for address in [0, 4, 39, 41, 400, 401, 4000, 40_001] {
        assert!(!allowed(address), "{address}");
    }
}

/// What follows a `*` must not be ignored: `*:program-write` is about one
/// class, and a deny of it is not a deny of all.
#[test]
fn what_follows_a_star_counts() {
    let policy = policy("p, *, *, modbus:read, , allow\np, *, *, *:program-write, , deny\n").unwrap();
    assert!(may_read(&policy));
}

/// Requests that would share a cached decision get their own.
#[test]
fn decisions_are_never_remembered() {
    let policy = Policy::load(&sample_folder()).unwrap();
    let grant = ask(&policy, "tech-1@vendor-a", "press-line/plc7", NOON).unwrap();
    for _ in 0..3 {
        let good = grant.terms().judge(&modbus([write(100, &[900])]), &circumstances(NOON));
        assert!(matches!(good, Verdict::Allow { .. }));
        let bad = grant.terms().judge(&modbus([write(100, &[901])]), &circumstances(NOON));
        assert!(matches!(bad, Verdict::Deny(_)));
    }
}
