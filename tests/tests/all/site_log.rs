//! The site log through the real programs: every session is in it, what a
//! crash left is accounted for, and a history that was cut, rolled back or
//! rewritten is found by whoever holds a receipt.

use crate::disk::SmallDisk;
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};
use tests::{
    modbus::{Answer, Tool},
    plant::{Auditor, Connection, Gateway, Technician, gateway_command},
    plc::{Manners, Plc},
    process::{Finished, run},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// One session with a write in it, from its beginning to its end.
fn session(technician: &Technician) {
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    written(&connection);
    connection.end().unwrap().expect_code(0).unwrap();
}

fn written(connection: &Connection) {
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
}

fn log(workshop: &Workshop) -> PathBuf {
    workshop.path("log/site.log")
}

/// `verify` of all recordings against the log, with receipts.
fn verify(workshop: &Workshop, receipts: &[&Path]) -> Finished {
    let recordings = workshop.recordings().unwrap();
    check(workshop, &recordings, receipts)
}

fn check(workshop: &Workshop, recordings: &[PathBuf], receipts: &[&Path]) -> Finished {
    let folder = workshop.path("log");
    let mut words = vec![OsStr::new("--log"), folder.as_os_str()];
    for receipt in receipts {
        words.extend([OsStr::new("--receipt"), receipt.as_os_str()]);
    }
    Auditor::of(workshop).verify_all(recordings, &words).unwrap()
}

fn receipts(workshop: &Workshop) -> Vec<PathBuf> {
    let listed = fs::read_dir(workshop.path("receipts")).unwrap();
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
    files
}

#[test]
fn sessions_are_in_the_log_and_receipts_and_witness_lead_to_it() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let witness = workshop.path("witness");
    fs::create_dir(&witness).unwrap();
    workshop
        .edit("gateway.toml", "[admin]", "[log]\ndir = \"log\"\nwitness = \"witness\"\n\n[admin]")
        .unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    session(&technician);
    session(&technician);
    let [first, second] = receipts(&workshop).try_into().unwrap();
    let listed = run("gatehouse receipts", &mut technician.client(&["receipts", "--json"])).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed.expect_code(0).unwrap().out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[0]["log"]["entries"].as_u64() < listed[1]["log"]["entries"].as_u64(), "{listed}");
    gateway.terminate().unwrap().expect_code(0).unwrap();

    let finished = verify(&workshop, &[&first, &second, &witness]);
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.out.matches("start and end are in the site log").count(), 2, "{finished}");
    assert!(finished.out.contains("sound") && finished.out.contains("receipts lead to it"), "{finished}");
    // The witness has the last head: the gateway's own stop.
    let last = fs::read_dir(&witness).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let text = fs::read_to_string(last).unwrap();
    let size: u64 = text.lines().nth(1).unwrap().parse().unwrap();
    assert!(finished.out.contains(&format!("sound: {size} entries")), "{text}{finished}");
    // The log alone: without anything held elsewhere its end is not proven.
    assert_eq!(check(&workshop, &[], &[]).code, Some(3));
    let alone = check(&workshop, &[], &[&second]);
    assert_eq!(alone.code, Some(0), "{alone}");
    // No name and no value is in it.
    let bytes = fs::read(log(&workshop)).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for word in ["tech-1", "vendor-a", "press-line", "holding", "731"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn what_a_crash_left_is_recovered_and_accounted_for() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    written(&connection);
    gateway.kill().unwrap();
    drop(connection);
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let left = fs::read(&recording).unwrap();
    let before = verify(&workshop, &[]);
    assert_eq!(before.code, Some(3), "nothing accounts for it yet: {before}");
    assert!(before.out.contains("truncation can't be excluded"), "{before}");

    let gateway = Gateway::start(&workshop).unwrap();
    assert_eq!(fs::read(&recording).unwrap(), left, "a cut recording is never touched");
    let after = verify(&workshop, &[]);
    assert_eq!(after.code, Some(2), "{after}");
    assert!(after.out.contains("a recovery entry accounts for it, it is complete until 20"), "{after}");
    assert!(!after.out.contains("truncation can't be excluded"), "{after}");
    gateway.terminate().unwrap().expect_code(0).unwrap();
    // Once is enough.
    let size = fs::metadata(log(&workshop)).unwrap().len();
    Gateway::start(&workshop).unwrap().terminate().unwrap().expect_code(0).unwrap();
    let grown = fs::metadata(log(&workshop)).unwrap().len() - size;
    assert!(grown < 1000, "a start and a stop: {grown} bytes");

    // A byte less than what was found is an alteration now.
    let written = left.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&recording, &left[..written * 3 / 4]).unwrap();
    let cut = verify(&workshop, &[]);
    assert_eq!(cut.code, Some(1), "{cut}");
}

