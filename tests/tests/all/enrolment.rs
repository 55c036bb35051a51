//! From an invitation to a recorded session, and what an invitation is not
//! good for.

use client::link::{Control, Link, Target};
use client::pinned::Pinned;
use client::profile::Address;
use std::net::UdpSocket;
use std::path::Path;
use tests::{
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, Technician},
    plc::{Manners, Plc},
    press_line::address,
    process::{PATIENCE, Process, run},
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};
use wire::Der;
use wire::enrolment::{
    ALPN, Answer as Said, Ask, Declined, EXPORTER_LABEL, FactorChoice, Proof, Secret, Token, VERSION,
};

fn workshop(plc: &Plc) -> Workshop {
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    workshop
}

pub(crate) fn token(file: &Path) -> Token {
    Token::parse(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A client of the enrolment endpoint that a test leads.
pub(crate) struct Applicant {
    link: Link,
    pub(crate) talk: Control<Ask, Said>,
}

impl Applicant {
    pub(crate) async fn open(token: &Token) -> Self {
        let gateway = Address::parse(token.address()).unwrap();
        let tls = Pinned::new(token.fingerprint).tls(ALPN).unwrap();
        let target =
            Target { gateway: &gateway, server_name: &gateway.host, tls: &tls, named_in: "the test" };
        let link = Link::to(&target).await.unwrap();
        let talk = link.control().await.unwrap();
        Self { link, talk }
    }

    fn proof(&self, secret: &Secret) -> Proof {
        secret.prove(&self.link.exporter(EXPORTER_LABEL).unwrap())
    }

    async fn hello(&mut self, token: &Token, proof: Proof) -> Said {
        let invitation = token.secret.stored().invitation();
        let hello = Ask::Hello { version: VERSION, software: "test".to_owned(), invitation, proof };
        self.talk.send(&hello).await.unwrap();
        self.talk.answer().await.unwrap()
    }

    /// As far as the gateway has judged the token.
    pub(crate) async fn welcomed(token: &Token) -> (Self, Said) {
        let mut applicant = Self::open(token).await;
        let proof = applicant.proof(&token.secret);
        let said = applicant.hello(token, proof).await;
        (applicant, said)
    }

    /// As far as the gateway has judged a request for a certificate.
    async fn apply(token: &Token, request: Vec<u8>) -> Said {
        let (mut applicant, said) = Self::welcomed(token).await;
        assert!(matches!(said, Said::Welcome { .. }), "{said:?}");
        applicant.request(request, FactorChoice::NewTotp).await;
        applicant.talk.answer().await.unwrap()
    }

    /// Asks for a certificate and names a factor.
    pub(crate) async fn request(&mut self, request: Vec<u8>, factor: FactorChoice) {
        let request = Der::new(request).unwrap();
        self.talk.send(&Ask::Apply { request, factor }).await.unwrap();
    }
}

pub(crate) fn declined(said: &Said) -> Option<Declined> {
    match said {
        Said::Declined { why, .. } => Some(*why),
        Said::Welcome { .. }
        | Said::Totp { .. }
        | Said::ProveKnown
        | Said::Enrolled { .. }
        | Said::PasskeyPage { .. } => None,
    }
}

/// A request for a certificate with that name in it.
pub(crate) fn request(key: &rcgen::KeyPair, name: &str) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.serialize_request(key).unwrap().der().to_vec()
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("in time") })
}

fn bound(token: &Token) -> bool {
    UdpSocket::bind(token.address()).is_err()
}

