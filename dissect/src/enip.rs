//! EtherNet/IP over TCP: encapsulation, CIP explicit messages, and what a
//! channel remembers of them.
//!
//! Sources: ODVA, The CIP Networks Library, Volume 1 (messages, paths,
//! services, status) and Volume 2 (encapsulation); Rockwell Automation
//! 1756-PM020 (tags of Logix controllers) and 1770-6.5.16 (PCCC).
//!
//! Order of events: [`encapsulation`] finds the frame and takes its items
//! apart; [`request`] reads the request, and all requests within it, by
//! [`message`], [`path`], [`service`], [`tag`] and [`pccc`]; [`denial`] refuses
//! it, or [`answer`] reads what the device said, from which [`connection`] and
//! [`symbols`] learn what later messages need.
//!
//! It never carries implicit I/O: a Forward Open for anything but explicit
//! messages can't be allowed. It never guesses what a private structure of a
//! vendor means; such a service is judged by its code and the class of object.

mod answer;
mod connection;
mod denial;
mod encapsulation;
mod fields;
mod message;
mod path;
mod pccc;
mod request;
mod service;
mod status;
mod symbols;
mod tag;

use crate::dissector::{Answer, Content, Denial, Expects, Key, Outcome, Request};
use crate::modbus::PENDING;
use crate::operation::Class;
use answer::{Asked, Lesson};
use bytes::Bytes;
use connection::Connections;
use encapsulation::{Header, SEND_UNIT_DATA, Side, Way, carried};
use std::collections::VecDeque;
use symbols::{Numbering, Symbols};

pub(crate) use encapsulation::frame;
pub(crate) use service::name as service_name;

/// What a channel remembers.
#[derive(Debug)]
pub(crate) struct Enip {
    pending: VecDeque<Pending>,
    connections: Connections,
    symbols: Symbols,
}

/// A forwarded request without its answer.
#[derive(Debug)]
struct Pending {
    key: Key,
    mark: Mark,
    asked: Asked,
    numbering: Numbering,
}

/// By what an answer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The command and the context of the sender.
    Context(u16, [u8; 8]),
    /// The ids of a connection, and the sequence count on it.
    Connection { to_client: u32, to_device: u32, sequence: u16 },
}

/// By what an answer says it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Context(u16, [u8; 8]),
    Connection(u32, u16),
    /// A connected request that the encapsulation itself refused: there is no
    /// connection in the answer then.
    Refusal,
}

impl Enip {
    pub(crate) fn new() -> Self {
        Self { pending: VecDeque::new(), connections: Connections::new(), symbols: Symbols::new() }
    }

    pub(crate) fn decode(&self, frame: Bytes) -> Request {
        request::decode(self, frame)
    }

    pub(crate) fn deny(&self, request: &Request, denial: Denial) -> Option<Bytes> {
        denial::deny(self, request, denial)
    }

    /// What comes behind a request that may renumber the tags has to be
    /// understood by the new numbers, wherever the request itself is yet.
    pub(crate) fn admitted(&mut self, request: &Request) {
        if may_renumber(&request.content) {
            self.symbols.forget();
        }
    }

    pub(crate) fn forwarded(&mut self, request: &Request) {
        if may_renumber(&request.content) {
            self.symbols.forget();
        }
        if request.expects == Expects::Nothing {
            return;
        }
        let Some(header) = Header::of(&request.frame) else { return };
        let Some(mark) = self.mark_of_request(header, &request.frame) else { return };
        if self.pending.len() >= PENDING {
            self.pending.pop_front();
        }
        let asked = Asked::of(header, &request.frame);
        let numbering = self.symbols.numbering();
        self.pending.push_back(Pending { key: request.key, mark, asked, numbering });
    }

    fn mark_of_request(&self, header: Header, frame: &[u8]) -> Option<Mark> {
        if header.command != SEND_UNIT_DATA {
            return Some(Mark::Context(header.command, header.context));
        }
        match carried(header, frame, Side::Request).ok()?.0 {
            Way::Connected { connection, sequence } => {
                let to_client = self.connections.find(connection)?.to_client;
                Some(Mark::Connection { to_client, to_device: connection, sequence })
            }
            Way::Unconnected => None,
        }
    }

    /// Pairs by the context or by connection and sequence count, the oldest
    /// first where one is in use twice.
    pub(crate) fn answer(&mut self, frame: Bytes) -> Answer {
        let waiting = Header::of(&frame).and_then(|header| {
            let position = self.position(header, &frame)?;
            Some((header, self.pending.remove(position)?))
        });
        match waiting {
            Some((header, Pending { key, asked, numbering, .. })) => {
                let outcome = self.read(&asked, numbering, header, &frame);
                Answer { frame, key: Some(key), outcome }
            }
            None => Answer { frame, key: None, outcome: Outcome::Unreadable },
        }
    }

    /// An answer on a connection has the id of its own direction. Some devices
    /// send the other one back, which counts where nothing else fits.
    fn position(&self, header: Header, frame: &[u8]) -> Option<usize> {
        let claim = Claim::of(header, frame)?;
        let oldest = |fit: Fit| self.pending.iter().position(|pending| pending.mark.fits(claim, fit));
        oldest(Fit::Exact).or_else(|| oldest(Fit::OtherDirection))
    }

    fn read(&mut self, asked: &Asked, numbering: Numbering, header: Header, frame: &Bytes) -> Outcome {
        let (connections, symbols) = (&mut self.connections, &mut self.symbols);
        let mut is_readable = true;
        let outcome = asked.read(header, frame, &mut |lesson| match lesson {
            Lesson::Opened(triad, route, data) => {
                is_readable = connections.opened(triad, route, data).is_ok();
            }
            Lesson::Closed(triad) => connections.closed(triad),
            Lesson::Tags(listing, data) => symbols.learn(numbering, listing, data),
        });
        if is_readable { outcome } else { Outcome::Unreadable }
    }
}

/// How well an answer has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Exact,
    OtherDirection,
}

impl Mark {
    fn fits(self, claim: Claim, fit: Fit) -> bool {
        match (self, claim) {
            (Self::Context(..), Claim::Context(command, context)) => self == Self::Context(command, context),
            (Self::Connection { to_client, to_device, sequence }, Claim::Connection(connection, counted)) => {
                let own = match fit {
                    Fit::Exact => to_client,
                    Fit::OtherDirection => to_device,
                };
                (own, sequence) == (connection, counted)
            }
            (Self::Connection { .. }, Claim::Refusal) => true,
            (Self::Context(..), Claim::Connection(..) | Claim::Refusal)
            | (Self::Connection { .. }, Claim::Context(..)) => false,
        }
    }
}

impl Claim {
    fn of(header: Header, frame: &[u8]) -> Option<Self> {
        if header.command != SEND_UNIT_DATA {
            return Some(Self::Context(header.command, header.context));
        }
        match carried(header, frame, Side::Answer) {
            Ok((Way::Connected { connection, sequence }, _)) => Some(Self::Connection(connection, sequence)),
            Ok((Way::Unconnected, _)) | Err(_) => (header.status != 0).then_some(Self::Refusal),
        }
    }
}

/// Whether a controller may number its tags anew because of it.
fn may_renumber(content: &Content) -> bool {
    match content {
        Content::Operation(operation) => operation
            .accesses
            .iter()
            .any(|access| matches!(access.class, Class::ProgramWrite | Class::Unknown)),
        Content::Malformed { .. } => false,
    }
}

#[cfg(test)]
mod tests;
