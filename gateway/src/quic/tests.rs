//! Real handshakes over loopback: who gets through, who does not.

use super::Endpoint;
use crate::fixture::{Issued, Plant, Purpose, authority, issue, noon};
use crate::tls::{Look, Reloader};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError};
use rustls::NamedGroup;
use rustls::RootCertStore;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

struct Gate {
    plant: Plant,
    reloader: Reloader,
    endpoint: Endpoint,
    address: SocketAddr,
}

/// Keeps what a client gets for coming back, and counts it.
#[derive(Debug)]
struct Tickets {
    kept: ClientSessionMemoryCache,
    got: AtomicUsize,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { kept: ClientSessionMemoryCache::new(16), got: AtomicUsize::new(0) }
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.kx_hint(name)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.got.fetch_add(1, Ordering::Relaxed);
        self.kept.insert_tls13_ticket(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.take_tls13_ticket(name)
    }
}

/// The plant's time for the client's side, which checks the gateway's certificate.
#[derive(Debug)]
struct Noon;

impl TimeProvider for Noon {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(noon().as_second().unsigned_abs())))
    }
}

impl Gate {
    fn open(plant: Plant) -> Self {
        let config = plant.config().unwrap();
        let reloader =
            Reloader::open(config.tls, config.limits.windows(), plant.clock.clone(), None).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let endpoint = Endpoint::new(udp, reloader.current().server.clone()).unwrap();
        let accepting = endpoint.clone();
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(async move {
                    // One byte on the client's stream says that it got in.
                    let Ok(connection) = incoming.handshake().await else { return };
                    let Ok((mut to_client, _from_client)) = connection.accept_stream().await else { return };
                    let _ = to_client.write_all(b"!").await;
                    connection.closed().await;
                });
            }
        });
        Self { plant, reloader, endpoint, address }
    }

    fn client(&self, issued: Option<&Issued>) -> rustls::ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.plant.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_details(provider, Arc::new(Noon))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match issued {
            Some(issued) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![wire::ALPN.to_vec()];
        config
    }

    /// Whether the gateway lets this client say something.
    async fn knock(&self, config: rustls::ClientConfig) -> Result<Connection, ConnectionError> {
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(
            QuicClientConfig::try_from(config).unwrap(),
        )));
        let connection = endpoint.connect(self.address, "localhost").unwrap().await?;
        let talk = async {
            let (mut to_gateway, mut from_gateway) = connection.open_bi().await?;
            let _ = to_gateway.write_all(b"?").await;
            let mut byte = [0];
            match from_gateway.read_exact(&mut byte).await {
                Ok(()) => Ok(()),
                Err(_) => Err(connection.closed().await),
            }
        };
        tokio::time::timeout(Duration::from_secs(20), talk).await.expect("no answer")?;
        Ok(connection)
    }
}

/// The TLS alert (RFC 8446, 6) in a refusal: QUIC adds 0x100 (RFC 9001, 4.8).
fn alert(refused: Result<Connection, ConnectionError>) -> u64 {
    match refused {
        Err(ConnectionError::ConnectionClosed(close)) => u64::from(close.error_code) - 0x100,
        other => panic!("not refused by TLS: {other:?}"),
    }
}

#[tokio::test]
async fn only_a_good_client_certificate_gets_in() {
    let plant = Plant::new();
    plant.write_crl(&[11], noon(), 60);
    let gate = Gate::open(plant);
    let issued = |serial| gate.plant.issue(serial, Purpose::Client, 30);
    assert!(gate.knock(gate.client(Some(&issued(10)))).await.is_ok());
    assert_eq!(alert(gate.knock(gate.client(None)).await), 116, "certificate_required");
    assert_eq!(alert(gate.knock(gate.client(Some(&issued(11)))).await), 44, "certificate_revoked");
    let foreign = issue(&authority(), 10, Purpose::Client, noon(), 30);
    assert!(gate.knock(gate.client(Some(&foreign))).await.is_err());
    let server = gate.plant.issue(12, Purpose::Server, 30);
    assert!(gate.knock(gate.client(Some(&server))).await.is_err());
    let expired = gate.plant.issue(13, Purpose::Client, 1);
    gate.plant.advance_days(2);
    assert_eq!(alert(gate.knock(gate.client(Some(&expired))).await), 45, "certificate_expired");
}

#[tokio::test]
async fn a_lapsed_list_lets_nobody_in() {
    let gate = Gate::open(Plant::new());
    let person = gate.plant.issue(10, Purpose::Client, 90);
    assert!(gate.knock(gate.client(Some(&person))).await.is_ok());
    gate.plant.advance_days(61);
    assert!(gate.knock(gate.client(Some(&person))).await.is_err());
}

#[tokio::test]
async fn another_protocol_gets_nothing() {
    let gate = Gate::open(Plant::new());
    let mut config = gate.client(Some(&gate.plant.issue(10, Purpose::Client, 30)));
    config.alpn_protocols = vec![b"h3".to_vec()];
    assert_eq!(alert(gate.knock(config).await), 120, "no_application_protocol");
}

#[tokio::test]
async fn a_revoked_certificate_can_not_come_back_by_resumption() {
    let gate = Gate::open(Plant::new());
    let mut config = gate.client(Some(&gate.plant.issue(10, Purpose::Client, 30)));
    let store = Arc::new(Tickets::default());
    config.resumption = Resumption::store(store.clone());
    config.enable_early_data = true;
    let connection = gate.knock(config.clone()).await.unwrap();
    // Tickets follow the handshake; whatever was sent has come by this answer.
    connection.close(0_u32.into(), b"");
    assert_eq!(store.got.load(Ordering::Relaxed), 0, "a ticket was handed out");
    // The same server configuration goes on; only its judgement changes. A
    // resumed connection would not ask it.
    gate.plant.advance_days(31);
    assert_eq!(alert(gate.knock(config).await), 45, "certificate_expired");
}

#[tokio::test]
async fn a_reloaded_list_counts_for_the_next_handshake() {
    let gate = Gate::open(Plant::new());
    let config = gate.client(Some(&gate.plant.issue(10, Purpose::Client, 30)));
    assert!(gate.knock(config.clone()).await.is_ok());
    gate.plant.write_crl(&[10], noon(), 60);
    assert_eq!(gate.reloader.look(), Look::Reloaded);
    gate.endpoint.change(gate.reloader.current().server.clone());
    assert_eq!(alert(gate.knock(config).await), 44, "certificate_revoked");
}

#[tokio::test]
async fn before_sign_in_a_peer_may_open_one_stream() {
    let gate = Gate::open(Plant::new());
    let config = gate.client(Some(&gate.plant.issue(10, Purpose::Client, 30)));
    let connection = gate.knock(config).await.unwrap();
    let second = tokio::time::timeout(Duration::from_millis(200), connection.open_bi()).await;
    assert!(second.is_err(), "a second stream was opened");
    let one_way = tokio::time::timeout(Duration::from_millis(200), connection.open_uni()).await;
    assert!(one_way.is_err(), "a one-way stream was opened");
    assert!(connection.max_datagram_size().is_none(), "datagrams are off");
}
