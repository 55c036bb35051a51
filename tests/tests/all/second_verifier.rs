//! The verifier that was written from `recording/FORMAT.md` alone comes to the
//! same answers as ours, and finds the inside of a real recording in order.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};
use tests::{
    binaries::binaries,
    interop::{self, Tools},
    modbus::{Answer, Tool},
    plant::Gateway,
    plc::{Manners, Plc},
    process::Process,
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// Thousands of signatures in Python, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs one of its commands to a good end and gives what it printed.
fn run(name: &str, command: &mut Command) -> String {
    let finished = Process::start(name, command).unwrap().finish(PATIENCE).unwrap();
    finished.expect_code(0).unwrap().all()
}

/// Asks both about the recordings of `folder` and about changed copies.
fn compare(tools: &Tools, folder: &Path, key: &Path, copies: u32) -> String {
    let mut command = tools.in_second_verifier();
    command.arg("compare.py").arg(&binaries().auditor).arg(folder).arg("--key").arg(key);
    run("compare.py", command.arg("--count").arg(copies.to_string()))
}

#[test]
fn it_passes_its_own_tests() {
    let Some(tools) = interop::tools() else { return };
    let said = run("unittest", tools.in_second_verifier().args(["-m", "unittest"]));
    assert!(said.contains("Ran ") && !said.contains("Ran 0 tests"), "{said}");
}

#[test]
fn both_agree_on_a_real_recording_and_changed_copies_of_it() {
    let Some(tools) = interop::tools() else { return };
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![731]));
    assert_eq!(tool.write_holding(100, 901).unwrap(), Answer::Exception(3));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let key = workshop.path("pki/signing.pub");

    let mut command = tools.in_second_verifier();
    command.arg("verify.py").arg(&recording).arg("--key").arg(&key).arg("--json");
    let said = run("verify.py", command.arg("--identity").arg(workshop.path("pki/auditor.age")));
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["answer"], "clean", "{answer}");
    assert_eq!(answer["inside"]["fault"], serde_json::Value::Null, "{answer}");
    // A request of ten bytes and its head twice through, once refused.
    let totals = &answer["inside"]["totals"];
    assert_eq!((&totals["from_client"], &totals["to_device"]), (&36.into(), &24.into()), "{answer}");

    // The site log of the running gateway, with the technician's receipt.
    let mut receipts = std::fs::read_dir(workshop.path("receipts")).unwrap();
    let receipt = receipts.next().unwrap().unwrap().path();
    let mut command = tools.in_second_verifier();
    command.arg("verify.py").arg("--log").arg(workshop.path("log")).arg("--key").arg(&key);
    let said = run("verify.py", command.arg("--receipt").arg(receipt));
    assert!(said.contains(": sound: ") && said.ends_with(": here\n"), "{said}");

    let said = compare(tools, recording.parent().unwrap(), &key, 1500);
    assert!(said.contains("1501 files") && said.contains(", 0 disagreements"), "{said}");
}

#[test]
fn both_agree_on_what_only_the_signing_key_could_make() {
    let Some(tools) = interop::tools() else { return };
    let scratch = tempfile::tempdir().unwrap();
    run("crafted", tools.in_second_verifier().args(["-m", "tests.crafted"]).arg(scratch.path()));
    let said = compare(tools, scratch.path(), &scratch.path().join("key.pub"), 1000);
    assert!(said.contains(", 0 disagreements"), "{said}");
}

/// What stands inside a recording is right for both, or wrong for both.
#[test]
fn both_find_the_same_wrong_inside() {
    let Some(tools) = interop::tools() else { return };
    let scratch = tempfile::tempdir().unwrap();
    run("inside", tools.in_second_verifier().args(["-m", "tests.inside"]).arg(scratch.path()));
    let expected = std::fs::read(scratch.path().join("expected.json")).unwrap();
    let expected: BTreeMap<String, Option<String>> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() > 100, "{}", expected.len());
    let mut disagreements = Vec::new();
    for (name, fault) in expected {
        let mut command = Command::new(&binaries().auditor);
        command.arg("show").arg(scratch.path().join(&name)).arg("--identity");
        command.arg(scratch.path().join("identity.age"));
        let finished =
            Process::start("gatehouse-audit show", &mut command).unwrap().finish(PATIENCE).unwrap();
        let said = finished.all();
        if finished.expect_code(i32::from(fault.is_some())).is_err() {
            disagreements.push(format!("{name}: there {fault:?}, here {said}"));
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
