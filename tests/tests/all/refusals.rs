//! What a technician is told when the answer is no, and what the audit keeps.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};
use tests::{
    modbus::Tool,
    plant::{Gateway, Technician},
    plc::{Manners, Plc},
    process::Finished,
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};

fn workshop() -> (Plc, Workshop) {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    (plc, workshop)
}

fn connect(technician: &Technician, target: &str) -> Finished {
    technician.run(&["connect", target, "--listen", "127.0.0.1:0"]).unwrap()
}

/// One line on standard error that has all of `words`.
fn says(finished: &Finished, words: &[&str]) {
    let named = finished.err.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(named, "no line with {words:?}: {finished}");
    assert!(!finished.all().contains("panicked"), "{finished}");
}

#[test]
fn an_unknown_target_looks_like_a_forbidden_one_and_both_are_events() {
    let (plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let finished = connect(&technician, "press-line/plc99");
    assert_eq!(finished.code, Some(6), "{finished}");
    says(&finished, &["press-line/plc99"]);
    gateway.wait_for_event(&[TECHNICIAN, "press-line/plc99"]).unwrap();
    let stranger = gateway.import(OTHER_TECHNICIAN).unwrap();
    let forbidden = connect(&stranger, PRESS_LINE);
    assert_eq!(forbidden.code, Some(6), "{forbidden}");
    assert_eq!(
        finished.err.replace("press-line/plc99", "X"),
        forbidden.err.replace(PRESS_LINE, "X"),
        "a technician can tell a hidden target from none"
    );
    gateway.wait_for_event(&[OTHER_TECHNICIAN, PRESS_LINE]).unwrap();
    assert!(plc.log().connections.is_empty());
    assert!(workshop.recordings().unwrap().is_empty());
}

#[test]
fn an_unknown_service_is_named() {
    let (plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let finished = connect(&technician, &format!("{PRESS_LINE}:vnc"));
    assert_eq!(finished.code, Some(6), "{finished}");
    says(&finished, &["vnc"]);
    assert!(plc.log().connections.is_empty());
}

#[test]
fn a_certificate_without_a_person_and_a_wrong_code_look_alike() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let known = gateway.import(TECHNICIAN).unwrap();
    let other_seed = workshop.path("other.seed");
    fs::write(&other_seed, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").unwrap();
    fs::set_permissions(&other_seed, fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = Technician { seed: other_seed.clone(), ..known };
    let unknown = Technician {
        profile: workshop.profile(OTHER_TECHNICIAN, gateway.address()).unwrap(),
        seed: other_seed,
    };
    let (wrong, unknown) = (connect(&wrong, PRESS_LINE), connect(&unknown, PRESS_LINE));
    assert_eq!(wrong.code, Some(6), "{wrong}");
    assert_eq!(wrong.code, unknown.code);
    assert_eq!(wrong.err, unknown.err);
    gateway.wait_for_event(&[TECHNICIAN, "factor"]).unwrap();
}

#[test]
fn a_seed_file_that_others_can_read_is_refused() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    fs::set_permissions(&technician.seed, fs::Permissions::from_mode(0o644)).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(5), "{finished}");
    says(&finished, &["tech-1@vendor-a.seed", "chmod"]);
}

#[test]
fn an_expired_certificate_is_refused_and_says_so() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    tests::pki::expire(&workshop, TECHNICIAN).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(6), "{finished}");
    says(&finished, &["certificate", "expired"]);
}

#[test]
fn a_revoked_certificate_is_refused() {
    let (_plc, workshop) = workshop();
    certs_dev::revoke(&workshop.path("pki"), TECHNICIAN).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(6), "{finished}");
    says(&finished, &["certificate"]);
}

#[test]
fn a_lapsed_crl_refuses_sign_ins_and_says_why_at_the_gateway() {
    let (plc, workshop) = workshop();
    tests::pki::lapse_crl(&workshop).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(6), "{finished}");
    gateway.wait_for_event(&["crl", "lapsed"]).unwrap();
    assert!(plc.log().connections.is_empty());
}

#[test]
fn a_gateway_that_is_not_there_is_unreachable() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(7), "{finished}");
    says(&finished, &["127.0.0.1"]);
}

#[test]
fn a_device_that_is_not_there_is_told_to_the_technician_and_kept_as_an_event() {
    let (plc, workshop) = workshop();
    drop(plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let mut connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    tool.expect_closed().unwrap();
    connection.process().wait_for_words("did not answer").unwrap();
    gateway.wait_for_event(&[PRESS_LINE, "unreachable"]).unwrap();
    connection.end().unwrap().expect_code(0).unwrap();
    // The attempt has its recording.
    assert_eq!(workshop.recordings().unwrap().len(), 1);
}

#[test]
fn a_listener_port_that_is_taken_is_named_with_a_free_one() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = technician.run(&["connect", PRESS_LINE, "--listen", &address]).unwrap();
    assert_eq!(finished.code, Some(4), "{finished}");
    says(&finished, &[&address, "--listen 127.0.0.1:"]);
}

#[test]
fn a_code_counts_once() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let mut clients: Vec<_> = (0..4)
        .map(|_| {
            let mut command = technician.client(&["targets"]);
            command.arg("--totp-file").arg(&technician.seed);
            tests::process::Process::start("gatehouse targets", &mut command).unwrap()
        })
        .collect();
    // All of them sign in within one or two steps of 30 s; each step lets one
    // in, and the others wait for the next or are refused.
    let mut signed_in = Vec::new();
    for client in clients.drain(..) {
        signed_in.push(client.finish(std::time::Duration::from_secs(200)).unwrap().code == Some(0));
    }
    assert!(signed_in.contains(&true));
    let audit = fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    assert!(audit.contains("factor"), "{audit}");
}
