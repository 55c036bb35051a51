//! The command line from arguments to exit code, against a running gateway.

use super::*;
use crate::fixture::{Plant, Purpose};
use crate::office::Office;
use crate::run::Running;
use std::os::unix::fs::PermissionsExt;

fn exit(plant: &Plant, line: &[&str]) -> ExitCode {
    let socket = plant.path("state/admin.sock").display().to_string();
    let words = ["gatehouse-gateway", "--socket", &socket].into_iter().chain(line.iter().copied());
    main(words.map(OsString::from), |_, _, stop| async move { stop.cancelled().await })
}

fn code(code: u8) -> ExitCode {
    ExitCode::from(code)
}

#[test]
fn every_answer_has_its_exit_code() {
    let plant = Plant::new();
    plant.write("person.pem", &plant.issue(10, Purpose::Client, 30).certificate);
    let person = plant.path("person.pem").display().to_string();
    let import = ["user", "import", "--cert", &person, "tech-1@vendor-a"];
    assert_eq!(exit(&plant, &["user", "list"]), code(7), "nobody answers yet");
    assert_eq!(exit(&plant, &["policy", "actions", "--json"]), code(0), "nobody has to");
    let config = plant.config().unwrap();
    let running = Running::start(config, plant.clock.clone(), |_, _, stop: CancellationToken| async move {
        stop.cancelled().await;
    })
    .unwrap();
    assert_eq!(exit(&plant, &import), code(0));
    assert_eq!(exit(&plant, &import), code(6), "the key is mapped already");
    assert_eq!(exit(&plant, &["user", "import", "--cert", "missing.pem", "tech-2@vendor-b"]), code(4));
    let key =
        |digits: &str| ["user", "import", "--fingerprint", digits, "tech-2@vendor-b"].map(str::to_owned);
    let by_key = |digits: &str| exit(&plant, &key(digits).each_ref().map(String::as_str));
    assert_eq!(by_key(&"5f".repeat(32)), code(0));
    assert_eq!(by_key(&"5f".repeat(31)), code(4));
    let both = ["user", "import", "--cert", &person, "--fingerprint", &"5e".repeat(32), "tech-2@vendor-b"];
    assert_eq!(exit(&plant, &both), code(4));
    assert_eq!(exit(&plant, &["user", "import", "tech-2@vendor-b"]), code(4));
    assert_eq!(exit(&plant, &["user", "show", "tech-1@vendor-a", "--json"]), code(0));
    assert_eq!(exit(&plant, &["user", "show", "Nobody Here"]), code(4));
    assert_eq!(exit(&plant, &["user", "disable", "tech-1@vendor-a"]), code(0));
    assert_eq!(exit(&plant, &["user", "enable", "nobody"]), code(6));
    assert_eq!(exit(&plant, &["sessions", "list"]), code(0));
    assert_eq!(exit(&plant, &["sessions", "kill", &"0f".repeat(16)]), code(6));
    assert_eq!(exit(&plant, &["policy", "status", "--json"]), code(0));
    assert_eq!(exit(&plant, &["policy", "apply", "--yes"]), code(0));
    std::fs::remove_file(plant.path("policies/policy.csv")).unwrap();
    assert_eq!(exit(&plant, &["policy", "apply", "--yes"]), code(5));
    assert_eq!(exit(&plant, &["clock", "accept"]), code(0));
    assert_eq!(exit(&plant, &["frobnicate"]), code(4));
    assert_eq!(exit(&plant, &["--help"]), code(0));
    running.stop().drain.cancel();
    running.join().unwrap();
}

#[test]
fn a_signing_key_is_new_private_and_fits_its_public_half() {
    let plant = Plant::new();
    let (private, public) = (plant.path("new.key"), plant.path("new.pub"));
    let keygen = ["keygen", "--out", &private.display().to_string()].map(str::to_owned);
    let make = || exit(&plant, &keygen.each_ref().map(String::as_str));
    assert_eq!(make(), code(0));
    let key = recording::SigningKey::read(&private).unwrap();
    assert_eq!(recording::PublicKey::read(&public).unwrap(), *key.public());
    assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(make(), code(4), "nothing is overwritten");
    assert_eq!(recording::SigningKey::read(&private).unwrap().public(), key.public());
    std::fs::remove_file(&private).unwrap();
    assert_eq!(make(), code(4), "the public half of another key is there");
    assert!(!private.exists(), "and no key is left without its public half");
    assert_eq!(exit(&plant, &["keygen", "--out", &public.display().to_string()]), code(4));
    assert_eq!(exit(&plant, &["keygen"]), code(4));
}

