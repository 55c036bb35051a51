//! Reads a recording with an age identity: the auditor's view.
//!
//! Order of events: header, file key, key commitment, then frame after frame,
//! the key moving on at each checkpoint. References are resolved to bytes.
//! It stops where the file stops being whole. It does not verify signatures:
//! that is `verify`'s part, and needs no identity.

use crate::batch::{BatchError, Unpacker};
use crate::ending::End;
use crate::entry::{Body, Entry, Position, Tap};
use crate::event::Event;
use crate::frame::{FrameHeader, Kind};
use crate::header::{Header, HeaderError};
use crate::ratchet::{Binding, CryptoError, Ratchet};
use crate::recipient::{self, Identity, RecipientError};
use crate::reckoning::Reckoning;
use crate::scan::{Scanner, Step};
use crate::taps::{Taps, WINDOW};
use crate::tree::Hash;
use bytes::Bytes;
use std::collections::HashMap;
use std::io::{self, Read, Seek};

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has no header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its key can't be unwrapped.
    #[error(transparent)]
    Key(#[from] RecipientError),
    /// A frame does not open: it was altered.
    #[error("the frame at offset {offset} does not decrypt: the recording was altered")]
    Frame {
        /// Where the frame begins, in bytes.
        offset: u64,
    },
    /// A frame was sealed by the gateway but makes no sense.
    #[error("the frame at offset {offset}: {source}")]
    Entries {
        /// Where the frame begins, in bytes.
        offset: u64,
        /// What is wrong.
        source: BatchError,
    },
    /// The cryptographic library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// One entry as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Where its frame begins.
    pub position: Position,
    /// The entry; [`Body::Same`] never appears here, its bytes are given.
    pub entry: Entry,
}

/// How the entries of a recording came to their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// There are more.
    NotYet,
    /// The recording was closed.
    Ended(End),
    /// The file ends, or its reserved space begins, without an end frame.
    Cut {
        /// Bytes from the start that could be read.
        offset: u64,
    },
}

/// An opened recording; iterate over it for its entries.
pub struct Opened<R> {
    scanner: Scanner<R>,
    header: Header,
    header_hash: Hash,
    ratchet: Ratchet,
    sequence: u64,
    /// Where the frame begins whose entries are being given.
    position: Position,
    unpacker: Unpacker,
    taps: Taps,
    reckoning: Reckoning,
    windows: HashMap<(u32, Tap), Window>,
    stop: Stop,
    failed: bool,
}

