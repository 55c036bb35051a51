//! The line to the gateway: QUIC, and the only place that knows it.
//!
//! What it is for: one connection with the profile's certificate, a control stream of messages, and a stream per
//! channel. What it never does: it never reports a refusal of its own invention. The connection stands before the
//! gateway has judged our certificate, so "refused" is said only when the gateway itself says it, by a message or by
//! closing the connection.

mod channel;
mod failure;

use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{AckFrequencyConfig, ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt};
use wire::{AFTER_SIGN_IN, CloseCode, Message, PREFIX, TO_CLIENT_BEFORE_SIGN_IN, ToClient, ToGateway};

use self::failure::Phase;
use crate::Problem;
use crate::profile::{Address, Profile};

pub use self::channel::{ChannelBroken, Opener, Opening, Receiving, Sending};

/// How long to wait for the gateway's first answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the gateway may take to answer a message; dialling a device is not part of any.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long silence may last before the line counts as lost.
const IDLE: Duration = Duration::from_secs(30);
/// How often to show that we are there.
const KEEP_ALIVE: Duration = Duration::from_secs(7);
/// How long to wait for the reason after the gateway fell silent on the control stream.
const REASON_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait for our last words to get through.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);
/// How many addresses of the gateway's name are tried.
const MOST_ADDRESSES: usize = 4;

/// A connection to what may be the gateway.
#[derive(Debug)]
pub struct Link {
    endpoint: Endpoint,
    connection: Connection,
}

impl Link {
    /// Connects to the profile's gateway and checks its certificate.
    ///
    /// # Errors
    /// [`Problem::Unreachable`] if nothing answers or what answers is not the profile's gateway,
    /// [`Problem::Refused`] if it closes at once.
    pub async fn open(profile: &Profile) -> Result<Self, Problem> {
        Self::to(&Target {
            gateway: &profile.gateway,
            server_name: &profile.server_name,
            tls: &profile.tls,
            named_in: &profile.file.display().to_string(),
        })
        .await
    }

    /// Connects to a gateway and checks its certificate as `tls` says.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn to(target: &Target<'_>) -> Result<Self, Problem> {
        let attempt = tokio::time::timeout(CONNECT_WITHIN, Self::try_addresses(target));
        attempt.await.unwrap_or_else(|_| Err(failure::no_answer(target.gateway)))
    }

    async fn try_addresses(target: &Target<'_>) -> Result<Self, Problem> {
        let gateway = target.gateway;
        let unknown = |why: &str| {
            Problem::Unreachable(format!("the gateway's name {} is unknown: {why}", gateway.host))
        };
        let found = tokio::net::lookup_host((gateway.host.as_str(), gateway.port))
            .await
            .map_err(|error| unknown(&error.to_string()))?;
        let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
        let mut last = unknown("it has no address");
        let each = CONNECT_WITHIN / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        for address in addresses {
            match tokio::time::timeout(each, Self::try_address(target, address)).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(problem)) => last = problem,
                Err(_) => last = failure::no_answer(gateway),
            }
        }
        Err(last)
    }

    async fn try_address(target: &Target<'_>, address: SocketAddr) -> Result<Self, Problem> {
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = Endpoint::client(local)
            .map_err(|source| Problem::Io { what: "a UDP socket towards the gateway".to_owned(), source })?;
        let connecting = endpoint
            .connect_with(client_config(target)?, address, target.server_name)
            .map_err(|error| Problem::Configuration(format!("{}: {error}", target.named_in)))?;
        let connection =
            connecting.await.map_err(|error| failure::explain(&error, Phase::Connecting(target.gateway)))?;
        Ok(Self { endpoint, connection })
    }

    /// A value that both ends of this connection know and nobody else, and that no other connection has (RFC 8446,
    /// 7.5).
    ///
    /// # Errors
    /// [`Problem::Unreachable`] if the handshake can't give one.
    pub fn exporter(&self, label: &[u8]) -> Result<[u8; 32], Problem> {
        exporter(&self.connection, label)
    }

    /// Opens the control stream.
    ///
    /// # Errors
    /// As the gateway closed the connection.
    pub async fn control<S: Message, R: Message>(&self) -> Result<Control<S, R>, Problem> {
        let (send, receive) =
            self.connection.open_bi().await.map_err(|error| failure::explain(&error, Phase::Connected))?;
        let connection = self.connection.clone();
        Ok(Control {
            connection,
            send,
            receive,
            buffered: BytesMut::new(),
            bound: TO_CLIENT_BEFORE_SIGN_IN,
            silent_since: None,
            speaks: PhantomData,
        })
    }

    /// What opens channels on this connection.
    #[must_use]
    pub fn opener(&self) -> Opener {
        Opener::new(self.connection.clone())
    }

    /// Says goodbye and lets that get through.
    pub async fn close(self) {
        let code = VarInt::from_u32(u32::from(CloseCode::Done.number()));
        self.connection.close(code, b"");
        drop(self.connection);
        // A gateway that is gone does not keep us: the farewell is a courtesy.
        let _ = tokio::time::timeout(FAREWELL_WITHIN, self.endpoint.wait_idle()).await;
    }
}

