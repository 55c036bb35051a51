//! Whose rights are compared: every person that either policy names, anybody
//! else, and roles that nobody has. People with the same roles are one.

use crate::analysis::Reach;
use crate::names::TargetId;
use crate::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// People (or a role) with the same rules.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// As the rules would name one of them.
    pub(super) name: String,
    /// For people.
    pub(super) labels: Vec<String>,
}

impl Subject {
    pub(super) fn person(handle: &str) -> Self {
        Self { name: format!("person:{handle}"), labels: vec![handle.to_owned()] }
    }
}

/// All whose rights could differ.
pub(super) fn all(older: &Policy, newer: &Policy) -> Vec<Subject> {
    let both = [older, newer];
    let named = |prefix: &str| -> BTreeSet<&str> {
        let links = both.iter().flat_map(|policy| {
            policy.rules.people.iter().flat_map(|link| [link.member.as_str(), link.group.as_str()])
        });
        let subjects = both.iter().flat_map(|policy| policy.rules.all.iter().map(|rule| rule.subject()));
        links.chain(subjects).filter(|name| name.starts_with(prefix)).collect()
    };
    let groups = |name: &str| -> Vec<BTreeSet<String>> {
        let own = both.map(|policy| {
            let above = policy.rules.people.above(name).into_iter().map(|link| link.group.clone());
            let direct = policy.rules.all.iter().any(|rule| rule.subject() == name).then(|| name.to_owned());
            above.chain(direct).collect()
        });
        own.into()
    };
    let mut people: BTreeMap<Vec<BTreeSet<String>>, Subject> = BTreeMap::new();
    let mut held: BTreeSet<String> = BTreeSet::new();
    for person in named("person:") {
        let groups = groups(person);
        held.extend(groups.iter().flatten().cloned());
        let label = person.trim_start_matches("person:").to_owned();
        let subject = people.entry(groups);
        subject.or_insert_with(|| Subject { name: person.to_owned(), labels: Vec::new() }).labels.push(label);
    }
    let idle = named("role:").into_iter().filter(|role| !held.contains(*role));
    let idle =
        idle.map(|role| Subject { name: role.to_owned(), labels: vec![format!("{role} (nobody has it)")] });
    let anyone = Subject { name: "*".to_owned(), labels: vec!["anyone else".to_owned()] };
    people.into_values().chain(idle).chain([anyone]).collect()
}

/// A subject's rules under both policies, and where they could differ.
pub(super) struct Looked<'a> {
    pub(super) before: Reach<'a>,
    pub(super) after: Reach<'a>,
    older: &'a Policy,
    newer: &'a Policy,
    changed: Changed<'a>,
}

/// Objects whose rules differ.
enum Changed<'a> {
    /// Their order or the windows, so any.
    All,
    Some(BTreeSet<&'a str>),
}

impl<'a> Looked<'a> {
    pub(super) fn new(older: &'a Policy, newer: &'a Policy, subject: &Subject) -> Self {
        let (before, after) = (Reach::new(older, &subject.name), Reach::new(newer, &subject.name));
        let windows = older.conditions.windows == newer.conditions.windows;
        let changed = if windows && in_order(&before) == in_order(&after) {
            Changed::Some(BTreeSet::new())
        } else if windows {
            changed(&before, &after)
        } else {
            Changed::All
        };
        Self { before, after, older, newer, changed }
    }

    /// Whether the subject's rights on a target could differ at all.
    pub(super) fn is_touched(&self, id: &TargetId) -> bool {
        let Changed::Some(changed) = &self.changed else { return true };
        let targets = [self.older, self.newer].map(|policy| policy.inventory().target(id));
        let [Some(old), Some(new)] = targets else { return true };
        let groups = |policy: &'a Policy| -> BTreeSet<&'a str> {
            policy.rules.targets.above(id.as_str()).into_iter().map(|link| link.group.as_str()).collect()
        };
        let (before, after) = (groups(self.older), groups(self.newer));
        old.services != new.services
            || old.tags != new.tags
            || before != after
            || changed.contains("*")
            || changed.contains(id.as_str())
            || after.iter().any(|group| changed.contains(group))
    }
}

type Text<'a> = [&'a str; 4];

fn texts<'a>(reach: &Reach<'a>) -> Vec<(u32, Text<'a>)> {
    let rules = reach.by_object().values().flatten();
    let mut texts: Vec<(u32, Text<'a>)> = rules
        .map(|rule| {
            let [_, object, action, condition, effect] = &rule.row;
            (rule.line, [object.as_str(), action.as_str(), condition.as_str(), effect.as_str()])
        })
        .collect();
    texts.sort_unstable();
    texts
}

fn in_order<'a>(reach: &Reach<'a>) -> Vec<Text<'a>> {
    texts(reach).into_iter().map(|(_, text)| text).collect()
}

/// Rules that both have must stand in the same order, or all is looked at.
fn changed<'a>(before: &Reach<'a>, after: &Reach<'a>) -> Changed<'a> {
    let (old, new) = (in_order(before), in_order(after));
    let (old_set, new_set): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let kept = |list: &[Text<'a>], other: &BTreeSet<&Text<'a>>| -> Vec<Text<'a>> {
        list.iter().filter(|text| other.contains(text)).copied().collect()
    };
    if kept(&old, &new_set) != kept(&new, &old_set) {
        return Changed::All;
    }
    Changed::Some(old_set.symmetric_difference(&new_set).map(|text| text[0]).collect())
}
