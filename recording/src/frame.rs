//! How a frame lies in the file.
//!
//! `length u32 | kind u8 | epoch u32 | sequence u64 | previous hash 32 | body`,
//! integers little-endian. The body of a sealed frame is ciphertext and tag,
//! that of a checkpoint is the note itself.

use crate::ratchet::TAG;
use crate::tree::Hash;

/// Bytes of a frame before its body.
pub(crate) const FRAME_HEADER: usize = 4 + 1 + 4 + 8 + 32;

/// Longest plaintext of a frame, in bytes.
pub const MAX_PLAINTEXT: usize = 64 * 1024;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sealed entries.
    Entries,
    /// A signed checkpoint, in plain.
    Checkpoint,
    /// The sealed end of the recording.
    End,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Entries => 1,
            Self::Checkpoint => 2,
            Self::End => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Entries, Self::Checkpoint, Self::End].into_iter().find(|kind| kind.code() == code)
    }

    /// Whether a body of that many bytes can belong to a frame of this kind.
    pub(crate) fn admits(self, body: usize) -> bool {
        match self {
            Self::Entries | Self::End => body > TAG && body <= MAX_PLAINTEXT.saturating_add(TAG),
            Self::Checkpoint => body > 0 && body <= crate::checkpoint::MAX_NOTE,
        }
    }
}

/// The part of a frame before its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of the whole frame.
    pub(crate) length: usize,
    pub(crate) kind: Kind,
    pub(crate) epoch: u32,
    pub(crate) sequence: u64,
    pub(crate) previous: Hash,
}

impl FrameHeader {
    /// Appends the header with a length of zero; [`set_length`] fills it in.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; 4]);
        out.push(self.kind.code());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.previous);
    }

    /// Reads a frame's header, `None` for bytes that begin no frame.
    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let ([kind], rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (previous, _) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let kind = Kind::from_code(*kind)?;
        if !kind.admits(length.checked_sub(FRAME_HEADER)?) {
            return None;
        }
        Some(Self {
            length,
            kind,
            epoch: u32::from_le_bytes(*epoch),
            sequence: u64::from_le_bytes(*sequence),
            previous: *previous,
        })
    }
}

/// Fills in the length of the frame that is all of `frame`.
pub(crate) fn set_length(frame: &mut [u8]) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    if let Some((field, _)) = frame.split_first_chunk_mut() {
        *field = length.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_its_bytes() {
        let header =
            FrameHeader { length: 70, kind: Kind::Entries, epoch: 3, sequence: 9, previous: [5; 32] };
        let mut bytes = Vec::new();
        header.put(&mut bytes);
        bytes.resize(70, 0);
        set_length(&mut bytes);
        let parsed = FrameHeader::parse(bytes.first_chunk().unwrap());
        assert_eq!(parsed, Some(header));
    }

    #[test]
    fn lengths_and_kinds_out_of_bounds_begin_no_frame() {
        let with = |length: u32, kind: u8| {
            let mut bytes = [0; FRAME_HEADER];
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes[4] = kind;
            FrameHeader::parse(&bytes).is_some()
        };
        let max = u32::try_from(FRAME_HEADER + MAX_PLAINTEXT + TAG).unwrap();
        assert!(with(max, 1) && with(66, 1) && with(50, 2) && with(49 + 1024, 2));
        assert!(!with(max + 1, 1) && !with(65, 1) && !with(49, 2) && !with(49 + 1025, 2));
        assert!(!with(70, 0) && !with(70, 4) && !with(0, 1) && !with(u32::MAX, 3));
    }
}
