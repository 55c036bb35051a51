//! What is made, with which modes, and that nothing is overwritten or left half-done.

use std::fs;
use std::path::Path;
use std::process::Command;

use certs_dev::{Problem, Revoked, init, renew, revoke};

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn init_makes_the_whole_layout_and_says_what_it_is_for() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("deep/pki");
    let told = init(&folder).unwrap().to_string();
    assert_eq!(
        names_in(&folder).join(" "),
        "README.txt auditor.age auditor.pub ca.key ca.pem crl.pem gateway.key gateway.pem issued.txt people \
         recovery.age recovery.pub signing.key signing.pub"
    );
    assert_eq!(
        names_in(&folder.join("people")).join(" "),
        "operator-1.key operator-1.pem tech-1@vendor-a.key tech-1@vendor-a.pem tech-2@vendor-b.key tech-2@vendor-b.pem"
    );
    assert!(told.contains("FOR DEVELOPMENT ONLY"), "{told}");
    assert!(fs::read_to_string(folder.join("README.txt")).unwrap().starts_with("FOR DEVELOPMENT ONLY"));
    assert_eq!(names_in(folder.parent().unwrap()), ["pki"], "no staging folder is left");
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    init(&folder).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("people")), 0o700);
    let mut secrets = 0;
    for folder in [folder.clone(), folder.join("people")] {
        for name in names_in(&folder).iter().filter(|name| name.ends_with(".key") || name.ends_with(".age")) {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
            secrets += 1;
        }
    }
    assert_eq!(secrets, 8);
}

#[test]
fn init_overwrites_nothing_and_names_what_is_in_the_way() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("ca.key"), "precious").unwrap();
    let problem = init(&folder).unwrap_err();
    assert_eq!(
        problem.to_string(),
        format!(
            "{} exists already and is not overwritten: choose another --dir, or remove that folder yourself if no \
             gateway uses it",
            folder.join("ca.key").display()
        )
    );
    assert_eq!(problem.exit_code(), 4);
    assert_eq!(fs::read_to_string(folder.join("ca.key")).unwrap(), "precious");
    assert_eq!(names_in(place.path()), ["pki"]);
}

#[test]
fn an_empty_folder_may_be_filled_and_a_file_is_no_folder() {
    let place = tempfile::tempdir().unwrap();
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    init(&empty).unwrap();
    assert!(empty.join("ca.pem").exists());
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(init(&file), Err(Problem::Exists(path)) if path == file));
    assert!(matches!(init(&file.join("below")), Err(Problem::Io { .. } | Problem::Exists(_))));
    assert_eq!(names_in(place.path()), ["empty", "file"]);
}

#[test]
fn names_that_are_none_reach_no_file() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    init(&folder).unwrap();
    for name in ["../gateway", "", "ca", "a/b", "tech-1@vendor-a\n", "Tech-1@vendor-a", "a@b@c", ".x", "-x"] {
        assert!(matches!(revoke(&folder, name), Err(Problem::BadName(_))), "{name}");
        assert!(matches!(renew(&folder, name), Err(Problem::BadName(_))), "{name}");
    }
    let unknown = revoke(&folder, "tech-9@vendor-a").unwrap_err();
    assert!(unknown.to_string().starts_with("nothing was issued to `tech-9@vendor-a`"), "{unknown}");
    assert!(matches!(renew(&folder, "tech-9@vendor-a"), Err(Problem::NoSuchName { .. })));
}

#[test]
fn revoking_twice_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    init(&folder).unwrap();
    assert_eq!(revoke(&folder, "operator-1").unwrap(), Revoked::Added(1));
    let list = fs::read(folder.join("crl.pem")).unwrap();
    assert_eq!(revoke(&folder, "operator-1").unwrap(), Revoked::Already);
    assert_eq!(fs::read(folder.join("crl.pem")).unwrap(), list);
}

#[test]
fn a_damaged_folder_is_a_configuration_problem() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    init(&folder).unwrap();
    fs::write(folder.join("crl.pem"), "nonsense").unwrap();
    let problem = revoke(&folder, "operator-1").unwrap_err();
    assert_eq!(problem.exit_code(), 5);
    assert!(problem.to_string().contains("crl.pem is no PEM file"), "{problem}");
    let nowhere = revoke(&place.path().join("nowhere"), "operator-1").unwrap_err();
    assert!(nowhere.to_string().contains("ca.pem is missing"), "{nowhere}");
}

#[test]
fn the_program_exits_as_documented() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_certs-dev")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let dir = folder.to_str().unwrap();
    let (code, told) = run(&["init", "--dir", dir]);
    assert_eq!(code, Some(0));
    assert!(told.contains("FOR DEVELOPMENT ONLY"), "{told}");
    assert_eq!(run(&["init", "--dir", dir]).0, Some(4));
    assert_eq!(run(&["revoke", "operator-1", "--dir", dir]).0, Some(0));
    assert_eq!(run(&["renew", "operator-1", "--dir", dir]).0, Some(0));
    assert_eq!(run(&["renew", "crl", "--dir", dir]).0, Some(0));
    assert_eq!(run(&["frobnicate"]).0, Some(4));
    assert_eq!(run(&["--help"]).0, Some(0));
    fs::remove_file(folder.join("ca.key")).unwrap();
    assert_eq!(run(&["renew", "crl", "--dir", dir]).0, Some(5));
}

#[test]
fn the_recorder_takes_the_signing_key_and_the_public_line_is_its_own() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    init(&folder).unwrap();
    let key = recording::SigningKey::read(&folder.join("signing.key")).unwrap();
    let public = recording::PublicKey::read(&folder.join("signing.pub")).unwrap();
    assert_eq!(key.public().to_string(), public.to_string());
}
