//! CIP messages and those that carry other messages (CIP Volume 1, 2-4 for the
//! form, 3-5.5.4 for Unconnected Send, appendix A for the Multiple Service
//! Packet).

use super::fields::Fields;
use crate::dissector::Flaw;

/// Set in the service of an answer.
pub(super) const REPLY: u8 = 0x80;

/// How deep requests may be within requests: what is carried by the frame
/// itself is the first level.
pub(super) const DEEPEST: u8 = 3;

/// How many requests one frame may carry, on all levels.
pub(super) const MOST_REQUESTS: usize = 1024;

/// A request: service, path, data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) service: u8,
    pub(super) path: &'a [u8],
    pub(super) data: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut fields = Fields::new(bytes);
        let (service, words) = (fields.byte()?, fields.byte()?);
        if service & REPLY != 0 {
            return Err(Flaw::Function);
        }
        let path = fields.take(usize::from(words).saturating_mul(2)).map_err(|_| Flaw::Path)?;
        Ok(Self { service, path, data: fields.rest() })
    }
}

/// An Unconnected Send: a message and the route that it takes.
pub(super) struct Wrapped<'a> {
    pub(super) message: &'a [u8],
    pub(super) route: &'a [u8],
}

impl<'a> Wrapped<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Flaw> {
        let mut fields = Fields::new(data);
        fields.take(2)?;
        let length = fields.short()?;
        let message = fields.take(length.into())?;
        if length % 2 == 1 {
            fields.byte()?;
        }
        let words = fields.byte()?;
        fields.byte()?;
        let route = fields.take(usize::from(words).saturating_mul(2)).map_err(|_| Flaw::Path)?;
        fields.end()?;
        Ok(Self { message, route })
    }
}

/// A Multiple Service Packet, or the answer to one: a count, offsets, parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    data: &'a [u8],
    count: u16,
}

impl<'a> Packet<'a> {
    /// The offsets have to rise from the end of their own list, so that each
    /// byte belongs to exactly one part.
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Flaw> {
        let mut fields = Fields::new(data);
        let count = fields.short()?;
        if count == 0 || usize::from(count) > MOST_REQUESTS {
            return Err(Flaw::Count { count });
        }
        let packet = Self { data, count };
        let mut last = None;
        for _ in 0..count {
            let offset = usize::from(fields.short()?);
            let rises = match last {
                None => offset == packet.first(),
                Some(last) => offset > last,
            };
            if !rises || offset >= data.len() {
                return Err(Flaw::Length);
            }
            last = Some(offset);
        }
        Ok(packet)
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// Where the first part begins.
    fn first(&self) -> usize {
        usize::from(self.count).saturating_add(1).saturating_mul(2)
    }

    pub(super) fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        (0..usize::from(self.count)).filter_map(move |index| {
            let start = self.offset(index)?;
            let end = self.offset(index.saturating_add(1)).unwrap_or(self.data.len());
            self.data.get(start..end)
        })
    }

    fn offset(self, index: usize) -> Option<usize> {
        if index >= usize::from(self.count) {
            return None;
        }
        let at = index.checked_add(1)?.checked_mul(2)?;
        self.data.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes).into())
    }
}
