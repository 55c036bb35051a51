//! Ctrl-C during long work: it is asked for, not forced, so that nothing half
//! done is left. A second one ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a wait goes on before it looks whether it was interrupted.
const LOOKS_EVERY: Duration = Duration::from_millis(50);

/// Whether someone wants the program to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    wanted: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on Ctrl-C and a polite kill are heard here. A command that
    /// does not look would not end by them.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn arm(&self) -> io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&self.wanted))?;
            flag::register(signal, Arc::clone(&self.wanted))?;
        }
        Ok(())
    }

    /// Asks for an end, as Ctrl-C does.
    pub fn raise(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_raised(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Waits, but not on when it is asked for.
    pub(crate) fn wait(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && !self.is_raised() {
            let now = left.min(LOOKS_EVERY);
            std::thread::sleep(now);
            left = left.saturating_sub(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_wait_ends_when_it_is_asked_for() {
        let interrupt = Interrupt::default();
        let asked = interrupt.clone();
        let began = Instant::now();
        let thread = std::thread::spawn(move || asked.raise());
        interrupt.wait(Duration::from_secs(3600));
        thread.join().unwrap();
        assert!(interrupt.is_raised() && began.elapsed() < Duration::from_secs(600));
    }
}