#[test]
fn a_deleted_recording_is_missed() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    session(&technician);
    session(&technician);
    let recordings = workshop.recordings().unwrap();
    assert_eq!(verify(&workshop, &[]).code, Some(0));
    // One of them alone is no gap while the other lies beside it.
    assert_eq!(check(&workshop, &recordings[..1], &[]).code, Some(0));
    fs::remove_file(&recordings[1]).unwrap();
    assert_eq!(check(&workshop, &[workshop.path("recordings")], &[]).code, Some(1), "as a folder too");
    let finished = verify(&workshop, &[]);
    assert_eq!(finished.code, Some(1), "{finished}");
    assert!(finished.out.contains("MISSING: the recording of the session that began at 20"), "{finished}");
    let excerpt = Auditor::of(&workshop)
        .verify_all(
            &recordings[..1],
            &[OsStr::new("--log"), workshop.path("log").as_os_str(), OsStr::new("--excerpt")],
        )
        .unwrap();
    assert_eq!(excerpt.code, Some(0), "{excerpt}");
}

#[test]
fn a_log_that_was_rolled_back_is_found_by_receipt_and_recording() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    session(&technician);
    let earlier = fs::read(log(&workshop)).unwrap();
    session(&technician);
    let receipt = receipts(&workshop).pop().unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
    fs::write(log(&workshop), earlier).unwrap();
    let newest = workshop
        .recordings()
        .unwrap()
        .into_iter()
        .max_by_key(|file| fs::metadata(file).unwrap().modified().unwrap())
        .unwrap();
    // The recording of the second session is gone with its entries.
    let hidden = workshop.path("hidden");
    fs::rename(&newest, &hidden).unwrap();
    assert_eq!(verify(&workshop, &[]).code, Some(0), "without a later head it can't be known");
    let by_receipt = verify(&workshop, &[&receipt]);
    assert_eq!(by_receipt.code, Some(1), "{by_receipt}");
    assert!(by_receipt.out.contains("ROLLED BACK"), "{by_receipt}");
    fs::rename(&hidden, &newest).unwrap();
    let by_recording = verify(&workshop, &[]);
    assert!(matches!(by_recording.code, Some(1 | 3)), "{by_recording}");
}

#[test]
fn a_history_rewritten_with_the_gateways_own_key_is_found_by_the_receipt() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let before = fs::read(log(&workshop)).unwrap();
    session(&technician);
    let receipt = receipts(&workshop).pop().unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
    // Whoever has the key and the disk lets the session never have been, and
    // goes on as if nothing had happened.
    fs::write(log(&workshop), before).unwrap();
    for recording in workshop.recordings().unwrap() {
        fs::remove_file(recording).unwrap();
    }
    let gateway = Gateway::start(&workshop).unwrap();
    let technician = gateway.import("tech-2@vendor-b").unwrap();
    drop(technician);
    let again = Technician {
        profile: workshop.profile(TECHNICIAN, gateway.address()).unwrap(),
        seed: workshop.path("tech-1@vendor-a.seed"),
    };
    session(&again);
    session(&again);
    gateway.terminate().unwrap().expect_code(0).unwrap();
    let unnoticed = verify(&workshop, &[]);
    assert_eq!(unnoticed.code, Some(0), "by itself it looks genuine: {unnoticed}");
    let finished = verify(&workshop, &[&receipt]);
    assert_eq!(finished.code, Some(1), "{finished}");
    assert!(finished.out.contains("FORKED"), "{finished}");
}

