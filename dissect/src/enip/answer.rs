//! EtherNet/IP answers, read against the request that they answer.
//!
//! An answer is taken for what it says only if it answers what was asked: the
//! service with the reply bit, as many parts as a packet had, whole values.
//! Anything else is unreadable, so that a recording never shows a
//! confirmation that did not happen.

use super::connection::Triad;
use super::encapsulation::{self as encapsulation, Header, Side, carried};
use super::fields::Fields;
use super::message::{DEEPEST, Message, Packet, REPLY, Wrapped};
use super::path::{Path, Route};
use super::symbols::Listing;
use super::tag::Type;
use super::{connection, pccc, request, service, status};
use crate::dissector::{Flaw, Outcome};
use crate::operation::Values;
use bytes::Bytes;

/// General status of an answer that goes on in the next one.
const PARTIAL_TRANSFER: u8 = 0x06;
/// General status of a packet of which a part failed.
const EMBEDDED_SERVICE_ERROR: u8 = 0x1E;

/// What is kept of a forwarded request to read its answer.
#[derive(Debug)]
pub(super) enum Asked {
    /// A command of the encapsulation itself.
    Command,
    /// A CIP request.
    Service(Service),
    /// Something of which the answer is not known.
    Anything,
}

/// A CIP request.
#[derive(Debug)]
pub(super) struct Service {
    service: u8,
    wrapped: Wrapping,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapping {
    None,
    /// In an Unconnected Send, which may itself fail on the way.
    Unconnected,
}

/// What a good answer to it has.
#[derive(Debug)]
enum Wanted {
    /// Whatever bytes there are.
    Bytes,
    /// A type and values.
    Tag,
    /// The ids of a connection.
    Opening(Triad, Route),
    /// Nothing that is needed.
    Closing(Triad),
    /// Tags with their instance numbers.
    Listing(Box<Listing>),
    /// An answer to this command with this transaction number.
    Pccc { command: u8, transaction: u16 },
    /// An answer to each part.
    Parts(Vec<Service>),
}

/// What an answer teaches about the device.
#[derive(Debug)]
pub(super) enum Lesson<'a> {
    Opened(Triad, &'a Route, &'a [u8]),
    Closed(Triad),
    Tags(&'a Listing, &'a [u8]),
}

impl Asked {
    /// From the request's frame, which was decoded before.
    pub(super) fn of(header: Header, frame: &[u8]) -> Self {
        match header.command {
            encapsulation::SEND_RR_DATA | encapsulation::SEND_UNIT_DATA => {
                let service =
                    carried(header, frame, Side::Request).and_then(|(_, message)| Service::of(message, 1));
                service.map_or(Self::Anything, Self::Service)
            }
            _ => Self::Command,
        }
    }

    /// What the device's frame says. Each thing that it teaches is given to
    /// `learn`.
    pub(super) fn read(&self, header: Header, frame: &Bytes, learn: &mut dyn FnMut(Lesson<'_>)) -> Outcome {
        if header.status != 0 {
            return Outcome::Refused { code: header.status, text: status::encapsulation(header.status) };
        }
        match self {
            Self::Command => Outcome::Done,
            Self::Anything => Outcome::Unreadable,
            Self::Service(service) => carried(header, frame, Side::Answer)
                .and_then(|(_, message)| service.read(message, frame, learn))
                .unwrap_or(Outcome::Unreadable),
        }
    }
}

impl Service {
    fn of(bytes: &[u8], depth: u8) -> Result<Self, Flaw> {
        let message = Message::parse(bytes)?;
        let path = Path::parse(message.path)?;
        let router = path.is_instance(service::MESSAGE_ROUTER, 1);
        if path.is_instance(service::CONNECTION_MANAGER, 1) {
            if message.service == service::UNCONNECTED_SEND && depth < DEEPEST {
                let embedded = Wrapped::parse(message.data)?.message;
                return Ok(Self {
                    wrapped: Wrapping::Unconnected,
                    ..Self::of(embedded, depth.saturating_add(1))?
                });
            }
            let wanted = Wanted::of_connection(message).unwrap_or(Wanted::Bytes);
            return Ok(Self { service: message.service, wrapped: Wrapping::None, wanted });
        }
        let wanted = match message.service {
            service::MULTIPLE if router && depth < DEEPEST => {
                let parts = Packet::parse(message.data)?.parts();
                Wanted::Parts(
                    parts.map(|part| Self::of(part, depth.saturating_add(1))).collect::<Result<_, _>>()?,
                )
            }
            service::EXECUTE_PCCC if path.is_instance(service::PCCC, 1) => {
                let command = pccc::Command::parse(message.data)?;
                Wanted::Pccc { command: command.command, transaction: command.transaction }
            }
            service::READ_TAG | service::READ_FRAGMENT if path.is_tag() => Wanted::Tag,
            service::LIST_INSTANCES => {
                let listing = path.symbol_scope().and_then(|scope| Listing::of(scope, message.data));
                listing.map_or(Wanted::Bytes, |listing| Wanted::Listing(Box::new(listing)))
            }
            _ => Wanted::Bytes,
        };
        Ok(Self { service: message.service, wrapped: Wrapping::None, wanted })
    }

