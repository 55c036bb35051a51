//! Sessions that end by another's hand, and what is left of them.

use std::time::{Duration, Instant, SystemTime};
use tests::{
    evidence::Evidence,
    modbus::{Answer, Tool},
    plant::{Auditor, Connection, Gateway, Technician},
    plc::{Manners, Plc},
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};

/// Promise 7: hard endings stop the flow within a second; a machine that is
/// busy with other tests gets the same again.
const HARD: Duration = Duration::from_secs(2);

/// Longer than any right in these tests lasts, its certificate's included.
const NEVER_CLOSED: Duration = Duration::from_secs(150);

/// Writes until the way is closed; gives when the last write was answered.
fn write_until_closed(tool: &mut Tool) -> Instant {
    let began = Instant::now();
    let mut last = began;
    for value in (0..900).cycle() {
        assert!(began.elapsed() < NEVER_CLOSED, "the way is not closed");
        match tool.write_holding(100, value) {
            Ok(Answer::Data(_)) => last = Instant::now(),
            Ok(Answer::Exception(code)) => panic!("denied with {code}"),
            Err(_) => break,
        }
    }
    last
}

/// A technician who writes in a loop, and what the device sees of it.
struct Writing<'a> {
    plc: &'a Plc,
    connection: Connection,
    writer: std::thread::JoinHandle<Instant>,
}

impl<'a> Writing<'a> {
    fn begin(plc: &'a Plc, technician: &Technician) -> Self {
        let connection = technician.connect(&[PRESS_LINE]).unwrap();
        let mut tool = Tool::connect(connection.address()).unwrap();
        let writer = std::thread::spawn(move || write_until_closed(&mut tool));
        assert!(plc.wait_until(Duration::from_secs(20), |log| log.requests().len() > 20));
        Self { plc, connection, writer }
    }

    /// Waits for the end; the last byte came within the limit after `asked`.
    fn ends(self, asked: Instant, reason: &str) {
        self.writer.join().unwrap();
        let ended = |log: &tests::plc::Log| log.connections.iter().all(|one| one.ended);
        assert!(self.plc.wait_until(Duration::from_secs(60), ended));
        let last = self.plc.log().connections[0].last_byte.unwrap();
        assert!(last.saturating_duration_since(asked) < HARD, "bytes came {:?} after", last - asked);
        let finished = self.connection.finish().unwrap();
        assert!(finished.all().contains(reason), "{finished}");
        assert_eq!(finished.code, Some(6), "{finished}");
    }
}

/// Has a technician write in a loop, ends the session by `end`, and checks
/// how long the device went on receiving.
fn ends_hard(end: impl FnOnce(&Gateway<'_>, &Workshop), reason: &str) {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let writing = Writing::begin(&plc, &gateway.import(TECHNICIAN).unwrap());
    end(&gateway, &workshop);
    writing.ends(Instant::now(), reason);
    agree(&plc, &workshop, 0);
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
    let kill = |gateway: &Gateway<'_>, _: &Workshop| {
        let listed = gateway.admin(&["sessions", "list", "--json"]).unwrap().expect_code(0).unwrap();
        let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
        let sessions = listed["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 1);
        assert_eq!(sessions[0]["person"], TECHNICIAN);
        assert_eq!(sessions[0]["target"], PRESS_LINE);
        let session = sessions[0]["id"].as_str().unwrap();
        gateway.admin(&["sessions", "kill", session]).unwrap().expect_code(0).unwrap();
    };
    ends_hard(kill, "ended by the plant");
}

#[test]
fn a_disabled_person_sends_no_more_and_does_not_come_back() {
    let disable = |gateway: &Gateway<'_>, _: &Workshop| {
        gateway.admin(&["user", "disable", TECHNICIAN]).unwrap().expect_code(0).unwrap();
    };
    ends_hard(disable, "the person was disabled");
}

#[test]
fn a_revoked_certificate_sends_no_more() {
    let revoke = |gateway: &Gateway<'_>, workshop: &Workshop| {
        certs_dev::revoke(&workshop.path("pki"), TECHNICIAN).unwrap();
        gateway.wait_for_event(&["certificate_revoked", TECHNICIAN]).unwrap();
    };
    ends_hard(revoke, "the certificate was revoked");
}

#[test]
fn a_removed_factor_sends_no_more_and_opens_nothing() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let writing = Writing::begin(&plc, &technician);
    gateway.admin(&["user", "reset-factor", TECHNICIAN, "--remove-only"]).unwrap().expect_code(0).unwrap();
    writing.ends(Instant::now(), "the second factor was removed");
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
    let writing = Writing::begin(&plc, &gateway.import(TECHNICIAN).unwrap());
    let left = until.duration_since(SystemTime::now()).expect("a machine that signs in within 45 s");
    writing.ends(Instant::now() + left, "the certificate has expired");
    agree(&plc, &workshop, 0);
}

#[test]
fn a_policy_that_leaves_nothing_sends_no_more() {
    let withdraw = |gateway: &Gateway<'_>, workshop: &Workshop| {
        let nobody = "g, person:tech-9@vendor-a,";
        workshop.edit("policies/policy.csv", "g, person:tech-1@vendor-a,", nobody).unwrap();
        gateway.apply_policy().unwrap();
    };
    ends_hard(withdraw, "the policy no longer permits it");
}

#[test]
fn a_gateway_that_dies_leaves_a_recording_of_all_that_the_device_got() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    let writer = std::thread::spawn(move || write_until_closed(&mut tool));
    assert!(plc.wait_until(Duration::from_secs(20), |log| log.requests().len() > 50));
    gateway.kill().unwrap();
    assert!(plc.wait_until(Duration::from_secs(20), |log| log.connections.iter().all(|one| one.ended)));
    drop(connection);
    writer.join().unwrap();
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