impl<R: Read + Seek> Opened<R> {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`OpenError::Header`] and [`OpenError::Key`].
    pub fn decrypt(source: R, identity: &Identity) -> Result<Self, OpenError> {
        let (scanner, head) = Scanner::open(source)?;
        let head = head?;
        let (session, commitment) = (head.fields.session, head.fields.key_commitment);
        let recipients = head.fields.recipients_hash;
        let key = recipient::unwrap(&head.key_block, identity, &session, &commitment, &recipients)?;
        Ok(Self {
            scanner,
            ratchet: Ratchet::new(&key, &session)?,
            header: head.fields,
            header_hash: head.hash,
            sequence: 0,
            position: Position::default(),
            unpacker: Unpacker::default(),
            taps: Taps::default(),
            reckoning: Reckoning::new(),
            windows: HashMap::new(),
            stop: Stop::NotYet,
            failed: false,
        })
    }

    /// The header's fields.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How the entries ended; [`Stop::NotYet`] while there are more, and
    /// after an error.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Looks once more where the file stopped being whole: a recording that
    /// is still written grows. Does nothing unless it [`Stop::Cut`].
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn resume(&mut self) -> Result<(), OpenError> {
        match self.stop {
            Stop::Cut { .. } => {
                self.scanner.refresh()?;
                self.stop = Stop::NotYet;
            }
            Stop::NotYet | Stop::Ended(_) => {}
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Recorded>, OpenError> {
        loop {
            let offset = self.position.bytes;
            let entry = self.unpacker.next().map_err(|source| OpenError::Entries { offset, source })?;
            if let Some(entry) = entry {
                let entry = self.resolve(entry).map_err(|source| OpenError::Entries { offset, source })?;
                return Ok(Some(Recorded { position: self.position, entry }));
            }
            if self.stop != Stop::NotYet {
                return Ok(None);
            }
            self.next_frame()?;
        }
    }

    fn next_frame(&mut self) -> Result<(), OpenError> {
        let offset = self.scanner.offset();
        let Step::Frame(frame) = self.scanner.step()? else {
            self.stop = Stop::Cut { offset };
            return Ok(());
        };
        self.position = Position { bytes: offset, frames: self.sequence };
        match frame.kind {
            Kind::Checkpoint => {
                self.ratchet.advance()?;
                self.reckoning.checkpoint(offset, self.sequence);
            }
            Kind::Entries => {
                let Some(plaintext) = self.open_frame(&frame, offset)? else {
                    return Ok(());
                };
                self.unpacker.feed(plaintext);
            }
            Kind::End => {
                let Some(plaintext) = self.open_frame(&frame, offset)? else {
                    return Ok(());
                };
                let end = self.end(&plaintext).map_err(|source| OpenError::Entries { offset, source })?;
                self.stop = Stop::Ended(end);
            }
        }
        self.sequence = self.sequence.saturating_add(1);
        Ok(())
    }

    fn end(&self, plaintext: &[u8]) -> Result<End, BatchError> {
        if self.unpacker.is_inside_an_event() {
            return Err(BatchError::Unfinished);
        }
        let end = End::parse(plaintext)?;
        self.reckoning.end(&end)?;
        Ok(end)
    }

    /// The plaintext of the frame just read; `None` where the file was cut
    /// inside it and blank space follows.
    fn open_frame(&mut self, frame: &FrameHeader, offset: u64) -> Result<Option<Bytes>, OpenError> {
        let binding = Binding {
            header: &self.header_hash,
            kind: frame.kind.code(),
            epoch: self.ratchet.epoch(),
            sequence: self.sequence,
        };
        if let Ok(plaintext) = self.ratchet.open(&binding, self.scanner.body_mut()) {
            return Ok(Some(Bytes::copy_from_slice(plaintext)));
        }
        let end = self.scanner.offset();
        if self.scanner.torn(offset, end)? {
            self.stop = Stop::Cut { offset };
            return Ok(None);
        }
        // A frame may have been written while it was read; it is whole now.
        self.scanner.refresh()?;
        match self.scanner.step()? {
            Step::Frame(again) if again == *frame => {
                let plaintext = self.ratchet.open(&binding, self.scanner.body_mut());
                let plaintext = plaintext.map_err(|_| OpenError::Frame { offset })?;
                Ok(Some(Bytes::copy_from_slice(plaintext)))
            }
            Step::Frame(_) | Step::End | Step::Blank | Step::Broken => Err(OpenError::Frame { offset }),
        }
    }

    /// Follows taps and references.
    fn resolve(&mut self, entry: Entry) -> Result<Entry, BatchError> {
        let Entry { at, body } = entry;
        let body = match body {
            Body::Bytes { channel, tap, offset, bytes } => {
                self.keep(channel, tap, offset, &bytes)?;
                Body::Bytes { channel, tap, offset, bytes }
            }
            Body::Same { channel, tap, offset, length, of, of_offset } => {
                if length > WINDOW || tap == of {
                    return Err(BatchError::Reference);
                }
                self.taps.reach(channel, of, of_offset, length)?;
                let window = self.windows.get(&(channel, of));
                let bytes = match length {
                    0 => Bytes::new(),
                    _ => window
                        .and_then(|window| window.copy(of_offset, length))
                        .ok_or(BatchError::Reference)?,
                };
                self.keep(channel, tap, offset, &bytes)?;
                Body::Bytes { channel, tap, offset, bytes }
            }
            Body::Event(event) => {
                self.reckoning.event(&event, &self.taps)?;
                self.forget(&event);
                Body::Event(event)
            }
        };
        Ok(Entry { at, body })
    }

    fn keep(&mut self, channel: u32, tap: Tap, offset: u64, bytes: &[u8]) -> Result<(), BatchError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.taps.advance(channel, tap, offset, length)?;
        self.reckoning.passed(tap, length);
        self.windows.entry((channel, tap)).or_default().push(bytes);
        Ok(())
    }

    fn forget(&mut self, event: &Event) {
        self.taps.note(event);
        if let Some(channel) = event.closes() {
            for tap in Tap::ALL {
                self.windows.remove(&(channel, tap));
            }
        }
    }
}

impl<R: Read + Seek> Iterator for Opened<R> {
    type Item = Result<Recorded, OpenError>;

    /// The next entry; `None` at the end and after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// The last bytes of one tap: at least [`WINDOW`] of them, at most twice.
#[derive(Debug, Default)]
struct Window {
    /// Offset in the tap of the first byte that is kept.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let window = usize::try_from(WINDOW).unwrap_or(usize::MAX);
        if self.bytes.len() > window.saturating_mul(2) {
            let surplus = self.bytes.len().saturating_sub(window);
            self.bytes.drain(..surplus);
            self.start = self.start.saturating_add(u64::try_from(surplus).unwrap_or(u64::MAX));
        }
    }

    fn copy(&self, offset: u64, length: u32) -> Option<Bytes> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        self.bytes.get(from..to).map(Bytes::copy_from_slice)
    }
}
