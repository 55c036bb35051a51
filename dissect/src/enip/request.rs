//! EtherNet/IP requests: one frame to one [`Operation`].
//!
//! Each request that a frame carries, on whatever level, is an access, and so
//! is a route through the device. What is read here is what the device reads:
//! a length that doesn't add up on any level makes the whole frame malformed.

use super::connection::{Form, Opening, Triad, Use};
use super::encapsulation::{self as encapsulation, Header, Side, Way, carried, command_name};
use super::message::{DEEPEST, MOST_REQUESTS, Message, Packet, Wrapped};
use super::path::{Path, Route, Target};
use super::{Enip, pccc, service, tag};
use crate::dissector::{Content, Expects, Flaw, Key, Malformed, Request};
use crate::operation::{Access, Class, Effect, Operation, Protocol, Values};
use crate::place::{Object, Place};
use bytes::Bytes;
use smallvec::SmallVec;

/// Decodes one whole frame. Total: what is no frame is malformed.
pub(super) fn decode(enip: &Enip, frame: Bytes) -> Request {
    let Some(header) = Header::of(&frame) else {
        let why = Malformed { function: "no command", flaw: Flaw::Length };
        return Request { frame, key: Key(0), expects: Expects::Answer, content: Content::Malformed { why } };
    };
    let mut decoder = Decoder {
        enip,
        frame: &frame,
        key: Key::of_context(header),
        function: command_name(header.command),
        accesses: SmallVec::new(),
    };
    let content = match decoder.command(header) {
        Ok(()) => Content::Operation(Operation {
            protocol: Protocol::Enip,
            function: decoder.function,
            accesses: decoder.accesses,
        }),
        Err(flaw) => Content::Malformed { why: Malformed { function: decoder.function, flaw } },
    };
    let (key, expects) = (decoder.key, expects(header.command));
    Request { frame, key, expects, content }
}

/// 2-4: these two are never answered.
fn expects(command: u16) -> Expects {
    match command {
        encapsulation::NOP | encapsulation::UNREGISTER_SESSION => Expects::Nothing,
        _ => Expects::Answer,
    }
}

impl Key {
    const CONNECTED: u64 = 1 << 63;

    /// Two contexts that differ in the highest bit alone count as the same
    /// one: the second then waits for the first.
    pub(super) fn of_context(header: Header) -> Self {
        Self(u64::from_le_bytes(header.context) & !Self::CONNECTED)
    }

    /// By the connection's id towards the client, which is what its answer has.
    pub(super) fn of_connection(to_client: u32, sequence: u16) -> Self {
        Self(Self::CONNECTED | u64::from(to_client) << 16 | u64::from(sequence))
    }
}

/// The message, if the same one stands behind it once more with its sequence
/// count. pycomm3 1.2 writes single tags so; a controller takes the first,
/// which says itself how long it is. Nothing else may stand there.
fn said_twice(message: &[u8], sequence: u16) -> Option<&[u8]> {
    let length = message.len().checked_sub(2)?.checked_div(2)?;
    let (once, again) = message.split_at_checked(length)?;
    let (count, again) = again.split_first_chunk::<2>()?;
    (*count == sequence.to_le_bytes() && once == again).then_some(once)
}

/// What has been read of a frame.
struct Decoder<'a> {
    enip: &'a Enip,
    frame: &'a Bytes,
    key: Key,
    function: &'static str,
    accesses: SmallVec<[Access; 2]>,
}

