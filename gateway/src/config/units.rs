//! Sizes and durations as people write them: `64 MiB`, `30 s`.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Reads `NUMBER UNIT` with the units B, KiB, MiB, GiB, TiB, kB, MB, GB, TB.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "B" => 1,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "" => return Err(format!("{text:?} has no unit; write for example 1 GiB")),
        other => return Err(format!("unknown unit {other:?}; write for example 1 GiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no size; write for example 1 GiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

/// Reads a duration such as `500 ms`, `30 s`, `2 min`, within a range.
pub(super) fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no duration; write for example 30 s"))?;
    let duration = Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (range.start(), range.end());
    Err(format!("{text:?} is outside of {least:?} to {most:?}"))
}

/// Reads a duration that may be in days of 24 hours, such as `30 d`.
pub(crate) fn span(text: &str, range: RangeInclusive<SignedDuration>) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is no duration; write for example 24 h or 30 d");
    let parsed: Span = text.parse().map_err(|_| wrong())?;
    let length = parsed.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if range.contains(&length) {
        return Ok(length);
    }
    Err(format!("{text:?} is outside of {:#} to {:#}", range.start(), range.end()))
}

/// A count within a range.
pub(super) fn count(count: u32, range: RangeInclusive<u32>) -> Result<u32, String> {
    if range.contains(&count) {
        return Ok(count);
    }
    Err(format!("{count} is outside of {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit_and_fit() {
        assert_eq!(size("64 MiB"), Ok(64 << 20));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("0 B"), Ok(0));
        for wrong in ["", "64", "MiB", "-1 MiB", "1.5 GiB", "64 mib", "99999999999 TiB", "1 GiB x"] {
            assert!(size(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn spans_are_hours_and_days() {
        let hours = SignedDuration::from_hours;
        let range = hours(1)..=hours(24 * 398);
        assert_eq!(span("30 d", range.clone()), Ok(hours(720)));
        assert_eq!(span("24h", range.clone()), Ok(hours(24)));
        assert_eq!(span("90 days", range.clone()), Ok(hours(24 * 90)));
        for wrong in ["", "30", "1 min", "399 d", "-1 d", "1 month", "soon"] {
            assert!(span(wrong, range.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_stay_in_range() {
        let range = Duration::from_millis(100)..=Duration::from_secs(60);
        assert_eq!(duration("500 ms", range.clone()), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s", range.clone()), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1 min", range.clone()), Ok(Duration::from_secs(60)));
        for wrong in ["", "30", "-5 s", "61 s", "99 ms", "soon"] {
            assert!(duration(wrong, range.clone()).is_err(), "{wrong:?}");
        }
    }
}
