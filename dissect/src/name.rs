//! Names of things in a device: bounded, in one canonical spelling, compared
//! without regard to the case of letters.
//!
//! A name keeps the letters as they were sent, for people to read. A short
//! one lies in place, so that decoding a request allocates nothing for it.
//! What can't be spelled here is no name, and its access can't be allowed.

use crate::operation::Range;
use smallvec::SmallVec;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest name in bytes, its indices included.
pub const LONGEST_NAME: usize = 255;

/// Names up to that length lie in place.
const IN_PLACE: usize = 48;

/// What sort of thing has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameKind {
    /// A tag of a controller, `Conveyor.Speed`, `Program:Main.Line[3].Data[0-9]`.
    Symbol,
    /// A file of a PCCC data table by its number, which is unique whatever
    /// its type letter: `7[0-9]`, with a sub-element `4[0].2`.
    Table,
    /// The way through a device to another: port and address of each hop,
    /// `1.5` or `1.2/2.192.168.1.10`.
    Path,
}

impl NameKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Symbol, Self::Table, Self::Path];

    /// The kind's word in policy actions.
    pub fn word(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Table => "table",
            Self::Path => "path",
        }
    }

    /// The kind of that word, `None` for a word that is none.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    fn is_letter(self, byte: u8) -> bool {
        let common = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-');
        match self {
            Self::Symbol | Self::Table => common || matches!(byte, b'$' | b'#' | b'@' | b'&' | b'+'),
            Self::Path => common || matches!(byte, b'.' | b'/'),
        }
    }
}

/// A text is no name: empty, too long, or not of the form of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no name of at most {LONGEST_NAME} characters of the form Name.Member[0-9]")]
pub struct NotAName;

/// A name. Symbols and tables are steps joined by dots, each an identifier
/// that may have indices in brackets: `Line[1,2].Data[0-9]`.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name {
    kind: NameKind,
    text: SmallVec<[u8; IN_PLACE]>,
}

impl Name {
    /// Reads a name as people write it. Any index may be a range here.
    ///
    /// # Errors
    /// If the text isn't of the form of the kind, or is too long.
    pub fn parse(kind: NameKind, text: &str) -> Result<Self, NotAName> {
        let mut name = Self::empty(kind);
        match kind {
            NameKind::Path => name.step(text.as_bytes())?,
            NameKind::Symbol | NameKind::Table => {
                for step in text.split('.') {
                    name.parse_step(step)?;
                }
            }
        }
        Ok(name)
    }

    fn parse_step(&mut self, step: &str) -> Result<(), NotAName> {
        let (identifier, indices) = match step.split_once('[') {
            Some((identifier, rest)) => (identifier, Some(rest.strip_suffix(']').ok_or(NotAName)?)),
            None => (step, None),
        };
        self.step(identifier.as_bytes())?;
        for index in indices.into_iter().flat_map(|indices| indices.split(',')) {
            self.indices(parse_range(index.as_bytes()).ok_or(NotAName)?)?;
        }
        Ok(())
    }

    /// The kind.
    pub fn kind(&self) -> NameKind {
        self.kind
    }