impl Decoder<'_> {
    fn command(&mut self, header: Header) -> Result<(), Flaw> {
        let frame = self.frame;
        let body = header.body(frame)?;
        if header.status != 0 {
            return Err(Flaw::Value { value: u16::try_from(header.status).unwrap_or(u16::MAX) });
        }
        match header.command {
            encapsulation::SEND_RR_DATA | encapsulation::SEND_UNIT_DATA => self.carried(header),
            encapsulation::NOP => self.whole(Class::Housekeeping),
            encapsulation::UNREGISTER_SESSION if body.is_empty() => self.whole(Class::Housekeeping),
            // Version 1, no options (2-4.4).
            encapsulation::REGISTER_SESSION if body == [1, 0, 0, 0] => self.whole(Class::Housekeeping),
            encapsulation::LIST_SERVICES | encapsulation::LIST_IDENTITY | encapsulation::LIST_INTERFACES
                if body.is_empty() =>
            {
                self.whole(Class::Identify)
            }
            encapsulation::UNREGISTER_SESSION
            | encapsulation::REGISTER_SESSION
            | encapsulation::LIST_SERVICES
            | encapsulation::LIST_IDENTITY
            | encapsulation::LIST_INTERFACES => Err(Flaw::Length),
            _ => self.whole(Class::Unknown),
        }
    }

    fn carried(&mut self, header: Header) -> Result<(), Flaw> {
        let frame = self.frame;
        let (way, message) = carried(header, frame, Side::Request)?;
        match way {
            Way::Unconnected => self.message(message, 1, Opens::Connections),
            Way::Connected { connection, sequence } => {
                let enip = self.enip;
                let connection = enip.connections.find(connection).ok_or(Flaw::Connection)?;
                self.key = Key::of_connection(connection.to_client, sequence);
                match (self.message(message, 1, Opens::Nothing), said_twice(message, sequence)) {
                    (Err(Flaw::Length), Some(once)) => {
                        self.accesses.clear();
                        self.message(once, 1, Opens::Nothing)?;
                    }
                    (read, _) => read?,
                }
                self.route(&connection.route)
            }
        }
    }

    /// One request, at `depth` levels.
    fn message(&mut self, bytes: &[u8], depth: u8, opens: Opens) -> Result<(), Flaw> {
        if depth > DEEPEST {
            return Err(Flaw::Depth);
        }
        let message = Message::parse(bytes)?;
        let path = Path::parse(message.path)?;
        if path.is_instance(service::CONNECTION_MANAGER, 1) {
            match message.service {
                service::UNCONNECTED_SEND => return self.unconnected(message, depth),
                service::FORWARD_OPEN | service::LARGE_FORWARD_OPEN | service::FORWARD_CLOSE => {
                    return self.connection(message, opens);
                }
                _ => {}
            }
        }
        if message.service == service::MULTIPLE && path.is_instance(service::MESSAGE_ROUTER, 1) {
            return self.multiple(message, depth);
        }
        if message.service == service::EXECUTE_PCCC && path.is_instance(service::PCCC, 1) {
            self.function = service::name(message.service, Some(service::PCCC));
            let pccc::Meaning { function, accesses } = pccc::decode(message.data, self.frame)?;
            self.function = function;
            return accesses.into_iter().try_for_each(|access| self.add(access));
        }
        self.single(message, &path)
    }

    fn unconnected(&mut self, message: Message<'_>, depth: u8) -> Result<(), Flaw> {
        self.function = service::name(message.service, Some(service::CONNECTION_MANAGER));
        let wrapped = Wrapped::parse(message.data)?;
        let route = Route::parse(wrapped.route)?;
        self.message(wrapped.message, depth.saturating_add(1), Opens::Nothing)?;
        self.route(&route)
    }

    /// Where the request goes on to another device.
    fn route(&mut self, route: &Route) -> Result<(), Flaw> {
        let access = |class, place| Access { class, unit: None, place, values: Values::None };
        match route {
            Route::Here => Ok(()),
            Route::Through(path) => self.add(access(Class::Route, Some(Place::Name(path.clone())))),
            Route::Unnamed => self.add(access(Class::Unknown, None)),
        }
    }

    fn multiple(&mut self, message: Message<'_>, depth: u8) -> Result<(), Flaw> {
        self.function = service::name(message.service, None);
        for part in Packet::parse(message.data)?.parts() {
            self.message(part, depth.saturating_add(1), Opens::Nothing)?;
        }
        self.function = service::name(message.service, None);
        Ok(())
    }

    /// Opening and closing is only understood where the answer can be: at
    /// the top, outside of a connection.
    fn connection(&mut self, message: Message<'_>, opens: Opens) -> Result<(), Flaw> {
        self.function = service::name(message.service, Some(service::CONNECTION_MANAGER));
        let form = match message.service {
            service::FORWARD_OPEN => Form::Usual,
            service::LARGE_FORWARD_OPEN => Form::Large,
            _ => {
                Triad::of_closing(message.data)?;
                return self.whole(opens.class());
            }
        };
        let opening = Opening::parse(message.data, form)?;
        match opening.use_ {
            Use::Explicit => {
                self.whole(opens.class())?;
                self.route(&opening.route)
            }
            Use::Implicit => {
                self.function = "forward open for implicit I/O";
                self.whole(Class::Unknown)
            }
            Use::OtherObject => {
                self.function = "forward open to another object than the message router";
                self.whole(Class::Unknown)
            }
        }
    }

    /// A request that carries no other.
    fn single(&mut self, message: Message<'_>, path: &Path) -> Result<(), Flaw> {
        let target = path.target(&self.enip.symbols, message.service);
        let object = match &target {
            Target::Object(object) => Some(object.class),
            Target::Tag(_) | Target::Nowhere => None,
        };
        self.function = service::name(message.service, object);
        match target {
            Target::Tag(name) => match tag::decode(message.service, &name, message.data, self.frame)? {
                Some(access) => self.add(access),
                None => {
                    let class = service::class(message.service, None);
                    self.general(class, Place::Name(name), message)
                }
            },
            Target::Object(object) => self.object(object, message),
            Target::Nowhere => self.whole(Class::Unknown),
        }
    }

    fn object(&mut self, object: Object, message: Message<'_>) -> Result<(), Flaw> {
        let class = service::class(message.service, Some(object.class));
        match message.service {
            service::GET_ALL | service::GET_SINGLE if !message.data.is_empty() => Err(Flaw::Length),
            service::GET_LIST => self.attributes(class, object, message),
            service::SET_SINGLE if object.attribute.is_none() => Err(Flaw::Path),
            // Out of the box again: all settings are lost (5A-2.4).
            service::RESET if !matches!(message.data, [] | [0]) => {
                self.general(Class::ProgramWrite, Place::Object(object), message)
            }
            _ => self.general(class, Place::Object(object), message),
        }
    }

    /// Get Attribute List: a count and so many attributes, each an access.
    fn attributes(&mut self, class: Class, object: Object, message: Message<'_>) -> Result<(), Flaw> {
        let mut fields = super::fields::Fields::new(message.data);
        let count = fields.short()?;
        if count == 0 {
            return Err(Flaw::Count { count });
        }
        for _ in 0..count {
            let place = Place::Object(Object { attribute: Some(fields.short()?.into()), ..object });
            self.add(Access { class, unit: None, place: Some(place), values: Values::None })?;
        }
        fields.end()
    }

    /// A service of which no more is known than its class.
    fn general(&mut self, class: Class, place: Place, message: Message<'_>) -> Result<(), Flaw> {
        let values = match (class.effect(), message.data) {
            // What a reading service has is which things it reads, and how.
            (Effect::Observes, _) | (Effect::Changes, []) => Values::None,
            (Effect::Changes, data) => Values::Untyped(self.frame.slice_ref(data)),
        };
        self.add(Access { class, unit: None, place: Some(place), values })
    }

    fn whole(&mut self, class: Class) -> Result<(), Flaw> {
        self.add(Access::whole(class, None))
    }

    fn add(&mut self, access: Access) -> Result<(), Flaw> {
        if self.accesses.len() >= MOST_REQUESTS {
            return Err(Flaw::Count { count: u16::try_from(MOST_REQUESTS).unwrap_or(u16::MAX) });
        }
        self.accesses.push(access);
        Ok(())
    }
}

/// Whether a request may open a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    Connections,
    Nothing,
}

impl Opens {
    fn class(self) -> Class {
        match self {
            Self::Connections => Class::Housekeeping,
            Self::Nothing => Class::Unknown,
        }
    }
}

/// The connection that a request opens or closes.
pub(super) fn triad(message: Message<'_>) -> Option<Triad> {
    match message.service {
        service::FORWARD_OPEN => Opening::parse(message.data, Form::Usual).ok().map(|opening| opening.triad),
        service::LARGE_FORWARD_OPEN => {
            Opening::parse(message.data, Form::Large).ok().map(|opening| opening.triad)
        }
        service::FORWARD_CLOSE => Triad::of_closing(message.data).ok(),
        _ => None,
    }
}
