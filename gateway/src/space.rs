//! Room for recordings: people are told before there is none, and sessions end
//! while their recordings can still be closed.
//!
//! Three levels, from `[recording]`: below `warn_below` people are told, below
//! `reserve` no new session begins (which `record` checks for itself), below
//! `cut_below` the running ones are ended softly: no further request goes to a
//! device, answers that are due are still recorded. A recording can be closed
//! in any case: it keeps the space for its end reserved.
//!
//! It looks once a second on a thread of its own, as a disk that hangs would
//! hold whoever asks it.

use crate::audit::Kind;
use crate::config::SpaceSettings;
use crate::office::Office;
use crate::sessions::EndOrder;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes that are free for others than root on the file system of a folder.
///
/// # Errors
/// What the system says.
pub fn free(folder: &Path) -> io::Result<u64> {
    let seen = rustix::fs::statvfs(folder)?;
    Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
}

/// How much room there is, worst last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Enough.
    #[default]
    Plenty,
    /// People are told.
    Low,
    /// No new session begins.
    Closed,
    /// Running sessions end.
    Cut,
}

impl Level {
    /// The level at so many free bytes. It gets better only an eighth above
    /// its threshold, so that nothing is told again and again.
    fn at(self, free: u64, space: SpaceSettings) -> Self {
        let levels =
            [(Self::Cut, space.cut_below), (Self::Closed, space.reserve), (Self::Low, space.warn_below)];
        let below = |(level, threshold): &(Self, u64)| {
            let margin = if *level <= self { *threshold / 8 } else { 0 };
            free < threshold.saturating_add(margin)
        };
        levels.iter().find(|level| below(level)).map_or(Self::Plenty, |(level, _)| *level)
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Plenty => "there is room for recordings again",
            Self::Low => "room for recordings runs out: free some",
            Self::Closed => "hardly room for recordings: no new session begins",
            Self::Cut => "no room for recordings: sessions are ended",
        }
    }
}

/// Looks until told to stop.
pub async fn watch(office: &Office, stop: CancellationToken) {
    let mut level = Level::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => level = look(office, level, free(&office.config.recording.dir)),
        }
    }
}

/// One look; gives the level that was told.
fn look(office: &Office, before: Level, free: io::Result<u64>) -> Level {
    let space = office.config.recording.space;
    let (level, free) = match free {
        Ok(free) => (before.at(free, space), free),
        Err(error) => {
            office.audit.alarm().raise(&format!("room for recordings can't be looked at: {error}"));
            return before;
        }
    };
    if level == Level::Cut {
        // Also those that began a moment ago.
        office.registry.end_all_sessions(EndOrder::SpaceRanOut);
    }
    if level != before {
        let text = format!("{} ({free} bytes are free)", level.sentence());
        if level > before {
            office.audit.alarm().raise(&text);
        }
        office.audit.tell(&office.audit.event(Kind::SpaceChanged).what(&text));
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Plant, session_info, sign_in};

    const MIB: u64 = 1 << 20;

    #[test]
    fn each_threshold_is_told_once_each_way() {
        let plant = Plant::new();
        let office = plant.office();
        let mut level = Level::default();
        let mut seen = Vec::new();
        // Thresholds are 2 MiB, 1 MiB and a quarter of one.
        for free in
            [3 * MIB, 2 * MIB, 2 * MIB - 1, 2 * MIB + 9, MIB - 1, MIB + 9, MIB / 4 - 1, MIB / 4 + 9, 3 * MIB]
        {
            level = look(&office, level, Ok(free));
            seen.push(level);
        }
        let [plenty, low, closed, cut] = [Level::Plenty, Level::Low, Level::Closed, Level::Cut];
        assert_eq!(seen, [plenty, plenty, low, low, closed, closed, cut, cut, plenty]);
        let told = plant.audit_lines().iter().filter(|line| line["event"] == "space_changed").count();
        assert_eq!(told, 4);
    }

    #[test]
    fn running_sessions_are_ended_softly_below_the_last_threshold_only() {
        let plant = Plant::new();
        let office = plant.office();
        let sign_in = office.registry.sign_in(sign_in("tech-1@vendor-a"));
        let place = office.registry.register(sign_in.id, session_info(1, "tech-1@vendor-a")).unwrap();
        let level = look(&office, Level::default(), Ok(MIB - 1));
        assert_eq!((level, place.order.borrow().clone()), (Level::Closed, None));
        let level = look(&office, level, Ok(0));
        assert_eq!((level, place.order.borrow().clone()), (Level::Cut, Some(EndOrder::SpaceRanOut)));
        assert_eq!(*sign_in.order.borrow(), None, "the sign-in stays");
    }

    #[test]
    fn what_can_not_be_looked_at_changes_nothing() {
        let plant = Plant::new();
        let office = plant.office();
        assert_eq!(look(&office, Level::Closed, free(Path::new("/nowhere"))), Level::Closed);
    }
}
