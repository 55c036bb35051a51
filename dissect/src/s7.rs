//! S7 communication over ISO on TCP: what is remembered of a channel, and the
//! way from a frame to its meaning.
//!
//! Sources: RFC 1006 and RFC 905 for the transport ([`cotp`]); for S7 itself,
//! which has no public standard, what published dissectors say and what was
//! tried with real clients and servers.
//!
//! Order of events: a connection request with the endpoint that it is for;
//! setup communication, whose answer says how long a unit may be and how many
//! requests may be under way; then jobs ([`job`]) and userdata ([`userdata`]),
//! each answered under its own reference. A download turns the roles round:
//! once the request for it has gone to the device, the device asks for the
//! blocks, and what the client acknowledges belongs to that transfer. An
//! acknowledgement that nobody asked for is never forwarded.

mod answer;
mod cotp;
mod function;
mod item;
mod job;
mod pdu;
mod refusal;
mod userdata;

use crate::dissector::{
    Answer, Content, Direction, Expects, Flaw, Framing, Key, Malformed, Outcome, Request,
};
use crate::modbus::PENDING;
use crate::operation::{Access, Class, Operation, Protocol, Secret, Values};
use answer::Asked;
use bytes::Bytes;
use cotp::{LONGEST_FRAME, Unit};
use function::{
    DOWNLOAD_BLOCK, DOWNLOAD_ENDED, END_UPLOAD, LOGIN, PI_SERVICE, REQUEST_DOWNLOAD, SETUP, START_UPLOAD,
};
use job::Meaning;
use pdu::{Header, Kind, Pdu};
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;
use std::num::NonZeroU16;
use userdata::{Parameter, Pieces, Purpose, Unfinished};

/// How many requests of the device within a download, and how many answers
/// whose pieces haven't ended, are remembered. Beyond it the oldest is
/// forgotten, so that what belongs to it is denied.
const REMEMBERED: usize = 16;

/// Marks the keys of requests for a connection.
const CONNECT: u64 = 0xE0 << 16;

/// What a channel remembers.
#[derive(Debug)]
pub(crate) struct S7 {
    link: Link,
    /// The longest unit that was agreed on, in bytes.
    longest: usize,
    parallel: Option<NonZeroU16>,
    pending: VecDeque<Pending>,
    /// Downloads and uploads that have begun and have not ended.
    downloads: u32,
    uploads: u32,
    /// Jobs of the device that wait for the client's acknowledgement.
    device_jobs: VecDeque<DeviceJob>,
    unfinished: VecDeque<Unfinished>,
}

/// Whether the client has asked for the connection.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    Fresh,
    Asked,
}

/// A forwarded request without its answer.
#[derive(Debug)]
struct Pending {
    key: Key,
    asked: Asked,
    /// What a userdata request meant, for the pieces of its answer.
    accesses: SmallVec<[Access; 2]>,
}

#[derive(Debug, PartialEq, Eq)]
struct DeviceJob {
    reference: u16,
    function: u8,
}

/// See [`cotp::frame`].
pub(crate) fn frame(direction: Direction, buffered: &[u8]) -> Framing {
    cotp::frame(direction, buffered)
}

impl S7 {
    pub(crate) fn new() -> Self {
        Self {
            link: Link::Fresh,
            longest: LONGEST_FRAME,
            parallel: None,
            pending: VecDeque::new(),
            downloads: 0,
            uploads: 0,
            device_jobs: VecDeque::new(),
            unfinished: VecDeque::new(),
        }
    }

    pub(crate) fn sequence(&self) -> Option<Class> {
        if self.downloads > 0 {
            Some(Class::ProgramWrite)
        } else {
            (self.uploads > 0).then_some(Class::ProgramRead)
        }
    }

    pub(crate) fn parallel(&self) -> Option<NonZeroU16> {
        self.parallel
    }

    pub(crate) fn deny(&self, request: &Request) -> Option<Bytes> {
        refusal::refusal(request, self.longest)
    }

