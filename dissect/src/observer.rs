//! What a connection that is carried as bytes shows of itself in the clear:
//! versions, names, offered and chosen security, fingerprints of keys.
//!
//! An [`Observer`] only looks. It never alters, delays or refuses a byte, and
//! what it can't read is simply no fact. What a connection is, is told by its
//! first bytes and not by the inventory, so that a recording says what passed
//! and not what was meant to pass. Nothing that could be a secret becomes a
//! fact: no user name, no password or challenge, no query of a URL, no header
//! with credentials.
//!
//! Bounds: at most [`EXAMINED`] bytes of each direction are looked at and kept
//! until they are understood, of S7 communication plus one unit at a time and
//! each kind of unit once; a peer's length field is compared and never
//! allocated from; a direction shows each fact once, its value has at most
//! [`LONGEST_VALUE`] bytes.

use crate::dissector::Direction;
use crate::operation::{Carriage, Protocol};
use crate::s7plus::Watch;
use std::fmt;

mod fields;
mod http;
mod rdp;
mod rfb;
mod ssh;
mod tls;

/// How many bytes of each direction are looked at, from the first one. A
/// handshake whose facts are further behind is not seen to its end.
pub const EXAMINED: usize = 32 * 1024;

/// The longest value of a fact in bytes of UTF-8.
pub const LONGEST_VALUE: usize = 256;

/// One thing that a connection showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Who showed it.
    pub direction: Direction,
    /// Where in the bytes of that direction the line, packet or record begins
    /// that showed it, or completed what shows it.
    pub offset: u64,
    /// What it is about.
    pub name: FactName,
    /// What was shown. It comes from a peer: not trusted and not escaped.
    pub value: String,
}

/// What a [`Fact`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactName {
    /// The identification line (RFC 4253, 4.2).
    SshVersion,
    /// The key exchange method on which both agree (RFC 4253, 7.1).
    SshKeyExchange,
    /// The cipher towards the server on which both agree.
    SshCipher,
    /// The server's key: its type and the SHA-256 of the key, as OpenSSH
    /// writes it.
    SshHostKey,
    /// The name that the client asks for (RFC 6066, section 3).
    TlsServerName,
    /// Protocols that the client offers, or the one that the server chose in
    /// the clear (RFC 7301).
    TlsApplicationProtocols,
    /// Versions that the client offers.
    TlsVersions,
    /// The client encrypts its true hello; the name above is a cover.
    TlsEncryptedHello,
    /// The version that the server chose.
    TlsVersion,
    /// The cipher suite that the server chose, by its number.
    TlsCipherSuite,
    /// SHA-256 of the server's certificate, which is in the clear up to
    /// TLS 1.2.
    TlsCertificate,
    /// An alert in the clear, by level and number.
    TlsAlert,
    /// The protocol version (RFC 6143, 7.1.1).
    RfbVersion,
    /// Security types that the server offers (7.1.2).
    RfbSecurityTypes,
    /// The one that was chosen.
    RfbSecurityType,
    /// Whether the server accepted it (7.1.3).
    RfbSecurityResult,
    /// Why the server refused.
    RfbRefusal,
    /// What kind of cookie the client sent ([MS-RDPBCGR] 2.2.1.1); not what
    /// it says, which is a user's name.
    RdpCookie,
    /// Security protocols that the client offers (2.2.1.1.1).
    RdpRequested,
    /// The one that the server chose (2.2.1.2.1).
    RdpSelected,
    /// Why the server refused (2.2.1.2.2).
    RdpFailure,
    /// Method, path and version of the first request; the query is left out.
    HttpRequest,
    /// The host that it names.
    HttpHost,
    /// Another protocol that the client asks to change to.
    HttpUpgrade,
    /// The first answer's status line.
    HttpStatus,
    /// What the server calls itself.
    HttpServer,
    /// A unit of S7 communication plus: who connects, which function, that
    /// the rest is bound to a session or is TLS.
    S7PlusUnit,
}

