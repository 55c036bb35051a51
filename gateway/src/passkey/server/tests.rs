//! The page's listener: its certificate, and what a connection may cost.

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::ends::Ending;
use crate::fixture::{Plant, Purpose, issue_for};
use jiff::SignedDuration;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A deadline that is not the one under test.
const NEVER: Duration = Duration::from_secs(3600);

/// The deadline under test.
const SHORT: Duration = Duration::from_millis(500);

const NEVER_OVER: Deadlines = Deadlines { handshake: NEVER, head: NEVER, connection: NEVER };

const REQUEST: &str = "GET /page.css HTTP/1.1\r\nHost: localhost:8443\r\n\r\n";

/// A page that is served within the test's runtime.
struct Page {
    plant: Plant,
    office: Arc<Office>,
    address: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Page {
    fn open(deadlines: Deadlines) -> Self {
        // The client judges by the operating system's clock.
        let plant = Plant::at(SystemClock::new().wall()).with_passkeys();
        let office = plant.office();
        let bound = Bound::bind(settings(&office), office.clock.wall()).unwrap();
        let (address, stop) = (bound.address().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve_within(Arc::clone(&office), bound, stop.clone(), deadlines));
        Self { plant, office, address, stop, serving }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.plant.path("ca.pem")).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await).await.unwrap()
    }

    async fn close(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

fn settings(office: &Office) -> &WebauthnSettings {
    office.config.webauthn.as_ref().unwrap()
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("in time") });
}

/// All that comes until the page hangs up, in whatever way.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    // A page that hangs up says no goodbye to TLS.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// The answer's head.
async fn answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    head
}

#[test]
fn who_begins_no_handshake_is_hung_up_on() {
    block_on(async {
        let page = Page::open(Deadlines { handshake: SHORT, ..NEVER_OVER });
        let (began, mut silent) = (Instant::now(), page.tcp().await);
        rest(&mut silent).await;
        assert!(began.elapsed() >= SHORT);
        page.close().await;
    });
}

#[test]
fn who_sends_half_a_head_is_hung_up_on() {
    block_on(async {
        let page = Page::open(Deadlines { head: SHORT, ..NEVER_OVER });
        let mut slow = page.tls().await;
        slow.write_all(&REQUEST.as_bytes()[..20]).await.unwrap();
        rest(&mut slow).await;
        page.close().await;
    });
}

#[test]
fn who_stays_after_an_answer_is_hung_up_on() {
    block_on(async {
        let page = Page::open(Deadlines { head: SHORT, ..NEVER_OVER });
        let mut idle = page.tls().await;
        idle.write_all(REQUEST.as_bytes()).await.unwrap();
        assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
        rest(&mut idle).await;
        page.close().await;
    });
}

#[test]
fn who_asks_again_and_again_is_hung_up_on_as_well() {
    block_on(async {
        let page = Page::open(Deadlines { connection: SHORT, ..NEVER_OVER });
        let (mut busy, began) = (page.tls().await, Instant::now());
        while busy.write_all(REQUEST.as_bytes()).await.is_ok() {
            let mut byte = [0];
            if !matches!(busy.read(&mut byte).await, Ok(1)) {
                break;
            }
            assert!(began.elapsed() < PATIENCE);
        }
        page.close().await;
    });
}

#[test]
fn heads_that_are_too_long_or_have_too_many_lines_are_refused() {
    block_on(async {
        let page = Page::open(NEVER_OVER);
        let long = format!("x: {}\r\n", "y".repeat(LONGEST_HEAD));
        let many = |lines: usize| (0..lines).map(|line| format!("x-{line}: y\r\n")).collect::<String>();
        let start = REQUEST.trim_end();
        for (headers, status) in [(long, "431"), (many(MOST_HEADERS), "431"), (many(MOST_HEADERS - 2), "200")]
        {
            let mut client = page.tls().await;
            let request = format!("{start}\r\nconnection: close\r\n{headers}\r\n");
            // It may hang up before it has read all of it.
            let _ = client.write_all(request.as_bytes()).await;
            let told = rest(&mut client).await;
            assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {told}");
        }
        page.close().await;
    });
}

