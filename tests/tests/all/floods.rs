//! Strangers in numbers at the enrolment endpoint and at the passkey page:
//! handshakes that stop half-way, connections that say nothing, wrong tokens as
//! fast as they go. Whoever belongs here gets in meanwhile.

use crate::{
    enrolment::token,
    passkeys::{
        attacks::register,
        browser::Browser,
        site::{NAME, ORIGIN, listening, offered, start, with_page},
    },
};
use client::pinned::Pinned;
use quinn::crypto::rustls::QuicClientConfig;
use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tests::{
    plant::{Gateway, Technician},
    plc::{Manners, Plc},
    process::run,
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};
use tokio::{
    net::{TcpSocket, TcpStream, UdpSocket},
    task::JoinSet,
};
use wire::enrolment::{ALPN, Ask, InvitationId, Proof, Token, VERSION};

const INVITED: &str = "tech-3@vendor-a";
/// Handshakes that never end, from each of those addresses.
const HALF_OPEN: u32 = 60;
const HALF_OPEN_FROM: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 11), Ipv4Addr::new(127, 0, 0, 12)];
/// Connections that finish the handshake and say nothing.
const SILENT: u32 = 60;
const SILENT_FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 13);
/// Connections that bring wrong tokens, one after the other.
const GUESSING: u32 = 16;
const GUESSING_FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 14);
/// Connections to the page that send a part of a handshake, byte by byte.
const AT_THE_PAGE: u32 = 200;
const AT_THE_PAGE_FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 15);
/// Who got no connection at all tries again after that.
const AGAIN: Duration = Duration::from_millis(10);
/// How long the flood stands before anybody else comes.
const STANDS: Duration = Duration::from_secs(2);
/// What the gateway may grow by meanwhile. It is bounded by its places, some
/// hundred kilobytes each; without a bound this flood would go on.
const MOST_GROWTH: u64 = 96 * 1024 * 1024;
/// Until a refused stranger has no place any more, whatever it takes or does
/// not; the gateway waits for some seconds.
const GONE_WITHIN: Duration = Duration::from_secs(25);
/// Tokens that come through, by which the flood is one.
const GUESSES: u32 = 50;

/// What the strangers have done so far.
#[derive(Debug, Default)]
struct Tally {
    half_open: AtomicU32,
    silent: AtomicU32,
    guesses: AtomicU32,
    at_the_page: AtomicU32,
}

