//! The QUIC side of the handshake: limits before sign-in, timers, acks.
//!
//! The figures come from measurements: acknowledgements that are held back for
//! no more than 1 ms are what keeps round trips short on a lossy line; each
//! stream a peer may open costs memory whether it opens it or not.

use crate::clock::Clock;
use crate::tls::Material;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{ConfigBuilder, WantsVerifier};
use std::sync::Arc;
use std::time::Duration;

/// The longest a peer may hold back an acknowledgement.
const MAX_ACK_DELAY: Duration = Duration::from_millis(1);

/// Packets that a peer may leave unacknowledged meanwhile. With one, the
/// acknowledgement of an answer travels with the next request; with none, it
/// would be a packet of its own for each answer.
const UNACKNOWLEDGED: u32 = 1;

/// Streams that a peer may open before its second factor: the control stream.
const STREAMS_BEFORE_SIGN_IN: u32 = 1;

/// Bytes of a connection that may wait unread before its second factor.
const WINDOW_BEFORE_SIGN_IN: u32 = 64 * 1024;

/// Bytes of an enrolment that may wait unread: two of its largest messages.
const WINDOW_ENROLMENT: u32 = 8 * 1024;

/// Bytes of one stream that may wait unread. Before sign-in the connection's
/// smaller window is the bound.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Timers and windows of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// A connection that hears nothing for so long is given up.
    pub idle_timeout: Duration,
    /// How often a quiet connection is kept alive.
    pub keep_alive: Duration,
    /// Handshakes that may wait to be taken up.
    pub incoming: u32,
}

/// What an endpoint is run with; made by [`server_config`] only.
#[derive(Debug, Clone)]
pub struct ServerConfig(pub(super) quinn::ServerConfig);

/// Why material that passed its checks makes no configuration.
#[derive(Debug, thiserror::Error)]
#[error("TLS configuration: {0}")]
pub struct ConfigError(String);

/// The endpoint's configuration: TLS 1.3, client certificate required, nothing
/// that lets a connection skip the judgement of its certificate.
pub fn server_config(
    material: &Material,
    windows: &Windows,
    clock: Arc<dyn Clock>,
) -> Result<ServerConfig, ConfigError> {
    let tls = builder(clock)?
        .with_client_cert_verifier(material.trust().verifier())
        .with_single_cert(material.chain(), material.key())
        .map_err(|error| ConfigError(error.to_string()))?;
    finish(tls, wire::ALPN, transport(windows), windows.incoming)
}

/// The enrolment endpoint's configuration: the same certificate, no
/// certificate asked for, a protocol name of its own, and less room.
///
/// # Errors
/// [`ConfigError`].
pub fn enrolment_config(
    material: &Material,
    windows: &Windows,
    clock: Arc<dyn Clock>,
) -> Result<ServerConfig, ConfigError> {
    let tls = builder(clock)?
        .with_no_client_auth()
        .with_single_cert(material.chain(), material.key())
        .map_err(|error| ConfigError(error.to_string()))?;
    let mut transport = transport(windows);
    transport
        .receive_window(VarInt::from_u32(WINDOW_ENROLMENT))
        .stream_receive_window(VarInt::from_u32(WINDOW_ENROLMENT));
    finish(tls, wire::enrolment::ALPN, transport, windows.incoming)
}

fn builder(clock: Arc<dyn Clock>) -> Result<ConfigBuilder<rustls::ServerConfig, WantsVerifier>, ConfigError> {
    let (provider, time) = (Arc::new(aws_lc_rs::default_provider()), Arc::new(ClockTime(clock)));
    rustls::ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| ConfigError(error.to_string()))
}

fn finish(
    mut tls: rustls::ServerConfig,
    alpn: &[u8],
    transport: TransportConfig,
    incoming: u32,
) -> Result<ServerConfig, ConfigError> {
    tls.alpn_protocols = vec![alpn.to_vec()];
    // A resumed connection would skip the verifier: a revoked certificate would
    // get in (RFC 8446, 2.2).
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    tls.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| ConfigError(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    config.max_incoming(usize::try_from(incoming).unwrap_or(usize::MAX));
    Ok(ServerConfig(config))
}

fn transport(windows: &Windows) -> TransportConfig {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(UNACKNOWLEDGED)).max_ack_delay(Some(MAX_ACK_DELAY));
    let mut transport = TransportConfig::default();
    transport
        .ack_frequency_config(Some(acks))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_BEFORE_SIGN_IN))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(WINDOW_BEFORE_SIGN_IN))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0)
        .max_idle_timeout(IdleTimeout::try_from(windows.idle_timeout).ok())
        .keep_alive_interval(Some(windows.keep_alive));
    transport
}

/// The gateway's clock as rustls asks for it, so that certificates are judged
/// by the same time as everything else.
#[derive(Debug)]
struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.wall().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