/// Waits until nobody is bound to the enrolment endpoint's address.
fn unbound(token: &Token) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while bound(token) {
        assert!(std::time::Instant::now() < deadline, "the endpoint stays bound");
        // A port can't be waited for; asking again is the wait.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn from_an_invitation_to_a_recorded_session() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let technician = Technician::new(&workshop, "mine");
    let enrolled = run("gatehouse enroll", &mut technician.enroll(&invitation, &[])).unwrap();
    let enrolled = enrolled.expect_code(0).unwrap();
    assert!(enrolled.out.starts_with("enrolled tech-1@vendor-a "), "{enrolled}");
    unbound(&token(&invitation));

    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    assert_eq!(tool.read_holding(address::FORCE_SET_POINT, 1).unwrap(), Ok(vec![731]));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    gateway.wait_for_event(&["person_enrolled", TECHNICIAN, "certificate"]).unwrap();
    // Neither token nor key went into anything that stays at the gateway.
    let text = std::fs::read_to_string(&invitation).unwrap();
    let secret = text.trim();
    for name in ["state.db", "state.db-wal", "log/audit.jsonl"] {
        let bytes = std::fs::read(workshop.path(name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{name} holds the token");
    }
}

#[test]
fn a_token_is_good_once_also_after_a_restart_and_nothing_is_bound_then() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let used = gateway.invite(TECHNICIAN).unwrap();
    let (first, second) = (Technician::new(&workshop, "first"), Technician::new(&workshop, "second"));
    run("gatehouse enroll", &mut first.enroll(&used, &[])).unwrap().expect_code(0).unwrap();
    unbound(&token(&used));
    // Another invitation keeps the endpoint there, at another port.
    let open = token(&gateway.invite(OTHER_TECHNICIAN).unwrap());
    let again = |open: &Token| {
        let tried =
            run("gatehouse enroll", &mut second.enroll(&used, &["--gateway", open.address()])).unwrap();
        tried.expect_code(6).unwrap().err
    };
    assert!(again(&open).contains("not good, or not any more"));
    gateway.terminate().unwrap();
    let gateway = Gateway::start(&workshop).unwrap();
    // Still open: it is bound again by itself.
    let renewed = token(&gateway.invite(OTHER_TECHNICIAN).unwrap());
    assert!(again(&renewed).contains("not good, or not any more"));
    // Nothing of the failed one is left in its way.
    assert!(!second.profile.exists() && !second.seed.exists());
    gateway.admin(&["user", "invite", OTHER_TECHNICIAN, "--withdraw"]).unwrap().expect_code(0).unwrap();
    unbound(&renewed);
    let none = run("gatehouse enroll", &mut second.enroll(&used, &["--gateway", renewed.address()])).unwrap();
    none.expect_code(7).unwrap();
}

#[test]
fn of_twenty_at_once_exactly_one_is_enrolled() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let racers: Vec<_> =
        (0..20).map(|number| Technician::new(&workshop, &format!("racer-{number}"))).collect();
    let running: Vec<_> = racers
        .iter()
        .map(|racer| Process::start("gatehouse enroll", &mut racer.enroll(&invitation, &[])).unwrap())
        .collect();
    let codes: Vec<_> =
        running.into_iter().map(|process| process.finish(2 * PATIENCE).unwrap().code.unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [0, 6, 7].contains(code)), "{codes:?}");
    let list = gateway.admin(&["ca", "list", "--json"]).unwrap().expect_code(0).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let text = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    let events = text.lines().filter(|line| line.contains("\"person_enrolled\"")).count();
    assert_eq!(events, 1, "an event for each who got in, and for nobody else");
}

#[test]
fn nothing_is_sent_to_another_gateway_than_the_tokens() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let file = gateway.invite(TECHNICIAN).unwrap();
    let good = token(&file);
    let mut fingerprint = good.fingerprint;
    fingerprint[0] ^= 1;
    let other = Token::new(fingerprint, good.secret.clone(), good.address()).unwrap();
    let technician = Technician::new(&workshop, "careful");
    let mut command = technician.client(&["enroll", "--token", &other.to_text()]);
    command.arg("--totp-file").arg(&technician.seed);
    let refused = run("gatehouse enroll", &mut command).unwrap().expect_code(7).unwrap();
    assert!(refused.err.contains("has another key. Nothing was sent to it"), "{refused}");
    assert!(!technician.profile.exists());
    // The gateway saw a handshake break off, and no hello; the token is as good as before.
    run("gatehouse enroll", &mut technician.enroll(&file, &[])).unwrap().expect_code(0).unwrap();
}

