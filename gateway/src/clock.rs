//! Time at the gateway: which clock is asked, and what happens when it jumps.
//!
//! Everything that needs to know the time asks a [`Clock`]; nothing else in
//! this crate reads the system's. [`Warden`] compares the wall clock with the
//! monotonic one and with the highest wall time ever stored: a step of more
//! than [`TOLERATED_STEP`] suspends new sign-ins until an administrator
//! accepts it, also across a restart. It never changes a running session:
//! those live on monotonic deadlines taken when the grant was made.
//!
//! Order: `open` reads the stored mark -> `look` before each sign-in and every
//! few seconds -> `accept` by an administrator.

use crate::state::{ClockMark, State, StateError, Suspension};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The largest difference between wall and monotonic clock that passes
/// without an administrator's word.
pub const TOLERATED_STEP: SignedDuration = SignedDuration::from_mins(5);

/// How far the highest seen time may run ahead of the stored one, so that
/// looking at the clock doesn't write to the disk each time.
const STORED_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// A source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The calendar time, which may step.
    fn wall(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins at zero now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that moves only when told to, for tests.
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock that stands at `wall`.
    pub fn at(wall: Timestamp) -> Self {
        Self { hands: Mutex::new((wall, Duration::ZERO)) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut hands = lock(&self.hands);
        hands.0 = hands.0.saturating_add(by).unwrap_or(Timestamp::MAX);
        hands.1 = hands.1.saturating_add(by);
    }

    /// Sets the wall clock only, as a person or a hostile time source does.
    pub fn step_to(&self, wall: Timestamp) {
        lock(&self.hands).0 = wall;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        lock(&self.hands).0
    }

    fn monotonic(&self) -> Duration {
        lock(&self.hands).1
    }
}

/// Whether the wall clock can be relied on for new sign-ins.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// Sign-ins may use this time.
    Steady {
        /// The wall time that was looked at.
        now: Timestamp,
    },
    /// No new sign-in until an administrator accepts the step.
    Suspended {
        /// The wall time that was looked at.
        now: Timestamp,
        /// The step that caused it.
        step: Suspension,
    },
}

/// Watches the clock for steps and remembers the highest time seen.
#[derive(Debug)]
pub struct Warden {
    clock: Arc<dyn Clock>,
    state: Arc<dyn State>,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
struct Watch {
    /// Wall and monotonic time that belong together. Fixed until a step is
    /// accepted, so that many small steps add up instead of passing one by one.
    baseline: (Timestamp, Duration),
    mark: ClockMark,
}

impl Warden {
    /// Reads the stored mark and compares the clock with it. A clock that
    /// stands more than [`TOLERATED_STEP`] before the mark is suspended at once.
    pub fn open(clock: Arc<dyn Clock>, state: Arc<dyn State>) -> Result<Self, StateError> {
        let wall = clock.wall();
        let mark = match state.clock_mark()? {
            Some(mark) => mark,
            None => {
                let first = ClockMark { highest: wall, suspension: None };
                state.store_clock_mark(&first)?;
                first
            }
        };
        // Whether the time passed while the gateway was off can't be known: only
        // a clock that stands before the mark is a step for certain.
        let start = if wall < mark.highest { mark.highest } else { wall };
        let watch = Watch { baseline: (start, clock.monotonic()), mark };
        let warden = Self { clock, state, watch: Mutex::new(watch) };
        warden.look()?;
        Ok(warden)
    }

    /// Compares the clocks now, stores what must outlive a restart, and says
    /// whether new sign-ins may go on.
    ///
    /// # Errors
    /// When the mark can't be stored: the caller refuses the sign-in.
    pub fn look(&self) -> Result<Standing, StateError> {
        let mut watch = lock(&self.watch);
        let (wall, step) = self.step(&watch);
        let mut mark = watch.mark.clone();
        if step.abs() > TOLERATED_STEP && mark.suspension.is_none() {
            mark.suspension = Some(Suspension { since: wall, step_seconds: step.as_secs() });
        }
        if mark.suspension.is_none() && wall.duration_since(mark.highest) >= STORED_EVERY {
            mark.highest = wall;
        }
        if mark != watch.mark {
            self.state.store_clock_mark(&mark)?;
            watch.mark = mark;
        }
        Ok(match watch.mark.suspension.clone() {
            Some(step) => Standing::Suspended { now: wall, step },
            None => Standing::Steady { now: wall },
        })
    }