impl FactName {
    /// The name in recordings and listings: the protocol, a dot, the fact.
    pub fn name(self) -> &'static str {
        match self {
            Self::SshVersion => "ssh.version",
            Self::SshKeyExchange => "ssh.key-exchange",
            Self::SshCipher => "ssh.cipher",
            Self::SshHostKey => "ssh.host-key",
            Self::TlsServerName => "tls.server-name",
            Self::TlsApplicationProtocols => "tls.application-protocols",
            Self::TlsVersions => "tls.versions",
            Self::TlsEncryptedHello => "tls.encrypted-hello",
            Self::TlsVersion => "tls.version",
            Self::TlsCipherSuite => "tls.cipher-suite",
            Self::TlsCertificate => "tls.certificate",
            Self::TlsAlert => "tls.alert",
            Self::RfbVersion => "rfb.version",
            Self::RfbSecurityTypes => "rfb.security-types",
            Self::RfbSecurityType => "rfb.security-type",
            Self::RfbSecurityResult => "rfb.security-result",
            Self::RfbRefusal => "rfb.refusal",
            Self::RdpCookie => "rdp.cookie",
            Self::RdpRequested => "rdp.requested",
            Self::RdpSelected => "rdp.selected",
            Self::RdpFailure => "rdp.failure",
            Self::HttpRequest => "http.request",
            Self::HttpHost => "http.host",
            Self::HttpUpgrade => "http.upgrade",
            Self::HttpStatus => "http.status",
            Self::HttpServer => "http.server",
            Self::S7PlusUnit => "s7plus.unit",
        }
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Looks at both directions of one opaque connection.
#[derive(Debug)]
pub struct Observer(Looks);

#[derive(Debug)]
enum Looks {
    /// At whatever the first bytes are.
    AtHandshake(Handshake),
    AtS7Plus(Watch),
}

/// The beginning of both directions.
#[derive(Debug)]
struct Handshake {
    from_client: Stream,
    from_device: Stream,
    shared: Shared,
}

/// What one direction has to know of the other.
#[derive(Debug, Default)]
struct Shared {
    ssh: ssh::Offers,
    rfb: rfb::Agreed,
}

impl Observer {
    /// For a fresh connection; `None` for a protocol whose requests are
    /// decoded, which needs no observer.
    pub fn new(protocol: Protocol) -> Option<Self> {
        match (protocol.carriage(), protocol) {
            (Carriage::Decoded, _) => None,
            (Carriage::Opaque, Protocol::S7Plus) => Some(Self(Looks::AtS7Plus(Watch::default()))),
            (Carriage::Opaque, _) => Some(Self(Looks::AtHandshake(Handshake {
                from_client: Stream::new(),
                from_device: Stream::new(),
                shared: Shared::default(),
            }))),
        }
    }

    /// Looks at bytes that have arrived and appends what they show.
    pub fn observe(&mut self, direction: Direction, bytes: &[u8], facts: &mut Vec<Fact>) {
        match (&mut self.0, direction) {
            (Looks::AtS7Plus(watch), _) => watch.observe(direction, bytes, facts),
            (Looks::AtHandshake(Handshake { from_client: stream, shared, .. }), Direction::FromClient)
            | (Looks::AtHandshake(Handshake { from_device: stream, shared, .. }), Direction::FromDevice) => {
                stream.observe(direction, bytes, shared, facts);
            }
        }
    }

    /// Whether nothing more will be seen, so that it need not be asked.
    pub fn is_over(&self) -> bool {
        match &self.0 {
            Looks::AtS7Plus(watch) => watch.is_over(),
            Looks::AtHandshake(handshake) => matches!(
                (&handshake.from_client.stage, &handshake.from_device.stage),
                (Stage::Over, Stage::Over)
            ),
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Stream {
    /// Bytes that are not understood yet.
    pending: Vec<u8>,
    /// Offset of the first of them in the direction.
    offset: usize,
    stage: Stage,
    /// What this direction has shown.
    told: Vec<FactName>,
}

/// What the pending bytes are taken for.
#[derive(Debug)]
enum Stage {
    /// The first bytes.
    Start,
    /// The first bytes after an RDP negotiation: TLS or nothing.
    Negotiated,
    Ssh(ssh::Stage),
    Tls(tls::Handshake),
    Rdp,
    Rfb(rfb::Stage),
    Http(http::Stage),
    /// Nothing more is to be seen.
    Over,
}

/// What became of the pending bytes.
enum Step {
    /// More bytes are needed.
    Partial,
    /// So many are done with; go on in that stage.
    Taken(usize, Stage),
    Over,
}

/// What is found in the pending bytes.
struct Finds<'a> {
    direction: Direction,
    offset: usize,
    told: &'a mut Vec<FactName>,
    facts: &'a mut Vec<Fact>,
}

impl Finds<'_> {
    /// A peer that says a thing again is not told again.
    fn push(&mut self, name: FactName, value: impl Into<String>) {
        if self.told.contains(&name) {
            return;
        }
        self.told.push(name);
        let offset = self.offset as u64;
        let mut value = value.into();
        value.truncate(value.floor_char_boundary(LONGEST_VALUE));
        self.facts.push(Fact { direction: self.direction, offset, name, value });
    }
}

/// Bytes of a peer as text, cut; what is not UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..LONGEST_VALUE).unwrap_or(bytes)).into_owned()
}

impl Stream {
    fn new() -> Self {
        Self { pending: Vec::new(), offset: 0, stage: Stage::Start, told: Vec::new() }
    }

