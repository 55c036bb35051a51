//! Damaged folders: never a crash, never a rule skipped, empty denies all.

use crate::{NOON, ask, files_with, sample_files};
use authz::{Files, Policy};
use proptest::prelude::*;

/// Rules and links of a text as they stand, without comments and blanks.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn with(file: &str, bytes: &[u8]) -> Result<Policy, String> {
    let sample = sample_files();
    let contents = sample.iter().map(|(name, old)| if name == file { (name, bytes) } else { (name, old) });
    let files = Files::from_contents(contents).map_err(|problems| problems.to_string())?;
    Policy::from_files(&files).map_err(|problems| problems.to_string())
}

/// A policy that is accepted has understood every line that is there.
fn nothing_skipped(policy: &Policy, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("an accepted file is UTF-8");
    let rules = lines(text).into_iter().filter(|line| line.starts_with('p')).count();
    let links = lines(text).len() - rules;
    assert_eq!(policy.counts(), (rules, links), "{text}");
}

#[test]
fn an_empty_policy_denies_all_to_everybody() {
    let policy = Policy::from_files(&files_with("")).expect("valid");
    for person in ["tech-1@vendor-a", "operator-1"] {
        for target in ["press-line/plc7", "press-line/hmi2", "packaging/plc1", "substation/meters"] {
            assert!(ask(&policy, person, target, NOON).is_err());
        }
    }
    assert!(policy.table().rows.iter().all(|row| row.decision == "deny"));
}

#[test]
fn cut_at_every_byte_each_file_is_refused_or_understood_whole() {
    let sample = sample_files();
    let rules = sample.get("policy.csv").expect("there").to_vec();
    let mut accepted = 0;
    // Every cut of the last lines, and every seventh before them: each is a
    // whole load.
    let far = rules.len().saturating_sub(400);
    for cut in (0..far).step_by(7).chain(far..rules.len()) {
        if let Ok(policy) = with("policy.csv", &rules[..cut]) {
            nothing_skipped(&policy, &rules[..cut]);
            accepted += 1;
        }
    }
    assert!(accepted > 0, "a cut between two lines leaves a policy");
    for file in ["conditions.toml", "targets.toml", "model.conf"] {
        let bytes = sample.get(file).expect("there").to_vec();
        for cut in (0..bytes.len()).step_by(23) {
            let _ = with(file, &bytes[..cut]);
        }
    }
}

#[test]
fn circles_are_refused_wherever_they_are() {
    for (circle, line, column) in [
        ("g, role:a, role:b\ng, role:b, role:a\n", 1, 12),
        ("g,   role:a,   role:a\n", 1, 16),
        ("g2, zone:press, group:x\ng2, group:x, group:y\ng2, group:y, group:x\n", 2, 14),
    ] {
        let told = Policy::from_files(&files_with(circle)).expect_err(circle).to_string();
        let place = format!("policy.csv:{line}:{column}: ");
        assert!(told.contains("is a member of itself") && told.starts_with(&place), "{place} in {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn flipped_bits_never_crash_and_never_skip_a_line(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4),
    ) {
        let mut rules = sample_files().get("policy.csv").expect("there").to_vec();
        for (index, bit) in flips {
            let at = index.index(rules.len());
            rules[at] ^= 1 << bit;
        }
        if let Ok(policy) = with("policy.csv", &rules) {
            nothing_skipped(&policy, &rules);
        }
    }

    #[test]
    fn half_of_one_and_half_of_another_never_crash(
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
    ) {
        let rules = sample_files().get("policy.csv").expect("there").to_vec();
        let mixed = [&rules[..first.index(rules.len())], &rules[second.index(rules.len())..]].concat();
        if let Ok(policy) = with("policy.csv", &mixed) {
            nothing_skipped(&policy, &mixed);
        }
    }
}
