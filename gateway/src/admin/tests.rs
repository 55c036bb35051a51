//! The whole of the admin socket, from the client's end.

use super::*;
use crate::fixture::{Issued, Plant, Purpose, session_info, sign_in};

use crate::policy::FolderState;
use crate::sessions::{EndOrder, SessionPlace, SignInPlace};
use crate::state::{Attempt, Change, FactorPresence, KeyHash, Standing};
use jiff::SignedDuration;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::task::JoinHandle;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

struct Desk {
    plant: Plant,
    office: Arc<Office>,
    client: Client,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl Desk {
    fn open(plant: Plant) -> Self {
        let office = plant.office();
        let socket = Socket::bind(&office.config.admin.socket).unwrap();
        let (client, stop) = (Client::new(&office.config.admin.socket), CancellationToken::new());
        let serving = tokio::spawn(socket.serve(Arc::clone(&office), stop.clone()));
        Self { plant, office, client, stop, serving }
    }

    async fn import(&self, handle: &str, issued: &Issued) -> Result<ImportReply, ClientError> {
        self.import_key(handle, ImportedKey::Certificate(issued.certificate.clone())).await
    }

    async fn import_key(&self, handle: &str, key: ImportedKey) -> Result<ImportReply, ClientError> {
        self.client.post("/v1/users", &ImportRequest { handle: handle.to_owned(), key }).await
    }

    async fn close(self) -> Plant {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
        self.plant
    }

    fn events(&self, kind: &str) -> usize {
        self.plant.audit_lines().iter().filter(|line| line["event"] == kind).count()
    }

    /// A signed-in person with one session.
    fn visit(&self, handle: &str, number: u8) -> (SignInPlace, SessionPlace) {
        let sign_in = self.office.registry.sign_in(sign_in(handle));
        let session = self.office.registry.register(sign_in.id, session_info(number, handle)).unwrap();
        (sign_in, session)
    }
}

#[tokio::test]
async fn import_shows_the_seed_once_and_binds_the_key() {
    let desk = Desk::open(Plant::new());
    let first = desk.plant.issue(10, Purpose::Client, 30);
    let reply = desk.import("tech-1@vendor-a", &first).await.unwrap();
    assert!(reply.otpauth.unwrap().starts_with("otpauth://totp/Gatehouse:tech-1%40vendor-a?secret="));
    let der = CertificateDer::from_pem_slice(first.certificate.as_bytes()).unwrap();
    let key = KeyHash::of(X509Certificate::from_der(&der).unwrap().1.public_key().raw);
    let person = desk.office.state.person_by_key(&key).unwrap().unwrap();
    assert_eq!((person.handle.as_str(), reply.key), ("tech-1@vendor-a", key.to_string()));
    assert!(matches!(
        desk.office.state.begin_attempt(person.id, desk.office.clock.wall()).unwrap(),
        Attempt::Open { .. }
    ));
    let again = desk.import("tech-2@vendor-b", &first).await;
    assert!(
        matches!(&again, Err(ClientError::Refused(why)) if why[0].contains("tech-1@vendor-a")),
        "{again:?}"
    );
    let second = desk.import("tech-1@vendor-a", &desk.plant.issue(11, Purpose::Client, 30)).await.unwrap();
    assert_eq!(second.otpauth, None, "a known person's seed is never shown again");
    let list: Vec<PersonReport> = desk.client.get("/v1/users").await.unwrap();
    assert_eq!((list.len(), list[0].keys.len()), (1, 2));
    assert_eq!((desk.events("person_imported"), desk.events("admin_failed")), (2, 1));
    desk.close().await;
}

/// Of a person whose certificate comes from elsewhere the key is enough, and it
/// is the same key as that of the certificate.
#[tokio::test]
async fn a_key_is_imported_by_its_fingerprint_once() {
    let desk = Desk::open(Plant::new());
    let issued = desk.plant.issue(10, Purpose::Client, 30);
    let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let key = KeyHash::of(certificate.public_key().raw);
    let by_key = |handle, text: &str| desk.import_key(handle, ImportedKey::Fingerprint(text.to_owned()));
    let reply = by_key("tech-1@vendor-a", &key.to_string()).await.unwrap();
    assert_eq!(reply.key, key.to_string());
    assert_eq!(desk.office.state.person_by_key(&key).unwrap().unwrap().handle.as_str(), "tech-1@vendor-a");
    let taken = desk.import("tech-2@vendor-b", &issued).await;
    assert!(matches!(&taken, Err(ClientError::Refused(_))), "a key never two persons: {taken:?}");
    for wrong in ["", "5f", &key.to_string()[1..], &format!("{key}00"), &"g".repeat(64)] {
        let refused = by_key("tech-2@vendor-b", wrong).await;
        assert!(matches!(&refused, Err(ClientError::Invalid(_))), "{wrong}: {refused:?}");
    }
    assert_eq!(desk.office.state.persons().unwrap().len(), 1);
    desk.close().await;
}

#[tokio::test]
async fn only_certificates_that_would_get_in_are_imported() {
    let plant = Plant::new();
    plant.write_crl(&[12], crate::fixture::noon(), 60);
    let desk = Desk::open(plant);
    let foreign = crate::fixture::issue(
        &crate::fixture::authority(),
        10,
        Purpose::Client,
        desk.office.clock.wall(),
        30,
    );
    for (what, issued) in [
        ("revoked", desk.plant.issue(12, Purpose::Client, 30)),
        ("not one of this gateway's", desk.plant.issue(13, Purpose::Server, 30)),
        ("not one of this gateway's", foreign),
    ] {
        let refused = desk.import("tech-1@vendor-a", &issued).await;
        assert!(
            matches!(&refused, Err(ClientError::Invalid(why)) if why[0].contains(what)),
            "{what}: {refused:?}"
        );
    }
    let handle = desk.import("Tech 1", &desk.plant.issue(14, Purpose::Client, 30)).await;
    assert!(
        matches!(&handle, Err(ClientError::Invalid(why)) if why[0].starts_with("handle: ")),
        "{handle:?}"
    );
    assert!(desk.office.state.persons().unwrap().is_empty());
    desk.close().await;
}

#[tokio::test]
async fn disabling_ends_that_persons_sessions_and_enabling_lets_them_in_again() {
    let desk = Desk::open(Plant::new());
    desk.import("tech-1@vendor-a", &desk.plant.issue(10, Purpose::Client, 30)).await.unwrap();
    let (sign_in, session) = desk.visit("tech-1@vendor-a", 1);
    let (other, _session) = desk.visit("tech-2@vendor-b", 2);
    let done: Disabled = desk.client.post("/v1/users/tech-1@vendor-a/disable", &()).await.unwrap();
    assert_eq!((done.change, done.sessions_ended), (Change::Made, 1));
    assert_eq!(*session.order.borrow(), Some(EndOrder::PersonDisabled));
    assert_eq!(*sign_in.order.borrow(), Some(EndOrder::PersonDisabled));
    assert_eq!(*other.order.borrow(), None);
    let person: PersonReport = desk.client.get("/v1/users/tech-1@vendor-a").await.unwrap();
    assert_eq!(person.standing, Standing::Disabled);
    let done: Disabled = desk.client.post("/v1/users/tech-1@vendor-a/enable", &()).await.unwrap();
    assert_eq!((done.change, done.standing), (Change::Made, Standing::Enabled));
    let nobody = desk.client.post::<Disabled>("/v1/users/nobody/enable", &()).await;
    assert!(matches!(nobody, Err(ClientError::Refused(_))), "{nobody:?}");
    assert_eq!((desk.events("person_disabled"), desk.events("person_enabled")), (1, 1));
    desk.close().await;
}

#[tokio::test]
async fn a_reset_factor_ends_what_it_had_opened_and_is_an_event() {
    let desk = Desk::open(Plant::new());
    desk.import("tech-1@vendor-a", &desk.plant.issue(10, Purpose::Client, 30)).await.unwrap();
    let page = "/v1/users/tech-1@vendor-a/reset-factor";
    let reset = async |replacement| {
        desk.client.post::<FactorReset>(page, &ResetRequest { replacement }).await.unwrap()
    };
    let (sign_in, session) = desk.visit("tech-1@vendor-a", 1);
    let (other, _session) = desk.visit("tech-2@vendor-b", 2);
    let listed: PersonReport = desk.client.get("/v1/users/tech-1@vendor-a").await.unwrap();
    assert_eq!(listed.signed_in, 1);
    let done = reset(Replacement::None).await;
    assert_eq!((done.change, done.sessions_ended, done.otpauth), (Change::Made, 1, None));
    assert_eq!(*session.order.borrow(), Some(EndOrder::FactorRemoved));
    assert_eq!(*sign_in.order.borrow(), Some(EndOrder::FactorRemoved));
    assert_eq!(*other.order.borrow(), None);
    let person: PersonReport = desk.client.get("/v1/users/tech-1@vendor-a").await.unwrap();
    assert_eq!(person.factor, FactorPresence::None);
    let done = reset(Replacement::Totp).await;
    assert_eq!(done.change, Change::None, "there was none any more");
    assert!(done.otpauth.unwrap().starts_with("otpauth://totp/Gatehouse:tech-1%40vendor-a?secret="));
    let again = reset(Replacement::Totp).await;
    assert_eq!(again.change, Change::Made);
    assert_eq!((desk.events("factor_removed"), desk.events("factor_given")), (3, 2));
    let nobody = ResetRequest { replacement: Replacement::Totp };
    assert!(desk.client.post::<FactorReset>("/v1/users/nobody/reset-factor", &nobody).await.is_err());
    assert_eq!(desk.events("factor_removed"), 3);
    desk.close().await;
}

#[tokio::test]
async fn a_factor_that_can_not_be_given_is_taken_all_the_same() {
    let desk = Desk::open(Plant::new());
    desk.import("tech-1@vendor-a", &desk.plant.issue(10, Purpose::Client, 30)).await.unwrap();
    let _: Disabled = desk.client.post("/v1/users/tech-1@vendor-a/disable", &()).await.unwrap();
    let request = ResetRequest { replacement: Replacement::Totp };
    let refused = desk.client.post::<FactorReset>("/v1/users/tech-1@vendor-a/reset-factor", &request).await;
    assert!(matches!(&refused, Err(ClientError::Refused(why)) if why[0].contains("disabled")), "{refused:?}");
    let person: PersonReport = desk.client.get("/v1/users/tech-1@vendor-a").await.unwrap();
    assert_eq!(person.factor, FactorPresence::None);
    assert_eq!((desk.events("factor_removed"), desk.events("factor_given")), (1, 0));
    desk.close().await;
}

#[tokio::test]
async fn unlocking_forgets_the_failures() {
    let desk = Desk::open(Plant::new());
    desk.import("tech-1@vendor-a", &desk.plant.issue(10, Purpose::Client, 30)).await.unwrap();
    let person = desk.office.state.persons().unwrap()[0].person.id;
    for _ in 0..6 {
        desk.office.state.begin_attempt(person, desk.office.clock.wall()).unwrap();
    }
    let locked: PersonReport = desk.client.get("/v1/users/tech-1@vendor-a").await.unwrap();
    assert_eq!(locked.failures, 5, "the sixth was not judged");
    assert_ne!(locked.lock, crate::state::Lock::None);
    let done: Unlocked = desk.client.post("/v1/users/tech-1@vendor-a/unlock", &()).await.unwrap();
    assert_eq!(done.change, Change::Made);
    let free: PersonReport = desk.client.get("/v1/users/tech-1@vendor-a").await.unwrap();
    assert_eq!((free.failures, free.lock), (0, crate::state::Lock::None));
    desk.close().await;
}

#[tokio::test]
async fn sessions_are_listed_and_killed() {
    let desk = Desk::open(Plant::new());
    let (_sign_in, session) = desk.visit("tech-1@vendor-a", 7);
    session.counters.operations.fetch_add(5, std::sync::atomic::Ordering::Relaxed);
    let list: SessionList = desk.client.get("/v1/sessions").await.unwrap();
    assert_eq!((list.sessions.len(), list.sessions[0].counted.operations), (1, 5));
    let page = format!("/v1/sessions/{}/kill", list.sessions[0].id);
    let killed: Killed = desk.client.post(&page, &()).await.unwrap();
    assert_eq!((killed.person.as_str(), killed.target.as_str()), ("tech-1@vendor-a", "press-line/plc7"));
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(*session.order.borrow(), Some(EndOrder::Killed { by: format!("uid {uid}") }));
    drop(session);
    assert!(matches!(desk.client.post::<Killed>(&page, &()).await, Err(ClientError::Refused(_))));
    assert!(matches!(
        desk.client.post::<Killed>("/v1/sessions/x/kill", &()).await,
        Err(ClientError::Refused(_))
    ));
    assert_eq!(desk.events("session_killed"), 1);
    desk.close().await;
}

#[tokio::test]
async fn policy_and_clock_answer() {
    let desk = Desk::open(Plant::new());
    let before: PolicyReport = desk.client.get("/v1/policy").await.unwrap();
    assert_eq!((before.folder, before.by.as_str()), (FolderState::Applied, "first start"));
    desk.plant.write_policy(&crate::fixture::RULES.replace("modbus:read", "modbus:write"));
    let differs: PolicyReport = desk.client.get("/v1/policy").await.unwrap();
    assert!(matches!(differs.folder, FolderState::Differs { .. }), "{differs:?}");
    assert_eq!(differs.hash, before.hash);
    let applied: Applied = desk.client.post("/v1/policy/apply", &()).await.unwrap();
    assert_eq!((applied.before, applied.added.len(), applied.removed.len()), (before.hash, 1, 1));
    std::fs::remove_file(desk.plant.path("policies/policy.csv")).unwrap();
    let refused = desk.client.post::<Applied>("/v1/policy/apply", &()).await;
    assert!(
        matches!(&refused, Err(ClientError::Invalid(why)) if why[0].contains("policy.csv")),
        "{refused:?}"
    );

    desk.plant.clock.step_to(desk.office.clock.wall() - SignedDuration::from_hours(1));
    let report: ClockReport = desk.client.get("/v1/clock").await.unwrap();
    assert!(matches!(report.standing, crate::clock::Standing::Suspended { .. }));
    let report: ClockReport = desk.client.post("/v1/clock/accept", &()).await.unwrap();
    assert!(matches!(report.standing, crate::clock::Standing::Steady { .. }));
    assert_eq!(desk.events("clock_accepted"), 1);
    desk.close().await;
}

#[tokio::test]
async fn a_user_who_is_not_named_gets_nothing() {
    let plant = Plant::new();
    plant.configure("[admin]", "[admin]\nuids = [4242]");
    let desk = Desk::open(plant);
    for page in ["/v1/users", "/v1/sessions", "/v1/policy", "/v1/clock", "/nothing"] {
        let refused = desk.client.get::<serde_json::Value>(page).await;
        assert!(
            matches!(&refused, Err(ClientError::Refused(why)) if why[0].contains("[admin] uids")),
            "{refused:?}"
        );
    }
    let refused = desk.import("tech-1@vendor-a", &desk.plant.issue(10, Purpose::Client, 30)).await;
    assert!(matches!(refused, Err(ClientError::Refused(_))), "{refused:?}");
    assert!(desk.office.state.persons().unwrap().is_empty());
    assert_eq!(desk.events("admin_refused"), 6);
    desk.close().await;
}

#[tokio::test]
async fn the_socket_is_its_owners_and_leaves_nothing_behind() {
    let desk = Desk::open(Plant::new());
    let path = desk.office.config.admin.socket.clone();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(Socket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let client = desk.client.clone();
    let _plant = desk.close().await;
    assert!(!path.exists());
    assert!(matches!(client.get::<SessionList>("/v1/sessions").await, Err(ClientError::Unreachable { .. })));
    // A socket that a dead gateway left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists() && Socket::bind(&path).is_ok());
}

#[tokio::test]
async fn odd_requests_are_refused_without_harm() {
    let desk = Desk::open(Plant::new());
    let extra = serde_json::json!({"handle": "tech-1@vendor-a", "certificate": "x", "role": "admin"});
    assert!(desk.client.post::<ImportReply>("/v1/users", &extra).await.is_err());
    let long = serde_json::json!({"handle": "tech-1@vendor-a", "certificate": "x".repeat(LONGEST_BODY)});
    assert!(desk.client.post::<ImportReply>("/v1/users", &long).await.is_err());
    assert!(desk.client.get::<SessionList>("/v1/users/%1b%5b2J").await.is_err());
    assert!(desk.client.get::<SessionList>("/v1/sessions").await.is_ok());
    desk.close().await;
}