#[test]
fn a_seed_file_is_new_private_and_only_there_when_it_holds_a_seed() {
    let plant = Plant::new();
    plant.write("person.pem", &plant.issue(10, Purpose::Client, 30).certificate);
    let (person, seed) =
        (plant.path("person.pem").display().to_string(), plant.path("seed").display().to_string());
    let import = ["user", "import", "--cert", &person, "--totp-file", &seed, "tech-1@vendor-a"];
    assert_eq!(exit(&plant, &import), code(7));
    assert!(!plant.path("seed").exists(), "a refused import leaves no file");
    let config = plant.config().unwrap();
    let running = Running::start(config, plant.clock.clone(), |_, _, stop: CancellationToken| async move {
        stop.cancelled().await;
    })
    .unwrap();
    plant.write("seed", "something else");
    assert_eq!(exit(&plant, &import), code(4), "nothing is overwritten");
    assert!(running.office().state.persons().unwrap().is_empty(), "and nobody imported without a seed shown");
    std::fs::remove_file(plant.path("seed")).unwrap();
    assert_eq!(exit(&plant, &import), code(0));
    let text = std::fs::read_to_string(plant.path("seed")).unwrap();
    assert!(text.starts_with("otpauth://totp/"), "{text}");
    assert_eq!(std::fs::metadata(plant.path("seed")).unwrap().permissions().mode() & 0o777, 0o600);
    running.stop().drain.cancel();
    running.join().unwrap();
}

/// What a start would refuse of a site log, check says; and it changes nothing.
#[test]
fn check_reads_the_site_log_too_and_changes_nothing_of_it() {
    let plant = Plant::at(jiff::Timestamp::now());
    std::fs::create_dir(plant.path("witness")).unwrap();
    plant.configure("[admin]", "[log]\ndir = \"state\"\nwitness = \"witness\"\n[admin]");
    let config = plant.path("gateway.toml").display().to_string();
    let check = || exit(&plant, &["check", "--config", &config]);
    let log = plant.path("state/site.log");
    assert_eq!(check(), code(0));
    assert!(!log.exists(), "it makes none");
    let office = plant.office();
    assert_eq!(check(), code(0), "also while a gateway holds it");
    office.log.close().unwrap();
    let early = std::fs::read(&log).unwrap();
    drop(office);
    let office = plant.office();
    office.log.commit_blocking(recording::log::LogEntry::GatewayStopped).unwrap();
    office.log.close().unwrap();
    drop(office);
    let late = std::fs::read(&log).unwrap();
    let names = || {
        let listed = ["state", "witness"].map(|name| std::fs::read_dir(plant.path(name)).unwrap());
        let mut names: Vec<_> = listed.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let before = names();
    let settings = plant.config().unwrap();
    let inspect = || crate::site_log::inspect(&settings.log, settings.recording.signing_key.public());
    let found = inspect().unwrap().unwrap();
    assert!(found.entries > 5 && found.torn_bytes == 0 && found.warning.is_none(), "{found:?}");

    let refused = || match Office::open_with(plant.config().unwrap(), plant.clock.clone()) {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    };
    let mut changed = late.clone();
    changed[40] ^= 1;
    for (what, content) in [("an entry that was changed", &changed), ("a log that was rolled back", &early)] {
        std::fs::write(&log, content).unwrap();
        assert_eq!(check(), code(5), "{what}");
        let problem = inspect().unwrap_err().to_string();
        assert_eq!(refused(), problem, "a start says the same of {what}");
        assert_eq!(&std::fs::read(&log).unwrap(), content, "{what}");
    }
    std::fs::write(&log, [&late[..], &[1, 2, 3]].concat()).unwrap();
    assert_eq!(check(), code(0), "a torn end is no reason not to start");
    assert_eq!(inspect().unwrap().unwrap().torn_bytes, 3);
    assert_eq!(std::fs::read(&log).unwrap().len(), late.len() + 3);
    assert_eq!(names(), before);
    // Signed by another key.
    std::fs::write(&log, &late).unwrap();
    std::fs::remove_file(plant.path("signing.key")).unwrap();
    recording::SigningKey::generate("gatehouse").unwrap().write(&plant.path("signing.key")).unwrap();
    assert_eq!(check(), code(5));
    refused();
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    assert_eq!(check(), code(5), "not a file");
}

#[test]
fn check_says_valid_or_five_and_changes_nothing() {
    let plant = Plant::at(jiff::Timestamp::now());
    let config = plant.path("gateway.toml").display().to_string();
    assert_eq!(exit(&plant, &["check", "--config", &config]), code(0));
    assert_eq!(exit(&plant, &["check", "--config", &config, "--json"]), code(0));
    std::fs::remove_file(plant.path("policies/policy.csv")).unwrap();
    assert_eq!(exit(&plant, &["check", "--config", &config]), code(5));
    assert_eq!(exit(&plant, &["check", "--config", &config, "--json"]), code(5));
    plant.configure("sessions = 3", "sessions = 0");
    assert_eq!(exit(&plant, &["check", "--config", &config]), code(5));
    assert_eq!(exit(&plant, &["check", "--config", "missing.toml"]), code(5));
    assert_eq!(exit(&plant, &["run", "--config", &config]), code(5));
    for written in ["state/gateway.db", "state/audit.jsonl", "state/admin.sock", "state/site.log"] {
        assert!(!plant.path(written).exists(), "{written}");
    }
}
