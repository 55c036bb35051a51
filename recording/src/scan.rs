//! Walks over a recording's frames without any key.
//!
//! It tells where frames begin and end, not whether they are genuine: that is
//! `verify`'s part. Everything it reads is untrusted; a length is bounded
//! before anything is read by it.

use crate::checkpoint::ORIGIN_PREFIX;
use crate::frame::{FRAME_HEADER, FrameHeader, Kind};
use crate::header::{self, Head, Header, HeaderError, MAX_HEADER};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Bytes that are read at a time.
const CHUNK: usize = 128 * 1024;

/// What stands at the present place of a file.
pub(crate) enum Step {
    /// A whole frame; its bytes are in [`Scanner::frame`].
    Frame(FrameHeader),
    /// The file's end, right behind a frame.
    End,
    /// Bytes that begin like reserved space.
    Blank,
    /// Bytes that are no whole frame.
    Broken,
}

/// Reads a file frame by frame.
pub(crate) struct Scanner<R> {
    source: BufReader<R>,
    length: u64,
    /// Where the next frame begins.
    offset: u64,
    frame: Vec<u8>,
}

impl<R: Read + Seek> Scanner<R> {
    /// Reads the header; the first frame is next.
    pub(crate) fn open(source: R) -> io::Result<(Self, Result<Head, HeaderError>)> {
        let mut source = BufReader::with_capacity(CHUNK, source);
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut start = Vec::with_capacity(2048);
        let most = u64::try_from(MAX_HEADER).unwrap_or(u64::MAX);
        source.by_ref().take(most).read_to_end(&mut start)?;
        let mut head = header::parse(&start);
        let mut scanner = Self { source, length, offset: 0, frame: Vec::new() };
        // More than a header's length was blank so far; it must be to the end.
        if head.as_ref().is_err_and(|error| *error == HeaderError::Cut)
            && scanner.last_written_behind(most)?
        {
            head = Err(HeaderError::Magic);
        }
        if let Ok(head) = &head {
            scanner.go_to(head.length)?;
        }
        Ok((scanner, head))
    }

    /// The file's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes of the last [`Step::Frame`].
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The body of the last [`Step::Frame`]: what stands behind its header.
    pub(crate) fn body(&self) -> &[u8] {
        self.frame.get(FRAME_HEADER..).unwrap_or_default()
    }

    pub(crate) fn body_mut(&mut self) -> &mut [u8] {
        self.frame.get_mut(FRAME_HEADER..).unwrap_or_default()
    }

    pub(crate) fn go_to(&mut self, offset: u64) -> io::Result<()> {
        let there = i64::try_from(offset).ok().zip(i64::try_from(self.source.stream_position()?).ok());
        match there.and_then(|(to, from)| to.checked_sub(from)) {
            Some(step) => self.source.seek_relative(step)?,
            None => {
                self.source.seek(SeekFrom::Start(offset))?;
            }
        }
        self.offset = offset;
        Ok(())
    }

    /// Forgets what was read ahead: a file that is written to has grown, or
    /// has bytes where reserved space was.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        self.length = self.source.seek(SeekFrom::End(0))?;
        self.source.seek(SeekFrom::Start(self.offset))?;
        Ok(())
    }

    /// Reads the next frame and goes behind it; anything else leaves the
    /// place as it is.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let start = self.offset;
        self.read_up_to(FRAME_HEADER)?;
        if self.frame.is_empty() {
            return Ok(Step::End);
        }
        if self.frame.iter().take(4).all(|byte| *byte == 0) {
            self.go_to(start)?;
            return Ok(Step::Blank);
        }
        let Some(header) = self.frame.first_chunk().and_then(FrameHeader::parse) else {
            self.go_to(start)?;
            return Ok(Step::Broken);
        };
        let rest = header.length.saturating_sub(FRAME_HEADER);
        let wanted = u64::try_from(rest).unwrap_or(u64::MAX);
        let read = self.source.by_ref().take(wanted).read_to_end(&mut self.frame)?;
        if read < rest {
            self.go_to(start)?;
            return Ok(Step::Broken);
        }
        self.offset = start.saturating_add(u64::try_from(header.length).unwrap_or(u64::MAX));
        Ok(Step::Frame(header))
    }

    /// The raw bytes of a frame's header at the present place, if there are
    /// as many; the place stays.
    pub(crate) fn peek_header(&mut self) -> io::Result<Option<[u8; FRAME_HEADER]>> {
        let start = self.offset;
        self.read_up_to(FRAME_HEADER)?;
        self.go_to(start)?;
        Ok(self.frame.first_chunk().copied())
    }

    /// Where the last byte that is not zero stands, at or behind the present
    /// place; `None` if all are zero.
    pub(crate) fn last_written(&mut self) -> io::Result<Option<u64>> {
        let (start, mut place, mut last) = (self.offset, self.offset, None);
        loop {
            self.read_up_to(CHUNK)?;
            if self.frame.is_empty() {
                break;
            }
            if let Some(at) = last_not_zero(&self.frame) {
                last = Some(place.saturating_add(u64::try_from(at).unwrap_or(u64::MAX)));
            }
            place = place.saturating_add(u64::try_from(self.frame.len()).unwrap_or(u64::MAX));
        }
        self.go_to(start)?;
        Ok(last)
    }

    fn last_written_behind(&mut self, offset: u64) -> io::Result<bool> {
        if self.length <= offset {
            return Ok(false);
        }
        self.go_to(offset)?;
        let written = self.last_written()?.is_some();
        self.go_to(0)?;
        Ok(written)
    }

    /// Whether all is zero from somewhere inside the frame that begins at
    /// `offset` and ends before `end`: its last bytes never reached the disk.
    /// Goes to the frame's begin.
    pub(crate) fn torn(&mut self, offset: u64, end: u64) -> io::Result<bool> {
        self.go_to(offset)?;
        let last = self.last_written()?;
        Ok(last.is_some_and(|last| last.saturating_add(1) < end))
    }

    /// Offers every text behind `from` that begins like a checkpoint to
    /// `accept`, until it takes one.
    pub(crate) fn find_note(&mut self, from: u64, accept: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
        let start = self.offset;
        let mut place = from;
        let overlap = crate::checkpoint::MAX_NOTE;
        loop {
            self.go_to(place)?;
            self.read_up_to(CHUNK)?;
            if self.notes_in_chunk().any(&accept) {
                self.go_to(start)?;
                return Ok(true);
            }
            if self.frame.len() < CHUNK {
                self.go_to(start)?;
                return Ok(false);
            }
            place = place.saturating_add(u64::try_from(CHUNK.saturating_sub(overlap)).unwrap_or(u64::MAX));
        }
    }

    fn notes_in_chunk(&self) -> impl Iterator<Item = &[u8]> {
        notes_behind(&self.frame, ORIGIN_PREFIX)
    }

    fn read_up_to(&mut self, count: usize) -> io::Result<()> {
        self.frame.clear();
        let wanted = u64::try_from(count).unwrap_or(u64::MAX);
        self.source.by_ref().take(wanted).read_to_end(&mut self.frame)?;
        Ok(())
    }
}

