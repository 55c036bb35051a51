//! The status line: how long connected, channels, operations, denials with the last reason, time left.

use jiff::Timestamp;

use crate::screen::StatusLine;
use crate::sessions::{Ledger, Session};

/// Who is connected since when.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The person's handle, escaped.
    pub person: String,
    /// The moment of the sign-in.
    pub since: Timestamp,
    /// When the sign-in ends at the latest.
    pub until: Timestamp,
}

/// The line for all live sessions together.
#[must_use]
pub fn line(connected: &Connected, ledger: &Ledger, now: Timestamp) -> StatusLine {
    let live: Vec<&Session> = ledger.live().map(|(_, session)| session).collect();
    let place = match live.as_slice() {
        [one] => one.target.clone(),
        several => format!("{} targets", several.len()),
    };
    let channels: u32 = live.iter().fold(0, |sum, session| sum.saturating_add(session.channels));
    let all = || ledger.sessions().map(|(_, session)| session);
    let denied: u64 = all().fold(0, |sum, session| sum.saturating_add(session.denied));
    let operations = all().filter_map(|session| session.operations).reduce(u64::saturating_add);
    let last = live.iter().rev().find_map(|session| session.last_denial.as_deref());
    let denials = match (denied, last) {
        (0, _) => "none denied".to_owned(),
        (count, Some(last)) => format!("denied {count} (last: {last})"),
        (count, None) => format!("denied {count}"),
    };
    let end = live.iter().map(|session| session.end()).chain([connected.until]).min().unwrap_or(now);
    let counted = operations.map_or_else(String::new, |count| format!("{count} operations, "));
    let channels = if channels == 1 { "1 channel".to_owned() } else { format!("{channels} channels") };
    StatusLine {
        full: format!(
            "{place} as {} for {} | {channels}, {counted}{denials} | {} left",
            connected.person,
            duration(seconds_between(connected.since, now)),
            duration(seconds_between(now, end)),
        ),
        lasting: format!(
            "{place} as {} since {} | {channels}, {denials} | until {}",
            connected.person,
            at(connected.since),
            at(end)
        ),
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().saturating_sub(from.as_second()).max(0)
}

/// To the second, in UTC.
fn at(moment: Timestamp) -> String {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment).to_string()
}

/// Seconds as people say them: `45 s`, `12 min`, `7 h 05 min`.
#[must_use]
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let minutes = seconds.div_euclid(60);
    match (seconds, minutes) {
        (..60, _) => format!("{seconds} s"),
        (_, ..60) => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes.div_euclid(60), minutes.rem_euclid(60)),
    }
}

#[cfg(test)]
mod tests {
    use wire::{EndReason, Notice};

    use super::*;
    use crate::sessions::tests::{LIMITS, denied, id};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn connected() -> Connected {
        Connected { person: "tech-1@vendor-a".into(), since: at(0), until: at(86_400) }
    }

    #[test]
    fn one_target_says_all_there_is() {
        let mut ledger = Ledger::default();
        ledger.opened(id(1), "press-line/plc7", 28_800_000, LIMITS);
        let first = line(&connected(), &ledger, at(5));
        assert_eq!(
            first.full,
            "press-line/plc7 as tech-1@vendor-a for 5 s | 0 channels, none denied | 7 h 59 min left"
        );
        ledger.channel_opened(id(1));
        ledger.notice(id(1), Notice::Activity { operations: 812, denied: 0 }, at(6));
        ledger.notice(id(1), denied("no rule allows it"), at(6));
        let later = line(&connected(), &ledger, at(720));
        assert_eq!(
            later.full,
            "press-line/plc7 as tech-1@vendor-a for 12 min | 1 channel, 812 operations, denied 1 (last: write \
             holding[731] = 5: no rule allows it [policy.csv:12]) | 7 h 48 min left"
        );
        assert_eq!(
            later.lasting,
            "press-line/plc7 as tech-1@vendor-a since 1970-01-01T00:00:00Z | 1 channel, denied 1 (last: write \
             holding[731] = 5: no rule allows it [policy.csv:12]) | until 1970-01-01T08:00:00Z"
        );
    }

    #[test]
    fn several_targets_are_summed_and_the_first_end_counts() {
        let mut ledger = Ledger::default();
        ledger.opened(id(1), "a", 28_800_000, LIMITS);
        ledger.opened(id(2), "b", 28_800_000, LIMITS);
        ledger.channel_opened(id(1));
        ledger.channel_opened(id(2));
        ledger.notice(id(2), Notice::Ending { reason: EndReason::GrantExpired, in_s: 60 }, at(10));
        let shown = line(&connected(), &ledger, at(20));
        assert_eq!(shown.full, "2 targets as tech-1@vendor-a for 20 s | 2 channels, none denied | 50 s left");
        ledger.notice(id(2), Notice::Ended { reason: EndReason::GrantExpired, text: String::new() }, at(70));
        assert!(
            line(&connected(), &ledger, at(70))
                .full
                .starts_with("a as tech-1@vendor-a for 1 min | 1 channel,")
        );
    }

    #[test]
    fn the_lasting_form_does_not_change_by_itself() {
        let mut ledger = Ledger::default();
        ledger.opened(id(1), "a", 28_800_000, LIMITS);
        let first = line(&connected(), &ledger, at(5));
        ledger.notice(id(1), Notice::Activity { operations: 5, denied: 0 }, at(6));
        let later = line(&connected(), &ledger, at(500));
        assert_eq!(first.lasting, later.lasting);
        assert_ne!(first.full, later.full);
    }

    #[test]
    fn the_sign_in_bounds_every_session() {
        let mut ledger = Ledger::default();
        ledger.opened(id(1), "a", i64::MAX, LIMITS);
        assert!(line(&connected(), &ledger, at(86_399)).full.ends_with("| 1 s left"));
        assert!(line(&connected(), &ledger, at(99_999)).full.ends_with("| 0 s left"));
    }
}
