//! The client's side of a sign-in without the client's manners: any chain, any
//! key, any message in any order.
//!
//! A [`Visitor`] connects with [`Papers`]; the [`Visit`] says and hears single
//! messages of the protocol. Nothing of it checks what it sends: that is the
//! gateway's part, and what the tests are about.

use anyhow::Context;
use bytes::BytesMut;
use quinn::{ConnectionError, RecvStream, SendStream, VarInt, crypto::rustls::QuicClientConfig};
use rustls::{
    RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SigningKey},
};
use std::{fmt, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use wire::{ToClient, ToGateway};

/// Long enough for any one answer on a busy machine; reached only when
/// something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number that QUIC adds to a TLS alert (RFC 9001, 4.8).
const ALERTS: u64 = 0x100;

/// What is shown in the handshake, true or not.
#[derive(Clone)]
pub struct Papers(Option<Arc<CertifiedKey>>);

impl Papers {
    /// A chain, the person's own certificate first, and the key that signs.
    /// Whether they belong together is not asked.
    ///
    /// # Errors
    /// If the key is none that can sign.
    pub fn new(chain: Vec<Vec<u8>>, key: &PrivateKeyDer<'_>) -> anyhow::Result<Self> {
        Ok(Self::signed_by(chain, aws_lc_rs::sign::any_supported_type(key)?))
    }

    /// The same with a signer of the caller's own.
    pub fn signed_by(chain: Vec<Vec<u8>>, key: Arc<dyn SigningKey>) -> Self {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        Self(Some(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// Certificate and key in PEM.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn from_pem(certificate: &str, key: &str) -> anyhow::Result<Self> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        Self::new(vec![certificate.to_vec()], &PrivateKeyDer::from_pem_slice(key.as_bytes())?)
    }

    /// No certificate at all.
    pub fn none() -> Self {
        Self(None)
    }
}

impl fmt::Debug for Papers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.0.as_ref().map_or(0, |shown| shown.cert.len());
        write!(formatter, "Papers({certificates} certificates)")
    }
}

/// Shows the same papers whatever the gateway asks for.
#[derive(Debug)]
struct Shows(Papers);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.0.is_some()
    }
}

/// Somebody with a UDP port, who can connect many times.
#[derive(Debug, Clone)]
pub struct Visitor {
    endpoint: quinn::Endpoint,
    roots: Arc<RootCertStore>,
}

/// How the gateway ended a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In the handshake.
    Alert {
        /// The TLS alert (RFC 8446, 6).
        alert: u64,
        /// What came with it.
        why: String,
    },
    /// With a code of the protocol.
    Closed {
        /// The number of [`wire::CloseCode`].
        code: u64,
        /// What came with it.
        why: String,
    },
    /// So long ago that the gateway has forgotten it (RFC 9000, 10.3).
    Forgotten,
    /// In another way.
    Lost(String),
}

/// One connection with its control stream.
#[derive(Debug)]
pub struct Visit {
    connection: quinn::Connection,
    to_gateway: SendStream,
    from_gateway: RecvStream,
    buffered: BytesMut,
    /// Every byte that came on the control stream.
    heard: Vec<u8>,
}