fn exporter(connection: &Connection, label: &[u8]) -> Result<[u8; 32], Problem> {
    let mut value = [0; 32];
    let given = connection.export_keying_material(&mut value, label, b"");
    given.map_err(|_| Problem::Unreachable("the line can't be bound to a proof".to_owned()))?;
    Ok(value)
}

fn client_config(target: &Target<'_>) -> Result<ClientConfig, Problem> {
    let unusable = |why: String| Problem::Configuration(format!("{}: {why}", target.named_in));
    let crypto =
        QuicClientConfig::try_from(Arc::clone(target.tls)).map_err(|error| unusable(error.to_string()))?;
    let mut transport = TransportConfig::default();
    let mut acks = AckFrequencyConfig::default();
    // The one knob that decides latency on a lossy line: the peer's acknowledgements are never held back for long.
    acks.ack_eliciting_threshold(VarInt::from_u32(1)).max_ack_delay(Some(Duration::from_millis(1)));
    let idle = IdleTimeout::try_from(IDLE).map_err(|error| unusable(error.to_string()))?;
    transport
        .ack_frequency_config(Some(acks))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(idle))
        // The gateway opens no streams towards us; each permitted one would cost memory.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Where to connect, and how to know who answers.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Where the gateway listens.
    pub gateway: &'a Address,
    /// The name to ask for.
    pub server_name: &'a str,
    /// Which certificates are accepted, and ours if there is one.
    pub tls: &'a Arc<rustls::ClientConfig>,
    /// What a mistake in these is told of: a profile's path, for example.
    pub named_in: &'a str,
}

/// The control stream: whole messages, both ways, by default those of a sign-in.
#[derive(Debug)]
pub struct Control<S = ToGateway, R = ToClient> {
    connection: Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
    buffered: BytesMut,
    bound: usize,
    /// Since when the gateway has been silent for good: waiting for its reason may be interrupted and taken up again
    /// without beginning anew.
    silent_since: Option<tokio::time::Instant>,
    speaks: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> Control<S, R> {
    /// Sends one message.
    ///
    /// # Errors
    /// [`Problem::Usage`] if something in it is too long, otherwise why the line does not carry it.
    pub async fn send(&mut self, message: &S) -> Result<(), Problem> {
        let bytes = wire::encode(message).map_err(|error| Problem::Usage(error.to_string()))?;
        match self.send.write_all(&bytes).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.reason_of_silence().await),
        }
    }

    /// The next message. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// Why the line ended, or [`Problem::Unreachable`] if what came was no message of this protocol.
    pub async fn receive(&mut self) -> Result<R, Problem> {
        loop {
            if let Some(message) = take(&mut self.buffered, self.bound)? {
                return Ok(message);
            }
            // What is buffered is less than one largest frame, so there is room for at least one byte.
            let room = self.bound.saturating_add(PREFIX).saturating_sub(self.buffered.len());
            match self.receive.read_chunk(room, true).await {
                Ok(Some(chunk)) => self.buffered.extend_from_slice(&chunk.bytes),
                Ok(None) | Err(_) => return Err(self.reason_of_silence().await),
            }
        }
    }

    /// The next message, for which the gateway may take [`ANSWER_WITHIN`].
    ///
    /// # Errors
    /// As [`Control::receive`], and if nothing came in time.
    pub async fn answer(&mut self) -> Result<R, Problem> {
        let silent = || Problem::Unreachable("the gateway is there but does not answer".to_owned());
        tokio::time::timeout(ANSWER_WITHIN, self.receive()).await.unwrap_or_else(|_| Err(silent()))
    }

    /// The same value as [`Link::exporter`], of the connection that this stream belongs to.
    ///
    /// # Errors
    /// As [`Link::exporter`].
    pub fn exporter(&self, label: &[u8]) -> Result<[u8; 32], Problem> {
        exporter(&self.connection, label)
    }

    /// From now on messages may be as large as they are after the sign-in.
    pub fn signed_in(&mut self) {
        self.bound = AFTER_SIGN_IN;
    }

    /// The stream has ended. The connection's close says why; a gateway that gives no reason within a moment counts
    /// as lost.
    async fn reason_of_silence(&mut self) -> Problem {
        let since = *self.silent_since.get_or_insert_with(tokio::time::Instant::now);
        let deadline = since.checked_add(REASON_WITHIN).unwrap_or(since);
        match tokio::time::timeout_at(deadline, self.connection.closed()).await {
            Ok(error) => failure::explain(&error, Phase::Connected),
            Err(_) => Problem::Unreachable("the gateway ended the conversation without a word".to_owned()),
        }
    }
}

fn take<M: Message>(buffered: &mut BytesMut, bound: usize) -> Result<Option<M>, Problem> {
    wire::decode(buffered, bound)
        .map_err(|error| Problem::Unreachable(format!("what answers does not speak our protocol: {error}")))
}
