//! A bare QUIC forwarder: two processes that only carry bytes.
//!
//! It is what the product's path would be with no policy, no recording and no
//! limits: TCP in, one QUIC stream for each connection, TCP out, on
//! current_thread runtimes, with the product's transport settings. The bench
//! program starts itself twice to be both halves.

use quinn::{
    AckFrequencyConfig, Endpoint, IdleTimeout, RecvStream, SendStream, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};
use tests::process::Process;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Bytes that one pump carries at a time.
const CHUNK: usize = 16 * 1024;

const PROTOCOL: &[u8] = b"bare-forwarder/1";

/// Both halves, running.
#[derive(Debug)]
pub(crate) struct Forwarder {
    _far: Process,
    _near: Process,
    /// Where the tool connects.
    pub(crate) address: SocketAddr,
}

/// Starts both halves towards `device`; their certificate lies in `folder`.
pub(crate) fn start(device: SocketAddr, folder: &Path) -> anyhow::Result<Forwarder> {
    let this = std::env::current_exe()?;
    let certificate = folder.join("forwarder.der");
    let mut command = Command::new(&this);
    let far = Process::start("far half", command.arg("far").arg(device.to_string()).arg(&certificate))?;
    let address = listening(&far)?;
    let mut command = Command::new(&this);
    let near = Process::start("near half", command.arg("near").arg(address.to_string()).arg(&certificate))?;
    let address = listening(&near)?;
    Ok(Forwarder { _far: far, _near: near, address })
}

fn listening(process: &Process) -> anyhow::Result<SocketAddr> {
    Ok(process.wait_for_words("listening ")?.trim_start_matches("listening ").parse()?)
}

/// The half beside the device.
pub(crate) async fn far(device: SocketAddr, certificate: &Path) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(certificate, made.cert.der())?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut tls = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport()?));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?;
    announce(endpoint.local_addr()?)?;
    while let Some(incoming) = endpoint.accept().await {
        let connection = incoming.await?;
        tokio::spawn(async move {
            while let Ok((send, receive)) = connection.accept_bi().await {
                tokio::spawn(async move {
                    let stream = TcpStream::connect(device).await?;
                    carry(stream, send, receive).await
                });
            }
        });
    }
    Ok(())
}

/// The half beside the tool.
pub(crate) async fn near(far: SocketAddr, certificate: &Path) -> anyhow::Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(std::fs::read(certificate)?))?;
    let mut tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport()?));
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    let connection = endpoint.connect_with(config, far, "localhost")?.await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        let (send, receive) = connection.open_bi().await?;
        tokio::spawn(carry(stream, send, receive));
    }
}

fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "listening {address}")?;
    Ok(out.flush()?)
}

/// The product's settings: see `tls/transport.rs` of `gateway` and `link` of
/// `client`.
fn transport() -> anyhow::Result<TransportConfig> {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(1)).max_ack_delay(Some(Duration::from_millis(1)));
    let mut transport = TransportConfig::default();
    transport
        .ack_frequency_config(Some(acks))
        .max_concurrent_bidi_streams(VarInt::from_u32(16))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(Duration::from_secs(5)))
        .max_idle_timeout(Some(IdleTimeout::try_from(Duration::from_secs(30))?));
    Ok(transport)
}

/// Carries both directions until both have ended.
async fn carry(stream: TcpStream, mut send: SendStream, mut receive: RecvStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.into_split();
    let out = async {
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk).await? {
                0 => break,
                count => send.write_all(&chunk[..count]).await?,
            }
        }
        send.finish().map_err(std::io::Error::other)
    };
    let back = async {
        let mut chunk = vec![0; CHUNK];
        while let Some(count) = receive.read(&mut chunk).await? {
            to.write_all(&chunk[..count]).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(out, back)?;
    Ok(())
}