impl Visitor {
    /// A visitor who takes the gateway for genuine if `ca` signed its
    /// certificate. To be made within a runtime.
    ///
    /// # Errors
    /// If the file can't be read or no port be bound.
    pub fn new(ca: &Path) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).context("the CA")?)?;
        let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?;
        Ok(Self { endpoint, roots: Arc::new(roots) })
    }

    /// The port by which the gateway knows this visitor.
    ///
    /// # Errors
    /// If the socket has none.
    pub fn port(&self) -> anyhow::Result<u16> {
        Ok(self.endpoint.local_addr()?.port())
    }

    /// Connects. The gateway has not judged the papers when this succeeds (RFC
    /// 8446, 4.4.2: they go in the client's last flight).
    ///
    /// # Errors
    /// How the gateway ended it.
    pub async fn knock(&self, gateway: SocketAddr, papers: &Papers) -> Result<Visit, Ended> {
        let knocking = async {
            let config = self.config(papers).map_err(|error| Ended::Lost(format!("{error:#}")))?;
            let connecting = self
                .endpoint
                .connect_with(config, gateway, "localhost")
                .map_err(|error| Ended::Lost(error.to_string()))?;
            let connection = connecting.await.map_err(|error| ended(&error))?;
            let (to_gateway, from_gateway) = connection.open_bi().await.map_err(|error| ended(&error))?;
            Ok(Visit { connection, to_gateway, from_gateway, buffered: BytesMut::new(), heard: Vec::new() })
        };
        let knocked = tokio::time::timeout(PATIENCE, knocking).await;
        knocked.unwrap_or_else(|_| Err(Ended::Lost("no answer to the handshake".to_owned())))
    }

    fn config(&self, papers: &Papers) -> anyhow::Result<quinn::ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_cert_resolver(Arc::new(Shows(papers.clone())));
        config.alpn_protocols = vec![wire::ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(config)?;
        Ok(quinn::ClientConfig::new(Arc::new(crypto)))
    }
}

impl Visit {
    /// Says something; whether it got through shows in what is heard.
    pub async fn say(&mut self, message: &ToGateway) {
        if let Ok(bytes) = wire::encode(message) {
            self.say_bytes(&bytes).await;
        }
    }

    /// Says bytes that may be no message.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let _heard_later = self.to_gateway.write_all(bytes).await;
    }

    /// The gateway's next message.
    ///
    /// # Errors
    /// How the gateway ended it instead.
    pub async fn hear(&mut self) -> Result<ToClient, Ended> {
        let hearing = tokio::time::timeout(PATIENCE, self.hear_at_last()).await;
        hearing.unwrap_or_else(|_| Err(Ended::Lost("no answer".to_owned())))
    }

    async fn hear_at_last(&mut self) -> Result<ToClient, Ended> {
        loop {
            match wire::decode(&mut self.buffered, wire::AFTER_SIGN_IN) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => return Err(Ended::Lost(error.to_string())),
            }
            match self.from_gateway.read_chunk(wire::AFTER_SIGN_IN, true).await {
                Ok(Some(chunk)) => {
                    self.heard.extend_from_slice(&chunk.bytes);
                    self.buffered.extend_from_slice(&chunk.bytes);
                }
                // A finished stream is followed by a close with its reason.
                Ok(None) | Err(_) => return Err(ended(&self.connection.closed().await)),
            }
        }
    }

    /// Says hello in the proper way and hears the answer.
    ///
    /// # Errors
    /// How the gateway ended it instead.
    pub async fn greet(&mut self) -> Result<ToClient, Ended> {
        self.say(&ToGateway::Hello { version: wire::VERSION, software: "visitor".to_owned() }).await;
        self.hear().await
    }

    /// The value of this connection under `label` (RFC 8446, 7.5).
    ///
    /// # Errors
    /// If the handshake gives none.
    pub fn exporter(&self, label: &[u8]) -> anyhow::Result<[u8; 32]> {
        let mut value = [0; 32];
        let given = self.connection.export_keying_material(&mut value, label, b"");
        given.map_err(|_| anyhow::anyhow!("no exporter"))?;
        Ok(value)
    }

    /// Every byte that came on the control stream so far.
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Says goodbye.
    pub fn leave(self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

fn ended(error: &ConnectionError) -> Ended {
    if let ConnectionError::ApplicationClosed(close) = error {
        let why = String::from_utf8_lossy(&close.reason).into_owned();
        return Ended::Closed { code: close.error_code.into_inner(), why };
    }
    if let ConnectionError::Reset = error {
        return Ended::Forgotten;
    }
    if let ConnectionError::ConnectionClosed(close) = error
        && let Some(alert) = u64::from(close.error_code).checked_sub(ALERTS)
    {
        return Ended::Alert { alert, why: String::from_utf8_lossy(&close.reason).into_owned() };
    }
    Ended::Lost(error.to_string())
}
