//! SSH up to the change of keys: everything before it is in the clear
//! (RFC 4253, sections 4.2, 6, 7 and 8).

use super::fields::{Fields, Line, line};
use super::{EXAMINED, FactName, Finds, Step, text};
use crate::dissector::Direction;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// The longest line before the packets, in bytes, with its end (4.2).
const LONGEST_LINE: usize = 255;
/// Message numbers (12; RFC 4419, section 5; RFC 5656, section 7.1).
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
/// The reply of every method but those that agree on a group first.
const REPLY: u8 = 31;
/// The reply of those that do (RFC 4419).
const GROUP_REPLY: u8 = 33;

/// What the two sides offered, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Offers {
    client: Option<Offer>,
    server: Option<Offer>,
}

/// The name lists of a `SSH_MSG_KEXINIT` that are compared.
#[derive(Debug)]
struct Offer {
    key_exchange: String,
    cipher: String,
}

/// How far one direction has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// Lines, the last of which begins with `SSH-`.
    Lines,
    Packets,
}

impl Stage {
    pub(super) fn step(&self, pending: &[u8], offers: &mut Offers, finds: &mut Finds<'_>) -> Step {
        match self {
            Self::Lines => lines(pending, finds),
            Self::Packets => packet(pending, offers, finds),
        }
    }
}

fn lines(pending: &[u8], finds: &mut Finds<'_>) -> Step {
    let (line, length) = match line(pending, LONGEST_LINE) {
        Line::Partial => return Step::Partial,
        Line::TooLong => return Step::Over,
        Line::Whole(line, length) => (line, length),
    };
    if line.starts_with(b"SSH-") {
        finds.push(FactName::SshVersion, text(line));
        return Step::Taken(length, super::Stage::Ssh(Stage::Packets));
    }
    match finds.direction {
        Direction::FromDevice => Step::Taken(length, super::Stage::Ssh(Stage::Lines)),
        Direction::FromClient => Step::Over,
    }
}

/// Section 6: packet length, padding length, payload, padding; no MAC yet.
fn packet(pending: &[u8], offers: &mut Offers, finds: &mut Finds<'_>) -> Step {
    let mut fields = Fields(pending);
    let Some(length) = fields.long().map(|length| usize::try_from(length).unwrap_or(usize::MAX)) else {
        return Step::Partial;
    };
    if !(2..=EXAMINED).contains(&length) {
        return Step::Over;
    }
    let Some(packet) = fields.take(length) else { return Step::Partial };
    match payload(packet).and_then(|payload| message(payload, offers, finds)) {
        Some(()) => Step::Taken(length.saturating_add(4), super::Stage::Ssh(Stage::Packets)),
        None => Step::Over,
    }
}

fn payload(packet: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields(packet);
    let padding = usize::from(fields.byte()?);
    let payload = fields.0.len().checked_sub(padding)?;
    fields.take(payload).map(Fields)
}

/// `None` if nothing behind it is in the clear, or it can't be read.
fn message(mut fields: Fields<'_>, offers: &mut Offers, finds: &mut Finds<'_>) -> Option<()> {
    match (fields.byte()?, finds.direction) {
        (KEXINIT, direction) => {
            let offer = Offer::read(fields)?;
            match direction {
                Direction::FromClient => offers.client = Some(offer),
                Direction::FromDevice => offers.server = Some(offer),
            }
            offers.agree(finds);
        }
        (NEWKEYS, _) => return None,
        (REPLY | GROUP_REPLY, Direction::FromDevice) => host_key(fields, finds),
        (_, _) => {}
    }
    Some(())
}

impl Offer {
    /// 7.1: a cookie of 16 bytes, then lists: key exchange, host key, ciphers
    /// towards the server, ...
    fn read(mut fields: Fields<'_>) -> Option<Self> {
        fields.take(16)?;
        let key_exchange = names(&mut fields)?;
        let _host_key = names(&mut fields)?;
        Some(Self { key_exchange, cipher: names(&mut fields)? })
    }
}

fn names(fields: &mut Fields<'_>) -> Option<String> {
    fields.after_long().map(|names| String::from_utf8_lossy(names).into_owned())
}

impl Offers {
    /// 7.1: the first of the client's that the server has too.
    fn agree(&self, finds: &mut Finds<'_>) {
        let (Some(client), Some(server)) = (&self.client, &self.server) else { return };
        for (name, client, server) in [
            (FactName::SshKeyExchange, &client.key_exchange, &server.key_exchange),
            (FactName::SshCipher, &client.cipher, &server.cipher),
        ] {
            let both = client.split(',').find(|wanted| server.split(',').any(|offered| offered == *wanted));
            if let Some(both) = both {
                finds.push(name, both);
            }
        }
    }
}

/// Section 8: the reply begins with the host key. Message 31 may also be a
/// group of RFC 4419, a number: it does not begin with the name of a key type.
fn host_key(mut fields: Fields<'_>, finds: &mut Finds<'_>) {
    let Some(key) = fields.after_long() else { return };
    let Some(kind) = Fields(key).after_long() else { return };
    if kind.is_empty() || !kind.iter().all(u8::is_ascii_graphic) {
        return;
    }
    let fingerprint = STANDARD_NO_PAD.encode(Sha256::digest(key));
    finds.push(FactName::SshHostKey, format!("{} SHA256:{fingerprint}", text(kind)));
}
