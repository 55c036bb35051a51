//! Services that are carried as bytes, used by real programs: what they show
//! in the clear is in the recording, their secrets are in no fact.

use std::{net::SocketAddr, path::Path, process::Command};
use tests::{
    binaries::{binaries, target},
    interop, openssh,
    plant::{Auditor, Gateway},
    process::run,
    vnc,
    workshop::{PRESS_LINE, RULES, TECHNICIAN, Target, Workshop},
};

/// Uses a service of `kind` through the product, the target's service being
/// of `protocol`. Gives what the service printed, what `show` says and what a
/// replay tells.
fn through(kind: &str, protocol: &str) -> Option<(String, String, String)> {
    let tools = interop::tools()?;
    // The service needs a certificate before there is a workshop for it.
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let workshop = Workshop::new(nowhere);
    let (certificate, key) = (workshop.path("pki/gateway.pem"), workshop.path("pki/gateway.key"));
    let files: &[&Path] = if kind == "https" { &[&certificate, &key] } else { &[] };
    let service = tools.serve(kind, files).unwrap();
    let target = Target {
        service: ("panel".to_owned(), protocol.to_owned()),
        ..Target::press_line(service.address())
    };
    workshop.targets(&[target]).unwrap();
    let rule = format!("p, role:press-service, zone:press, {protocol}:use, opaque-accepted, allow\n");
    workshop.write("policies/policy.csv", &format!("{RULES}{rule}")).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    assert_eq!(tools.use_service(kind, connection.address()).unwrap(), "pressure 731");
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    let show = auditor.show(&recording).unwrap().expect_code(0).unwrap().out;
    let replay = auditor.replay(&recording).unwrap().expect_code(0).unwrap().out;
    let learnt = super::policy_changes::reproduced_and_learnt_from(&workshop);
    assert!(learnt.contains(&format!("{protocol}:use, opaque-accepted, allow")), "{learnt}");
    Some((service.said(), show, replay))
}

fn assert_told(text: &str, all: &[&str]) {
    for words in all {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
}

#[test]
fn ssh_shows_its_versions_and_the_host_key() {
    let Some((said, show, replay)) = through("ssh", "ssh") else { return };
    let key = said.lines().find_map(|line| line.strip_prefix("host key ")).unwrap();
    let key = format!("ssh.host-key: ssh-ed25519 {key}");
    let version = "ssh.version: SSH-2.0-AsyncSSH_";
    assert_told(&show, &[&key, version, "(from_device)", "(from_client)", "panel ssh.key-exchange: "]);
    assert_told(
        &replay,
        &["from_client shows ssh.version: SSH-2.0-AsyncSSH_", &format!("from_device shows {key}")],
    );
    assert_told(&replay, &["opened: panel (ssh, port"]);
}

/// A workshop whose target has one service at `address`, of that name and
/// kind, and a session in which `work` is done through it. Gives what `show`
/// says of the recording.
fn session(address: SocketAddr, (name, kind): (&str, &str), work: impl FnOnce(SocketAddr)) -> String {
    let workshop = Workshop::new(address);
    let target = Target { service: (name.to_owned(), kind.to_owned()), ..Target::press_line(address) };
    workshop.targets(&[target]).unwrap();
    let rule = format!("p, role:press-service, zone:press, {kind}:use, opaque-accepted, allow\n");
    workshop.write("policies/policy.csv", &format!("{RULES}{rule}")).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    work(connection.address());
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    auditor.show(&recording).unwrap().expect_code(0).unwrap().out
}

/// Server and client that nearly everybody uses.
#[test]
fn openssh_shows_its_versions_and_the_host_key() {
    if !openssh::is_there() {
        return;
    }
    let folder = tempfile::tempdir_in(target()).unwrap();
    let server = openssh::Server::start(folder.path(), "pressure 731").unwrap();
    let show = session(server.address(), ("shell", "ssh"), |address| {
        let finished = server.client(address).unwrap();
        assert_eq!(finished.out, "pressure 731\n", "{finished}\n{}", server.log());
    });
    let key = format!("shell ssh.host-key: ssh-ed25519 {}", server.fingerprint());
    assert_told(&show, &[&key, "ssh.version: SSH-2.0-OpenSSH_", "shell ssh.cipher: "]);
    let versions = show.lines().filter(|line| line.contains("ssh.version: SSH-2.0-OpenSSH_")).count();
    assert_eq!(versions, 2, "the server's and the client's: {show}");
}

#[test]
fn vnc_shows_its_versions_and_how_it_is_guarded() {
    if !vnc::is_there() {
        return;
    }
    let folder = tempfile::tempdir_in(target()).unwrap();
    let server = vnc::Server::start(folder.path()).unwrap();
    let picture = folder.path().join("screen.jpg");
    let show = session(server.address(), ("screen", "rfb"), |address| {
        vnc::picture(address, &picture).unwrap().expect_code(0).unwrap();
    });
    assert!(std::fs::read(&picture).unwrap().starts_with(&[0xFF, 0xD8]), "no picture");
    assert_told(&show, &["screen rfb.version: 3.8 (from_device)", "screen rfb.version: 3.3 (from_client)"]);
    assert_told(&show, &["screen rfb.security-type: none (from_device)"]);
}

#[test]
fn http_shows_the_request_without_its_secrets() {
    let Some((_, show, replay)) = through("http", "http") else { return };
    for text in [&show, &replay] {
        assert_told(
            text,
            &[
                "http.request: GET /values HTTP/1.1",
                "http.host: panel.plant.example",
                "http.status: HTTP/1.0 200 OK",
                "http.server: BaseHTTP/",
            ],
        );
        assert!(!text.contains("secret") && !text.contains("c2VjcmV0"), "{text}");
    }
}

#[test]
fn https_shows_the_name_that_was_asked_for_and_what_was_agreed() {
    let Some((_, show, _)) = through("https", "http") else { return };
    assert_told(
        &show,
        &["tls.server-name: panel.plant.example", "tls.version: 1.3", "tls.cipher-suite: 0x13"],
    );
}

/// A service is what it shows, whatever the inventory calls it.
#[test]
fn a_service_of_no_named_kind_is_told_by_its_bytes() {
    let Some((_, show, _)) = through("http", "tcp") else { return };
    assert_told(&show, &["panel http.request: GET /values HTTP/1.1"]);
}

/// Bytes that nobody understands need a rule that says so, by every name.
#[test]
fn no_named_kind_is_used_without_its_rule() {
    let workshop = Workshop::new("127.0.0.1:9".parse().unwrap());
    for protocol in ["ssh", "rfb", "rdp", "http"] {
        let rule = format!("p, role:press-service, zone:press, {protocol}:use, , allow\n");
        workshop.write("policies/policy.csv", &format!("{RULES}{rule}")).unwrap();
        let mut check = Command::new(&binaries().gateway);
        check.arg("check").arg("--config").arg(workshop.path("gateway.toml"));
        let refused = run("gatehouse-gateway check", &mut check).unwrap().expect_code(5).unwrap();
        assert_told(&refused.all(), &["opaque-accepted"]);
    }
}
