//! The policy commands on the sample plant that is shipped, by their output.

use std::path::{Path, PathBuf};
use std::process::Command;
use tests::binaries::{binaries, workspace};
use tests::process::{Finished, run};

fn policy(words: &[&str]) -> Finished {
    run("gatehouse-gateway policy", Command::new(&binaries().gateway).arg("policy").args(words)).unwrap()
}

fn sample() -> String {
    workspace().join("policies").to_str().unwrap().to_owned()
}

/// A copy of the sample with one piece of one file replaced.
fn changed(file: &str, from: &str, to: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(sample()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path: PathBuf = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {file}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let name = folder.path().to_str().unwrap().to_owned();
    (folder, name)
}

fn json(finished: &Finished) -> serde_json::Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

#[test]
fn check_tells_valid_warned_and_invalid_apart() {
    let fine = policy(&["check", "--policies", &sample()]).expect_code(0).unwrap();
    assert!(fine.out.starts_with("valid: ") && fine.out.contains("nobody has role:drives"), "{fine}");
    policy(&["check", "--policies", &sample(), "--deny-warnings"]).expect_code(1).unwrap();
    let (_folder, broken) = changed("policy.csv", "zone:press, modbus:read", "zone:press, modbus:raed");
    let told = policy(&["check", "--policies", &broken]).expect_code(5).unwrap();
    assert!(told.err.contains("policy.csv:") && told.err.contains("(did you mean read?)"), "{told}");
    let listed = policy(&["check", "--policies", &broken, "--json"]).expect_code(5).unwrap();
    assert_eq!(json(&listed)["valid"], false);
    assert_eq!(json(&listed)["problems"][0]["hint"], "did you mean read?");
    policy(&["check", "--policies", "/nonexistent"]).expect_code(5).unwrap();
    policy(&["check"]).expect_code(4).unwrap();
}

#[test]
fn explain_answers_with_line_and_way_out() {
    let (folder, pump) = (sample(), "modbus:write:tag[pump_setpoint]");
    let ask = |words: &[&str]| {
        let all: Vec<&str> =
            ["explain", "--policies", &folder].into_iter().chain(words.iter().copied()).collect();
        policy(&all)
    };
    let allowed = ask(&["tech-1@vendor-a", "press-line/plc7", "modbus:write:holding[150]", "--value", "731"]);
    let allowed = allowed.expect_code(0).unwrap();
    assert!(allowed.out.starts_with("allowed: tech-1@vendor-a"), "{allowed}");
    assert!(
        allowed.out.contains("holding[150] (40151)") && allowed.out.contains("by policy.csv:"),
        "{allowed}"
    );
    let by_day =
        ["tech-1@vendor-a", "press-line/plc7", pump, "--value", "7.25", "--at", "2026-06-02T12:00:00+02:00"];
    let denied = ask(&by_day).expect_code(1).unwrap();
    assert!(
        denied.out.contains("window tue-night opens at 2026-06-02T22:00:00+02:00[Europe/Berlin]"),
        "{denied}"
    );
    assert!(denied.out.contains("release by shift-lead (operator-1)"), "{denied}");
    let by_night = [
        "tech-1@vendor-a",
        "press-line/plc7",
        pump,
        "--value",
        "7.25",
        "--at",
        "2026-06-02T23:00:00+02:00",
        "--json",
    ];
    let needs = json(&ask(&by_night).expect_code(1).unwrap());
    assert_eq!(
        (&needs["ruled"], &needs["parts"][0]["owes"][0]),
        (&"needs".into(), &"hold:shift-lead".into())
    );
    let typo = ask(&["tech-1@vendor-a", "press-line/plc8", "modbus:read"]).expect_code(4).unwrap();
    assert!(typo.err.contains("did you mean press-line/plc7?"), "{typo}");
    let negative =
        ask(&["tech-2@vendor-b", "packaging/plc1", "modbus:write:tag[belt_speed]", "--value", "-51"]);
    assert!(negative.expect_code(1).unwrap().out.contains("a value in -50..150"));
}

#[test]
fn the_table_is_the_golden_file_and_test_tells_a_difference() {
    let table = policy(&["table", "--policies", &sample()]).expect_code(0).unwrap();
    let golden = std::fs::read_to_string(Path::new(&sample()).join("decisions.golden")).unwrap();
    assert_eq!(table.out.trim_end(), golden.trim_end());
    let passed = policy(&["test", "--policies", &sample()]).expect_code(0).unwrap();
    assert!(
        passed.out.contains("cases passed") && passed.out.contains("are those of decisions.golden"),
        "{passed}"
    );
    let (_folder, wider) = changed("policy.csv", "value:0..900", "value:0..901");
    let failed = policy(&["test", "--policies", &wider]).expect_code(1).unwrap();
    assert!(failed.out.contains("but not beyond: expected deny, the policy says allow"), "{failed}");
    assert!(failed.out.contains("differ from decisions.golden"), "{failed}");
    let listed = json(&policy(&["table", "--policies", &sample(), "--json"]).expect_code(0).unwrap());
    assert!(listed["rows"].as_array().unwrap().len() > 100);
}

#[test]
fn diff_tells_gains_by_its_exit_code() {
    let (_one, wider) = changed("policy.csv", "value:0..900", "value:0..950");
    let gained = policy(&["diff", &sample(), &wider]).expect_code(1).unwrap();
    assert!(gained.out.contains("tech-1@vendor-a on press-line/plc7 gains"), "{gained}");
    assert!(gained.out.contains("values  901..950"), "{gained}");
    let lost = policy(&["diff", &wider, &sample()]).expect_code(0).unwrap();
    assert!(lost.out.contains("loses"), "{lost}");
    let (_two, commented) =
        changed("policy.csv", "# --- people", "# people, moved by a line\n\n# --- people");
    let same = policy(&["diff", &sample(), &commented]).expect_code(0).unwrap();
    assert_eq!(same.out.trim_end(), "no difference in effect");
    let listed = json(&policy(&["diff", &sample(), &wider, "--json"]).expect_code(1).unwrap());
    assert_eq!((&listed["widened"], &listed["narrowed"]), (&true.into(), &false.into()));
}

#[test]
fn seal_writes_what_sha256sum_would_check() {
    let (folder, name) = changed("policy.csv", "# Who may", "# Who may");
    let sealed = policy(&["seal", "--policies", &name]).expect_code(0).unwrap();
    assert!(sealed.out.contains("not signed"), "{sealed}");
    let mut check = Command::new("sha256sum");
    let checked =
        run("sha256sum", check.args(["--check", "--strict", "MANIFEST"]).current_dir(folder.path()));
    checked.unwrap().expect_code(0).unwrap();
    let refused = policy(&["seal", "--policies", &name, "--sign", "/nonexistent.key"]);
    refused.expect_code(4).unwrap();
}