#[test]
fn a_gateway_does_not_go_on_behind_an_altered_log_or_a_witness_that_knows_more() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    fs::create_dir(workshop.path("witness")).unwrap();
    workshop
        .edit("gateway.toml", "[admin]", "[log]\ndir = \"log\"\nwitness = \"witness\"\n\n[admin]")
        .unwrap();
    Gateway::ready(&workshop).unwrap().terminate().unwrap().expect_code(0).unwrap();
    let earlier = fs::read(log(&workshop)).unwrap();
    Gateway::start(&workshop).unwrap().terminate().unwrap().expect_code(0).unwrap();
    let whole = fs::read(log(&workshop)).unwrap();

    let refused = |what: &str| {
        let finished = run("gatehouse-gateway", &mut gateway_command(&workshop)).unwrap();
        assert_eq!(finished.code, Some(5), "{finished}");
        assert!(finished.err.contains(what), "{finished}");
    };
    let mut altered = whole.clone();
    // A byte of an entry: an earlier head's signature is the auditor's to check.
    altered[30] ^= 1;
    fs::write(log(&workshop), &altered).unwrap();
    refused("the site log is not what was signed");
    assert_eq!(fs::read(log(&workshop)).unwrap(), altered, "it is left for the auditor");
    assert_eq!(check(&workshop, &[], &[]).code, Some(1));

    fs::write(log(&workshop), &earlier).unwrap();
    refused("the witness knows a later history");

    fs::write(log(&workshop), &whole).unwrap();
    Gateway::start(&workshop).unwrap().terminate().unwrap().expect_code(0).unwrap();
}

#[test]
fn a_witness_that_fails_raises_an_alarm_and_stops_nothing() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop
        .edit("gateway.toml", "[admin]", "[log]\ndir = \"log\"\nwitness = \"not-mounted\"\n\n[admin]")
        .unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    gateway.wait_for_event(&["witness_failed", "not-mounted"]).unwrap();
    session(&technician);
    gateway.terminate().unwrap().expect_code(0).unwrap();
    assert_eq!(verify(&workshop, &[]).code, Some(0));
}

#[test]
fn a_log_that_can_not_be_written_ends_sessions_and_lets_none_begin() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let folder = workshop.path("site");
    fs::create_dir(&folder).unwrap();
    let Some(_disk) = SmallDisk::mount(&folder, "64k") else { return };
    workshop.edit("gateway.toml", "[admin]", "[log]\ndir = \"site\"\n\n[admin]").unwrap();
    let mut gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    written(&connection);
    // The rest of the disk is taken by somebody else.
    let filler = workshop.path("site/filler");
    let mut size = 64 * 1024;
    while size > 0 {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&filler).unwrap();
        if std::io::Write::write_all(&mut file, &vec![1; size]).is_err() {
            size /= 2;
        }
    }
    // An administrator's changes are entered one by one until the last page is
    // full; then there are none.
    let mut tries = 0;
    while gateway.admin(&["user", "unlock", TECHNICIAN]).unwrap().code == Some(0) {
        tries += 1;
        assert!(tries < 200, "the log never filled");
    }
    let finished = connection.finish().unwrap();
    assert_eq!(finished.code, Some(6), "{finished}");
    assert!(finished.all().contains("its site log can't be written"), "{finished}");
    assert_ne!(technician.run(&["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]).unwrap().code, Some(0));
    assert!(gateway.process().alive());
    // The recording is whole, and the log's start of it stands.
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
}