    fn observe(&mut self, direction: Direction, bytes: &[u8], shared: &mut Shared, facts: &mut Vec<Fact>) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        let examined = self.offset.saturating_add(self.pending.len());
        let room = EXAMINED.saturating_sub(examined);
        self.pending.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        while !matches!(self.stage, Stage::Over) {
            let mut finds = Finds { direction, offset: self.offset, told: &mut self.told, facts };
            let step = if self.pending.is_empty() {
                Step::Partial
            } else {
                self.stage.step(&self.pending, shared, &mut finds)
            };
            match step {
                Step::Partial if bytes.len() >= room => self.stage = Stage::Over,
                Step::Partial => return,
                Step::Taken(count, stage) => {
                    let count = count.min(self.pending.len());
                    self.pending.drain(..count);
                    self.offset = self.offset.saturating_add(count);
                    self.stage = stage;
                }
                Step::Over => self.stage = Stage::Over,
            }
        }
        self.pending = Vec::new();
    }
}

impl Stage {
    fn step(&mut self, pending: &[u8], shared: &mut Shared, finds: &mut Finds<'_>) -> Step {
        match self {
            Self::Start => recognise(pending, finds.direction),
            Self::Negotiated => match pending.first() {
                None => Step::Partial,
                Some(&(tls::HANDSHAKE | tls::ALERT)) => Step::Taken(0, Self::Tls(tls::Handshake::default())),
                Some(_) => Step::Over,
            },
            Self::Ssh(stage) => stage.step(pending, &mut shared.ssh, finds),
            Self::Tls(handshake) => handshake.step(pending, finds),
            Self::Rdp => rdp::step(pending, finds),
            Self::Rfb(stage) => stage.step(pending, &mut shared.rfb, finds),
            Self::Http(stage) => stage.step(pending, finds),
            Self::Over => Step::Over,
        }
    }
}

/// How a protocol begins.
struct Beginning {
    bytes: &'static [u8],
    stage: fn() -> Stage,
}

const BEGINNINGS: [Beginning; 6] = [
    Beginning { bytes: b"SSH-", stage: || Stage::Ssh(ssh::Stage::Lines) },
    Beginning { bytes: b"RFB ", stage: || Stage::Rfb(rfb::Stage::Version) },
    Beginning { bytes: &[tls::HANDSHAKE, 3], stage: || Stage::Tls(tls::Handshake::default()) },
    Beginning { bytes: &[tls::ALERT, 3], stage: || Stage::Tls(tls::Handshake::default()) },
    Beginning { bytes: &[rdp::TPKT, 0], stage: || Stage::Rdp },
    Beginning { bytes: b"HTTP/", stage: || Stage::Http(http::Stage::First) },
];

/// Which protocol the first bytes begin.
fn recognise(pending: &[u8], direction: Direction) -> Step {
    if let Some(found) = BEGINNINGS.iter().find(|beginning| pending.starts_with(beginning.bytes)) {
        return Step::Taken(0, (found.stage)());
    }
    if BEGINNINGS.iter().any(|beginning| beginning.bytes.starts_with(pending)) {
        return Step::Partial;
    }
    match (direction, pending.first()) {
        (Direction::FromClient, Some(b'A'..=b'Z')) => Step::Taken(0, Stage::Http(http::Stage::First)),
        // An SSH server may greet with other lines first (RFC 4253, 4.2).
        (Direction::FromDevice, Some(b' '..=b'~')) => Step::Taken(0, Stage::Ssh(ssh::Stage::Lines)),
        (Direction::FromClient | Direction::FromDevice, _) => Step::Over,
    }
}