    /// Service, a reserved byte, general status, words of extended status.
    fn read(&self, bytes: &[u8], frame: &Bytes, learn: &mut dyn FnMut(Lesson<'_>)) -> Result<Outcome, Flaw> {
        let mut fields = Fields::new(bytes);
        let (answered, _reserved, general, words) =
            (fields.byte()?, fields.byte()?, fields.byte()?, fields.byte()?);
        let mut extended = Fields::new(fields.take(usize::from(words).saturating_mul(2))?);
        let extended = if extended.is_empty() { 0 } else { extended.short()? };
        let data = fields.rest();
        let code = u32::from(extended) << 8 | u32::from(general);
        let refused = Outcome::Refused { code, text: status::general(general, extended) };
        let on_the_way =
            self.wrapped == Wrapping::Unconnected && answered == service::UNCONNECTED_SEND | REPLY;
        if answered != self.service | REPLY && !(on_the_way && general != 0) {
            return Ok(Outcome::Unreadable);
        }
        match (general, &self.wanted) {
            _ if answered != self.service | REPLY => Ok(refused),
            (0, wanted) | (PARTIAL_TRANSFER, wanted @ (Wanted::Tag | Wanted::Listing(_) | Wanted::Bytes)) => {
                wanted.read(data, frame, learn)
            }
            (EMBEDDED_SERVICE_ERROR, wanted @ Wanted::Parts(_)) if !data.is_empty() => {
                wanted.read(data, frame, learn)
            }
            (_, _) => Ok(refused),
        }
    }
}

impl Wanted {
    fn of_connection(message: Message<'_>) -> Option<Self> {
        let form = match message.service {
            service::FORWARD_OPEN => connection::Form::Usual,
            service::LARGE_FORWARD_OPEN => connection::Form::Large,
            service::FORWARD_CLOSE => return request::triad(message).map(Self::Closing),
            _ => return None,
        };
        let connection::Opening { triad, route, .. } = connection::Opening::parse(message.data, form).ok()?;
        Some(Self::Opening(triad, route))
    }

    /// The data of a good answer.
    fn read(&self, data: &[u8], frame: &Bytes, learn: &mut dyn FnMut(Lesson<'_>)) -> Result<Outcome, Flaw> {
        match self {
            Self::Bytes => Ok(untyped(data, frame)),
            Self::Tag => {
                let mut fields = Fields::new(data);
                let kind = Type::next(&mut fields)?;
                let bytes = frame.slice_ref(fields.rest());
                Ok(Outcome::Values { count: kind.count(&bytes), values: kind.values(bytes) })
            }
            Self::Opening(triad, route) => {
                learn(Lesson::Opened(*triad, route, data));
                Ok(Outcome::Done)
            }
            Self::Closing(triad) => {
                learn(Lesson::Closed(*triad));
                Ok(Outcome::Done)
            }
            Self::Listing(listing) => {
                learn(Lesson::Tags(listing, data));
                Ok(untyped(data, frame))
            }
            Self::Pccc { command, transaction } => pccc_outcome(*command, *transaction, data, frame),
            Self::Parts(parts) => {
                let packet = Packet::parse(data)?;
                if usize::from(packet.count()) != parts.len() {
                    return Ok(Outcome::Unreadable);
                }
                let mut read = |(part, bytes): (&Service, &[u8])| {
                    part.read(bytes, frame, learn).unwrap_or(Outcome::Unreadable)
                };
                Ok(Outcome::Several(parts.iter().zip(packet.parts()).map(&mut read).collect()))
            }
        }
    }
}

fn untyped(data: &[u8], frame: &Bytes) -> Outcome {
    match data {
        [] => Outcome::Done,
        data => Outcome::Values {
            count: u32::try_from(data.len()).unwrap_or(u32::MAX),
            values: Values::Untyped(frame.slice_ref(data)),
        },
    }
}

fn pccc_outcome(command: u8, transaction: u16, data: &[u8], frame: &Bytes) -> Result<Outcome, Flaw> {
    let answer = pccc::Command::parse(data)?;
    if (answer.command, answer.transaction) != (command | pccc::ANSWER, transaction) {
        return Ok(Outcome::Unreadable);
    }
    if answer.status != 0 {
        return Ok(Outcome::Refused { code: answer.status.into(), text: "refused with a PCCC status" });
    }
    Ok(untyped(answer.data(), frame))
}
