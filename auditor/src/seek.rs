//! Where a replay begins.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;
use std::time::Duration;

/// A place in a recording's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// So long after the start.
    After(Duration),
    /// At an instant.
    At(Timestamp),
    /// At a date and time of the reader's own zone.
    Civil(DateTime),
    /// At the first such time of day, in the reader's own zone.
    TimeOfDay(Time),
}

/// The text is no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a span since the start (90s, 1m30s, 1h) or a time \
     (10:31:07, 2026-10-31T10:31:07, 2026-10-31T10:31:07+01:00)"
)]
pub struct NoSeek;

impl FromStr for Seek {
    type Err = NoSeek;

    fn from_str(text: &str) -> Result<Self, NoSeek> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        // A date alone is midnight, a time alone has two digits for hours.
        if text.contains(':') {
            if let Ok(civil) = text.parse() {
                return Ok(Self::Civil(civil));
            }
            return text.parse().map(Self::TimeOfDay).map_err(|_| NoSeek);
        }
        if let Ok(civil) = text.parse() {
            return Ok(Self::Civil(civil));
        }
        let span: SignedDuration = text.parse().map_err(|_| NoSeek)?;
        Duration::try_from(span).map(Self::After).map_err(|_| NoSeek)
    }
}

impl Seek {
    /// How long after the start of a recording that is, zero for a time
    /// before it.
    pub(crate) fn after(self, start: Timestamp, zone: &TimeZone) -> Duration {
        let instant = match self {
            Self::After(span) => return span,
            Self::At(at) => Some(at),
            Self::Civil(civil) => civil.to_zoned(zone.clone()).map(|at| at.timestamp()).ok(),
            Self::TimeOfDay(time) => next(time, start, zone),
        };
        // A time that no calendar has is past every end.
        let Some(instant) = instant else { return Duration::MAX };
        Duration::try_from(instant.duration_since(start)).unwrap_or(Duration::ZERO)
    }
}

/// The first instant at or after `start` with that time of day.
fn next(time: Time, start: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let day = start.to_zoned(zone.clone()).date();
    let on = |day: jiff::civil::Date| day.to_datetime(time).to_zoned(zone.clone()).map(|at| at.timestamp());
    let today = on(day).ok()?;
    if today >= start { Some(today) } else { on(day.tomorrow().ok()?).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spans_or_times() {
        let start: Timestamp = "2026-10-31T10:31:07.4Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, millis) in [
            ("0s", 0),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("1h 2m", 3_720_000),
            ("2026-10-31T10:32:07.4Z", 60_000),
            ("2026-10-31T11:32:07.4+01:00", 60_000),
            ("2026-10-31T11:32:07.4", 60_000),
            ("2026-10-31 11:32:07.4", 60_000),
            ("2026-11-01", 44_932_600),
            ("11:31:08", 600),
            ("11:32", 52_600),
            ("11:31:07", 86_399_600),
            ("2020-01-01T00:00:00Z", 0),
        ] {
            let seek: Seek = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(seek.after(start, &zone), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "90", "-90s", "soon", "25:00", "1m30", "2026-13-01", "10:31:07Zx"] {
            assert_eq!(text.parse::<Seek>(), Err(NoSeek), "{text}");
        }
    }
}
