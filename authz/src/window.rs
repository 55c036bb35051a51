//! Windows of time: named, weekly or dated, in an IANA time zone.
//!
//! A window is compiled into the open times between two instants when a
//! grant is made; judging then compares instants only. Local times that
//! daylight saving doubles mean their first occurrence; local times that it
//! skips mean the moment of the change.

use crate::hint::nearest;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use toml::Spanned;

/// A checked window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    zone: TimeZone,
    spans: Vec<Span>,
}

/// A stretch of local time, its end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// From a weekday and time on for so many days until a time.
    Weekly {
        from: Weekday,
        at: Time,
        days: i8,
        until: Time,
    },
    Dated {
        from: DateTime,
        until: DateTime,
    },
}

/// A text with its place in the file.
type Text = Spanned<String>;

/// What is wrong, and where.
type Misplaced = (Option<std::ops::Range<usize>>, String);

/// Open from the first to the second instant, the second excluded.
pub(crate) type Open = (Timestamp, Timestamp);

impl Window {
    /// Checks a definition; what is wrong comes with its place in the file.
    pub(crate) fn new(zone: &Text, weekly: &[Text], dated: &[Text]) -> Result<Self, Misplaced> {
        let place = |text: &Text, error| (Some(text.span()), error);
        let known = TimeZone::get(zone.get_ref()).map_err(|_| place(zone, unknown_zone(zone.get_ref())))?;
        let weekly =
            weekly.iter().map(|text| parse_weekly(text.get_ref()).map_err(|error| place(text, error)));
        let dated = dated.iter().map(|text| parse_dated(text.get_ref()).map_err(|error| place(text, error)));
        let spans = weekly.chain(dated).collect::<Result<Vec<_>, _>>()?;
        if spans.is_empty() {
            return Err((None, "a window needs weekly or dated times".to_owned()));
        }
        Ok(Self { zone: known, spans })
    }

    /// The time zone in which it was written.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// When the last of its dated times is over.
    pub(crate) fn last_dated(&self) -> Option<Timestamp> {
        let ends = self.spans.iter().filter_map(|span| match span {
            Span::Dated { until, .. } => self.instant(*until),
            Span::Weekly { .. } => None,
        });
        ends.max()
    }

    /// The open times from `from` to `until`, in order, apart from each other.
    pub(crate) fn open(&self, from: Timestamp, until: Timestamp) -> Vec<Open> {
        let mut open: Vec<Open> =
            self.spans.iter().flat_map(|span| self.occurrences(*span, from, until)).collect();
        open.sort();
        let mut merged: Vec<Open> = Vec::new();
        for (start, end) in open {
            let (start, end) = (start.max(from), end.min(until));
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                Some(_) | None if start < end => merged.push((start, end)),
                Some(_) | None => {}
            }
        }
        merged
    }

    fn occurrences(&self, span: Span, from: Timestamp, until: Timestamp) -> Vec<Open> {
        let local = match span {
            Span::Dated { from, until } => vec![(from, until)],
            Span::Weekly { from: weekday, at, days, until: end } => {
                // A span that began a week ago may still last.
                let first = self.zone.to_datetime(from).date().saturating_sub(8.days());
                let last = self.zone.to_datetime(until).date().saturating_add(1.day());
                first
                    .series(1.day())
                    .take_while(|day| *day <= last)
                    .filter(|day| day.weekday() == weekday)
                    .map(|day| (day.to_datetime(at), day.saturating_add(days.days()).to_datetime(end)))
                    .collect()
            }
        };
        let instant = |local| self.instant(local);
        local.into_iter().filter_map(|(start, end)| Some((instant(start)?, instant(end)?))).collect()
    }

    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                // Read with the offset after the change it lies before it.
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
        }
    }
}

fn unknown_zone(zone: &str) -> String {
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let hint = nearest(zone, known.iter().map(String::as_str));
    format!("unknown time zone {zone:?}{}", hint.map(|hint| format!(" ({hint})")).unwrap_or_default())
}

