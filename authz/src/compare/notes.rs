//! What else changes: who may approve, and what targets are.

use super::entries::{Change, Note};
use crate::inventory::Target;
use crate::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn all(older: &Policy, newer: &Policy) -> Vec<Note> {
    groups(older, newer).into_iter().chain(targets(older, newer)).collect()
}

fn groups(older: &Policy, newer: &Policy) -> Vec<Note> {
    let members = |policy: &Policy| -> BTreeMap<String, BTreeSet<String>> {
        let groups = policy.conditions.groups.iter();
        groups
            .map(|(name, members)| (name.to_string(), members.iter().map(ToString::to_string).collect()))
            .collect()
    };
    let (old, new) = (members(older), members(newer));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut notes = Vec::new();
    let none = BTreeSet::new();
    for name in names {
        let (old, new) = (old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
        let told =
            |change, who: &String, what: &str| Note { change, text: format!("{who} {what} for {name}") };
        notes.extend(
            new.difference(old).map(|who| told(Change::Gains, who, "may approve, release and supervise")),
        );
        notes.extend(old.difference(new).map(|who| told(Change::Loses, who, "no longer speaks")));
    }
    notes
}

fn targets(older: &Policy, newer: &Policy) -> Vec<Note> {
    let mut notes = Vec::new();
    for new in newer.inventory().targets() {
        let Some(old) = older.inventory().target(&new.id) else { continue };
        for (what, old_text, new_text) in
            facts(old).into_iter().zip(facts(new)).map(|((what, old), (_, new))| (what, old, new))
        {
            if old_text != new_text {
                let text = format!("{}: {what} was {old_text}, becomes {new_text}", new.id);
                notes.push(Note { change: Change::Changes, text });
            }
        }
    }
    notes
}

/// What of a target is no right of anybody's and still says what a right
/// reaches.
fn facts(target: &Target) -> [(&'static str, String); 4] {
    let services = target.services.values();
    let services: Vec<String> = services
        .map(|service| format!("{} = {}/tcp {}", service.name, service.port, service.protocol))
        .collect();
    let limits = &target.limits;
    let rate = limits.requests_per_second.map_or_else(|| "any number".to_owned(), |rate| rate.to_string());
    let limits = format!(
        "{} channels, {rate} requests per second, {} outstanding, answers within {:?}, sessions of {:?}",
        limits.channels, limits.outstanding, limits.answer_timeout, limits.session
    );
    [
        ("the address", target.address.to_string()),
        ("the services", services.join(", ")),
        ("the recording mode", target.mode.to_string()),
        ("the limits", limits),
    ]
}
