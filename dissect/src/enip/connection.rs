//! Connections for explicit messages: what a Forward Open asks for and what
//! its answer made of it (CIP Volume 1, 3-5.5).
//!
//! Only transport class 3 to the message router is carried. A connection of
//! class 0 or 1 would move data over UDP, outside of this channel, unseen.

use super::fields::Fields;
use super::path::{End, Route};
use crate::dissector::Flaw;
use bytes::BufMut;
use std::collections::VecDeque;

/// How many connections of a channel are remembered. Beyond it the oldest is
/// forgotten, so that messages on it are refused.
pub(super) const MOST_CONNECTIONS: usize = 64;

/// What names a connection in opening and closing: serial number, vendor and
/// serial number of the originator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triad([u8; 8]);

/// A Forward Open or Large Forward Open, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) triad: Triad,
    pub(super) route: Route,
    pub(super) use_: Use,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Explicit messages to the message router.
    Explicit,
    /// Data that is sent by itself.
    Implicit,
    /// Explicit messages to another object, which its messages don't name.
    OtherObject,
}

/// The form of a Forward Open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Parameters of two bytes.
    Usual,
    /// Parameters of four bytes.
    Large,
}

impl Opening {
    /// 3-5.5.2.
    pub(super) fn parse(data: &[u8], form: Form) -> Result<Self, Flaw> {
        let mut fields = Fields::new(data);
        fields.take(2 + 4 + 4)?;
        let triad = Triad::next(&mut fields)?;
        // Multiplier and reserved bytes, then for either direction the
        // interval and the parameters.
        fields.take(match form {
            Form::Usual => 4 + 2 * (4 + 2),
            Form::Large => 4 + 2 * (4 + 4),
        })?;
        let transport = fields.byte()?;
        let words = fields.byte()?;
        let path = fields.take(usize::from(words).saturating_mul(2))?;
        fields.end()?;
        let (route, end) = Route::of_connection(path)?;
        let use_ = match (transport & 0x0F, end) {
            (3, End::MessageRouter) => Use::Explicit,
            (3, End::Other) => Use::OtherObject,
            (_, End::MessageRouter | End::Other) => Use::Implicit,
        };
        Ok(Self { triad, route, use_ })
    }
}

impl Triad {
    fn next(fields: &mut Fields<'_>) -> Result<Self, Flaw> {
        fields.take(8)?.first_chunk().map(|bytes| Self(*bytes)).ok_or(Flaw::Length)
    }

    /// From a Forward Close (3-5.5.3). The path has to be there and whole; it
    /// only helps to find the connection.
    pub(super) fn of_closing(data: &[u8]) -> Result<Self, Flaw> {
        let mut fields = Fields::new(data);
        fields.take(2)?;
        let triad = Self::next(&mut fields)?;
        let words = fields.byte()?;
        fields.byte()?;
        fields.take(usize::from(words).saturating_mul(2))?;
        fields.end()?;
        Ok(triad)
    }

    /// What follows the status in an answer that refuses to open or to close:
    /// the triad and no remaining path (3-5.5.2).
    pub(super) fn put_refused(self, reply: &mut impl BufMut) {
        reply.put_slice(&self.0);
        reply.put_u16_le(0);
    }
}

/// An open connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection {
    /// In messages to the device.
    to_device: u32,
    /// In messages from the device.
    pub(super) to_client: u32,
    triad: Triad,
    /// Where its messages go.
    pub(super) route: Route,
}

/// The open connections of a channel.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: VecDeque<Connection>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// By the id in messages to the device.
    pub(super) fn find(&self, to_device: u32) -> Option<&Connection> {
        self.open.iter().find(|connection| connection.to_device == to_device)
    }

    /// Takes note of an answer to a Forward Open: the ids of both directions
    /// come first in it.
    pub(super) fn opened(&mut self, triad: Triad, route: &Route, data: &[u8]) -> Result<(), Flaw> {
        let mut fields = Fields::new(data);
        let (to_device, to_client) = (fields.long()?, fields.long()?);
        self.open.retain(|open| open.to_device != to_device && open.triad != triad);
        if self.open.len() >= MOST_CONNECTIONS {
            self.open.pop_front();
        }
        self.open.push_back(Connection { to_device, to_client, triad, route: route.clone() });
        Ok(())
    }

    pub(super) fn closed(&mut self, triad: Triad) {
        self.open.retain(|open| open.triad != triad);
    }
}
