//! A policy that changes while people work, is tried on what they did, and is
//! learnt from it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::binaries::binaries;
use tests::modbus::{Answer, Tool};
use tests::plant::{Auditor, Gateway, gateway_command};
use tests::plc::{Manners, Plc};
use tests::process::{Finished, run};
use tests::workshop::{PRESS_LINE, RULES, TECHNICIAN, Workshop};

/// The recordings of a workshop come out the same under the policy of the day,
/// and under the least policy that they suggest. Gives that policy.
pub(crate) fn reproduced_and_learnt_from(workshop: &Workshop) -> String {
    let reproduced = |words: &str| {
        let same = audit(workshop, "backtest", &[]).expect_code(0).unwrap();
        assert!(same.out.contains(words), "{same}");
        same.out.lines().last().unwrap_or_default().to_owned()
    };
    let before = reproduced(" 0 would be decided otherwise");
    let learnt = audit(workshop, "suggest", &["--person", TECHNICIAN]).expect_code(0).unwrap().out;
    workshop.write("policies/policy.csv", &learnt).unwrap();
    assert_eq!(reproduced(" 0 would be decided otherwise"), before, "{learnt}");
    learnt
}

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

/// Every way to a policy but the key's holder is closed, and the old policy
/// stays whatever is tried.
#[test]
fn a_gateway_that_demands_a_signature_takes_no_other_folder() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let others = Workshop::new(plc.address());
    let own = "dir = \"policies\"\nmanifest_key = \"pki/signing.pub\"";
    workshop.edit("gateway.toml", "dir = \"policies\"", own).unwrap();
    let policies = workshop.path("policies").to_str().unwrap().to_owned();
    let seal = |key: Option<&Workshop>| {
        let mut command = Command::new(&binaries().gateway);
        command.args(["policy", "seal", "--policies", &policies]);
        if let Some(holder) = key {
            command.arg("--sign").arg(holder.path("pki/signing.key"));
        }
        run("gatehouse-gateway policy seal", &mut command).unwrap().expect_code(0).unwrap();
    };
    let no_start = |words: &str| {
        let refused = run("gatehouse-gateway run", &mut gateway_command(&workshop)).unwrap();
        assert!(refused.code == Some(5) && refused.all().contains(words), "{words}: {refused}");
    };
    no_start("there is no MANIFEST");
    seal(None);
    no_start("is not signed, and [policy] manifest_key demands it");
    seal(Some(&others));
    no_start("is not signed by the key of [policy] manifest_key");
    seal(Some(&workshop));
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    let mut refused = |words: &str| {
        let applied = gateway.admin(&["policy", "apply", "--yes"]).unwrap();
        assert!(applied.code == Some(5) && applied.all().contains(words), "{words}: {applied}");
        assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)), "{words}");
        assert!(matches!(tool.write_holding(100, 1000).unwrap(), Answer::Exception(_)), "{words}");
    };
    workshop.edit("policies/policy.csv", "value:0..900", "value:600..1000").unwrap();
    refused("policy.csv does not match its sum");
    seal(None);
    refused("is not signed, and [policy] manifest_key demands it");
    seal(Some(&others));
    refused("is not signed by the key of [policy] manifest_key");
    seal(Some(&workshop));
    let manifest = std::fs::read_to_string(workshop.path("policies/MANIFEST")).unwrap();
    let (sums, signature) = manifest.split_once("\n\n").unwrap();
    workshop.write("policies/MANIFEST", sums).unwrap();
    refused("is not signed, and [policy] manifest_key demands it");
    let swapped = sums.replacen('a', "b", 1);
    workshop.write("policies/MANIFEST", &format!("{swapped}\n\n{signature}")).unwrap();
    refused("is not signed by the key of [policy] manifest_key");
    std::fs::remove_file(workshop.path("policies/MANIFEST")).unwrap();
    refused("there is no MANIFEST");
    workshop.write("policies/MANIFEST", &manifest).unwrap();
    gateway.apply_policy().unwrap();
    let (asked, patience) = (Instant::now(), Duration::from_secs(20));
    while !matches!(tool.write_holding(100, 1000).unwrap(), Answer::Data(_)) {
        assert!(asked.elapsed() < patience, "the signed policy does not come into force");
    }
}

/// Applies while two tools work without pause.
fn applies_during_traffic(applies: usize) {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let rules = |register: u16| {
        format!(
            "p, role:press-service, zone:press, modbus:read:holding[{register}], , allow\n\
             p, role:press-service, zone:press, modbus:read:holding[102], , allow\n\
             g, person:{TECHNICIAN}, role:press-service\n"
        )
    };
    workshop.write("policies/policy.csv", &rules(100)).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let work = || {
            let mut tool = Tool::connect(connection.address()).unwrap();
            let mut seen = [[0_usize; 2]; 2];
            while !over.load(Ordering::Relaxed) {
                // No policy allows both at once, and each allows the third.
                assert!(tool.read_holding(100, 2).unwrap().is_err(), "more than either policy allows");
                assert!(tool.read_holding(102, 1).unwrap().is_ok(), "less than either policy allows");
                for (register, seen) in (100..).zip(&mut seen) {
                    let allowed = tool.read_holding(register, 1).unwrap().is_ok();
                    seen[usize::from(allowed)] += 1;
                }
            }
            seen
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        let applied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let client = gateway::admin::Client::new(&workshop.path("admin.sock"));
            for count in 0..applies {
                workshop
                    .write("policies/policy.csv", &rules(if count % 2 == 0 { 101 } else { 100 }))
                    .unwrap();
                let page = client.post::<serde_json::Value>("/v1/policy/apply", &None::<()>);
                runtime.block_on(page).unwrap();
            }
        }));
        over.store(true, Ordering::Relaxed);
        applied.unwrap();
        workers.map(|worker| worker.join().unwrap())
    });
    for worker in seen {
        assert!(worker.iter().flatten().all(|times| *times > 0), "both policies judged both: {seen:?}");
    }
    connection.end().unwrap().expect_code(0).unwrap();
    // Every verdict comes out of the policy that the recording says was in
    // force at that request.
    let mut check = Auditor::of(&workshop).command(&["replay", "--check"]);
    let checked = run("gatehouse-audit replay", check.args(workshop.recordings().unwrap())).unwrap();
    let checked = checked.expect_code(0).unwrap();
    assert!(checked.out.contains("every verdict comes out the same again"), "{checked}");
}

#[test]
fn applies_during_traffic_never_make_a_third_policy() {
    applies_during_traffic(200);
}

#[test]
#[ignore = "five thousand applies take minutes"]
fn thousands_of_applies_during_traffic_never_make_a_third_policy() {
    applies_during_traffic(5000);
}