    /// Takes the present wall time as true: sign-ins may go on.
    pub fn accept(&self) -> Result<Standing, StateError> {
        let mut watch = lock(&self.watch);
        let wall = self.clock.wall();
        let mark = ClockMark { highest: wall, suspension: None };
        self.state.store_clock_mark(&mark)?;
        *watch = Watch { baseline: (wall, self.clock.monotonic()), mark };
        Ok(Standing::Steady { now: wall })
    }

    /// The clock that is watched.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// How far the wall clock stands from where the monotonic clock says that
    /// it should.
    fn step(&self, watch: &Watch) -> (Timestamp, SignedDuration) {
        let wall = self.clock.wall();
        let passed = self.clock.monotonic().saturating_sub(watch.baseline.1);
        let expected = watch.baseline.0.saturating_add(passed).unwrap_or(Timestamp::MAX);
        (wall, wall.duration_since(expected))
    }
}

/// A poisoned lock here guards plain values that are whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::noon;
    use crate::state::{SqliteState, StateFiles};
    use tempfile::TempDir;

    struct Desk {
        folder: TempDir,
        clock: Arc<ManualClock>,
    }

    impl Desk {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::at(noon())) }
        }

        fn warden(&self) -> Warden {
            let state = Arc::new(SqliteState::open(&StateFiles::within(self.folder.path())).unwrap());
            Warden::open(self.clock.clone(), state).unwrap()
        }
    }

    fn is_steady(warden: &Warden) -> bool {
        matches!(warden.look().unwrap(), Standing::Steady { .. })
    }

    #[test]
    fn time_that_passes_and_small_steps_are_fine() {
        let desk = Desk::new();
        let warden = desk.warden();
        desk.clock.advance(Duration::from_secs(86_400));
        assert!(is_steady(&warden));
        desk.clock.step_to(noon() + SignedDuration::from_hours(24) + SignedDuration::from_mins(4));
        assert!(is_steady(&warden));
    }

    #[test]
    fn a_step_either_way_suspends_until_accepted() {
        for step in
            [SignedDuration::from_mins(6), SignedDuration::from_mins(-6), SignedDuration::from_hours(-9000)]
        {
            let desk = Desk::new();
            let warden = desk.warden();
            desk.clock.step_to(noon() + step);
            let Standing::Suspended { step: seen, .. } = warden.look().unwrap() else {
                panic!("{step} passed")
            };
            assert_eq!(seen.step_seconds, step.as_secs());
            // Stepping back does not hide it.
            desk.clock.step_to(noon());
            assert!(!is_steady(&warden));
            warden.accept().unwrap();
            assert!(is_steady(&warden));
        }
    }

    #[test]
    fn many_small_steps_add_up() {
        let desk = Desk::new();
        let warden = desk.warden();
        desk.clock.step_to(noon() - SignedDuration::from_mins(4));
        assert!(is_steady(&warden));
        desk.clock.step_to(noon() - SignedDuration::from_mins(8));
        assert!(!is_steady(&warden));
    }

    #[test]
    fn a_clock_set_back_while_the_gateway_was_off_is_seen() {
        let desk = Desk::new();
        desk.clock.advance(Duration::from_secs(3600));
        drop(desk.warden());
        desk.clock.step_to(noon());
        assert!(!is_steady(&desk.warden()));
    }

    #[test]
    fn a_suspension_outlives_a_restart() {
        let desk = Desk::new();
        let warden = desk.warden();
        desk.clock.step_to(noon() + SignedDuration::from_hours(5));
        assert!(!is_steady(&warden));
        drop(warden);
        assert!(!is_steady(&desk.warden()));
        desk.warden().accept().unwrap();
        assert!(is_steady(&desk.warden()));
    }
}
