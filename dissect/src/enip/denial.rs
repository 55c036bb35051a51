//! Refusals in the protocol's own words.
//!
//! A refused CIP request is answered with the general status `privilege
//! violation`, on the connection and with the ids of the request, so that a
//! tool reports it and goes on. A broken one gets the status that says what is
//! wrong. What is no CIP request at all is answered by the encapsulation.

use super::connection::Triad;
use super::encapsulation::{Header, SEND_RR_DATA, SEND_UNIT_DATA, Side, Way, carried};
use super::message::{DEEPEST, Message, Packet, REPLY, Wrapped};
use super::path::Path;
use super::{Enip, request, service};
use crate::dissector::{Content, Denial, Expects, Flaw, Request};
use bytes::{BufMut, Bytes};

/// General status of a request that is not permitted (CIP Volume 1, B-1).
const PRIVILEGE_VIOLATION: u8 = 0x0F;
/// General status of a packet of which a part failed.
const EMBEDDED_SERVICE_ERROR: u8 = 0x1E;

/// Encapsulation status (CIP Volume 2, 2-3.5).
const UNSUPPORTED_COMMAND: u32 = 0x0001;
const INCORRECT_DATA: u32 = 0x0003;

/// The refusal of a request; `None` for one that is never answered.
pub(super) fn deny(enip: &Enip, request: &Request, denial: Denial) -> Option<Bytes> {
    let header = Header::of(&request.frame)?;
    match request.expects {
        Expects::Nothing => return None,
        Expects::Answer => {}
    }
    let status = match &request.content {
        Content::Operation(_) => refused(denial),
        Content::Malformed { why } => broken(why.flaw),
    };
    match header.command {
        SEND_RR_DATA | SEND_UNIT_DATA => Some(
            reply(enip, header, &request.frame, status).unwrap_or_else(|| header.refusal(INCORRECT_DATA)),
        ),
        _ => Some(header.refusal(UNSUPPORTED_COMMAND)),
    }
}

fn reply(enip: &Enip, header: Header, frame: &[u8], status: u8) -> Option<Bytes> {
    let (way, message) = carried(header, frame, Side::Request).ok()?;
    let way = match way {
        Way::Unconnected => way,
        Way::Connected { connection, sequence } => {
            Way::Connected { connection: enip.connections.find(connection)?.to_client, sequence }
        }
    };
    let mut reply = Vec::new();
    refuse(message, status, 1, &mut reply);
    (!reply.is_empty()).then(|| header.reply(way, &reply)).flatten()
}

/// Whatever the reason of the policy: a tool shows this one to people as a
/// matter of permission, which it is.
fn refused(denial: Denial) -> u8 {
    match denial {
        Denial::Function | Denial::Address | Denial::Value | Denial::Unit => PRIVILEGE_VIOLATION,
    }
}

/// CIP Volume 1, B-1.
fn broken(flaw: Flaw) -> u8 {
    match flaw {
        Flaw::Function | Flaw::Depth => 0x08,
        Flaw::Path | Flaw::Address => 0x04,
        Flaw::Connection => 0x07,
        Flaw::Length => 0x13,
        Flaw::Count { .. } | Flaw::ByteCount { .. } | Flaw::Value { .. } => 0x03,
    }
}

/// Adds the answer to one request: that of the embedded one for an
/// Unconnected Send, one for each part of a packet.
fn refuse(bytes: &[u8], status: u8, depth: u8, reply: &mut Vec<u8>) {
    let Some((service, _)) = bytes.split_first() else { return };
    let parsed =
        Message::parse(bytes).ok().and_then(|message| Some((message, Path::parse(message.path).ok()?)));
    let carrier = parsed.filter(|_| depth < DEEPEST).and_then(|(message, path)| Carrier::of(message, &path));
    match carrier {
        Some(Carrier::Wrapped(embedded)) => refuse(embedded, status, depth.saturating_add(1), reply),
        Some(Carrier::Packet(packet)) => refuse_parts(packet, status, depth, reply),
        Some(Carrier::Connection(triad)) => {
            reply.put_slice(&[service | REPLY, 0, status, 0]);
            triad.put_refused(reply);
        }
        None => reply.put_slice(&[service | REPLY, 0, status, 0]),
    }
}

fn refuse_parts(packet: Packet<'_>, status: u8, depth: u8, reply: &mut Vec<u8>) {
    reply.put_slice(&[service::MULTIPLE | REPLY, 0, EMBEDDED_SERVICE_ERROR, 0]);
    reply.put_u16_le(packet.count());
    let mut offset = usize::from(packet.count()).saturating_add(1).saturating_mul(2);
    let mut replies = Vec::new();
    for part in packet.parts() {
        reply.put_u16_le(u16::try_from(offset).unwrap_or(u16::MAX));
        let before = replies.len();
        refuse(part, status, depth.saturating_add(1), &mut replies);
        offset = offset.saturating_add(replies.len().saturating_sub(before));
    }
    reply.append(&mut replies);
}

/// A request of which the answer has more than a status.
enum Carrier<'a> {
    Wrapped(&'a [u8]),
    Packet(Packet<'a>),
    Connection(Triad),
}

impl<'a> Carrier<'a> {
    fn of(message: Message<'a>, path: &Path) -> Option<Self> {
        let manager = path.is_instance(service::CONNECTION_MANAGER, 1);
        let router = path.is_instance(service::MESSAGE_ROUTER, 1);
        match message.service {
            service::UNCONNECTED_SEND if manager => {
                Wrapped::parse(message.data).ok().map(|wrapped| Self::Wrapped(wrapped.message))
            }
            service::MULTIPLE if router => Packet::parse(message.data).ok().map(Self::Packet),
            service::FORWARD_OPEN | service::LARGE_FORWARD_OPEN | service::FORWARD_CLOSE if manager => {
                request::triad(message).map(Self::Connection)
            }
            _ => None,
        }
    }
}
