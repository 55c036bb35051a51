//! What the tools tell about the sample plant and about changes of it.

use crate::{NOON, ask, circumstances, files_with, modbus, sample_files, sample_folder, write};
use authz::{
    Assurance, Change, Difference, Explanation, Files, Handle, Policy, Question, Ruled, TargetId, Verdict,
};
use dissect::Class;
use jiff::Timestamp;
use std::collections::BTreeSet;

fn sample() -> Policy {
    Policy::load(&sample_folder()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn noon() -> Timestamp {
    NOON.parse().expect("a time")
}

/// The sample with one piece of one file replaced.
fn changed(file: &str, from: &str, to: &str) -> Policy {
    let sample = sample_files();
    let text = String::from_utf8(sample.get(file).expect("in the sample").to_vec()).expect("UTF-8");
    assert!(text.contains(from), "{from:?} is not in {file}");
    let text = text.replacen(from, to, 1);
    let contents =
        sample.iter().map(|(name, bytes)| if name == file { (name, text.as_bytes()) } else { (name, bytes) });
    let files = Files::from_contents(contents).expect("small files");
    Policy::from_files(&files).unwrap_or_else(|problems| panic!("{problems}"))
}

fn difference(file: &str, from: &str, to: &str) -> Difference {
    sample().compare(&changed(file, from, to), noon())
}

/// Who, which way, for what, by one line each.
fn told(difference: &Difference) -> Vec<String> {
    let entries = difference.entries.iter().map(|entry| {
        let values = entry.values.as_ref().map(|values| format!(" for {values}")).unwrap_or_default();
        format!(
            "{} {} {} on {}{values}",
            entry.who.join(" and "),
            entry.change,
            entry.actions.join(" and "),
            entry.targets.join(" and ")
        )
    });
    entries.chain(difference.notes.iter().map(|note| format!("{}: {}", note.change, note.text))).collect()
}

fn question(person: &str, target: &str, action: &str, at: &str, value: Option<&str>) -> Question {
    Question {
        person: Handle::parse(person).expect("a handle"),
        target: TargetId::parse(target).expect("a target"),
        action: action.to_owned(),
        at: authz::parse_time(at).expect("a time"),
        source: None,
        assurance: Assurance::CertificateAndTotp,
        value: value.map(str::to_owned),
    }
}

fn explain(person: &str, target: &str, action: &str, at: &str, value: Option<&str>) -> Explanation {
    sample()
        .explain(&question(person, target, action, at, value))
        .unwrap_or_else(|problem| panic!("{problem}"))
}

#[test]
fn the_decisions_are_those_that_were_reviewed() {
    let differs = sample().golden().expect("policies/decisions.golden is committed");
    assert!(
        differs.is_empty(),
        "the sample's decisions changed; look at the difference, then write the file anew:\n{}",
        differs.join("\n")
    );
    let narrowed = changed("policy.csv", "value:0..900", "value:0..901");
    assert!(!narrowed.golden().expect("still there").is_empty());
}

#[test]
fn moving_and_commenting_rules_changes_no_decision() {
    let text = String::from_utf8(sample_files().get("policy.csv").expect("there").to_vec()).expect("UTF-8");
    let moved = Policy::from_files(&files_with(&format!("# a new head\n\n{text}"))).expect("valid");
    assert_eq!(moved.table().to_string(), sample().table().to_string());
    assert!(sample().compare(&moved, noon()).is_empty());
}

#[test]
fn every_case_of_the_sample_passes_and_a_changed_policy_fails_one() {
    let cases = sample().run_cases(noon()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(cases.len() > 10 && cases.iter().all(|case| case.passed), "{cases:#?}");
    let wider = changed("policy.csv", "value:0..900", "value:0..901").run_cases(noon()).expect("valid");
    let failed: Vec<&str> = wider.iter().filter(|case| !case.passed).map(|case| case.name.as_str()).collect();
    assert_eq!(failed, ["but not beyond"]);
}

#[test]
fn cases_that_make_no_sense_are_told_with_their_place() {
    for (from, to, told) in [
        ("expect = \"allow\"", "expect = \"maybe\"", "tests.toml:10:10: expected \"allow\""),
        (
            "target = \"press-line/plc7\"",
            "target = \"press-line/plc8\"",
            "tests.toml:9:10: unknown target press-line/plc8 (did you mean press-line/plc7?)",
        ),
        (
            "action = \"modbus:read\"",
            "action = \"modbus:raed\"",
            "unknown class \"raed\" (did you mean read?)",
        ),
        ("name = \"the press", "nmae = \"the press", "unknown field `nmae`"),
    ] {
        let problems = changed("tests.toml", from, to).run_cases(noon()).expect_err(from);
        assert!(problems.to_string().contains(told), "{problems}");
    }
}

#[test]
fn an_explanation_names_the_line_and_the_way_out() {
    let allowed =
        explain("tech-1@vendor-a", "press-line/plc7", "modbus:write:holding[150]", NOON, Some("731"));
    assert_eq!(allowed.ruled, Ruled::Allowed);
    let text = allowed.to_string();
    assert!(text.contains("holding[150] (40151)") && text.contains("by policy.csv:"), "{text}");
    let high = explain("tech-1@vendor-a", "press-line/plc7", "modbus:write:holding[150]", NOON, Some("901"))
        .to_string();
    assert!(high.starts_with("denied: ") && high.contains("would allow it with a value in 0..900"), "{high}");
    let pump = "modbus:write:tag[pump_setpoint]";
    let by_day = explain("tech-1@vendor-a", "press-line/plc7", pump, NOON, Some("7.25")).to_string();
    assert!(
        by_day.contains("window tue-night opens at 2026-06-02T22:00:00+02:00[Europe/Berlin]")
            && by_day.contains("release by shift-lead (operator-1)"),
        "{by_day}"
    );
    let never = explain("tech-1@vendor-a", "press-line/plc7", "modbus:program-write", NOON, None).to_string();
    assert!(never.contains("no rule could allow it, whatever else were true"), "{never}");
    let stranger = explain("nobody@nowhere", "press-line/plc7", "modbus:read", NOON, None);
    assert!(!stranger.known && stranger.ruled == Ruled::Denied);
    let evening = "2026-06-02T18:00:00+02:00[Europe/Berlin]";
    let peak =
        explain("operator-1", "substation/meters", "modbus:write:unit[3]:coil[2]", evening, None).to_string();
    assert!(peak.contains("window evening-peak closes at 2026-06-02T20:00:00+02:00"), "{peak}");
}

#[test]
fn one_range_of_several_meanings_is_told_in_parts() {
    let mixed =
        explain("tech-1@vendor-a", "press-line/plc7", "modbus:write:holding[190-205]", NOON, Some("5"));
    assert_eq!(mixed.ruled, Ruled::Denied);
    let parts: Vec<(Ruled, &str)> =
        mixed.parts.iter().map(|part| (part.ruled, part.actions[0].as_str())).collect();
    assert_eq!(
        parts,
        [
            (Ruled::Allowed, "modbus:write:holding[190-199] (40191-40200)"),
            (Ruled::Denied, "modbus:write:holding[200-205] (40201-40206)")
        ]
    );
}

#[test]
fn a_question_that_is_none_is_told() {
    for (target, action, value, told) in [
        ("press-line/plc8", "modbus:read", None, "unknown target press-line/plc8"),
        ("press-line/plc7", "modbus:raed", None, "unknown class"),
        ("press-line/plc7", "modbus", None, "names no protocol and class"),
        ("press-line/plc7", "modbus:write:tag[pump]", None, "has no tag pump"),
        ("press-line/plc7", "modbus:write:holding[150]", Some("x"), "no whole number"),
        ("press-line/plc7", "modbus:write:holding[150]", Some("70000"), "does not fit"),
        ("press-line/plc7", "modbus:read", Some("1"), "carries no values"),
    ] {
        let problem =
            sample().explain(&question("operator-1", target, action, NOON, value)).expect_err(action);
        assert!(problem.to_string().contains(told), "{problem}");
    }
}

#[test]
fn a_wider_value_is_a_gain_for_exactly_these_values() {
    let wider = difference("policy.csv", "value:0..900", "value:0..950");
    assert_eq!(
        told(&wider),
        ["tech-1@vendor-a gains modbus:write:holding[100-199] (40101-40200) on press-line/plc7 for 901..950"]
    );
    assert!(wider.has_widened() && !wider.has_narrowed());
    let back = changed("policy.csv", "value:0..900", "value:0..950").compare(&sample(), noon());
    assert!(!back.has_widened() && back.has_narrowed());
    assert_eq!(back.entries[0].change, Change::Loses);
}

#[test]
fn ranges_windows_and_obligations_count_by_what_they_mean() {
    let split = difference(
        "policy.csv",
        "p, role:press-service, zone:press, modbus:write:holding[100-199], value:0..900, allow\n",
        "p, role:press-service, zone:press, modbus:write:holding[100-149], value:0..900, allow\n\
         p, role:press-service, zone:press, modbus:write:holding[140-199], value:0..900, allow\n",
    );
    assert_eq!(told(&split), Vec::<String>::new(), "two ranges that make up the same one");
    let shorter = difference("policy.csv", "holding[100-199]", "holding[100-189]");
    assert_eq!(
        told(&shorter),
        ["tech-1@vendor-a loses modbus:write:holding[190-199] (40191-40200) on press-line/plc7 for 0..900"]
    );
    let longer = difference("conditions.toml", "tue 22:00 - wed 04:00", "tue 22:00 - wed 05:00");
    assert_eq!(longer.entries.len(), 1, "{longer}");
    assert_eq!(longer.entries[0].change, Change::Gains);
    assert!(
        longer.entries[0]
            .example
            .as_ref()
            .is_some_and(|example| example.starts_with("at 2026-06-03T02:00:00Z")),
        "{longer}"
    );
    let renamed = {
        let text =
            String::from_utf8(sample_files().get("conditions.toml").expect("there").to_vec()).expect("UTF-8");
        let rules =
            String::from_utf8(sample_files().get("policy.csv").expect("there").to_vec()).expect("UTF-8");
        let (text, rules) =
            (text.replace("tue-night", "pump-night"), rules.replace("tue-night", "pump-night"));
        let sample = sample_files();
        let contents = sample.iter().map(|(name, bytes)| match name {
            "conditions.toml" => (name, text.as_bytes()),
            "policy.csv" => (name, rules.as_bytes()),
            _ => (name, bytes),
        });
        Policy::from_files(&Files::from_contents(contents).expect("small")).expect("valid")
    };
    assert_eq!(told(&sample().compare(&renamed, noon())), Vec::<String>::new(), "a name is no meaning");
    let free = difference("policy.csv", " & hold:shift-lead, allow", ", allow");
    assert_eq!(free.entries.len(), 1, "{free}");
    assert!(free.has_widened() && !free.has_narrowed());
    let other = difference("policy.csv", "approval:shift-lead", "approval:grid-control");
    assert_eq!(other.entries[0].change, Change::Changes, "somebody else's consent is neither more nor less");
    let faster = difference("policy.csv", "rate:2/s", "rate:5/s");
    assert_eq!(faster.entries[0].change, Change::Gains);
}

#[test]
fn people_targets_and_groups_count() {
    let joined = difference(
        "policy.csv",
        "g, person:operator-1,",
        "g, person:operator-9, role:operator\ng, person:operator-1,",
    );
    assert!(
        joined.entries.iter().all(|entry| entry.who == ["operator-9"] && entry.change == Change::Gains),
        "{joined}"
    );
    assert!(!joined.entries.is_empty());
    let left = difference("policy.csv", "g, person:tech-2@vendor-b, role:packaging-service\n", "");
    assert!(
        left.entries.iter().all(|entry| entry.who == ["tech-2@vendor-b"] && entry.change == Change::Loses),
        "{left}"
    );
    let everybody = difference(
        "policy.csv",
        "p, *, *, *:route, , deny",
        "p, *, *, *:route, , deny\np, *, press-line/plc7, modbus:read:coil, , allow",
    );
    assert!(
        everybody.entries.iter().any(|entry| entry.who.contains(&"anyone else".to_owned())),
        "{everybody}"
    );
    assert!(
        everybody.entries.iter().all(|entry| !entry.who.contains(&"tech-1@vendor-a".to_owned())),
        "could before: {everybody}"
    );
    let idle = difference("policy.csv", "opaque-accepted & mfa:webauthn", "opaque-accepted");
    assert_eq!(idle.entries[0].who, ["role:drives (nobody has it)"]);
    let moved = difference("targets.toml", "127.0.0.1", "127.0.0.9");
    assert_eq!(told(&moved), ["changes: press-line/plc7: the address was 127.0.0.1, becomes 127.0.0.9"]);
    assert!(moved.has_widened(), "a right that reaches another device");
    let members = difference(
        "conditions.toml",
        "members = [\"operator-1\"]",
        "members = [\"operator-1\", \"operator-3\"]",
    );
    assert_eq!(told(&members), ["gains: operator-3 may approve, release and supervise for shift-lead"]);
    let retyped = difference("targets.toml", "holding[10]:i16", "holding[10]:u16");
    assert_eq!(retyped.entries[0].change, Change::Changes, "{retyped}");
}

fn warnings(rules: &str) -> Vec<String> {
    let policy = Policy::from_files(&files_with(rules)).unwrap_or_else(|problems| panic!("{problems}"));
    policy.review(noon(), None).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_probably_not_meant_is_told_with_its_line() {
    let head = "g, person:tech-1@vendor-a, role:press-service\ng, role:press-service, role:vendor\n";
    for (rules, told) in [
        (
            "p, role:press-service, zone:press, modbus:write, , deny\np, role:press-service, zone:press, modbus:write:holding[3], , allow\n",
            "policy.csv:4:1: is shadowed by a deny: line 3 denies it",
        ),
        (
            "p, role:vendor, *, modbus:read, , allow\np, role:press-service, zone:press, modbus:read:coil, window:tue-night, allow\n",
            "policy.csv:4:1: never decides: line 3 allows it already",
        ),
        (
            "p, role:vendor, press-line/hmi2, modbus:read, , allow\n",
            "policy.csv:3:1: can never match: no target of press-line/hmi2 offers modbus:read",
        ),
        (
            "p, role:vendor, *, modbus:read, from:192.0.2.0/24 & from:198.51.100.0/24, allow\n",
            "policy.csv:3:1: can never match: from:192.0.2.0/24 & from:198.51.100.0/24 is never true",
        ),
        (
            "p, role:vendor, *, modbus:write:holding[3], value:70000..80000, allow\n",
            "policy.csv:3:1: can never match: value:70000..80000 is never true",
        ),
        (
            "p, role:vendor, *, modbus:read:holding[1-20], , allow\np, role:vendor, *, modbus:read:holding[10-30], , allow\n",
            "policy.csv:4:1: holding[10-30] overlaps holding[1-20] of line 3 in part",
        ),
    ] {
        let all = warnings(&format!("{head}{rules}"));
        assert!(all.iter().any(|warning| warning == told), "{told}\n  {all:#?}");
    }
    let fine = warnings(&format!(
        "{head}p, role:vendor, *, modbus:read:holding[1-20], , allow\np, *, *, modbus:read:holding[10], , deny\n"
    ));
    assert_eq!(fine, Vec::<String>::new(), "a deny that cuts a hole is no slip");
}

#[test]
fn a_window_that_is_over_and_people_without_a_certificate_are_told() {
    let after = "2028-01-01T00:00:00Z".parse().expect("a time");
    let people: BTreeSet<Handle> = [Handle::parse("operator-1").expect("a handle")].into();
    let all: Vec<String> = sample().review(after, Some(&people)).iter().map(ToString::to_string).collect();
    for told in [
        "window summer-stop never opens again",
        "tech-1@vendor-a has no certificate at the gateway",
        "modbus:control, window:summer-stop",
    ] {
        let known = all.iter().any(|warning| warning.contains(told));
        assert!(known || told.starts_with("modbus"), "{told}\n  {all:#?}");
    }
    assert!(all.iter().any(|warning| warning.starts_with("conditions.toml:")), "with its line: {all:#?}");
    assert!(all.iter().all(|warning| !warning.contains("operator-1 has no")), "{all:#?}");
}

/// Words on a page are worth nothing if the gateway decides otherwise.
#[test]
fn what_is_explained_is_what_the_grant_decides() {
    let policy = sample();
    for (person, target) in [
        ("tech-1@vendor-a", "press-line/plc7"),
        ("operator-1", "press-line/plc7"),
        ("tech-2@vendor-b", "packaging/plc1"),
    ] {
        let grant = ask(&policy, person, target, NOON).expect("a grant");
        for address in [0, 10, 39, 99, 100, 199, 200, 299, 300] {
            for value in [0_u16, 900, 901, 0xFFFF] {
                let verdict = grant.terms().judge(&modbus([write(address, &[value])]), &circumstances(NOON));
                // packaging/plc1 has a signed number at 10.
                let written = if target == "packaging/plc1" && address == 10 {
                    value.cast_signed().to_string()
                } else {
                    value.to_string()
                };
                let mut asked = question(
                    person,
                    target,
                    &format!("modbus:write:holding[{address}]"),
                    NOON,
                    Some(&written),
                );
                asked.source = Some("127.0.0.1".parse().expect("an address"));
                let ruled = policy.explain(&asked).unwrap_or_else(|problem| panic!("{problem}")).ruled;
                let expected = match verdict {
                    Verdict::Allow { .. } => Ruled::Allowed,
                    Verdict::Needs { .. } => Ruled::Needs,
                    Verdict::Deny(_) => Ruled::Denied,
                };
                assert_eq!(ruled, expected, "{person} writes {value} to {address}");
            }
        }
    }
    let table = policy.table();
    assert!(table.rows.iter().any(|row| row.class == format!("modbus:{}", Class::Write)));
}