    /// The canonical text, with the letters as they were given.
    pub fn as_str(&self) -> &str {
        // Only ASCII ever gets in.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The indices of the last dimension that the name ends with, if any.
    pub fn elements(&self) -> Option<Range> {
        self.steps().last()?.ranges().last()
    }

    /// The single element `index` of the elements that the name ends with.
    /// `None` unless it ends with the indices of one dimension: in an array of
    /// several a run of elements may go on into the next row.
    pub fn element(&self, index: u32) -> Option<Self> {
        let last = self.steps().last()?;
        let mut ranges = last.ranges();
        let (Some(elements), None) = (ranges.next(), ranges.next()) else { return None };
        let single = Range::new(index, index).filter(|single| elements.contains(*single))?;
        let mut name = self.clone();
        name.take_last_index().ok()?;
        name.indices(single).ok()?;
        Some(name)
    }

    /// Whether all that `touched` names is for certain part of this: the same
    /// thing, a member of it, or an element within its indices.
    ///
    /// A rule with indices never covers a name without: whether a device then
    /// takes the first element or all of them is the device's own affair.
    pub fn covers(&self, touched: &Self) -> bool {
        if self.kind != touched.kind || self.kind == NameKind::Path {
            return self == touched;
        }
        let mut others = touched.steps();
        self.steps().all(|own| others.next().is_some_and(|other| own.covers(&other)))
    }

    /// Whether `touched` may name anything of this. A run of elements in an
    /// array of several dimensions may go on into the next row, so it counts
    /// as touching any row.
    pub fn overlaps(&self, touched: &Self) -> bool {
        if self.kind != touched.kind || self.kind == NameKind::Path {
            return self == touched;
        }
        self.steps().zip(touched.steps()).all(|(own, other)| own.overlaps(&other))
    }

    pub(crate) fn empty(kind: NameKind) -> Self {
        Self { kind, text: SmallVec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds an identifier, after a dot where it isn't the first.
    pub(crate) fn step(&mut self, identifier: &[u8]) -> Result<(), NotAName> {
        if identifier.is_empty() || !identifier.iter().all(|byte| self.kind.is_letter(*byte)) {
            return Err(NotAName);
        }
        if !self.text.is_empty() {
            self.push(b".")?;
        }
        self.push(identifier)
    }

    /// Adds the steps of `member`.
    pub(crate) fn join(&mut self, member: &Self) -> Result<(), NotAName> {
        if !self.text.is_empty() {
            self.push(b".")?;
        }
        self.push(&member.text)
    }

    /// Adds an index, or a range of them, in one more dimension.
    pub(crate) fn indices(&mut self, range: Range) -> Result<(), NotAName> {
        match self.text.last() {
            None => return Err(NotAName),
            Some(b']') => {
                self.text.pop();
                self.push(b",")?;
            }
            Some(_) => self.push(b"[")?,
        }
        self.decimal(range.first())?;
        if range.first() != range.last() {
            self.push(b"-")?;
            self.decimal(range.last())?;
        }
        self.push(b"]")
    }

    /// Makes the name one of `count` elements, from the index that it ends
    /// with or from the first.
    pub(crate) fn run(&mut self, skipped: u32, count: u32) -> Result<(), NotAName> {
        let start = match self.text.last() {
            Some(b']') => Some(self.take_last_index()?),
            Some(_) | None if skipped == 0 && count == 1 => None,
            Some(_) | None => Some(0),
        };
        let Some(start) = start else { return Ok(()) };
        let first = start.checked_add(skipped).ok_or(NotAName)?;
        self.indices(Range::counted(first, count).ok_or(NotAName)?)
    }

    fn take_last_index(&mut self) -> Result<u32, NotAName> {
        let opening = self.text.iter().rposition(|byte| matches!(byte, b'[' | b',')).ok_or(NotAName)?;
        let digits = self.text.get(opening.saturating_add(1)..).and_then(|rest| rest.strip_suffix(b"]"));
        let index = digits.and_then(parse_range).ok_or(NotAName)?;
        let is_first = self.text.get(opening) == Some(&b'[');
        self.text.truncate(opening);
        if !is_first {
            self.push(b"]")?;
        }
        Ok(index.first())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), NotAName> {
        if self.text.len().saturating_add(bytes.len()) > LONGEST_NAME {
            return Err(NotAName);
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn decimal(&mut self, number: u32) -> Result<(), NotAName> {
        let mut digits: SmallVec<[u8; 10]> = SmallVec::new();
        let mut rest = number;
        loop {
            digits.push(b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or_default()));
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        digits.reverse();
        self.push(&digits)
    }

    /// Text of a path: what a link address says, as it is.
    pub(crate) fn hop(&mut self, port: u16, address: &[u8]) -> Result<(), NotAName> {
        if address.is_empty() || !address.iter().all(|byte| self.kind.is_letter(*byte) && *byte != b'/') {
            return Err(NotAName);
        }
        if !self.text.is_empty() {
            self.push(b"/")?;
        }
        self.decimal(port.into())?;
        self.push(b".")?;
        self.push(address)
    }

    fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.text.split(|byte| *byte == b'.').map(Step::of)
    }
}

/// One step of a name.
struct Step<'a> {
    identifier: &'a [u8],
    /// Without the brackets; empty if there are none.
    indices: &'a [u8],
}

impl<'a> Step<'a> {
    fn of(text: &'a [u8]) -> Self {
        let mut parts = text.splitn(2, |byte| *byte == b'[');
        let identifier = parts.next().unwrap_or_default();
        let indices = parts.next().map_or(&[][..], |rest| rest.strip_suffix(b"]").unwrap_or(rest));
        Self { identifier, indices }
    }

    fn ranges(&self) -> impl Iterator<Item = Range> + use<'a> {
        let is_any = !self.indices.is_empty();
        self.indices.split(|byte| *byte == b',').take_while(move |_| is_any).filter_map(parse_range)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.identifier.eq_ignore_ascii_case(other.identifier)
    }

    fn covers(&self, other: &Self) -> bool {
        self.is_same(other)
            && (self.indices.is_empty()
                || (self.ranges().count() == other.ranges().count()
                    && self.ranges().zip(other.ranges()).all(|(own, touched)| own.contains(touched))))
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (own, touched) = (self.ranges().count(), other.ranges().count());
        let runs_on = touched > 1 && other.ranges().last().is_some_and(|last| last.first() != last.last());
        self.is_same(other)
            && (own != touched
                || runs_on
                || self.ranges().zip(other.ranges()).all(|(own, touched)| own.overlaps(touched)))
    }
}

/// `7` or `0-9`, decimal.
fn parse_range(text: &[u8]) -> Option<Range> {
    let number = |digits: &[u8]| -> Option<u32> {
        let only_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        only_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
    };
    match text.iter().position(|byte| *byte == b'-') {
        None => number(text).and_then(|index| Range::new(index, index)),
        Some(dash) => Range::new(number(text.get(..dash)?)?, number(text.get(dash.checked_add(1)?..)?)?),
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        for byte in &self.text {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(b'\n');
    }
}

impl fmt::Display for Name {
    /// The words of a policy action: `symbol[Conveyor.Speed]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.kind.word(), self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    /// From the words of a policy action.
    fn try_from(words: String) -> Result<Self, NotAName> {
        let (word, rest) = words.split_once('[').ok_or(NotAName)?;
        let kind = NameKind::from_word(word).ok_or(NotAName)?;
        Self::parse(kind, rest.strip_suffix(']').ok_or(NotAName)?)
    }
}

#[cfg(test)]
mod tests;