/// `tue 22:00 - wed 04:00`.
fn parse_weekly(text: &str) -> Result<Span, String> {
    let refuse = || format!("expected DAY HH:MM - DAY HH:MM (mon to sun), found {text:?}");
    let (from, until) = text.split_once(" - ").ok_or_else(refuse)?;
    let (from, at) = parse_day_time(from).ok_or_else(refuse)?;
    let (to, until) = parse_day_time(until).ok_or_else(refuse)?;
    if at.days > 0 {
        return Err("a window can't begin at 24:00".to_owned());
    }
    let mut days = from.until(to).saturating_add(until.days);
    if days == 0 && until.time <= at.time {
        days = 7;
    }
    Ok(Span::Weekly { from, at: at.time, days, until: until.time })
}

/// `2026-08-03 06:00 - 2026-08-07 18:00`.
fn parse_dated(text: &str) -> Result<Span, String> {
    let refuse = || format!("expected YYYY-MM-DD HH:MM - YYYY-MM-DD HH:MM, found {text:?}");
    let (from, until) = text.split_once(" - ").ok_or_else(refuse)?;
    let local = |text: &str| -> Option<DateTime> {
        let (date, time) = text.split_once(' ')?;
        let date: Date = (date.len() == 10).then(|| date.parse().ok()).flatten()?;
        let time = parse_time(time)?;
        Some(date.checked_add(time.days.days()).ok()?.to_datetime(time.time))
    };
    let (from, until) = (local(from).ok_or_else(refuse)?, local(until).ok_or_else(refuse)?);
    if until <= from {
        return Err(format!("{text:?} ends before it begins"));
    }
    Ok(Span::Dated { from, until })
}

fn parse_day_time(text: &str) -> Option<(Weekday, TimeOfDay)> {
    let (day, time) = text.split_once(' ')?;
    let day = match day {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    };
    Some((day, parse_time(time)?))
}

/// A time of day; 24:00 is midnight of the next one.
struct TimeOfDay {
    time: Time,
    /// 1 for 24:00, else 0.
    days: i8,
}