#[test]
fn a_proof_is_worth_nothing_on_another_connection() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = token(&gateway.invite(TECHNICIAN).unwrap());
    block_on(async {
        let (mut one, mut other) = (Applicant::open(&invitation).await, Applicant::open(&invitation).await);
        let stolen = one.proof(&invitation.secret);
        assert_eq!(declined(&other.hello(&invitation, stolen).await), Some(Declined::Token));
        // On its own connection it is good: a wrong one locks nobody.
        assert!(matches!(one.hello(&invitation, stolen).await, Said::Welcome { .. }));
        // What the gateway keeps is not the secret.
        let mut thief = Applicant::open(&invitation).await;
        let kept = Secret::from_bytes(invitation.secret.stored().to_bytes());
        let proof = thief.proof(&kept);
        assert_eq!(declined(&thief.hello(&invitation, proof).await), Some(Declined::Token));
    });
}

#[test]
fn a_request_is_taken_for_its_key_alone() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = token(&gateway.invite(TECHNICIAN).unwrap());
    let sound = rcgen::KeyPair::generate().unwrap();
    let weak = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let mut bent = request(&sound, "x");
    *bent.last_mut().unwrap() ^= 1;
    let mut trailing = request(&sound, "x");
    trailing.push(0);
    for (wrong, why) in [
        (request(&weak, "x"), "weak"),
        (bent, "not its own signature"),
        (trailing, "something behind it"),
        (b"nonsense".to_vec(), "nonsense"),
    ] {
        let said = block_on(Applicant::apply(&invitation, wrong));
        assert_eq!(declined(&said), Some(Declined::Request), "{why}");
    }
    // Names in it are a stranger's words.
    for name in ["operator-1", "a,b", "a\nb", "\"p, *, *\"", "tech-2@vendor-b"] {
        let said = block_on(Applicant::apply(&invitation, request(&sound, name)));
        assert!(matches!(said, Said::Totp { .. }), "{name:?}: {said:?}");
    }
    gateway.wait_for_event(&["enrolment_refused", TECHNICIAN, "2048 bits"]).unwrap();
}

#[test]
fn a_key_with_a_passphrase_opens_with_it_alone() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let technician = Technician::new(&workshop, "sealed");
    let secret = |name: &str, text: &str| {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = workshop.path(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (secret("right", "correct horse battery\n"), secret("wrong", "incorrect horse\n"));
    let words = ["--passphrase-file", &right];
    run("gatehouse enroll", &mut technician.enroll(&invitation, &words)).unwrap().expect_code(0).unwrap();
    let key = std::fs::read_to_string(workshop.path("sealed.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{}", &key[..40]);
    let refused = technician.run(&["targets", "--passphrase-file", &wrong]).unwrap().expect_code(5).unwrap();
    assert!(refused.err.contains("the passphrase is wrong"), "{refused}");
    technician.run(&["targets", "--passphrase-file", &right]).unwrap().expect_code(0).unwrap();
}

/// Enrols, and gives the technician with their one certificate's serial.
fn enrolled(gateway: &Gateway<'_>, workshop: &Workshop, name: &str) -> (Technician, String) {
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let technician = Technician::new(workshop, name);
    run("gatehouse enroll", &mut technician.enroll(&invitation, &[])).unwrap().expect_code(0).unwrap();
    let serials = serials(gateway);
    (technician, serials.first().unwrap().clone())
}

fn serials(gateway: &Gateway<'_>) -> Vec<String> {
    let list = gateway.admin(&["ca", "list", "--json"]).unwrap().expect_code(0).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let serial = |one: &serde_json::Value| one["serial"].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(serial).collect()
}

#[test]
fn a_certificate_is_renewed_for_a_new_key_and_the_old_one_stays_good() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let (technician, _) = enrolled(&gateway, &workshop, "mine");
    let before = std::fs::read_to_string(&technician.profile).unwrap();
    let renewed = technician.run(&["renew"]).unwrap().expect_code(0).unwrap();
    assert!(renewed.out.starts_with("renewed "), "{renewed}");
    let after = std::fs::read_to_string(&technician.profile).unwrap();
    assert!(after.contains("mine-2.key") && after.contains("mine-2.pem"), "{after}");
    assert_eq!(serials(&gateway).len(), 2);
    technician.run(&["targets"]).unwrap().expect_code(0).unwrap();
    // With the old pair too, until it runs out.
    std::fs::write(&technician.profile, before).unwrap();
    technician.run(&["targets"]).unwrap().expect_code(0).unwrap();
    gateway.wait_for_event(&["certificate_renewed", TECHNICIAN]).unwrap();
}

#[test]
fn a_certificate_of_another_authority_is_not_renewed_here() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let refused = technician.run(&["renew"]).unwrap().expect_code(6).unwrap();
    assert!(refused.err.contains("who issued it renews it"), "{refused}");
    assert!(!workshop.path("profile-2.key").exists(), "nothing is left");
    gateway.wait_for_event(&["renewal_refused", TECHNICIAN]).unwrap();
}