    /// Decodes one whole frame. Total: what is no frame is malformed.
    pub(crate) fn decode(&self, frame: Bytes) -> Request {
        let read = match cotp::parse(&frame) {
            Ok(Unit::Connect(connect)) => self.connect(&connect),
            Ok(Unit::Disconnect { .. }) => Read::transport("disconnect"),
            Ok(Unit::Error { .. }) => Read::transport("report a transport error"),
            Ok(Unit::Data(unit)) => self.unit(unit),
            Ok(Unit::Confirm | Unit::Disconnected) => {
                Read::malformed(Key(0), "a confirmation of the device's", Flaw::Function)
            }
            Err(flaw) => Read::malformed(Key(0), "a transport unit", flaw),
        };
        Request { frame, key: read.key, expects: read.expects, content: read.content }
    }

    fn connect(&self, connect: &cotp::Connect) -> Read {
        let class = match self.link {
            Link::Fresh => Class::Housekeeping,
            Link::Asked => Class::Unknown,
        };
        let meaning = Meaning::whole("connect", class, connect.endpoint());
        Read::operation(Key(CONNECT | u64::from(connect.source)), Expects::Answer, meaning)
    }

    fn unit(&self, unit: Bytes) -> Read {
        let Some(header) = Header::of(&unit) else {
            return Read::malformed(Key(0), "no S7 unit", Flaw::Function);
        };
        let name = match header.kind {
            Kind::Job => unit.get(10).copied().map_or("a job without a function", function::name),
            Kind::Ack | Kind::AckData => "acknowledgement",
            Kind::Userdata => "userdata",
        };
        let password = may_be_password(header.kind, &unit).then(|| unit.clone());
        let read = if unit.len() > self.longest {
            Err(Flaw::Length)
        } else {
            Pdu::parse(unit).and_then(|pdu| self.meaning(&pdu))
        };
        match (read, password) {
            (Ok((expects, meaning)), _) => Read::operation(header.key(), expects, meaning),
            // Whatever is wrong with it, it may hold what nobody is to be shown.
            (Err(_), Some(unit)) => {
                let secret = Values::Secret(Secret::new(unit));
                let meaning = Meaning::whole("a broken password request", Class::Unknown, secret);
                Read::operation(header.key(), Expects::Answer, meaning)
            }
            (Err(flaw), None) => Read::malformed(header.key(), name, flaw),
        }
    }

    fn meaning(&self, pdu: &Pdu) -> Result<(Expects, Meaning), Flaw> {
        match pdu.header.kind {
            Kind::Job => Ok((Expects::Answer, job::meaning(pdu)?)),
            Kind::Userdata => Ok((Expects::Answer, userdata::meaning(pdu, self.unfinished.iter())?)),
            Kind::Ack | Kind::AckData => Ok((Expects::Nothing, self.acknowledgement(pdu))),
        }
    }

    /// The client's half of a download, each piece asked for by the device.
    fn acknowledgement(&self, pdu: &Pdu) -> Meaning {
        match self.device_job(pdu) {
            Some(_) => {
                let name = pdu.function().map_or("acknowledgement", function::name);
                Meaning::whole(name, Class::Housekeeping, Values::None)
            }
            None => {
                let name = "an acknowledgement that nobody asked for";
                Meaning::whole(name, Class::Unknown, Values::None)
            }
        }
    }

    /// The position of the device's job that a unit acknowledges. A refusal
    /// may come without its function.
    fn device_job(&self, pdu: &Pdu) -> Option<usize> {
        self.device_jobs.iter().position(|job| {
            job.reference == pdu.header.reference
                && pdu.function().map_or(pdu.error != 0, |function| function == job.function)
        })
    }

    pub(crate) fn forwarded(&mut self, request: &Request) {
        match cotp::parse(&request.frame) {
            Ok(Unit::Connect(_)) => {
                self.link = Link::Asked;
                self.expect(request.key, Asked::Connect, SmallVec::new());
            }
            Ok(Unit::Data(unit)) => {
                if let Ok(pdu) = Pdu::parse(unit) {
                    self.unit_forwarded(request, &pdu);
                }
            }
            Ok(Unit::Confirm | Unit::Disconnect { .. } | Unit::Disconnected | Unit::Error { .. })
            | Err(_) => {}
        }
    }