/// Strangers who go on until it is dropped.
struct Flood {
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn against(token: &Token, page: SocketAddr) -> Self {
        let (tally, over) = (Arc::<Tally>::default(), Arc::<AtomicBool>::default());
        let (endpoint, tls) = (token.address().parse().unwrap(), config(token));
        let (for_all, ends) = (Arc::clone(&tally), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut strangers = JoinSet::new();
                for from in HALF_OPEN_FROM {
                    for _ in 0..HALF_OPEN {
                        strangers.spawn(half_open(from, endpoint, tls.clone(), Arc::clone(&for_all)));
                    }
                }
                strangers.spawn(silent(endpoint, tls.clone(), Arc::clone(&for_all)));
                for _ in 0..GUESSING {
                    strangers.spawn(guess(endpoint, tls.clone(), Arc::clone(&for_all)));
                }
                for _ in 0..AT_THE_PAGE {
                    strangers.spawn(dawdle(page, Arc::clone(&for_all)));
                }
                while !ends.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
        Self { tally, over, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn config(token: &Token) -> quinn::ClientConfig {
    let tls = Pinned::new(token.fingerprint).tls(ALPN).unwrap();
    let tls = rustls::ClientConfig::clone(&tls);
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

fn client_at(from: Ipv4Addr) -> quinn::Endpoint {
    quinn::Endpoint::client(SocketAddrV4::new(from, 0).into()).unwrap()
}

/// A handshake whose client is not heard any more once it has shown that it has
/// its address (RFC 9000, 8.1.2): four datagrams come through, again and again
/// on a new connection.
async fn half_open(from: Ipv4Addr, gateway: SocketAddr, tls: quinn::ClientConfig, tally: Arc<Tally>) {
    let client = client_at(Ipv4Addr::LOCALHOST);
    loop {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let back = UdpSocket::bind((from, 0)).await.unwrap();
        let connecting = client.connect_with(tls.clone(), front.local_addr().unwrap(), "localhost").unwrap();
        let (mut to_gateway, mut to_client) = ([0; 2048], [0; 2048]);
        let (mut passed, mut client_at) = (0, None);
        let relay = async {
            loop {
                tokio::select! {
                    Ok((count, at)) = front.recv_from(&mut to_gateway) => {
                        client_at = Some(at);
                        if passed < 4 {
                            passed += 1;
                            let _lost = back.send_to(&to_gateway[..count], gateway).await;
                            tally.half_open.fetch_add(u32::from(passed == 4), Ordering::Relaxed);
                        }
                    }
                    Ok(count) = back.recv(&mut to_client) => {
                        if let Some(at) = client_at {
                            let _lost = front.send_to(&to_client[..count], at).await;
                        }
                    }
                }
            }
        };
        let _given_up = tokio::time::timeout(Duration::from_secs(3), relay).await;
        drop(connecting);
    }
}

/// Connections that stand and say nothing.
async fn silent(gateway: SocketAddr, tls: quinn::ClientConfig, tally: Arc<Tally>) {
    let (client, mut standing) = (client_at(SILENT_FROM), Vec::new());
    for _ in 0..SILENT {
        if let Ok(connection) = client.connect_with(tls.clone(), gateway, "localhost").unwrap().await {
            tally.silent.fetch_add(1, Ordering::Relaxed);
            standing.push(connection);
        }
    }
    std::future::pending().await
}

/// A proof of no token.
fn no_token() -> Vec<u8> {
    let (invitation, proof) = (InvitationId([7; 16]), Proof([7; 32]));
    let software = "stranger".to_owned();
    wire::encode(&Ask::Hello { version: VERSION, software, invitation, proof }).unwrap()
}

/// Tokens that are none, one after the other.
async fn guess(gateway: SocketAddr, tls: quinn::ClientConfig, tally: Arc<Tally>) {
    let client = client_at(GUESSING_FROM);
    let hello = no_token();
    loop {
        let Ok(connection) = client.connect_with(tls.clone(), gateway, "localhost").unwrap().await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let Ok((mut sender, mut receiver)) = connection.open_bi().await else { continue };
        let said = sender.write_all(&hello).await.is_ok();
        if said && receiver.read_to_end(4096).await.is_ok() {
            tally.guesses.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The beginning of a TLS handshake, a byte at a time, on a new connection when
/// the last one was cut.
async fn dawdle(page: SocketAddr, tally: Arc<Tally>) {
    use tokio::io::AsyncWriteExt;
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddrV4::new(AT_THE_PAGE_FROM, 0).into()).unwrap();
        let Ok(mut stream): std::io::Result<TcpStream> = socket.connect(page).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        tally.at_the_page.fetch_add(1, Ordering::Relaxed);
        for byte in [0x16, 3, 1, 2, 0].into_iter().chain(std::iter::repeat_n(1, 500)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    }
}

/// Resident memory of a process, in bytes.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn strangers_in_numbers_keep_nobody_out_and_cost_little() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    let page_at = with_page(&workshop);
    let mut gateway = Gateway::ready(&workshop).unwrap();
    let (by_passkey, by_code) =
        (gateway.import(TECHNICIAN).unwrap(), gateway.import(OTHER_TECHNICIAN).unwrap());
    let mut browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    register(&by_passkey, &mut browser);
    let invitation = gateway.invite(INVITED).unwrap();
    let process = gateway.process().id();
    let before = memory(process);

    let flood = Flood::against(&token(&invitation), page_at);
    std::thread::sleep(STANDS);
    let began = Instant::now();
    // A code, a passkey with its page, and the one who is invited.
    by_code.run(&["targets"]).unwrap().expect_code(0).unwrap();
    let client = start(&by_passkey, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let page = browser.visit(&offered(&client).url);
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    listening(client).end().unwrap().expect_code(0).unwrap();
    let during = memory(process);
    let newcomer = Technician::new(&workshop, INVITED);
    run("gatehouse enroll", &mut newcomer.enroll(&invitation, &[])).unwrap().expect_code(0).unwrap();
    let took = began.elapsed();
    let tally = Arc::clone(&flood.tally);
    drop(flood);

    let count = |what: &AtomicU32| what.load(Ordering::Relaxed);
    let growth = during.saturating_sub(before);
    let told = format!("{tally:?}, {took:?}, {} KiB more", growth / 1024);
    assert!(count(&tally.half_open) >= 2 * HALF_OPEN && count(&tally.guesses) >= GUESSES, "{told}");
    assert!(count(&tally.silent) > 0 && count(&tally.at_the_page) >= AT_THE_PAGE, "{told}");
    assert!(growth < MOST_GROWTH, "{told}");
    for person in [TECHNICIAN, OTHER_TECHNICIAN, INVITED] {
        let shown = gateway.admin(&["user", "show", person, "--json"]).unwrap().expect_code(0).unwrap().out;
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["failures"], 0, "{shown}");
    }
    gateway.terminate().unwrap();
    let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    let strangers = events.lines().filter(|line| line.contains("\"strangers_refused\"")).count();
    assert!((1..40).contains(&strangers), "{strangers} lines of strangers: {events}");
    assert!(events.lines().count() < 100, "{events}");
    println!("{told}");
}

#[test]
fn a_stranger_who_takes_no_last_word_is_gone_soon() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let token = token(&gateway.invite(INVITED).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tls = config(&token);
        let mut transport = quinn::TransportConfig::default();
        transport.stream_receive_window(quinn::VarInt::from_u32(0));
        transport.keep_alive_interval(Some(Duration::from_millis(500)));
        tls.transport_config(Arc::new(transport));
        let client = client_at(Ipv4Addr::LOCALHOST);
        let gateway = token.address().parse().unwrap();
        let connection = client.connect_with(tls, gateway, "localhost").unwrap().await.unwrap();
        let (mut sender, _receiver) = connection.open_bi().await.unwrap();
        sender.write_all(&no_token()).await.unwrap();
        // It would stay as long as it says that it is alive.
        let closed = tokio::time::timeout(GONE_WITHIN, connection.closed()).await;
        assert!(closed.is_ok(), "it still has its place");
    });
}
