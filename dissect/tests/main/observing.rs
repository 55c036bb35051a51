//! What opaque connections show, on handshakes of real programs (OpenSSH's
//! client with AsyncSSH's server, OpenSSL's client and server) and on bytes
//! written after the specifications. They are the fuzz corpus of `opaque`.

use crate::{fuzz, inputs};
use dissect::{Direction, EXAMINED, Fact, Observer, Protocol};
use std::fs;
use std::path::Path;

/// The facts of one input of the corpus: `> name value` is the client's.
fn told(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/opaque").join(name);
    fuzz::observed(Protocol::Tcp, &fs::read(path).expect("the corpus has it")).iter().map(tell).collect()
}

fn tell(fact: &Fact) -> String {
    let way = match fact.direction {
        Direction::FromClient => ">",
        Direction::FromDevice => "<",
    };
    format!("{way} {} {}", fact.name, fact.value)
}

/// What one side shows alone.
fn alone(direction: Direction, bytes: &[u8]) -> Vec<String> {
    let mut observer = Observer::new(Protocol::Tcp).expect("it is opaque");
    let mut facts = Vec::new();
    observer.observe(direction, bytes, &mut facts);
    facts.iter().map(tell).collect()
}

#[test]
fn every_input_shows_the_same_in_any_pieces() {
    inputs("opaque").iter().for_each(|input| {
        fuzz::observed(Protocol::Tcp, input);
    });
}

#[test]
fn ssh_shows_versions_the_agreed_methods_and_the_host_key() {
    assert_eq!(
        told("ssh-openssh"),
        [
            "< ssh.version SSH-2.0-AsyncSSH_2.24.1",
            "> ssh.version SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6",
            "< ssh.key-exchange curve25519-sha256",
            "< ssh.cipher chacha20-poly1305@openssh.com",
            // As `ssh-keygen -l` said of the key.
            "< ssh.host-key ssh-ed25519 SHA256:iklkTmBVNMvBixqo8/zuSetKbJVO/f+vSvFUwQrsj2U",
        ]
    );
}

#[test]
fn ssh_group_exchange_has_its_key_in_another_message() {
    let told = told("ssh-group-exchange");
    assert!(told.contains(&"> ssh.key-exchange diffie-hellman-group-exchange-sha256".to_owned()), "{told:?}");
    let keys: Vec<_> = told.iter().filter(|line| line.starts_with("< ssh.host-key")).collect();
    assert_eq!(keys, ["< ssh.host-key ssh-ed25519 SHA256:iklkTmBVNMvBixqo8/zuSetKbJVO/f+vSvFUwQrsj2U"]);
}

#[test]
fn an_ssh_server_may_greet_before_its_version() {
    let greeting = b"Authorized use only\r\nSSH-1.99-panel\r\n";
    assert_eq!(alone(Direction::FromDevice, greeting), ["< ssh.version SSH-1.99-panel"]);
    assert_eq!(alone(Direction::FromClient, greeting), [""; 0]);
}

#[test]
fn tls_shows_the_hellos_and_up_to_1_2_the_certificate() {
    assert_eq!(
        told("tls-1.3"),
        [
            "> tls.server-name hmi2.example",
            "> tls.application-protocols h2, http/1.1",
            "> tls.versions 1.3, 1.2",
            "< tls.version 1.3",
            "< tls.cipher-suite 0x1302",
        ]
    );
    assert_eq!(
        told("tls-1.2"),
        [
            "> tls.server-name hmi2.example",
            "> tls.application-protocols h2, http/1.1",
            "> tls.versions 1.2",
            "< tls.version 1.2",
            "< tls.cipher-suite 0xc02c",
            "< tls.application-protocols http/1.1",
            // As `openssl x509 -fingerprint -sha256` said of it.
            "< tls.certificate SHA256:a4474bb23bc57d494dd1d3b531e2c6e9d48896849eff5f1044696677c73668ae",
        ]
    );
    assert_eq!(alone(Direction::FromDevice, &[21, 3, 3, 0, 2, 2, 40]), ["< tls.alert fatal 40"]);
}

