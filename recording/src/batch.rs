//! How entries lie in the plaintext of a frame.
//!
//! Items stand one behind the other, integers little-endian. An event that
//! does not fit into what is left of a frame is continued by the next event
//! item of the following frames.

use crate::entry::{Body, Entry, Tap};
use crate::event::{Event, MAX_EVENT};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
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
    /// Another item stands between the parts of an event.
    #[error("another entry stands between the parts of an event")]
    Between,
    /// The recording ends, and an event was only begun.
    #[error("the recording ends inside an event")]
    Unfinished,
    /// A tap's bytes do not follow on those before.
    #[error("the bytes of a tap have a gap")]
    Gap,
    /// A reference leads to bytes that are not there or too long ago.
    #[error("a reference leads nowhere")]
    Reference,
    /// More channels are open at a time than a recording can follow.
    #[error("too many channels are open at a time")]
    Channels,
    /// A request is not numbered as the next one, or an answer or refusal is
    /// of a request that was not made.
    #[error("request {0} is not one that can be there")]
    Request(u64),
    /// Totals are not those of the taps.
    #[error("the totals are not those of the taps")]
    Totals,
    /// The index at the end does not lead to the checkpoints.
    #[error("the marks at the end are not those of the checkpoints")]
    Marks,
    /// The end frame is not what the format says.
    #[error("the end can't be read")]
    End,
}

/// What `cbor` says, if it says it as the writer does: fields in their order,
/// lengths definite, numbers short, no text above its bound, nothing behind.
pub(crate) fn in_its_one_spelling<T: DeserializeOwned + Serialize>(cbor: &[u8]) -> Option<T> {
    let value: T = ciborium::from_reader(cbor).ok()?;
    let mut again = Vec::with_capacity(cbor.len());
    ciborium::into_writer(&value, &mut again).ok()?;
    (again == cbor).then_some(value)
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
                BYTES | SAME if self.is_inside_an_event() => return Err(BatchError::Between),
                BYTES => Some(self.bytes()?),
                SAME => Some(self.same()?),
                EVENT => Some(Body::Event(self.event()?)),
                EVENT_PART => {
                    self.event_part()?;
                    if !self.is_inside_an_event() {
                        return Err(BatchError::Event);
                    }
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

    /// Whether an event was begun whose last part is still to come.
    pub(crate) fn is_inside_an_event(&self) -> bool {
        !self.event.is_empty()
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
        let event: Event = in_its_one_spelling(&cbor).ok_or(BatchError::Event)?;
        if event.is_in_words_of_the_format() { Ok(event) } else { Err(BatchError::Event) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that `plaintexts` hold, one frame each, up to the first error.
    fn unpacked(plaintexts: &[Vec<u8>]) -> Result<usize, BatchError> {
        let (mut unpacker, mut count) = (Unpacker::default(), 0);
        for plaintext in plaintexts {
            unpacker.feed(Bytes::copy_from_slice(plaintext));
            while unpacker.next()?.is_some() {
                count += 1;
            }
        }
        if unpacker.is_inside_an_event() { Err(BatchError::Unfinished) } else { Ok(count) }
    }

    fn item(part: Part, cbor: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_event(&mut out, 7, part, cbor);
        out
    }

    const NOTE: &[u8] = b"\xa1\x64note\xa1\x64text\x61a";

    #[test]
    fn nothing_stands_between_the_parts_of_an_event() {
        let (first, last) = (item(Part::Continued, &NOTE[..4]), item(Part::Last, &NOTE[4..]));
        assert_eq!(unpacked(&[first.clone(), last.clone()]), Ok(1));
        assert_eq!(unpacked(&[[first.clone(), last.clone()].concat()]), Ok(1));
        assert_eq!(unpacked(std::slice::from_ref(&first)), Err(BatchError::Unfinished));
        let mut between = Vec::new();
        put_bytes(&mut between, 7, 1, Tap::FromClient, 0, b"b");
        let between = unpacked(&[first.clone(), between, last.clone()]);
        assert_eq!(between, Err(BatchError::Between));
        assert_eq!(unpacked(&[item(Part::Continued, b""), first, last]), Err(BatchError::Event));
    }

    #[test]
    fn an_event_has_one_spelling() {
        assert_eq!(unpacked(&[item(Part::Last, NOTE)]), Ok(1));
        let long: Vec<u8> = [b"\xa1\x64note\xa1\x64text\x79\x04\x01".as_slice(), &[b'x'; 1025]].concat();
        for wrong in [
            b"\xa1\x78\x04note\xa1\x64text\x61a".as_slice(),
            b"\xbf\x64note\xa1\x64text\x61a\xff",
            b"\xa1\x64note\xa1\x64text\x7f\x61a\xff",
            b"\xa1\x66ending\xa2\x64in_s\x01\x66reason\x61r",
            b"\xa1\x68unframed\xa3\x67channel\x01\x63tap\x62in\x66reason\x61r",
            b"\xa1\x6dterms_changed\xa2\x6bpolicy_hash\x41p\x65terms\x40",
            &[NOTE, b"\0"].concat(),
            &long,
        ] {
            let text = String::from_utf8_lossy(wrong);
            assert_eq!(unpacked(&[item(Part::Last, wrong)]), Err(BatchError::Event), "{text}");
        }
        let right = b"\xa1\x66ending\xa2\x66reason\x61r\x64in_s\x01";
        assert_eq!(unpacked(&[item(Part::Last, right)]), Ok(1));
    }
}
