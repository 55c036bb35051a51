//! Whether a write to a recording is under way, told to a watchdog.
//!
//! Writes are done on the data path's own thread, so a write that hangs can't
//! be timed out there. Each goes through [`Pulse::around`]; the watchdog, on
//! another thread, sees one that does not come back and condemns it. It then
//! counts as failed, if it ever returns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The pulse of one recording.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Counts begins and ends: odd while a write is under way.
    steps: AtomicU64,
    condemned: AtomicBool,
}

/// A write was condemned: it took too long, whatever it says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condemned;

impl Pulse {
    /// Does one write.
    pub(crate) fn around<T>(&self, write: impl FnOnce() -> T) -> Result<T, Condemned> {
        self.steps.fetch_add(1, Ordering::AcqRel);
        let done = write();
        self.steps.fetch_add(1, Ordering::AcqRel);
        if self.condemned.load(Ordering::Acquire) { Err(Condemned) } else { Ok(done) }
    }

    /// The number of the write that is under way, if one is.
    pub fn under_way(&self) -> Option<u64> {
        let steps = self.steps.load(Ordering::Acquire);
        (!steps.is_multiple_of(2)).then_some(steps)
    }

    /// From here on every write counts as failed.
    pub fn condemn(&self) {
        self.condemned.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_condemned_meanwhile_has_failed_and_so_has_every_later_one() {
        let pulse = Pulse::default();
        assert_eq!(pulse.around(|| pulse.under_way()), Ok(Some(1)));
        assert_eq!(pulse.under_way(), None);
        assert_eq!(pulse.around(|| pulse.condemn()), Err(Condemned));
        assert_eq!(pulse.around(|| ()), Err(Condemned));
    }
}