#[test]
fn rfb_shows_versions_security_types_and_the_result() {
    assert_eq!(
        told("rfb-3.8"),
        [
            "< rfb.version 3.8",
            "> rfb.version 3.8",
            "< rfb.security-types none, VNC authentication",
            "> rfb.security-type VNC authentication",
            "< rfb.security-result failed",
            "< rfb.refusal password check failed",
        ]
    );
    assert_eq!(
        told("rfb-3.3"),
        [
            "< rfb.version 3.3",
            "> rfb.version 3.3",
            "< rfb.security-type VNC authentication",
            "< rfb.security-result ok",
        ]
    );
}

#[test]
fn rdp_shows_the_negotiation_and_that_there_was_a_cookie() {
    assert_eq!(
        told("rdp"),
        [
            "> rdp.cookie user name",
            "> rdp.requested TLS, CredSSP, CredSSP with early user authorization",
            "< rdp.selected CredSSP",
        ]
    );
    assert_eq!(
        told("rdp-refused"),
        ["> rdp.requested standard RDP security", "< rdp.failure CredSSP required"]
    );
}

#[test]
fn tls_behind_an_rdp_negotiation_is_seen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/opaque");
    let read = |name| fs::read(path.join(name)).expect("the corpus has it");
    let facts = fuzz::observed(Protocol::Tcp, &[read("rdp"), read("tls-1.3")].concat());
    let told: Vec<String> = facts.iter().map(tell).collect();
    assert!(told.contains(&"> tls.server-name hmi2.example".to_owned()), "{told:?}");
    assert!(told.contains(&"< tls.version 1.3".to_owned()), "{told:?}");
}

#[test]
fn http_shows_the_first_request_and_answer_without_secrets() {
    let told = told("http");
    assert_eq!(
        told,
        [
            "> http.request GET /recipes/7 HTTP/1.1",
            "> http.host hmi2.example",
            "> http.upgrade websocket",
            "< http.status HTTP/1.1 101 Switching Protocols",
            "< http.server panel/2.1",
        ]
    );
    for (line, shown) in [
        ("GET http://tech:pass@hmi2/a;jsessionid=7 HTTP/1.1", "GET http://hmi2/a HTTP/1.1"),
        ("GET /a#fragment HTTP/1.0", "GET /a HTTP/1.0"),
        ("CONNECT tech:pass@hmi2:443 HTTP/1.1", "CONNECT hmi2:443 HTTP/1.1"),
    ] {
        let request = format!("{line}\r\nHost: tech:pass@hmi2\r\nCookie: a=b\r\n\r\n");
        let expected = [format!("> http.request {shown}"), "> http.host hmi2".to_owned()];
        assert_eq!(alone(Direction::FromClient, request.as_bytes()), expected);
    }
}

#[test]
fn what_is_not_understood_shows_nothing() {
    for bytes in [
        &b"\x16\x03\x01\xff\xff"[..],
        b"\x03\x00\x00\x02",
        b"RFB abc.def\n",
        b"GET\n",
        b"\0",
        b"OPTIONS * RTSP/1.0\r\n",
    ] {
        for direction in [Direction::FromClient, Direction::FromDevice] {
            assert_eq!(alone(direction, bytes), [""; 0], "{bytes:?}");
        }
    }
}

/// A name in a hello that is longer than any fact is cut, not left out.
#[test]
fn values_are_cut_at_a_character() {
    let host = format!("GET / HTTP/1.1\r\nHost: {}\r\n", "ä".repeat(400));
    let told = alone(Direction::FromClient, host.as_bytes());
    assert!(told[1].starts_with("> http.host ää") && told[1].len() < 300, "{told:?}");
    let path = format!("GET /{} HTTP/1.1\r\n", "a".repeat(400));
    let told = alone(Direction::FromClient, path.as_bytes());
    assert!(told[0].starts_with("> http.request GET /aaa") && told[0].len() < 300, "{told:?}");
}

