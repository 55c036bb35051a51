//! Bytes of one direction that have been recorded but not cut yet.

use bytes::{Bytes, BytesMut};
use std::num::NonZeroUsize;

/// How many bytes of one direction wait in a channel before no more are
/// asked for.
pub const BUFFERED: usize = 64 * 1024;

/// The bytes in front of the next frame's end.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    buffered: BytesMut,
    /// Offset of the first buffered byte in its tap.
    offset: u64,
}

/// A frame and where in its tap it begins.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) offset: u64,
    pub(crate) frame: Bytes,
}

impl Intake {
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        self.buffered.extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffered
    }

    /// Takes the first `length` bytes, or all if there are fewer.
    pub(crate) fn cut(&mut self, length: NonZeroUsize) -> Cut {
        let offset = self.offset;
        let frame = self.buffered.split_to(length.get().min(self.buffered.len())).freeze();
        self.offset = offset.saturating_add(frame.len() as u64);
        Cut { offset, frame }
    }
}
