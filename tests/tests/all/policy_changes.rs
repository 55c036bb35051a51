//! A policy that changes while people work, is tried on what they did, and is
//! learnt from it.

use std::process::Command;
use std::time::{Duration, Instant};
use tests::binaries::binaries;
use tests::modbus::{Answer, Tool};
use tests::plant::{Auditor, Gateway};
use tests::plc::{Manners, Plc};
use tests::process::{Finished, run};
use tests::workshop::{PRESS_LINE, RULES, TECHNICIAN, Workshop};

fn audit(workshop: &Workshop, command: &str, words: &[&str]) -> Finished {
    let mut program = Command::new(&binaries().auditor);
    program.args(["policy", command, "--policies"]).arg(workshop.path("policies"));
    program.arg("--identity").arg(workshop.path("pki/auditor.age")).args(words);
    run("gatehouse-audit policy", program.args(workshop.recordings().unwrap())).unwrap()
}

#[test]
fn a_narrowed_grant_narrows_the_session_that_runs_and_says_so() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let mut connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    workshop.edit("policies/policy.csv", "value:0..900", "value:0..500").unwrap();
    // Changing files changes nothing by itself; it is announced.
    gateway.wait_for_event(&["policy_folder", "valid, not applied yet"]).unwrap();
    assert!(matches!(tool.write_holding(100, 732).unwrap(), Answer::Data(_)));
    let refused = gateway.admin(&["policy", "apply"]).unwrap().expect_code(4).unwrap();
    assert!(refused.out.contains("values  501..900") && refused.out.contains(": narrows"), "{refused}");
    assert!(refused.err.contains("say --yes"), "{refused}");
    assert!(matches!(tool.write_holding(100, 733).unwrap(), Answer::Data(_)));
    gateway.admin(&["policy", "apply", "--yes"]).unwrap().expect_code(0).unwrap();
    let (asked, patience) = (Instant::now(), Duration::from_secs(20));
    while !matches!(tool.write_holding(100, 734).unwrap(), Answer::Exception(_)) {
        assert!(asked.elapsed() < patience, "the old policy still holds");
    }
    assert!(matches!(tool.write_holding(100, 500).unwrap(), Answer::Data(_)), "the rest goes on");
    connection.process().wait_for_words("less is allowed of modbus:write").unwrap();
    // A policy that leaves nothing ends the session, softly.
    workshop.edit("policies/policy.csv", "g, person:tech-1@vendor-a,", "g, person:tech-9@vendor-a,").unwrap();
    let ended = gateway.admin(&["policy", "apply", "--yes"]).unwrap().expect_code(0).unwrap();
    assert!(ended.out.contains(": ENDS"), "{ended}");
    let finished = connection.finish().unwrap();
    assert!(finished.all().contains("the policy no longer permits it"), "{finished}");
}

#[test]
fn the_past_is_reproduced_judged_anew_and_learnt_from() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    for value in [650, 731, 700] {
        assert!(matches!(tool.write_holding(100, value).unwrap(), Answer::Data(_)));
    }
    assert!(matches!(tool.write_holding(101, 20).unwrap(), Answer::Data(_)));
    assert!(tool.read_holding(100, 2).unwrap().is_ok());
    assert_eq!(tool.write_holding(100, 901).unwrap(), Answer::Exception(3));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();

    let same = audit(&workshop, "backtest", &[]).expect_code(0).unwrap();
    assert!(same.out.contains("6 requests, 0 would be decided otherwise"), "{same}");
    let mut check = Auditor::of(&workshop).command(&["replay", "--check"]);
    let checked = run("gatehouse-audit replay", check.args(workshop.recordings().unwrap())).unwrap();
    let checked = checked.expect_code(0).unwrap();
    assert!(checked.out.contains("6 requests, every verdict comes out the same again"), "{checked}");
    workshop.edit("policies/policy.csv", "value:0..900", "value:700..1000").unwrap();
    let other = audit(&workshop, "backtest", &["--json"]).expect_code(1).unwrap();
    let other: serde_json::Value = serde_json::from_str(&other.out).unwrap();
    let session = &other["sessions"][0];
    assert_eq!(session["not_reproduced"].as_array().unwrap().len(), 0, "{session:#}");
    let changed: Vec<(u64, &str)> = session["changed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["request"].as_u64().unwrap(), one["would_be"]["decision"].as_str().unwrap()))
        .collect();
    assert_eq!(changed, [(1, "deny"), (4, "deny"), (6, "allow")]);
    assert!(session["changed"][0]["would_be"]["rule"].as_str().unwrap().starts_with("policy.csv:"));

    workshop.write("policies/policy.csv", RULES).unwrap();
    let learnt = audit(&workshop, "suggest", &["--person", TECHNICIAN]).expect_code(0).unwrap();
    for rule in [
        "p, person:tech-1@vendor-a, press-line/plc7, modbus:read:holding[100-101], , allow",
        "modbus:write:holding[100-101], value:20..731, allow",
    ] {
        assert!(learnt.out.contains(rule), "{rule} in {learnt}");
    }
    // The proposal is a policy of its own, under which the past is the same.
    workshop.write("policies/policy.csv", &learnt.out).unwrap();
    let tried = audit(&workshop, "backtest", &[]).expect_code(0).unwrap();
    assert!(tried.out.contains("6 requests, 0 would be decided otherwise"), "{tried}");
    let nobody = audit(&workshop, "suggest", &["--person", "somebody@else"]).expect_code(0).unwrap();
    assert!(nobody.out.contains("from 0 recordings"), "{nobody}");
}