fn parse_time(text: &str) -> Option<TimeOfDay> {
    if text == "24:00" {
        return Some(TimeOfDay { time: Time::midnight(), days: 1 });
    }
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| -> Option<i8> {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let time = Time::new(two(hour)?, two(minute)?, 0, 0).ok()?;
    Some(TimeOfDay { time, days: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(zone: &str, weekly: &[&str], dated: &[&str]) -> Result<Window, String> {
        let own = |text: &str| Spanned::new(0..text.len(), text.to_owned());
        let all = |texts: &[&str]| texts.iter().map(|text| own(text)).collect::<Vec<_>>();
        Window::new(&own(zone), &all(weekly), &all(dated)).map_err(|(_, error)| error)
    }

    fn open(window: &Window, from: &str, until: &str) -> Vec<(String, String)> {
        let open = window.open(from.parse().unwrap(), until.parse().unwrap());
        open.into_iter().map(|(start, end)| (start.to_string(), end.to_string())).collect()
    }

    fn pair(start: &str, end: &str) -> Vec<(String, String)> {
        vec![(start.to_owned(), end.to_owned())]
    }

    #[test]
    fn a_weekly_window_crosses_midnight_and_is_cut_to_what_is_asked() {
        let window = window("Europe/Berlin", &["tue 22:00 - wed 04:00"], &[]).unwrap();
        let winter = open(&window, "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z");
        assert_eq!(winter, pair("2026-01-06T21:00:00Z", "2026-01-07T03:00:00Z"));
        let within = open(&window, "2026-01-07T00:00:00Z", "2026-01-07T01:00:00Z");
        assert_eq!(within, pair("2026-01-07T00:00:00Z", "2026-01-07T01:00:00Z"));
        assert!(open(&window, "2026-01-07T03:00:00Z", "2026-01-07T12:00:00Z").is_empty());
    }

    /// 2026-03-29 in Berlin: 02:00 CET becomes 03:00 CEST at 01:00 UTC.
    #[test]
    fn the_lost_hour() {
        let over = window("Europe/Berlin", &["sat 22:00 - sun 04:00"], &[]).unwrap();
        let asked = ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(open(&over, asked.0, asked.1), pair("2026-03-28T21:00:00Z", "2026-03-29T02:00:00Z"));
        let ends_within = window("Europe/Berlin", &["sat 22:00 - sun 02:30"], &[]).unwrap();
        assert_eq!(
            open(&ends_within, asked.0, asked.1),
            pair("2026-03-28T21:00:00Z", "2026-03-29T01:00:00Z")
        );
        let begins_within = window("Europe/Berlin", &["sun 02:30 - sun 04:00"], &[]).unwrap();
        assert_eq!(
            open(&begins_within, asked.0, asked.1),
            pair("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")
        );
        let lost_whole = window("Europe/Berlin", &["sun 02:10 - sun 02:50"], &[]).unwrap();
        assert!(open(&lost_whole, asked.0, asked.1).is_empty());
    }

    /// 2026-10-25 in Berlin: 03:00 CEST becomes 02:00 CET at 01:00 UTC.
    #[test]
    fn the_doubled_hour() {
        let asked = ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        let over = window("Europe/Berlin", &["sat 22:00 - sun 04:00"], &[]).unwrap();
        assert_eq!(open(&over, asked.0, asked.1), pair("2026-10-24T20:00:00Z", "2026-10-25T03:00:00Z"));
        let ends_within = window("Europe/Berlin", &["sat 22:00 - sun 02:30"], &[]).unwrap();
        assert_eq!(
            open(&ends_within, asked.0, asked.1),
            pair("2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z")
        );
        let within = window("Europe/Berlin", &["sun 02:10 - sun 02:50"], &[]).unwrap();
        assert_eq!(open(&within, asked.0, asked.1), pair("2026-10-25T00:10:00Z", "2026-10-25T00:50:00Z"));
    }

    #[test]
    fn dated_and_whole_weeks() {
        let dated = window("UTC", &[], &["2026-08-03 06:00 - 2026-08-04 24:00"]).unwrap();
        let times = open(&dated, "2026-08-01T00:00:00Z", "2026-08-30T00:00:00Z");
        assert_eq!(times, pair("2026-08-03T06:00:00Z", "2026-08-05T00:00:00Z"));
        let always = window("UTC", &["mon 00:00 - sun 24:00"], &[]).unwrap();
        let times = open(&always, "2026-08-01T05:00:00Z", "2026-08-30T05:00:00Z");
        assert_eq!(times, pair("2026-08-01T05:00:00Z", "2026-08-30T05:00:00Z"));
        let round = window("UTC", &["wed 08:00 - wed 06:00"], &[]).unwrap();
        let times = open(&round, "2026-08-05T07:00:00Z", "2026-08-05T09:00:00Z");
        assert_eq!(times, pair("2026-08-05T08:00:00Z", "2026-08-05T09:00:00Z"));
    }

    #[test]
    fn bad_definitions_are_refused() {
        for (zone, weekly, dated, told) in [
            ("Europe/Berln", &["mon 00:00 - tue 00:00"][..], &[][..], "did you mean Europe/Berlin?"),
            ("UTC", &[], &[], "needs weekly or dated"),
            ("UTC", &["mon 0:00 - tue 00:00"], &[], "expected DAY"),
            ("UTC", &["monday 00:00 - tue 00:00"], &[], "expected DAY"),
            ("UTC", &["mon 24:00 - tue 00:00"], &[], "can't begin at 24:00"),
            ("UTC", &["mon 25:00 - tue 00:00"], &[], "expected DAY"),
            ("UTC", &["mon 00:00-tue 00:00"], &[], "expected DAY"),
            ("UTC", &[], &["2026-08-03 06:00 - 2026-08-03 06:00"], "ends before"),
            ("UTC", &[], &["2026-02-30 06:00 - 2026-08-03 06:00"], "expected YYYY"),
        ] {
            let error = window(zone, weekly, dated).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }
}
