//! A cursor over a request's or an answer's fields that can't run past its end.

use crate::Flaw;
use bytes::{Buf, Bytes};

/// Reads big-endian fields off the front of a piece of a frame.
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Flaw> {
        self.rest.try_get_u8().map_err(|_| Flaw::Length)
    }

    pub(crate) fn word(&mut self) -> Result<u16, Flaw> {
        self.rest.try_get_u16().map_err(|_| Flaw::Length)
    }

    /// The next `count` bytes, sharing the frame's memory.
    pub(crate) fn take(&mut self, count: usize) -> Result<Bytes, Flaw> {
        if self.rest.len() < count {
            return Err(Flaw::Length);
        }
        Ok(self.rest.split_to(count))
    }

    /// All that is left.
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Trailing bytes are a flaw: they'd reach the device undecided.
    pub(crate) fn end(self) -> Result<(), Flaw> {
        if self.rest.is_empty() { Ok(()) } else { Err(Flaw::Length) }
    }
}