/// Nothing is kept of a peer that never ends its line, record or packet.
#[test]
fn a_peer_that_goes_on_and_on_is_given_up() {
    for start in [&b"SSH-2.0-"[..], b"\x16\x03\x03\x40\x00", b"GET /"] {
        let mut observer = Observer::new(Protocol::Tcp).expect("it is opaque");
        let mut facts = Vec::new();
        observer.observe(Direction::FromClient, start, &mut facts);
        observer.observe(Direction::FromDevice, &[0], &mut facts);
        assert!(!observer.is_over());
        for _ in 0..EXAMINED {
            observer.observe(Direction::FromClient, b"aaaa", &mut facts);
        }
        assert!(observer.is_over() && facts.is_empty(), "{start:?}: {facts:?}");
    }
}

/// Small packets that say nothing, one behind the other.
#[test]
fn a_peer_that_is_understood_without_end_is_given_up() {
    let mut observer = Observer::new(Protocol::Tcp).expect("it is opaque");
    let mut facts = Vec::new();
    observer.observe(Direction::FromDevice, &[0], &mut facts);
    observer.observe(Direction::FromClient, b"SSH-2.0-tool\r\n", &mut facts);
    let ignore = [0, 0, 0, 12, 10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for _ in 0..EXAMINED / ignore.len() - 1 {
        observer.observe(Direction::FromClient, &ignore, &mut facts);
        assert!(!observer.is_over());
    }
    observer.observe(Direction::FromClient, &ignore, &mut facts);
    assert!(observer.is_over() && facts.len() == 1, "{facts:?}");
}

#[test]
fn a_key_of_no_kind_is_no_host_key() {
    let packet = |message: &[u8]| {
        let length = u32::try_from(message.len() + 1).expect("short").to_be_bytes();
        [&length[..], &[0], message].concat()
    };
    let reply = |kind: &[u8; 4]| packet(&[&[31, 0, 0, 0, 8, 0, 0, 0, 4][..], kind].concat());
    let told = |kind| alone(Direction::FromDevice, &[b"SSH-2.0-a\r\n".to_vec(), reply(kind)].concat());
    assert_eq!(told(b"\x1b[2J"), ["< ssh.version SSH-2.0-a"]);
    assert!(told(b"ssh-")[1].starts_with("< ssh.host-key ssh- SHA256:"));
}

/// What stands behind a change of ciphers is encrypted, unless the server
/// asked for a second hello (RFC 8446, appendix D.4).
#[test]
fn encrypted_handshakes_of_tls_are_not_read() {
    let record = |kind: u8, content: &[u8]| {
        [&[kind, 3, 3][..], &u16::try_from(content.len()).expect("short").to_be_bytes(), content].concat()
    };
    let hello = |random: &[u8], extensions: &[u8]| {
        let body = [&[3, 3][..], random, &[0, 0x13, 1, 0], extensions].concat();
        let length = u8::try_from(body.len()).expect("short");
        record(22, &[&[2, 0, 0, length][..], &body].concat())
    };
    let change = record(20, &[1]);
    let certificate = record(22, &[11, 0, 0, 7, 0, 0, 4, 0, 0, 1, 0xAA]);
    let told = |records: &[&[u8]]| alone(Direction::FromDevice, &records.concat());
    let hello_1_2 = hello(&[7; 32], &[]);
    let (version, suite) = ("< tls.version 1.2".to_owned(), "< tls.cipher-suite 0x1301".to_owned());
    assert_eq!(told(&[&hello_1_2, &change, &certificate]), [version, suite.clone()]);
    assert_eq!(told(&[&hello_1_2, &certificate]).len(), 3);
    let retry = hex::decode("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c").expect("hex");
    let hello_1_3 = hello(&[7; 32], &[0, 6, 0, 43, 0, 2, 3, 4]);
    let second = told(&[&hello(&retry, &[]), &change, &hello_1_3, &certificate]);
    assert_eq!(second, ["< tls.version 1.3".to_owned(), suite]);
}

#[test]
fn a_fact_is_told_once() {
    let request = format!("GET / HTTP/1.1\r\n{}\r\n", "Host: a\r\nhost: b\r\n".repeat(100));
    let told = alone(Direction::FromClient, request.as_bytes());
    assert_eq!(told, ["> http.request GET / HTTP/1.1", "> http.host a"]);
}
