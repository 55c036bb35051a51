//! How entries and heads lie in the log's file.

use super::entry::MAX_ENTRY;
use super::head::LOG_ORIGIN_PREFIX;
use crate::checkpoint::MAX_NOTE;
use std::io::{self, Read};

/// Bytes of a frame before its body: length and kind.
pub(super) const FRAME_HEADER: usize = 5;

/// Kind of a frame that holds an entry.
const ENTRY: u8 = 1;

/// Kind of a frame that holds a head.
const HEAD: u8 = 2;

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// An entry's bytes.
    Entry(Vec<u8>),
    /// A signed head.
    Head(Vec<u8>),
}

/// What stands at a place of the file.
#[derive(Debug)]
pub(super) enum Step {
    /// A frame and its length in bytes.
    Frame(Frame, u64),
    /// The file's end, right behind a frame.
    End,
    /// Bytes that are no whole frame.
    Broken,
}

/// Adds a frame with an entry.
pub(super) fn put_entry(out: &mut Vec<u8>, entry: &[u8]) {
    put(out, ENTRY, entry);
}

/// Adds a frame with a head.
pub(super) fn put_head(out: &mut Vec<u8>, note: &str) {
    put(out, HEAD, note.as_bytes());
}

fn put(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let length = u32::try_from(body.len().saturating_add(FRAME_HEADER)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
}

/// Reads the frame that `source` is at.
pub(super) fn step(source: &mut impl Read) -> io::Result<Step> {
    let mut head = Vec::with_capacity(FRAME_HEADER);
    source.by_ref().take(FRAME_HEADER as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(Step::End);
    }
    let Ok([a, b, c, d, kind]) = <[u8; FRAME_HEADER]>::try_from(head.as_slice()) else {
        return Ok(Step::Broken);
    };
    let length = u32::from_le_bytes([a, b, c, d]);
    let most = match kind {
        ENTRY => MAX_ENTRY,
        HEAD => MAX_NOTE,
        _ => return Ok(Step::Broken),
    };
    let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(FRAME_HEADER));
    let Some(wanted) = body.filter(|body| (1..=most).contains(body)) else {
        return Ok(Step::Broken);
    };
    let mut body = Vec::with_capacity(wanted);
    source.by_ref().take(wanted as u64).read_to_end(&mut body)?;
    if body.len() < wanted {
        return Ok(Step::Broken);
    }
    let frame = if kind == ENTRY { Frame::Entry(body) } else { Frame::Head(body) };
    Ok(Step::Frame(frame, length.into()))
}

/// Every text in `bytes` that begins like a head, up to the end of the line
/// that follows its first blank one.
pub(super) fn notes_in(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    crate::scan::notes_behind(bytes, LOG_ORIGIN_PREFIX)
}
