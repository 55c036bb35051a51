//! TLS up to where it is encrypted: the hellos, and up to version 1.2 the
//! server's certificate (RFC 8446, sections 4.1 and 5.1; RFC 5246, 7.4.2).

use super::fields::Fields;
use super::{EXAMINED, FactName, Finds, Step, text};
use crate::dissector::Direction;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Content types of records (RFC 8446, 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
/// The longest record, in bytes: 2^14 and what protection may add (5.2).
const LONGEST_RECORD: usize = 16_384 + 256;
/// Handshake messages (4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
/// Extensions (4.2; RFC 6066; RFC 7301; RFC 9849).
const SERVER_NAME: u16 = 0;
const APPLICATION_PROTOCOLS: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_HELLO: u16 = 0xFE0D;
/// The `random` of a hello that asks for another one (4.1.3).
const RETRY: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2,
    0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];
const VERSION_1_3: u16 = 0x0304;

/// Handshake bytes of records that came, not understood yet. A message may
/// take several records, and a record several messages.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    bytes: Vec<u8>,
    state: State,
}

/// Whether what stands behind a change of ciphers is in the clear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// It is not: a session of version 1.2 goes on.
    #[default]
    First,
    /// It is: the server asked for a second hello and will send its own.
    Retry,
}

impl Handshake {
    pub(super) fn step(&mut self, pending: &[u8], finds: &mut Finds<'_>) -> Step {
        let mut fields = Fields(pending);
        let (Some(kind), Some(_version), Some(length)) = (fields.byte(), fields.word(), fields.word()) else {
            return Step::Partial;
        };
        if usize::from(length) > LONGEST_RECORD {
            return Step::Over;
        }
        let Some(content) = fields.take(length.into()) else { return Step::Partial };
        let more = match kind {
            HANDSHAKE => {
                self.bytes.extend_from_slice(content);
                self.messages(finds)
            }
            CHANGE_CIPHER_SPEC if self.state == State::Retry => More::Expected,
            ALERT => {
                if let [level @ (1 | 2), number] = content {
                    let level = if *level == 2 { "fatal" } else { "warning" };
                    finds.push(FactName::TlsAlert, format!("{level} {number}"));
                }
                More::Nothing
            }
            _ => More::Nothing,
        };
        match more {
            More::Expected => {
                let taken = usize::from(length).saturating_add(5);
                Step::Taken(taken, super::Stage::Tls(std::mem::take(self)))
            }
            More::Nothing => Step::Over,
        }
    }

    /// Reads all whole messages.
    fn messages(&mut self, finds: &mut Finds<'_>) -> More {
        loop {
            let mut fields = Fields(&self.bytes);
            let (Some(kind), Some(length)) = (fields.byte(), fields.triple()) else { return More::Expected };
            if length > EXAMINED {
                return More::Nothing;
            }
            let Some(message) = fields.take(length) else { return More::Expected };
            let left = fields.0.len();
            match message_of(kind, Fields(message), &mut self.state, finds) {
                Some(More::Expected) => {}
                Some(More::Nothing) | None => return More::Nothing,
            }
            let read = self.bytes.len().saturating_sub(left);
            self.bytes.drain(..read);
        }
    }
}

/// Whether more of this direction can be of interest.
enum More {
    Expected,
    Nothing,
}

/// `None` if it can't be read.
fn message_of(kind: u8, fields: Fields<'_>, state: &mut State, finds: &mut Finds<'_>) -> Option<More> {
    match (finds.direction, kind) {
        (Direction::FromClient, CLIENT_HELLO) => client_hello(fields, finds).map(|()| More::Nothing),
        (Direction::FromDevice, SERVER_HELLO) => server_hello(fields, state, finds),
        (Direction::FromDevice, CERTIFICATE) => certificate(fields, finds).map(|()| More::Nothing),
        (Direction::FromClient | Direction::FromDevice, _) => Some(More::Nothing),
    }
}

