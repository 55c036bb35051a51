//! How entries lie in the plaintext of a frame.
//!
//! Items stand one behind the other, integers little-endian. An event that
//! does not fit into what is left of a frame is continued by the next event
//! item of the following frames.

use crate::entry::{Body, Entry, Tap};
use crate::event::{Event, MAX_EVENT};
use bytes::Bytes;
use std::time::Duration;

pub(crate) const BYTES_HEADER: usize = 1 + 8 + 4 + 1 + 8 + 4;
pub(crate) const SAME_SIZE: usize = 1 + 8 + 4 + 1 + 8 + 4 + 1 + 8;
pub(crate) const EVENT_HEADER: usize = 1 + 8 + 4;

const BYTES: u8 = 1;
const SAME: u8 = 2;
const EVENT: u8 = 3;
const EVENT_PART: u8 = 4;

/// Whether an event item is the last of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Last,
    Continued,
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, at: u64, channel: u32, tap: Tap, offset: u64, bytes: &[u8]) {
    put_tap(out, BYTES, at, channel, tap, offset);
    out.extend_from_slice(&length_of(bytes).to_le_bytes());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_same(
    out: &mut Vec<u8>,
    at: u64,
    place: (u32, Tap, u64),
    length: u32,
    (of, of_offset): (Tap, u64),
) {
    let (channel, tap, offset) = place;
    put_tap(out, SAME, at, channel, tap, offset);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(of.code());
    out.extend_from_slice(&of_offset.to_le_bytes());
}

pub(crate) fn put_event(out: &mut Vec<u8>, at: u64, part: Part, cbor: &[u8]) {
    out.push(match part {
        Part::Last => EVENT,
        Part::Continued => EVENT_PART,
    });
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&length_of(cbor).to_le_bytes());
    out.extend_from_slice(cbor);
}

fn put_tap(out: &mut Vec<u8>, item: u8, at: u64, channel: u32, tap: Tap, offset: u64) {
    out.push(item);
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&channel.to_le_bytes());
    out.push(tap.code());
    out.extend_from_slice(&offset.to_le_bytes());
}

/// Pieces are at most a frame long, so the length always fits.
fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Why the plaintext of a frame can't be read. Only a faulty gateway can
/// cause it: the plaintext is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// An item ends beyond its frame.
    #[error("an entry ends beyond its frame")]
    Cut,
    /// A number in an item means nothing.
    #[error("an entry has an unknown kind or tap")]
    Unknown,
    /// An event is not what the format says.
    #[error("an event can't be read")]
    Event,
    /// A tap's bytes do not follow on those before.
    #[error("the bytes of a tap have a gap")]
    Gap,
    /// A reference leads to bytes that are not there or too long ago.
    #[error("a reference leads nowhere")]
    Reference,
    /// More channels are open at a time than a recording can follow.
    #[error("too many channels are open at a time")]
    Channels,
    /// The end frame is not what the format says.
    #[error("the end can't be read")]
    End,
}

/// Takes the entries out of plaintexts, frame after frame.
#[derive(Debug, Default)]
pub(crate) struct Unpacker {
    rest: Bytes,
    /// The begun event, empty between events.
    event: Vec<u8>,
}

impl Unpacker {
    /// Goes on with the plaintext of the next frame.
    pub(crate) fn feed(&mut self, plaintext: Bytes) {
        self.rest = plaintext;
    }

    /// The next entry of the frame, `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, BatchError> {
        while !self.rest.is_empty() {
            let [item] = self.array()?;
            let at = Duration::from_nanos(u64::from_le_bytes(self.array()?));
            let body = match item {
                BYTES => Some(self.bytes()?),
                SAME => Some(self.same()?),
                EVENT => Some(Body::Event(self.event()?)),
                EVENT_PART => {
                    self.event_part()?;
                    None
                }
                _ => return Err(BatchError::Unknown),
            };
            if let Some(body) = body {
                return Ok(Some(Entry { at, body }));
            }
        }
        Ok(None)
    }

    fn bytes(&mut self) -> Result<Body, BatchError> {
        let (channel, tap, offset) = self.place()?;
        Ok(Body::Bytes { channel, tap, offset, bytes: self.counted()? })
    }

    fn same(&mut self) -> Result<Body, BatchError> {
        let (channel, tap, offset) = self.place()?;
        let length = u32::from_le_bytes(self.array()?);
        let of = self.tap()?;
        let of_offset = u64::from_le_bytes(self.array()?);
        Ok(Body::Same { channel, tap, offset, length, of, of_offset })
    }

    fn event_part(&mut self) -> Result<(), BatchError> {
        let part = self.counted()?;
        if part.len().saturating_add(self.event.len()) > MAX_EVENT {
            return Err(BatchError::Event);
        }
        self.event.extend_from_slice(&part);
        Ok(())
    }

    fn event(&mut self) -> Result<Event, BatchError> {
        self.event_part()?;
        let cbor = std::mem::take(&mut self.event);
        let mut rest = cbor.as_slice();
        let event = ciborium::from_reader(&mut rest).map_err(|_| BatchError::Event)?;
        if rest.is_empty() { Ok(event) } else { Err(BatchError::Event) }
    }

    fn place(&mut self) -> Result<(u32, Tap, u64), BatchError> {
        let channel = u32::from_le_bytes(self.array()?);
        let tap = self.tap()?;
        Ok((channel, tap, u64::from_le_bytes(self.array()?)))
    }

    fn tap(&mut self) -> Result<Tap, BatchError> {
        let [code] = self.array()?;
        Tap::from_code(code).ok_or(BatchError::Unknown)
    }

    fn counted(&mut self) -> Result<Bytes, BatchError> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| BatchError::Cut)?;
        if length > self.rest.len() {
            return Err(BatchError::Cut);
        }
        Ok(self.rest.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BatchError> {
        let array = *self.rest.first_chunk().ok_or(BatchError::Cut)?;
        let _ = self.rest.split_to(N);
        Ok(array)
    }
}