/// The part of `bytes` that would be a note: up to the end of the line that
/// follows the first blank one.
pub(crate) fn note_at(bytes: &[u8]) -> &[u8] {
    let blank = bytes.windows(2).position(|pair| pair == b"\n\n");
    let Some(signature) = blank.map(|at| at.saturating_add(2)) else {
        return &[];
    };
    let line = bytes.get(signature..).unwrap_or_default();
    match line.iter().position(|byte| *byte == b'\n') {
        Some(end) => bytes.get(..signature.saturating_add(end).saturating_add(1)).unwrap_or_default(),
        None => &[],
    }
}

/// Every text in `bytes` that begins with `prefix`, up to the end of the line
/// that follows its first blank one. No text begins inside another's prefix,
/// so none is passed over.
pub(crate) fn notes_behind<'a>(bytes: &'a [u8], prefix: &'static str) -> impl Iterator<Item = &'a [u8]> {
    memchr::memmem::find_iter(bytes, prefix).map(move |at| {
        let rest = bytes.get(at..).unwrap_or_default();
        note_at(rest.get(..crate::checkpoint::MAX_NOTE).unwrap_or(rest))
    })
}

/// Where the last byte stands that is not zero. Reserved space is long, so it
/// is passed over by blocks.
pub(crate) fn last_not_zero(bytes: &[u8]) -> Option<usize> {
    const BLANK: [u8; 4096] = [0; 4096];
    let mut blocks = bytes.chunks(BLANK.len()).enumerate().rev();
    let (number, block) = blocks.find(|(_, block)| BLANK.get(..block.len()) != Some(*block))?;
    let at = block.iter().rposition(|byte| *byte != 0)?;
    Some(number.saturating_mul(BLANK.len()).saturating_add(at))
}

/// What a recording looks like from outside. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The header's fields.
    pub header: Header,
    /// The file's length in bytes.
    pub length: u64,
    /// Whole frames from the start.
    pub frames: u64,
    /// Checkpoints among them.
    pub checkpoints: u64,
    /// Bytes up to the end of the last whole frame.
    pub bytes: u64,
    /// Whether the last frames are an end and its checkpoint.
    pub ended: bool,
}

/// Why a recording's outline can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has no header.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// Reads a recording's header alone, with its leaf hash, without any key and
/// without checking anything.
///
/// # Errors
/// [`ScanError`].
pub fn read_head<R: Read + Seek>(source: R) -> Result<(Header, [u8; 32]), ScanError> {
    let (_, head) = Scanner::open(source)?;
    let head = head?;
    Ok((head.fields, head.hash))
}

/// Reads a recording's outline, without any key and without checking
/// anything.
///
/// # Errors
/// [`ScanError`].
pub fn outline<R: Read + Seek>(source: R) -> Result<Outline, ScanError> {
    let (mut scanner, head) = Scanner::open(source)?;
    let head = head?;
    let (mut frames, mut checkpoints, mut last_two) = (0u64, 0u64, (None, None));
    while let Step::Frame(header) = scanner.step()? {
        frames = frames.saturating_add(1);
        if header.kind == Kind::Checkpoint {
            checkpoints = checkpoints.saturating_add(1);
        }
        last_two = (last_two.1, Some(header.kind));
    }
    Ok(Outline {
        header: head.fields,
        length: scanner.length(),
        frames,
        checkpoints,
        bytes: scanner.offset(),
        ended: last_two == (Some(Kind::End), Some(Kind::Checkpoint)),
    })
}
