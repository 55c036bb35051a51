//! The end of a recording: reason, totals, and an index of checkpoints for
//! jumping.

use crate::batch::{self, BatchError};
use crate::entry::Totals;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most marks in the index of an end.
pub const MAX_MARKS: usize = 512;

/// How a recording was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Nanoseconds since the recording's monotonic start.
    pub at: u64,
    /// Why the session ended, in plain words.
    #[serde(serialize_with = "crate::event::bounded")]
    pub reason: String,
    /// Bytes that passed the taps, over all channels.
    pub totals: Totals,
    /// Places of checkpoints, evenly thinned to at most [`MAX_MARKS`].
    pub marks: Vec<Mark>,
}

/// Where a checkpoint stands: file offset of its frame in bytes, its sequence
/// number, nanoseconds since the recording's monotonic start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(pub u64, pub u64, pub u64);

impl End {
    /// When the recording was closed, since its monotonic start.
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at)
    }

    pub(crate) fn parse(plaintext: &[u8]) -> Result<Self, BatchError> {
        let end: Self = batch::in_its_one_spelling(plaintext).ok_or(BatchError::End)?;
        if end.marks.len() > MAX_MARKS { Err(BatchError::End) } else { Ok(end) }
    }
}

/// Collects marks in bounded memory: when it is full, every other mark goes
/// and from then on only every second, fourth, ... checkpoint is kept.
#[derive(Debug)]
pub(crate) struct Index {
    marks: Vec<Mark>,
    seen: u64,
    stride: u64,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { marks: Vec::new(), seen: 0, stride: 1 }
    }

    pub(crate) fn add(&mut self, mark: Mark) {
        if self.seen.is_multiple_of(self.stride) {
            if self.marks.len() >= MAX_MARKS {
                let mut keep = false;
                self.marks.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride = self.stride.saturating_mul(2);
            }
            if self.seen.is_multiple_of(self.stride) {
                self.marks.push(mark);
            }
        }
        self.seen = self.seen.saturating_add(1);
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Whether `marks` are these, or every second, fourth, ... of them. Times
    /// are not compared: a checkpoint's frame does not have them.
    pub(crate) fn is_told_by(&self, marks: &[Mark]) -> bool {
        let places = |mark: &Mark| (mark.0, mark.1);
        let steps = std::iter::successors(Some(1usize), |step| step.checked_mul(2));
        let thinned = |step| self.marks.iter().step_by(step).map(places);
        steps
            .take_while(|step| *step < self.marks.len().saturating_mul(2))
            .any(|step| thinned(step).eq(marks.iter().map(places)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_stays_small_and_even() {
        for count in [0u64, 1, 511, 512, 513, 1024, 1025, 100_000] {
            let mut index = Index::new();
            for number in 0..count {
                index.add(Mark(number, number, number));
            }
            let marks = index.marks();
            assert!(marks.len() <= MAX_MARKS);
            assert!(count == 0 || marks.len() as u64 >= count.min(MAX_MARKS as u64 / 2));
            let step = marks.get(1).map_or(1, |mark| mark.0);
            assert!(marks.iter().enumerate().all(|(at, mark)| mark.0 == at as u64 * step), "{count}");
        }
    }
}
