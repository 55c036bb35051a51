//! What ends by itself, and when people are told.
//!
//! Certificates and lists run out on a day that is known long before. Each that
//! the gateway depends on stands in the [`Calendar`] with its own last moment;
//! the rounds tell of it 30, 14 and 3 days ahead and when it has come, each
//! once. Replaced by one that lasts longer, it is forgotten as told. Nothing is
//! decided here: what happens at an end is the business of whoever judges by
//! the certificate or list.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Days ahead at which people are told.
const TOLD_AHEAD: [i64; 3] = [3, 14, 30];

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A certificate of the CA in `[tls] ca`.
    ExternalAuthority,
    /// A list in `[tls] crl`.
    Crl,
    /// `[tls] cert`.
    GatewayCertificate,
    /// The authority of `[ca]` that issues.
    IssuingAuthority,
    /// `[webauthn] cert`.
    PageCertificate,
}

impl Ending {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExternalAuthority => "the CA ([tls] ca)",
            Self::Crl => "the CRL ([tls] crl)",
            Self::GatewayCertificate => "the gateway's certificate ([tls] cert)",
            Self::IssuingAuthority => "the issuing authority ([ca])",
            Self::PageCertificate => "the passkey page's certificate ([webauthn] cert)",
        }
    }

    fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Self::ExternalAuthority | Self::IssuingAuthority => ("ends", "has ended"),
            Self::Crl => ("lapses", "has lapsed"),
            Self::GatewayCertificate | Self::PageCertificate => ("expires", "has expired"),
        }
    }

    /// What comes of it.
    fn then(self) -> &'static str {
        match self {
            Self::ExternalAuthority => "the gateway does not start with it",
            Self::Crl => "sign-ins are refused",
            Self::GatewayCertificate => "clients refuse the gateway, and it does not start",
            Self::IssuingAuthority => "nothing is issued or renewed",
            Self::PageCertificate => "browsers refuse the page, and the gateway does not start",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::ExternalAuthority => "renew it",
            Self::Crl => "issue a new one with the CA",
            Self::GatewayCertificate | Self::PageCertificate => "renew the certificate",
            Self::IssuingAuthority => "make a new one with `ca rotate`",
        }
    }
}

/// How long something lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// What.
    pub what: Ending,
    /// From when on.
    pub begins: Timestamp,
    /// Its last moment.
    pub ends: Timestamp,
}

/// A word about an end that is near or has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// What ends.
    pub what: Ending,
    /// Within so many days; 0 when it has come.
    pub days: i64,
}

impl Reminder {
    /// For people: what, when, what comes of it, the way out.
    pub fn text(&self) -> String {
        let (name, then, way_out) = (self.what.name(), self.what.then(), self.what.way_out());
        let (ends, ended) = self.what.verbs();
        match self.days {
            0 => format!("{name} {ended}: {then}; {way_out}"),
            days => format!("{name} {ends} within {days} days, and then {then}; {way_out}"),
        }
    }
}

impl End {
    /// What people should know of it now. What was made for a month is not told
    /// of on its first day: only days within the second half of its time count.
    pub fn reminder(&self, now: Timestamp) -> Option<Reminder> {
        let left = self.ends.duration_since(now);
        if left <= SignedDuration::ZERO {
            return Some(Reminder { what: self.what, days: 0 });
        }
        let half = self.ends.duration_since(self.begins) / 2;
        let length = |days: i64| SignedDuration::from_hours(days.saturating_mul(24));
        let due = TOLD_AHEAD.into_iter().find(|days| left <= length(*days) && length(*days) <= half);
        due.map(|days| Reminder { what: self.what, days })
    }
}

/// All ends that the gateway depends on, one of each kind.
#[derive(Debug, Default)]
pub struct Calendar(Mutex<BTreeMap<Ending, Noted>>);

#[derive(Debug)]
struct Noted {
    end: End,
    /// The fewest days that people were told.
    told: Option<i64>,
}