    fn unit_forwarded(&mut self, request: &Request, pdu: &Pdu) {
        match pdu.header.kind {
            Kind::Job => {
                let Some(asked) = Asked::job(pdu) else { return };
                match pdu.function() {
                    Some(REQUEST_DOWNLOAD) => self.downloads = self.downloads.saturating_add(1),
                    Some(START_UPLOAD) => self.uploads = self.uploads.saturating_add(1),
                    Some(_) | None => {}
                }
                self.expect(request.key, asked, SmallVec::new());
            }
            Kind::Userdata => {
                let Ok(parameter) = Parameter::parse(&pdu.parameter) else { return };
                let accesses = match &request.content {
                    Content::Operation(operation) => operation.accesses.clone(),
                    Content::Malformed { .. } => return,
                };
                self.expect(request.key, Asked::Userdata { service: parameter.service }, accesses);
            }
            Kind::Ack | Kind::AckData => {
                let job = self.device_job(pdu).and_then(|position| self.device_jobs.remove(position));
                if job.is_some_and(|job| job.function == DOWNLOAD_ENDED || pdu.error != 0) {
                    self.downloads = self.downloads.saturating_sub(1);
                }
            }
        }
    }

    fn expect(&mut self, key: Key, asked: Asked, accesses: SmallVec<[Access; 2]>) {
        if self.pending.len() >= PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { key, asked, accesses });
    }

    fn take(&mut self, wanted: impl FnMut(&Pending) -> bool) -> Option<Pending> {
        let position = self.pending.iter().position(wanted)?;
        self.pending.remove(position)
    }

    /// Pairs by kind and reference, the oldest first.
    pub(crate) fn answer(&mut self, frame: Bytes) -> Answer {
        let (key, outcome) = match cotp::parse(&frame) {
            Ok(Unit::Confirm) => self.link_answer(Outcome::Done, Outcome::Unreadable),
            Ok(Unit::Disconnect { reason: code }) => self.link_refused(code, cotp::reason(code)),
            Ok(Unit::Disconnected) => (None, Outcome::Push { text: "disconnected" }),
            Ok(Unit::Error { cause }) => self.link_refused(cause, "transport error"),
            Ok(Unit::Data(unit)) if unit.is_empty() => (None, Outcome::Push { text: "an empty unit" }),
            Ok(Unit::Data(unit)) => self.unit_answer(unit),
            Ok(Unit::Connect(_)) | Err(_) => (None, Outcome::Unreadable),
        };
        Answer { frame, key, outcome }
    }

    fn link_refused(&mut self, code: u8, text: &'static str) -> (Option<Key>, Outcome) {
        self.link_answer(Outcome::Refused { code: code.into(), text }, Outcome::Push { text })
    }

    /// `asked` if the connection is waited for, else `unasked`.
    fn link_answer(&mut self, asked: Outcome, unasked: Outcome) -> (Option<Key>, Outcome) {
        match self.take(|pending| matches!(pending.asked, Asked::Connect)) {
            Some(pending) => (Some(pending.key), asked),
            None => (None, unasked),
        }
    }

    fn unit_answer(&mut self, unit: Bytes) -> (Option<Key>, Outcome) {
        let Some(header) = Header::of(&unit) else { return (None, Outcome::Unreadable) };
        let pdu = Pdu::parse(unit);
        match header.kind {
            Kind::Job => (None, pdu.map_or(Outcome::Unreadable, |pdu| self.asked_by_device(&pdu))),
            Kind::Ack | Kind::AckData => {
                let Some(pending) = self.take(|pending| pending.key == header.key()) else {
                    return (None, Outcome::Unreadable);
                };
                let outcome = pdu.map_or(Outcome::Unreadable, |pdu| self.acknowledged(&pending.asked, &pdu));
                (Some(pending.key), outcome)
            }
            Kind::Userdata => self.userdata(header, pdu),
        }
    }

    /// A job of the device. It has some only within a download.
    fn asked_by_device(&mut self, pdu: &Pdu) -> Outcome {
        match pdu.function() {
            Some(function @ (DOWNLOAD_BLOCK | DOWNLOAD_ENDED)) if self.downloads > 0 => {
                if self.device_jobs.len() >= REMEMBERED {
                    self.device_jobs.pop_front();
                }
                self.device_jobs.push_back(DeviceJob { reference: pdu.header.reference, function });
                Outcome::Push { text: function::name(function) }
            }
            Some(_) | None => Outcome::Unreadable,
        }
    }

    fn acknowledged(&mut self, asked: &Asked, pdu: &Pdu) -> Outcome {
        let outcome = asked.acknowledged(pdu);
        if let Asked::Job { function } = asked {
            match (*function, &outcome) {
                (SETUP, Outcome::Done) => self.agree(&pdu.parameter),
                (REQUEST_DOWNLOAD, Outcome::Refused { .. }) => {
                    self.downloads = self.downloads.saturating_sub(1);
                }
                (START_UPLOAD, Outcome::Refused { .. }) | (END_UPLOAD, _) => {
                    self.uploads = self.uploads.saturating_sub(1);
                }
                _ => {}
            }
        }
        outcome
    }

    /// What the answer to setup communication says: requests under way from
    /// the client's side, from the device's, bytes of a unit.
    fn agree(&mut self, parameter: &[u8]) {
        if let [_, _, high, low, _, _, longest_high, longest_low] = *parameter {
            self.parallel = NonZeroU16::new(u16::from_be_bytes([high, low]));
            self.longest = u16::from_be_bytes([longest_high, longest_low]).into();
        }
    }

    fn userdata(&mut self, header: Header, pdu: Result<Pdu, Flaw>) -> (Option<Key>, Outcome) {
        let pdu = pdu.and_then(|pdu| Ok((Parameter::parse(&pdu.parameter)?, pdu.data)));
        match &pdu {
            Ok((parameter, _)) if parameter.purpose == Purpose::Push => {
                let service = parameter.service;
                return (None, Outcome::Push { text: function::push(service.group, service.function) });
            }
            Ok((parameter, _)) if parameter.purpose != Purpose::Response => {
                return (None, Outcome::Unreadable);
            }
            Ok(_) | Err(_) => {}
        }
        let Some(pending) = self.take(|pending| pending.key == header.key()) else {
            return (None, Outcome::Unreadable);
        };
        let outcome = pdu.map_or(Outcome::Unreadable, |(parameter, data)| {
            let outcome = pending.asked.responded(&parameter, &data);
            if outcome != Outcome::Unreadable {
                self.remember_pieces(&parameter, pending.accesses);
            }
            outcome
        });
        (Some(pending.key), outcome)
    }

    fn remember_pieces(&mut self, parameter: &Parameter, accesses: SmallVec<[Access; 2]>) {
        let Parameter { service, sequence, pieces, .. } = *parameter;
        self.unfinished.retain(|first| (first.service, first.sequence) != (service, sequence));
        match pieces {
            Pieces::Last => {}
            Pieces::More => {
                if self.unfinished.len() >= REMEMBERED {
                    self.unfinished.pop_front();
                }
                self.unfinished.push_back(Unfinished { service, sequence, accesses });
            }
        }
    }
}

