//! Denied operations as events: who, which function, by which rule.
//!
//! The values of an operation live in the recording only, so an event carries
//! the function's name and the rule. A tool that polls a forbidden address
//! would fill the disk with one line each time: the first denial of a function
//! by a rule is written at once, the rest are counted and written at the end.

use crate::audit::{Event, Kind};
use crate::authenticate::Authenticated;
use crate::office::Office;
use crate::sessions::SessionPlace;
use session::{Body, Decision, Entry};
use std::collections::BTreeMap;

/// Kinds of denials that one session counts apart.
const KINDS: usize = 256;

/// What was denied in a session and how often since it was last written.
#[derive(Debug, Default)]
pub(super) struct Denials {
    seen: BTreeMap<(&'static str, String), u64>,
}

impl Denials {
    /// Takes note of an entry, if it is a denied operation.
    pub(super) fn see(&mut self, entry: &Entry, office: &Office, who: &Authenticated, place: &SessionPlace) {
        let Body::Event(session::Event::Operation { function, decision, rule, .. }) = &entry.body else {
            return;
        };
        match decision {
            Decision::Allow => return,
            Decision::Deny | Decision::Needs => {}
        }
        let key = (*function, rule.clone());
        if let Some(count) = self.seen.get_mut(&key) {
            *count = count.saturating_add(1);
        } else if self.seen.len() < KINDS {
            write(office, &event(office, who, place, &key));
            self.seen.insert(key, 0);
        } else {
            let more = self.seen.entry(("other functions", String::new())).or_default();
            *more = more.saturating_add(1);
        }
    }

    /// Writes what was counted since.
    pub(super) fn close(&self, office: &Office, who: &Authenticated, place: &SessionPlace) {
        for (key, count) in self.seen.iter().filter(|(_, count)| **count > 0) {
            write(office, &event(office, who, place, key).count(*count));
        }
    }
}

fn event(
    office: &Office,
    who: &Authenticated,
    place: &SessionPlace,
    (function, rule): &(&'static str, String),
) -> Event {
    let event = office.audit.event(Kind::OperationDenied).person(who.person()).session(place.id);
    event.what(function).rule(rule)
}

/// The denial itself is in the recording, so a failing event file raises its
/// alarm and changes nothing here.
fn write(office: &Office, event: &Event) {
    office.audit.tell(event);
}