impl Calendar {
    /// Puts an end in the place of the earlier one of its kind.
    pub fn note(&self, end: End) {
        let mut noted = self.lock();
        match noted.get_mut(&end.what) {
            Some(known) if known.end.ends == end.ends => known.end = end,
            Some(_) | None => drop(noted.insert(end.what, Noted { end, told: None })),
        }
    }

    /// What has to be told now; each is given once.
    pub fn due(&self, now: Timestamp) -> Vec<Reminder> {
        let mut due = Vec::new();
        for noted in self.lock().values_mut() {
            let Some(reminder) = noted.end.reminder(now) else { continue };
            if noted.told.is_none_or(|told| reminder.days < told) {
                noted.told = Some(reminder.days);
                due.push(reminder);
            }
        }
        due
    }

    /// Everything in it.
    pub fn all(&self) -> Vec<End> {
        self.lock().values().map(|noted| noted.end).collect()
    }

    /// A panic while it was held left whole entries.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ending, Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::noon;

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    fn lasting(what: Ending, length: i64) -> End {
        End { what, begins: noon(), ends: noon() + days(length) }
    }

    /// What is told on each of so many days, by the day.
    fn told(calendar: &Calendar, until: i64) -> Vec<(i64, Ending, i64)> {
        let on = |day| calendar.due(noon() + days(day)).into_iter().map(move |one| (day, one.what, one.days));
        (0..until).flat_map(on).collect()
    }

    #[test]
    fn each_end_is_told_at_30_14_and_3_days_and_when_it_has_come() {
        let calendar = Calendar::default();
        calendar.note(lasting(Ending::Crl, 60));
        calendar.note(lasting(Ending::IssuingAuthority, 90));
        let of = |what, end: i64| [30, 14, 3, 0].map(|ahead| (end - ahead, what, ahead));
        let mut expected = [of(Ending::Crl, 60), of(Ending::IssuingAuthority, 90)].concat();
        expected.sort();
        assert_eq!(told(&calendar, 100), expected);
    }

    #[test]
    fn what_was_made_for_a_short_time_is_told_of_in_its_second_half_alone() {
        let calendar = Calendar::default();
        calendar.note(lasting(Ending::Crl, 7));
        assert_eq!(told(&calendar, 9), [(4, Ending::Crl, 3), (7, Ending::Crl, 0)]);
    }

    #[test]
    fn a_gateway_that_was_off_tells_the_nearest_alone() {
        let end = lasting(Ending::GatewayCertificate, 90);
        let calendar = Calendar::default();
        calendar.note(end);
        let due = calendar.due(noon() + days(80));
        assert_eq!(due, [Reminder { what: Ending::GatewayCertificate, days: 14 }]);
        // Noted again and again by the rounds: not told again.
        calendar.note(end);
        assert_eq!(calendar.due(noon() + days(80)), []);
    }

    #[test]
    fn what_was_renewed_is_told_of_again_at_its_own_end() {
        let calendar = Calendar::default();
        calendar.note(lasting(Ending::PageCertificate, 60));
        assert_eq!(told(&calendar, 58).len(), 3);
        calendar.note(End { ends: noon() + days(150), ..lasting(Ending::PageCertificate, 60) });
        assert_eq!(calendar.all().len(), 1);
        let again: Vec<_> = told(&calendar, 200).into_iter().map(|(day, _, ahead)| (day, ahead)).collect();
        assert_eq!(again, [(120, 30), (136, 14), (147, 3), (150, 0)]);
    }

    #[test]
    fn a_reminder_says_what_when_and_what_to_do() {
        let soon = Reminder { what: Ending::IssuingAuthority, days: 14 };
        let text = "the issuing authority ([ca]) ends within 14 days, and then nothing is issued or renewed; \
                    make a new one with `ca rotate`";
        assert_eq!(soon.text(), text);
        let over = Reminder { what: Ending::Crl, days: 0 };
        assert_eq!(
            over.text(),
            "the CRL ([tls] crl) has lapsed: sign-ins are refused; issue a new one with the CA"
        );
    }
}
