//! Sessions that end by another's hand, and what is left of them.

use std::time::Duration;
use tests::{
    endings::{Ending, Writing, enrolled},
    evidence::Evidence,
    modbus::{Answer, Tool},
    plant::{Auditor, Connection, Gateway, Technician},
    plc::{Manners, Plc},
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};

/// Promise 7: hard endings stop the flow within a second; a machine that is
/// busy with other tests gets the same again.
const HARD: Duration = Duration::from_secs(2);

/// Has a technician write without a pause, takes the right away, and checks how
/// long the device went on receiving.
fn ends_hard(ending: Ending) {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let writing = Writing::begin(&plc, &gateway.import(TECHNICIAN).unwrap()).unwrap();
    ends(writing, ending, &gateway, &workshop);
    agree(&plc, &workshop, 0);
}

fn ends(writing: Writing<'_>, ending: Ending, gateway: &Gateway<'_>, workshop: &Workshop) {
    let asked = ending.take(gateway, workshop).unwrap();
    let (last, finished) = writing.ends().unwrap();
    let taken = last.saturating_duration_since(asked);
    assert!(taken < HARD, "bytes came {taken:?} after");
    assert!(finished.all().contains(ending.reason()), "{finished}");
    assert_eq!(finished.code, Some(6), "{finished}");
}

/// The only recording verifies with `code` and has every byte of the device.
fn agree(plc: &Plc, workshop: &Workshop, code: i32) {
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let finished = Auditor::of(workshop).verify(&recording).unwrap();
    assert_eq!(finished.code, Some(code), "{finished}");
    let evidence = Evidence::open(workshop, &recording).unwrap();
    let (recorded, received) = (&evidence.channels()[0].to_device, &plc.log().connections[0].received);
    assert!(recorded.starts_with(received), "{} recorded, {} received", recorded.len(), received.len());
}

#[test]
fn a_killed_session_sends_no_more() {
    ends_hard(Ending::Killed);
}

#[test]
fn a_disabled_person_sends_no_more() {
    ends_hard(Ending::Disabled);
}

#[test]
fn a_certificate_on_a_new_list_sends_no_more() {
    ends_hard(Ending::ListReplaced);
}

#[test]
fn a_revoked_certificate_of_its_own_sends_no_more() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let writing = Writing::begin(&plc, &enrolled(&gateway, &workshop).unwrap()).unwrap();
    ends(writing, Ending::Revoked, &gateway, &workshop);
    agree(&plc, &workshop, 0);
}

#[test]
fn a_removed_factor_sends_no_more_and_opens_nothing() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let writing = Writing::begin(&plc, &technician).unwrap();
    ends(writing, Ending::FactorRemoved, &gateway, &workshop);
    agree(&plc, &workshop, 0);
    gateway.wait_for_event(&["factor_removed", TECHNICIAN, "1 sessions ended"]).unwrap();
    let refused = technician.run(&["targets"]).unwrap();
    assert_eq!(refused.code, Some(6), "{refused}");
    // Only an administrator gives a new one; it is shown once.
    let seed = workshop.path("new.seed");
    let words = ["user", "reset-factor", TECHNICIAN, "--totp-file", seed.to_str().unwrap()];
    gateway.admin(&words).unwrap().expect_code(0).unwrap();
    gateway.wait_for_event(&["factor_given", TECHNICIAN]).unwrap();
    let shown = gateway.admin(&["user", "show", TECHNICIAN]).unwrap().expect_code(0).unwrap();
    assert!(shown.out.contains("TOTP") && !shown.out.contains("otpauth"), "{shown}");
    Technician { seed, ..technician }.run(&["targets"]).unwrap().expect_code(0).unwrap();
}

#[test]
fn an_expired_certificate_sends_no_more() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let until = tests::pki::expire_in(&workshop, TECHNICIAN, Duration::from_secs(45)).unwrap();
    let writing = Writing::begin(&plc, &gateway.import(TECHNICIAN).unwrap()).unwrap();
    ends(writing, Ending::Expired(until), &gateway, &workshop);
    agree(&plc, &workshop, 0);
}

#[test]
fn a_policy_that_leaves_nothing_sends_no_more() {
    ends_hard(Ending::PolicyNarrowed);
}

#[test]
fn a_gateway_that_dies_leaves_a_recording_of_all_that_the_device_got() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let writing = Writing::begin(&plc, &gateway.import(TECHNICIAN).unwrap()).unwrap();
    gateway.kill().unwrap();
    writing.breaks_off().unwrap();
    // No end frame: truncation can't be excluded.
    agree(&plc, &workshop, 3);
}

#[test]
fn a_gateway_that_is_stopped_seals_its_recordings_and_tells_its_clients() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 1).unwrap(), Answer::Data(_)));
    gateway.terminate().unwrap().expect_code(0).unwrap();
    let finished: tests::process::Finished = Connection::finish(connection).unwrap();
    assert_eq!(finished.code, Some(6), "{finished}");
    agree(&plc, &workshop, 0);
}

#[test]
fn state_survives_a_restart() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    gateway.import(OTHER_TECHNICIAN).unwrap();
    gateway.admin(&["user", "disable", OTHER_TECHNICIAN]).unwrap().expect_code(0).unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
    // The folder is broken meanwhile: what was applied is what counts.
    workshop.write("policies/policy.csv", "p, nonsense\n").unwrap();
    let gateway = Gateway::start(&workshop).unwrap();
    workshop.profile(TECHNICIAN, gateway.address()).unwrap();
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![650]));
    let listed = gateway.admin(&["user", "list"]).unwrap().expect_code(0).unwrap();
    let line = listed.out.lines().find(|line| line.contains(OTHER_TECHNICIAN)).unwrap();
    assert!(line.contains("disabled"), "{line}");
}
