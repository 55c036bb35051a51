//! Puts frames together in one buffer, ready for one write.
//!
//! It keeps what each next frame builds on: sequence, chain, tree and keys.
//! It never writes; a buffer that could not be written leaves it unusable.

use crate::batch::{self, Part};
use crate::checkpoint::Statement;
use crate::entry::{Position, Tap};
use crate::frame::{self, FRAME_HEADER, FrameHeader, Kind, MAX_PLAINTEXT};
use crate::header::Head;
use crate::keys::SigningKey;
use crate::ratchet::{Binding, Ratchet};
use crate::tree::{self, Hash, Tree};
use crate::writer::RecordError;
use jiff::Timestamp;

pub(crate) struct Assembly {
    header: Hash,
    session: [u8; 16],
    ratchet: Ratchet,
    previous: Hash,
    tree: Tree,
    sequence: u64,
    /// Bytes of the file before the buffer.
    base: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the frame begins that takes further items.
    open: Option<usize>,
}

impl Assembly {
    /// Begins with the header, already in the buffer.
    pub(crate) fn new(head: &Head, header: Vec<u8>, ratchet: Ratchet) -> Self {
        let mut tree = Tree::default();
        tree.push(head.hash);
        Self {
            header: head.hash,
            session: head.fields.session,
            ratchet,
            previous: head.hash,
            tree,
            sequence: 0,
            base: 0,
            buffer: header,
            open: None,
        }
    }

    pub(crate) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Where the file ends once the buffer is written.
    pub(crate) fn position(&self) -> Position {
        let buffered = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        Position { bytes: self.base.saturating_add(buffered), frames: self.sequence }
    }

    /// Leaves by the buffer's bytes, which are written.
    pub(crate) fn written(&mut self) {
        self.base = self.position().bytes;
        self.buffer.clear();
    }

    /// Adds tap bytes, over as many frames as they need.
    pub(crate) fn bytes(
        &mut self,
        at: u64,
        (channel, tap, offset): (u32, Tap, u64),
        bytes: &[u8],
    ) -> Result<(), RecordError> {
        let mut rest = bytes;
        let mut offset = offset;
        while !rest.is_empty() {
            let room = self.room_for(batch::BYTES_HEADER.saturating_add(1))?;
            let fits = room.saturating_sub(batch::BYTES_HEADER).min(rest.len());
            let (piece, later) = rest.split_at_checked(fits).unwrap_or((rest, &[]));
            batch::put_bytes(&mut self.buffer, at, channel, tap, offset, piece);
            offset = offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            rest = later;
        }
        Ok(())
    }

    /// Adds a reference to bytes of another tap.
    pub(crate) fn same(
        &mut self,
        at: u64,
        place: (u32, Tap, u64),
        length: u32,
        of: (Tap, u64),
    ) -> Result<(), RecordError> {
        self.room_for(batch::SAME_SIZE)?;
        batch::put_same(&mut self.buffer, at, place, length, of);
        Ok(())
    }

    /// Adds an event, over as many frames as it needs.
    pub(crate) fn event(&mut self, at: u64, cbor: &[u8]) -> Result<(), RecordError> {
        let mut rest = cbor;
        loop {
            let room = self.room_for(batch::EVENT_HEADER.saturating_add(1))?;
            match rest.split_at_checked(room.saturating_sub(batch::EVENT_HEADER)) {
                Some((piece, later)) if !later.is_empty() => {
                    batch::put_event(&mut self.buffer, at, Part::Continued, piece);
                    rest = later;
                }
                Some(_) | None => {
                    batch::put_event(&mut self.buffer, at, Part::Last, rest);
                    return Ok(());
                }
            }
        }
    }

    /// Seals the frame that took items, if there is one.
    pub(crate) fn close(&mut self) -> Result<(), RecordError> {
        match self.open.take() {
            Some(start) => self.seal(start, Kind::Entries),
            None => Ok(()),
        }
    }

    /// Adds the end frame.
    pub(crate) fn end(&mut self, cbor: &[u8]) -> Result<(), RecordError> {
        self.close()?;
        if cbor.len() > MAX_PLAINTEXT {
            return Err(RecordError::TooLarge);
        }
        let start = self.begin(Kind::End);
        self.buffer.extend_from_slice(cbor);
        self.seal(start, Kind::End)
    }

    /// Adds a checkpoint over all before it and moves on to the next epoch.
    pub(crate) fn checkpoint(&mut self, time: Timestamp, key: &SigningKey) -> Result<Signed, RecordError> {
        self.close()?;
        let before = self.position();
        let statement = Statement {
            session: self.session,
            leaves: self.tree.size(),
            root: self.tree.root(),
            bytes: before.bytes,
            time,
        };
        let note = statement.sign(key)?;
        let start = self.begin(Kind::Checkpoint);
        self.buffer.extend_from_slice(note.as_bytes());
        self.link(start);
        self.ratchet.advance()?;
        Ok(Signed { note, before, root: statement.root })
    }

    /// Room that is left in a frame that takes items, at least `needed`.
    fn room_for(&mut self, needed: usize) -> Result<usize, RecordError> {
        if let Some(start) = self.open {
            let used = self.buffer.len().saturating_sub(start.saturating_add(FRAME_HEADER));
            let room = MAX_PLAINTEXT.saturating_sub(used);
            if room >= needed {
                return Ok(room);
            }
            self.close()?;
        }
        self.open = Some(self.begin(Kind::Entries));
        Ok(MAX_PLAINTEXT)
    }

    fn begin(&mut self, kind: Kind) -> usize {
        let start = self.buffer.len();
        let header = FrameHeader {
            length: 0,
            kind,
            epoch: self.ratchet.epoch(),
            sequence: self.sequence,
            previous: self.previous,
        };
        header.put(&mut self.buffer);
        start
    }

    fn seal(&mut self, start: usize, kind: Kind) -> Result<(), RecordError> {
        let binding = Binding {
            header: &self.header,
            kind: kind.code(),
            epoch: self.ratchet.epoch(),
            sequence: self.sequence,
        };
        let content = self.buffer.get_mut(start.saturating_add(FRAME_HEADER)..).unwrap_or_default();
        let tag = self.ratchet.seal(&binding, content)?;
        self.buffer.extend_from_slice(&tag);
        self.link(start);
        Ok(())
    }

    /// Completes the frame at the buffer's end and goes on behind it.
    fn link(&mut self, start: usize) {
        let frame = self.buffer.get_mut(start..).unwrap_or_default();
        frame::set_length(frame);
        self.previous = tree::leaf(frame);
        self.tree.push(self.previous);
        self.sequence = self.sequence.saturating_add(1);
    }
}

/// A checkpoint that was put together.
pub(crate) struct Signed {
    pub(crate) note: String,
    /// Where its frame begins.
    pub(crate) before: Position,
    pub(crate) root: Hash,
}