/// RFC 8446, 4.1.2.
fn client_hello(mut fields: Fields<'_>, finds: &mut Finds<'_>) -> Option<()> {
    let legacy = fields.word()?;
    fields.take(32)?;
    fields.after_byte()?;
    fields.after_word()?;
    fields.after_byte()?;
    let extensions = Extensions::read(fields)?;
    if let Some(name) = extensions.find(SERVER_NAME).and_then(server_name) {
        finds.push(FactName::TlsServerName, text(name));
    }
    if let Some(protocols) = extensions.find(APPLICATION_PROTOCOLS).and_then(protocols) {
        finds.push(FactName::TlsApplicationProtocols, protocols);
    }
    let versions = extensions.find(SUPPORTED_VERSIONS).and_then(|mut fields| fields.after_byte());
    let versions = match versions {
        Some(list) => list.chunks_exact(2).filter_map(|pair| Fields(pair).word()).collect(),
        None => vec![legacy],
    };
    let versions: Vec<String> =
        versions.into_iter().filter(|version| !is_grease(*version)).map(version).collect();
    finds.push(FactName::TlsVersions, versions.join(", "));
    if extensions.find(ENCRYPTED_HELLO).is_some() {
        finds.push(FactName::TlsEncryptedHello, "present");
    }
    Some(())
}

/// RFC 8446, 4.1.3. Behind a hello of version 1.3 all is encrypted.
fn server_hello(mut fields: Fields<'_>, state: &mut State, finds: &mut Finds<'_>) -> Option<More> {
    let legacy = fields.word()?;
    if fields.take(32)? == RETRY {
        *state = State::Retry;
        return Some(More::Expected);
    }
    fields.after_byte()?;
    let suite = fields.word()?;
    let _compression = fields.byte()?;
    let extensions = Extensions::read(fields).unwrap_or_default();
    let chosen = extensions.find(SUPPORTED_VERSIONS).and_then(|mut fields| fields.word()).unwrap_or(legacy);
    finds.push(FactName::TlsVersion, version(chosen));
    finds.push(FactName::TlsCipherSuite, format!("{suite:#06x}"));
    if let Some(protocols) = extensions.find(APPLICATION_PROTOCOLS).and_then(protocols) {
        finds.push(FactName::TlsApplicationProtocols, protocols);
    }
    Some(if chosen >= VERSION_1_3 { More::Nothing } else { More::Expected })
}

/// RFC 5246, 7.4.2: the list's first is the server's own.
fn certificate(mut fields: Fields<'_>, finds: &mut Finds<'_>) -> Option<()> {
    fields.triple()?;
    let length = fields.triple()?;
    let certificate = fields.take(length)?;
    let mut fingerprint = "SHA256:".to_owned();
    for byte in Sha256::digest(certificate) {
        write!(fingerprint, "{byte:02x}").ok()?;
    }
    finds.push(FactName::TlsCertificate, fingerprint);
    Some(())
}

/// The extensions of a hello.
#[derive(Debug, Clone, Copy, Default)]
struct Extensions<'a>(&'a [u8]);

impl<'a> Extensions<'a> {
    fn read(mut fields: Fields<'a>) -> Option<Self> {
        fields.after_word().map(Self)
    }

    fn find(self, wanted: u16) -> Option<Fields<'a>> {
        let mut fields = Fields(self.0);
        while !fields.is_empty() {
            let (kind, content) = (fields.word()?, fields.after_word()?);
            if kind == wanted {
                return Some(Fields(content));
            }
        }
        None
    }
}

/// RFC 6066, section 3: a list whose one known kind, 0, is a host's name.
fn server_name(mut fields: Fields<'_>) -> Option<&[u8]> {
    let mut names = Fields(fields.after_word()?);
    while !names.is_empty() {
        let (kind, name) = (names.byte()?, names.after_word()?);
        if kind == 0 {
            return Some(name);
        }
    }
    None
}

/// RFC 7301, 3.1.
fn protocols(mut fields: Fields<'_>) -> Option<String> {
    let mut list = Fields(fields.after_word()?);
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(text(list.after_byte()?));
    }
    Some(names.join(", "))
}

fn version(number: u16) -> String {
    match number {
        0x0300 => "SSL 3.0".to_owned(),
        0x0301 => "1.0".to_owned(),
        0x0302 => "1.1".to_owned(),
        0x0303 => "1.2".to_owned(),
        0x0304 => "1.3".to_owned(),
        other => format!("{other:#06x}"),
    }
}

/// Values that stand for nothing (RFC 8701).
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0F == 0x0A
}