#[test]
fn who_takes_too_many_places_gets_no_more_and_is_counted() {
    block_on(async {
        let page = Page::open(NEVER_OVER);
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_PER_ADDRESS {
            held.push(page.tls().await);
        }
        let mut refused = page.tcp().await;
        rest(&mut refused).await;
        // They go on: one that was there before is answered.
        let first = held.first_mut().unwrap();
        first.write_all(REQUEST.as_bytes()).await.unwrap();
        assert!(answer(first).await.starts_with("HTTP/1.1 200"));
        page.office.audit.flush_strangers();
        let lines = page.plant.audit_lines();
        let told: Vec<_> = lines.iter().filter(|line| line["event"] == "strangers_refused").collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].to_string().contains("too many connections to the passkey page"), "{told:?}");
        page.close().await;
    });
}

/// A gateway with a page that nobody serves, its certificate and what was told.
struct Desk {
    plant: Plant,
    office: Arc<Office>,
    certificate: Certificate,
    told: Option<Problem>,
}

impl Desk {
    fn new() -> Self {
        let plant = Plant::new().with_passkeys();
        let office = plant.office();
        let certificate = Certificate::read(settings(&office), office.clock.wall()).unwrap();
        Self { plant, office, certificate, told: None }
    }

    fn look(&mut self) {
        look_at(&self.office, settings(&self.office), &self.certificate, &mut self.told);
    }

    fn in_use(&self) -> Vec<CertificateDer<'static>> {
        self.certificate.in_use.load().cert.clone()
    }

    fn reloaded(&self) -> usize {
        self.plant.audit_lines().iter().filter(|line| line["event"] == "tls_reloaded").count()
    }

    fn end(&self) -> Timestamp {
        let all = self.office.calendar.all();
        all.into_iter().find(|end| end.what == Ending::PageCertificate).unwrap().ends
    }
}

#[test]
fn a_renewed_certificate_is_taken_up_and_told_once() {
    let mut desk = Desk::new();
    let (old, end) = (desk.in_use(), desk.end());
    desk.look();
    assert_eq!((desk.in_use(), desk.reloaded()), (old.clone(), 0));
    desk.plant.identify(&desk.plant.issue(9, Purpose::Server, 120));
    desk.look();
    desk.look();
    assert_ne!(desk.in_use(), old);
    assert_eq!(desk.reloaded(), 1);
    assert_eq!(desk.end().duration_since(end), SignedDuration::from_hours(24 * 30), "its own end is told");
}

#[test]
fn what_is_broken_changes_nothing_until_it_is_mended() {
    let mut desk = Desk::new();
    let (old, end) = (desk.in_use(), desk.end());
    let renewed = desk.plant.issue(9, Purpose::Server, 120);
    let elsewhere = issue_for("elsewhere.example", &desk.plant, Purpose::Server);
    let expired = desk.plant.issue(9, Purpose::Server, -1);
    for (certificate, key, why) in [
        ("junk", renewed.key.as_str(), "holds no certificate"),
        (&renewed.certificate, "junk", "holds no private key"),
        (&renewed.certificate, &elsewhere.key, "does not belong to"),
        (&elsewhere.certificate, &elsewhere.key, "is not made for localhost"),
        (&expired.certificate, &expired.key, "is not valid before"),
    ] {
        desk.plant.write("gateway.pem", certificate);
        desk.plant.write("gateway.key", key);
        for _ in 0..2 {
            desk.look();
            let told = desk.told.as_ref().map(ToString::to_string).unwrap_or_default();
            let expected =
                told.contains(why) || (why == "is not valid before" && told.contains("expired on"));
            assert!(expected, "{why}: {told}");
            assert_eq!((desk.in_use(), desk.end()), (old.clone(), end), "{why}");
        }
    }
    assert_eq!(desk.reloaded(), 0);
    desk.plant.identify(&renewed);
    desk.look();
    assert!(desk.in_use() != old && desk.told.is_none());
    assert_eq!(desk.reloaded(), 1);
}

#[test]
fn nobody_takes_all_places() {
    let (crowd, one, other) = (Crowd::default(), [192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let mut places: Vec<InCrowd> = (0..CONNECTIONS_PER_ADDRESS).filter_map(|_| crowd.enter(one)).collect();
    assert_eq!(places.len(), 24);
    assert!(crowd.enter(one).is_none());
    assert!(crowd.enter(other).is_some(), "another address has places of its own");
    places.pop();
    assert!(crowd.enter(one).is_some(), "a place that was left is free");
    let many = (0..=255).filter_map(|last| crowd.enter([198, 51, 100, last].into()));
    places.extend(many.collect::<Vec<_>>());
    assert_eq!(places.len(), 128);
}