/// Whether a unit is one of those with a password in it, by the bytes that
/// say so, whether or not the rest of it adds up.
fn may_be_password(kind: Kind, unit: &[u8]) -> bool {
    match kind {
        Kind::Userdata => userdata::may_be_password(unit.get(10..).unwrap_or_default()),
        Kind::Job => {
            let parameter = unit.get(10..).unwrap_or_default();
            parameter.first() == Some(&PI_SERVICE) && parameter.windows(LOGIN.len()).any(|part| part == LOGIN)
        }
        Kind::Ack | Kind::AckData => false,
    }
}

/// A frame, read.
struct Read {
    key: Key,
    expects: Expects,
    content: Content,
}

impl Read {
    fn operation(key: Key, expects: Expects, meaning: Meaning) -> Self {
        let Meaning { function, accesses } = meaning;
        let operation = Operation { protocol: Protocol::S7, function, accesses };
        Self { key, expects, content: Content::Operation(operation) }
    }

    fn malformed(key: Key, function: &'static str, flaw: Flaw) -> Self {
        Self {
            key,
            expects: Expects::Answer,
            content: Content::Malformed { why: Malformed { function, flaw } },
        }
    }

    /// A unit of the transport's own that has no answer.
    fn transport(function: &'static str) -> Self {
        let accesses = smallvec![Access::whole(Class::Housekeeping, None)];
        Self::operation(Key(0), Expects::Nothing, Meaning { function, accesses })
    }
}

#[cfg(test)]
mod tests;
