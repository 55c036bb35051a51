//! Configuration that can't be meant: one clear line, exit code 5, and
//! nothing half-done, from `check` and from `run` alike.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};
use tests::{
    binaries::binaries,
    plant::{Gateway, gateway_command},
    plc::{Manners, Plc},
    process::run,
    workshop::{RULES, Workshop},
};

/// What a bad input must lead to, in both commands.
fn refused(workshop: &Workshop, code: i32, words: &[&str]) {
    for command in ["check", "run"] {
        let mut gateway = Command::new(&binaries().gateway);
        gateway.arg(command).arg("--config").arg(workshop.path("gateway.toml"));
        let finished = run(command, &mut gateway).unwrap();
        assert_eq!(finished.code, Some(code), "{command}: {finished}");
        let lines: Vec<&str> = finished.err.lines().filter(|line| !line.trim().is_empty()).collect();
        let named = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(named, "{command}: no line with {words:?}\n{finished}");
        assert!(!finished.all().contains("panicked"), "{command}: {finished}");
        for made in ["state.db", "admin.sock", "log/audit.jsonl"] {
            assert!(!workshop.path(made).exists(), "{command} made {made} before it refused");
        }
    }
    assert!(workshop.recordings().unwrap().is_empty());
}

fn workshop() -> (Plc, Workshop) {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    (plc, workshop)
}

#[test]
fn a_good_configuration_is_called_good_and_binds_nothing() {
    let (_plc, workshop) = workshop();
    let mut command = Command::new(&binaries().gateway);
    command.arg("check").arg("--config").arg(workshop.path("gateway.toml"));
    run("check", &mut command).unwrap().expect_code(0).unwrap();
    for made in ["state.db", "admin.sock", "log/audit.jsonl"] {
        assert!(!workshop.path(made).exists(), "check made {made}");
    }
}

#[test]
fn a_key_of_the_configuration_that_nobody_knows_is_named_with_its_line() {
    let (_plc, workshop) = workshop();
    workshop.edit("gateway.toml", "[tls]\n", "[tls]\ncertificat = \"x\"\n").unwrap();
    refused(&workshop, 5, &["gateway.toml", "4", "certificat"]);
}

#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let (_plc, workshop) = workshop();
    workshop.edit("gateway.toml", "listen = \"127.0.0.1:0\"", "listen = \"everywhere\"").unwrap();
    refused(&workshop, 5, &["gateway.toml", "listen", "everywhere"]);
}

#[test]
fn a_missing_file_is_named() {
    for file in ["pki/ca.pem", "pki/crl.pem", "pki/gateway.key", "pki/signing.key", "pki/auditor.pub"] {
        let (_plc, workshop) = workshop();
        fs::remove_file(workshop.path(file)).unwrap();
        refused(&workshop, 5, &[file]);
    }
}

#[test]
fn a_crl_that_has_lapsed_is_named_with_the_way_out() {
    let (_plc, workshop) = workshop();
    tests::pki::lapse_crl(&workshop).unwrap();
    refused(&workshop, 5, &["crl.pem", "lapsed", "issue a new one"]);
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_way_out() {
    for file in ["pki/gateway.key", "pki/signing.key"] {
        let (_plc, workshop) = workshop();
        fs::set_permissions(workshop.path(file), fs::Permissions::from_mode(0o644)).unwrap();
        refused(&workshop, 5, &[file, "chmod"]);
    }
}

#[test]
fn a_policy_that_can_not_be_meant_is_refused_with_file_line_and_reason() {
    for (rule, words) in [
        ("p, role:press-service, zone:press, modbus:raed, , allow\n", ["policy.csv:1", "raed"]),
        ("p, role:press-service, zone:press, modbus:read, allow\n", ["policy.csv:1", "6"]),
        ("\np, role:press-service, zone:press, modbus:read, value:0..9, allow\n", ["policy.csv:2", "value"]),
        ("p, role:press-service, zone:prss, modbus:read, , allow\n", ["policy.csv:1", "prss"]),
    ] {
        let (_plc, workshop) = workshop();
        workshop.write("policies/policy.csv", &format!("{rule}{RULES}")).unwrap();
        let mut command = Command::new(&binaries().gateway);
        command.arg("check").arg("--config").arg(workshop.path("gateway.toml"));
        let finished = run("check", &mut command).unwrap();
        assert_eq!(finished.code, Some(5), "{finished}");
        let named = finished.err.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(named, "{words:?}: {finished}");
    }
}

#[test]
fn a_broken_folder_is_not_applied_and_the_old_policy_stays() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let before = gateway.admin(&["policy", "status", "--json"]).unwrap().expect_code(0).unwrap();
    let before: serde_json::Value = serde_json::from_str(&before.out).unwrap();
    workshop.write("policies/policy.csv", "p, nonsense\n").unwrap();
    let finished = gateway.admin(&["policy", "apply", "--yes"]).unwrap();
    assert_eq!(finished.code, Some(5), "{finished}");
    assert!(finished.err.contains("policy.csv:1"), "{finished}");
    let after = gateway.admin(&["policy", "status", "--json"]).unwrap().expect_code(0).unwrap();
    let after: serde_json::Value = serde_json::from_str(&after.out).unwrap();
    assert_eq!(before["applied"], after["applied"]);
    gateway.wait_for_event(&["policy", "refused"]).unwrap();
}

#[test]
fn an_occupied_port_is_named() {
    let (_plc, workshop) = workshop();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    workshop.edit("gateway.toml", "127.0.0.1:0", &address).unwrap();
    let finished = run("run", &mut gateway_command(&workshop)).unwrap();
    assert_eq!(finished.code, Some(4), "{finished}");
    assert!(
        finished.err.lines().any(|line| line.contains(&address) && line.contains("in use")),
        "{finished}"
    );
    assert!(!workshop.path("admin.sock").exists());
}

#[test]
fn a_second_gateway_on_the_same_folder_is_refused_and_the_first_lives_on() {
    let (_plc, workshop) = workshop();
    let gateway = Gateway::ready(&workshop).unwrap();
    let finished = run("second gateway", &mut gateway_command(&workshop)).unwrap();
    assert_eq!(finished.code, Some(4), "{finished}");
    gateway.admin(&["sessions", "list"]).unwrap().expect_code(0).unwrap();
}

#[test]
fn unknown_options_are_usage_errors_of_every_program() {
    let programs = binaries();
    for program in [&programs.gateway, &programs.client, &programs.auditor, &programs.certs_dev] {
        let finished = run("usage", Command::new(program).arg("--no-such-option")).unwrap();
        assert_eq!(finished.code, Some(4), "{}: {finished}", program.display());
        let finished = run("version", Command::new(program).arg("--version")).unwrap();
        assert_eq!(finished.code, Some(0), "{}: {finished}", program.display());
    }
}
