//! What a technician is told when the answer is no, and what the audit keeps.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};
use tests::{
    modbus::Tool,
    plant::{Gateway, Technician},
    plc::{Manners, Plc},
    process::{Finished, Process},
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};

/// A client with a seed file waits for one next code, up to a step of 30 s.
const TWO_STEPS: Duration = Duration::from_secs(120);

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
        finished.err.replace("press-line/plc99", "X").replace(TECHNICIAN, "WHO"),
        forbidden.err.replace(PRESS_LINE, "X").replace(OTHER_TECHNICIAN, "WHO"),
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
    // Both wait for a next code before they give up.
    let start = |technician: &Technician| {
        let mut command = technician.client(&["targets"]);
        Process::start("targets", command.arg("--totp-file").arg(&technician.seed)).unwrap()
    };
    let (wrong, unknown) = (start(&wrong), start(&unknown));
    let [wrong, unknown] = [wrong, unknown].map(|process| process.finish(TWO_STEPS).unwrap());
    assert_eq!((wrong.code, unknown.code), (Some(6), Some(6)), "{wrong}{unknown}");
    assert_eq!(wrong.err.lines().last(), unknown.err.lines().last());
    assert_eq!(wrong.err.lines().count(), unknown.err.lines().count());
    gateway.wait_for_event(&[TECHNICIAN, "sign_in_refused"]).unwrap();
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
fn a_revoked_certificate_is_refused_as_soon_as_the_list_has_changed() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    certs_dev::revoke(&workshop.path("pki"), TECHNICIAN).unwrap();
    gateway.wait_for_event(&["tls_reloaded"]).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(6), "{finished}");
    says(&finished, &["certificate", "revoked"]);
    let finished = gateway.admin(&["user", "enable", TECHNICIAN]).unwrap();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(connect(&technician, PRESS_LINE).code, Some(6), "a person can't outweigh the list");
}

#[test]
fn a_crl_that_lapses_refuses_sign_ins_until_there_is_a_new_one() {
    let (plc, workshop) = workshop();
    tests::pki::replace_crl(&workshop, Duration::from_secs(4)).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    gateway.wait_for_event(&["crl_expiry", "has lapsed"]).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(6), "{finished}");
    assert!(plc.log().connections.is_empty());
    certs_dev::renew(&workshop.path("pki"), "crl").unwrap();
    gateway.wait_for_event(&["tls_reloaded"]).unwrap();
    technician.run(&["targets"]).unwrap().expect_code(0).unwrap();
}

#[test]
fn a_clock_that_fell_back_suspends_sign_ins_until_somebody_accepts_it() {
    let (plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
    // As if the gateway had run until an hour from now.
    let state = rusqlite::Connection::open(workshop.path("state.db")).unwrap();
    assert_eq!(state.execute("UPDATE clock SET highest = highest + 3600000", []).unwrap(), 1);
    drop(state);
    let gateway = Gateway::start(&workshop).unwrap();
    workshop.profile(TECHNICIAN, gateway.address()).unwrap();
    let finished = connect(&technician, PRESS_LINE);
    assert_eq!(finished.code, Some(6), "{finished}");
    says(&finished, &["clock"]);
    gateway.wait_for_event(&["clock_stepped", "suspended"]).unwrap();
    gateway.wait_for_event(&["sign_in_refused", "does not trust its clock"]).unwrap();
    assert!(plc.log().connections.is_empty());
    gateway.admin(&["clock", "accept"]).unwrap().expect_code(0).unwrap();
    technician.run(&["targets"]).unwrap().expect_code(0).unwrap();
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
    gateway.wait_for_event(&[PRESS_LINE, "channel_refused", TECHNICIAN]).unwrap();
    connection.end().unwrap().expect_code(0).unwrap();
    // The attempt has its recording.
    assert_eq!(workshop.recordings().unwrap().len(), 1);
}

#[test]
fn a_listener_port_that_is_taken_is_named_with_the_one_used_instead() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = technician.client(&["connect", PRESS_LINE, "--listen", &address.to_string()]);
    let process = Process::start("connect", command.arg("--totp-file").arg(&technician.seed)).unwrap();
    let line = process.wait_for_words("is taken").unwrap();
    assert!(line.contains(&address.port().to_string()) && line.contains("listening on 127.0.0.1:"), "{line}");
    process.interrupt().unwrap().expect_code(0).unwrap();
}

#[test]
fn a_code_counts_once_however_many_ask_at_the_same_time() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let clients = [(); 2].map(|()| {
        let mut command = technician.client(&["targets"]);
        Process::start("targets", command.arg("--totp-file").arg(&technician.seed)).unwrap()
    });
    // One is let in; the other waits for the next step and is let in then.
    for client in clients {
        client.finish(TWO_STEPS).unwrap().expect_code(0).unwrap();
    }
    let audit = fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    let count = |word: &str| audit.lines().filter(|line| line.contains(word)).count();
    assert_eq!(count("\"signed_in\""), 2, "{audit}");
    // None if the second came after the step had changed by itself.
    assert!(count("the code was used before") <= 1, "{audit}");
    let steps: Vec<i64> = audit
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "signed_in")
        .map(|event| event["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() / 30)
        .collect();
    assert_ne!(steps[0], steps[1], "two sign-ins within one step: {audit}");
}
