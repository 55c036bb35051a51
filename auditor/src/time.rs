//! Times as an auditor reads them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// A recording's clock: its wall start and the zone in which it is told.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    pub(crate) start: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Clock {
    /// Wall time of something that happened `at` after the start.
    pub(crate) fn wall(&self, at: Duration) -> Timestamp {
        self.start.checked_add(at).unwrap_or(self.start)
    }

    /// `10:31:07.412`
    pub(crate) fn time(&self, at: Duration) -> String {
        self.wall(at).to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string()
    }

    /// `2026-10-31`
    pub(crate) fn date(&self, at: Duration) -> String {
        self.wall(at).to_zoned(self.zone.clone()).strftime("%Y-%m-%d").to_string()
    }

    /// `2026-10-31T09:31:07.412345678Z`, whatever the zone.
    pub(crate) fn exact(&self, at: Duration) -> String {
        self.wall(at).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
    }

    /// `2026-10-31T10:31:07.412+01:00`
    pub(crate) fn stamp(&self, at: Duration) -> String {
        stamp(self.wall(at), &self.zone)
    }
}

/// `2026-10-31T10:31:07.412+01:00`
pub(crate) fn stamp(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// `8 min 3 s`, `0.050 s`
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}.{:03} s", span.subsec_millis()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, seconds) => format!("{hours} h {minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_zone() {
        let start = "2026-10-31T22:59:59.9876Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let clock = Clock { start, zone };
        assert_eq!(clock.stamp(Duration::ZERO), "2026-10-31T23:59:59.987+01:00");
        assert_eq!(clock.time(Duration::from_millis(13)), "00:00:00.000");
        assert_eq!(clock.date(Duration::from_millis(13)), "2026-11-01");
        assert_eq!(clock.date(Duration::MAX), "2026-10-31", "a time beyond all clocks");
    }

    #[test]
    fn spans_are_short() {
        for (millis, shown) in
            [(50, "0.050 s"), (59_999, "59.999 s"), (483_000, "8 min 3 s"), (3_600_000, "1 h 0 min 0 s")]
        {
            assert_eq!(span(Duration::from_millis(millis)), shown);
        }
    }
}