#[test]
fn a_revoked_certificate_ends_what_runs_and_lets_nobody_in_again() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let (technician, serial) = enrolled(&gateway, &workshop, "mine");
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert_eq!(tool.read_holding(address::RAM_SPEED, 1).unwrap(), Ok(vec![120]));
    let revoked = gateway.admin(&["ca", "revoke", &serial, "--json"]).unwrap().expect_code(0).unwrap();
    let revoked: serde_json::Value = serde_json::from_str(&revoked.out).unwrap();
    assert_eq!(revoked["sessions_ended"], 1, "told to end by the command itself, at once: {revoked}");
    let ended = connection.finish().unwrap().expect_code(6).unwrap();
    assert!(ended.err.contains("revoked"), "{ended}");
    let refused = technician.run(&["targets"]).unwrap().expect_code(6).unwrap();
    assert!(refused.err.contains("revoked"), "{refused}");
    let crl = gateway.admin(&["ca", "export-crl"]).unwrap().expect_code(0).unwrap();
    assert!(crl.out.starts_with("-----BEGIN X509 CRL-----"), "{crl}");
}

#[test]
fn after_a_rotation_old_and_new_certificates_sign_in() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let (technician, _) = enrolled(&gateway, &workshop, "mine");
    gateway.admin(&["ca", "rotate"]).unwrap().expect_code(0).unwrap();
    technician.run(&["targets"]).unwrap().expect_code(0).unwrap();
    let renewed = technician.run(&["renew"]).unwrap().expect_code(0).unwrap();
    assert!(renewed.out.starts_with("renewed "), "{renewed}");
    let status = gateway.admin(&["ca", "status"]).unwrap().expect_code(0).unwrap();
    assert!(status.out.contains("retired, trusted") && status.out.contains("issues"), "{status}");
}

#[test]
fn a_known_person_adds_a_key_by_the_factor_that_they_have() {
    let plc = Plc::start(Manners::Proper);
    let workshop = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let (technician, _) = enrolled(&gateway, &workshop, "mine");
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    // A token alone is not enough: the seed of somebody else does not do.
    let stranger = Technician::new(&workshop, "stranger");
    let seed = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n";
    std::fs::copy(&technician.seed, &stranger.seed).unwrap();
    std::fs::write(&stranger.seed, seed).unwrap();
    // Each code of a seed file waits for its own step of 30 s.
    let guessing = Process::start("gatehouse enroll", &mut stranger.enroll(&invitation, &[])).unwrap();
    guessing.finish(3 * PATIENCE).unwrap().expect_code(6).unwrap();
    let laptop = Technician { profile: workshop.path("laptop.toml"), seed: technician.seed.clone() };
    run("gatehouse enroll", &mut laptop.enroll(&invitation, &[])).unwrap().expect_code(0).unwrap();
    laptop.run(&["targets"]).unwrap().expect_code(0).unwrap();
    technician.run(&["targets"]).unwrap().expect_code(0).unwrap();
}
