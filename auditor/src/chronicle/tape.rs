//! The last bytes of one tap, from which whole frames are taken.

use bytes::{Buf, Bytes, BytesMut};

/// The most bytes that are kept: far more than a gateway buffers before it
/// judges. What a forged recording has beyond is forgotten.
const MOST: usize = 1024 * 1024;

/// Bytes of a tap that no frame has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    /// Offset in the tap of the first byte that is kept.
    start: u64,
    kept: BytesMut,
}

impl Tape {
    /// The bytes that follow.
    pub(crate) fn push(&mut self, offset: u64, bytes: &[u8]) {
        if offset != self.end() {
            self.kept.clear();
            self.start = offset;
        }
        self.kept.extend_from_slice(bytes);
        self.forget(self.kept.len().saturating_sub(MOST));
    }

    /// Takes a frame; whatever stands before it is gone then. `None` if the
    /// bytes are not there.
    pub(crate) fn take(&mut self, offset: u64, length: u32) -> Option<Bytes> {
        let before = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let length = usize::try_from(length).ok()?;
        if before.checked_add(length)? > self.kept.len() {
            return None;
        }
        self.forget(before);
        let frame = self.kept.split_to(length).freeze();
        self.start = self.start.saturating_add(length_of(&frame));
        Some(frame)
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(length_of(&self.kept))
    }

    fn forget(&mut self, count: usize) {
        self.kept.advance(count.min(self.kept.len()));
        self.start = self.start.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_lie_in_the_tap() {
        let mut tape = Tape::default();
        tape.push(0, b"first");
        tape.push(5, b"--second");
        assert_eq!(tape.take(0, 5).as_deref(), Some(&b"first"[..]));
        assert_eq!(tape.take(7, 7), None, "one byte too far");
        assert_eq!(tape.take(7, 6).as_deref(), Some(&b"second"[..]));
        assert_eq!(tape.take(0, 1), None, "what was taken is gone");
        assert_eq!(tape.take(u64::MAX, u32::MAX), None);
        tape.push(13, b"x");
        assert_eq!(tape.take(13, 1).as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn what_a_tap_says_without_frames_is_bounded() {
        let mut tape = Tape::default();
        let piece = vec![7; 300_000];
        for index in 0..8 {
            tape.push(index * 300_000, &piece);
        }
        assert_eq!(tape.kept.len(), MOST);
        assert_eq!(tape.take(0, 1), None);
        assert!(tape.take(2_399_999, 1).is_some());
    }
}
