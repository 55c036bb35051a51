//! A cursor over bytes of a peer that can't run past their end.

/// Reads fields off the front, big endian unless a name says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn word(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn long_little_endian(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A count of three bytes, as TLS has it.
    pub(super) fn triple(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()
    }

    /// As many bytes as the byte before them says.
    pub(super) fn after_byte(&mut self) -> Option<&'a [u8]> {
        let count = self.byte()?;
        self.take(count.into())
    }

    /// As many bytes as the word before them says.
    pub(super) fn after_word(&mut self) -> Option<&'a [u8]> {
        let count = self.word()?;
        self.take(count.into())
    }

    /// As many bytes as the long word before them says: SSH's `string`.
    pub(super) fn after_long(&mut self) -> Option<&'a [u8]> {
        let count = self.long()?;
        self.take(usize::try_from(count).ok()?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

/// The beginning of a text of lines.
pub(super) enum Line<'a> {
    /// Its end has not come.
    Partial,
    /// It is longer than allowed, whether its end has come or not: what
    /// arrives at once is read as what arrives in pieces.
    TooLong,
    /// The line without its end, and its length with it.
    Whole(&'a [u8], usize),
}

/// The first line, of at most `most` bytes with its end.
pub(super) fn line(pending: &[u8], most: usize) -> Line<'_> {
    let reach = pending.get(..most).unwrap_or(pending);
    let Some(end) = reach.iter().position(|byte| *byte == b'\n') else {
        return if pending.len() > most { Line::TooLong } else { Line::Partial };
    };
    let line = pending.get(..end).unwrap_or_default();
    Line::Whole(line.strip_suffix(b"\r").unwrap_or(line), end.saturating_add(1))
}
