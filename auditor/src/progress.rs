//! How far a long command is, on a terminal's standard error.

use crate::escape::safe;
use indicatif::{ProgressBar, ProgressStyle};

/// Work from this size on, in bytes, shows its progress.
const LARGE: u64 = 16 * 1024 * 1024;

/// A progress bar, hidden for small work and where there is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Bytes of the files that are done.
    before: u64,
}

impl Progress {
    /// Work on that many bytes.
    pub(crate) fn new(bytes: u64, name: &str) -> Self {
        let bar = if bytes < LARGE { ProgressBar::hidden() } else { ProgressBar::new(bytes) };
        if let Ok(style) = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {wide_bar} {eta}") {
            bar.set_style(style);
        }
        Self { bar: bar.with_message(safe(name)), before: 0 }
    }

    /// The present file is done up to that byte.
    pub(crate) fn reached(&self, bytes: u64) {
        self.bar.set_position(self.before.saturating_add(bytes));
    }

    /// A file of that many bytes is done.
    pub(crate) fn passed(&mut self, bytes: u64) {
        self.before = self.before.saturating_add(bytes);
        self.bar.set_position(self.before);
    }

    /// Takes the bar away while something is printed.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
