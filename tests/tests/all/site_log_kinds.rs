//! What happens at a gateway stands in its site log: one entry of each kind that
//! a day brings, in a log that verifies.

use recording::PublicKey;
use recording::log::{Happening, KeyRole, LogEntry, LogVerdict, read_log};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::{fs, fs::File};
use tests::{
    modbus::{Answer, Tool},
    plant::{Gateway, Technician},
    plc::{Manners, Plc},
    process::Process,
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};

/// The log's entries.
fn entries(workshop: &Workshop) -> Vec<LogEntry> {
    let key = PublicKey::read(&workshop.path("pki/signing.pub")).unwrap();
    let mut entries = Vec::new();
    let file = File::open(workshop.path("log/site.log")).unwrap();
    let (report, _) =
        read_log(file, &key, |_, entry| entries.push(LogEntry::decode(entry).unwrap().1)).unwrap();
    assert_eq!(report.verdict, LogVerdict::Sound);
    entries
}

fn happenings(entries: &[LogEntry]) -> BTreeMap<Happening, u64> {
    let mut counted = BTreeMap::new();
    for entry in entries {
        if let LogEntry::Event { what, count, .. } = entry {
            *counted.entry(*what).or_default() += count;
        }
    }
    counted
}

fn kill_the_session(gateway: &Gateway<'_>) {
    let listed = gateway.admin(&["sessions", "list", "--json"]).unwrap().expect_code(0).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    let session = listed["sessions"][0]["id"].as_str().unwrap();
    gateway.admin(&["sessions", "kill", session]).unwrap().expect_code(0).unwrap();
}

/// People, sessions, refusals, an administrator at work, files that change.
fn a_day(workshop: &Workshop) {
    let gateway = Gateway::ready(workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let other = gateway.import(OTHER_TECHNICIAN).unwrap();
    let refused = other.run(&["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]).unwrap();
    assert_eq!(refused.code, Some(6), "{refused}");
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    kill_the_session(&gateway);
    let finished = connection.finish().unwrap();
    assert!(finished.all().contains("ended by the plant"), "{finished}");
    gateway.wait_for_event(&["signed_out", TECHNICIAN]).unwrap();
    for (word, code) in [("disable", 0), ("enable", 0)] {
        gateway.admin(&["user", word, OTHER_TECHNICIAN]).unwrap().expect_code(code).unwrap();
    }
    assert_ne!(gateway.admin(&["user", "enable", "nobody"]).unwrap().code, Some(0));
    let policy = fs::read_to_string(workshop.path("policies/policy.csv")).unwrap();
    workshop.write("policies/policy.csv", "p, too, short\n").unwrap();
    gateway.admin(&["policy", "apply", "--yes"]).unwrap().expect_code(5).unwrap();
    workshop.write("policies/policy.csv", &policy).unwrap();
    let list = fs::read(workshop.path("pki/crl.pem")).unwrap();
    workshop.write("pki/crl.pem", "no list").unwrap();
    gateway.wait_for_event(&["tls_refused"]).unwrap();
    fs::write(workshop.path("pki/crl.pem"), list).unwrap();
    certs_dev::revoke(&workshop.path("pki"), OTHER_TECHNICIAN).unwrap();
    gateway.wait_for_event(&["tls_reloaded"]).unwrap();
    gateway.admin(&["clock", "accept"]).unwrap().expect_code(0).unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
}

/// A person who has failed four times fails once more.
fn a_lock(workshop: &Workshop) {
    let state = rusqlite::Connection::open(workshop.path("state.db")).unwrap();
    state.execute("UPDATE attempts SET failures = 4", []).unwrap();
    drop(state);
    let gateway = Gateway::start(workshop).unwrap();
    let seed = workshop.path("other.seed");
    fs::write(&seed, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").unwrap();
    fs::set_permissions(&seed, fs::Permissions::from_mode(0o600)).unwrap();
    let profile = workshop.profile(TECHNICIAN, gateway.address()).unwrap();
    let wrong = Technician { seed: seed.clone(), profile };
    let mut command = wrong.client(&["targets"]);
    let trying = Process::start("targets", command.arg("--totp-file").arg(seed)).unwrap();
    let locked = gateway.wait_for_event(&["person_locked", TECHNICIAN, "locked until"]).unwrap();
    assert!(locked.contains("the code is wrong"), "{locked}");
    gateway.wait_for_event(&["sign_in_refused", TECHNICIAN]).unwrap();
    drop(trying);
    gateway.admin(&["user", "unlock", TECHNICIAN]).unwrap().expect_code(0).unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
}

#[test]
fn one_of_each_kind_that_a_day_brings_is_in_the_log() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    a_day(&workshop);
    a_lock(&workshop);
    let entries = entries(&workshop);
    let count = |wanted: fn(&LogEntry) -> bool| entries.iter().filter(|entry| wanted(entry)).count();
    assert!(matches!(entries[0], LogEntry::Created { .. }));
    assert_eq!(count(|entry| matches!(entry, LogEntry::GatewayStarted { .. })), 2);
    assert_eq!(count(|entry| matches!(entry, LogEntry::GatewayStopped)), 2);
    assert_eq!(entries.last(), Some(&LogEntry::GatewayStopped));
    assert_eq!(count(|entry| matches!(entry, LogEntry::SessionStarted { .. })), 1);
    assert_eq!(count(|entry| matches!(entry, LogEntry::SessionEnded { .. })), 1);
    assert!(count(|entry| matches!(entry, LogEntry::PolicyApplied { .. })) >= 1);
    // A gateway without an authority of its own has no keys of one.
    let own = [KeyRole::IssuingAuthorities, KeyRole::IssuedLists];
    for role in KeyRole::ALL.into_iter().filter(|role| !own.contains(role)) {
        let changes = entries
            .iter()
            .filter(|entry| matches!(entry, LogEntry::KeyChanged { role: one, .. } if *one == role));
        let least = if role == KeyRole::RevocationList { 2 } else { 1 };
        assert!(changes.count() >= least, "{role:?}");
    }
    let happened = happenings(&entries);
    for (what, times) in [
        (Happening::PersonImported, 2),
        (Happening::SignedIn, 2),
        (Happening::SignedOut, 2),
        (Happening::SessionRefused, 1),
        (Happening::SessionKilled, 1),
        (Happening::PersonDisabled, 1),
        (Happening::PersonEnabled, 1),
        (Happening::AdminFailed, 1),
        (Happening::PolicyRefused, 1),
        (Happening::ClockAccepted, 1),
        (Happening::Locked, 1),
        (Happening::PersonUnlocked, 1),
    ] {
        assert_eq!(happened.get(&what), Some(&times), "{what:?} of {happened:?}");
    }
    for what in [Happening::SignInRefused, Happening::TlsRefused] {
        assert!(happened.contains_key(&what), "{what:?} of {happened:?}");
    }
}
