//! Two policies compared by what they mean: who gains and who loses what.
//!
//! Nothing is compared line by line. For every person and target both
//! policies' rules are weighed at every place, time, source, factor and value
//! that could make a difference; a moved comment, a renamed role or two ranges
//! written as one change nothing here.

mod entries;
mod notes;
mod subjects;

use crate::analysis::{
    Calendar, Cell, Domain, Meeting, Outcome, Places, Point, Shift, Space, Standing, cells, domain,
};
use crate::condition::Predicate;
use crate::names::{Handle, TargetId};
use crate::policy::Policy;
use crate::value::Value;
use jiff::Timestamp;
use std::collections::BTreeSet;
use subjects::{Looked, Subject};

pub use entries::{Change, Difference, Entry, Note};

/// One kind of difference between two standings.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    change: Change,
    before: Side,
    after: Side,
    values: Option<String>,
    example: Option<String>,
    places: Places,
}

/// What one of the two says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Side {
    text: String,
    rule: Option<u32>,
}

impl Policy {
    /// What becomes of everybody's rights when `self` is replaced by `newer`,
    /// from a moment on.
    pub fn compare(&self, newer: &Self, from: Timestamp) -> Difference {
        let mut calendar = Calendar::new(from, &[self, newer]);
        let mut difference = Difference::default();
        for subject in subjects::all(self, newer) {
            let looked = Looked::new(self, newer, &subject);
            for id in targets(self, newer) {
                if looked.is_touched(id) {
                    let found = looked.findings(id, &mut calendar);
                    difference.add(&subject, &target_name(self, newer, id), found);
                }
            }
        }
        difference.notes = notes::all(self, newer);
        difference.settle();
        difference
    }

    /// The same for one person on one target.
    pub fn compare_one(
        &self,
        newer: &Self,
        from: Timestamp,
        person: &Handle,
        target: &TargetId,
    ) -> Difference {
        let mut calendar = Calendar::new(from, &[self, newer]);
        let mut difference = Difference::default();
        let subject = Subject::person(person.as_str());
        let found = Looked::new(self, newer, &subject).findings(target, &mut calendar);
        difference.add(&subject, target.as_str(), found);
        difference.settle();
        difference
    }
}

fn targets<'a>(older: &'a Policy, newer: &'a Policy) -> BTreeSet<&'a TargetId> {
    older.inventory().targets().chain(newer.inventory().targets()).map(|target| &target.id).collect()
}

fn target_name(older: &Policy, newer: &Policy, id: &TargetId) -> String {
    match (older.inventory().target(id), newer.inventory().target(id)) {
        (None, _) => format!("{id} (new)"),
        (_, None) => format!("{id} (gone)"),
        (Some(_), Some(_)) => id.to_string(),
    }
}

impl Looked<'_> {
    /// What differs on one target, with its places as actions.
    fn findings(&self, id: &TargetId, calendar: &mut Calendar<'_>) -> Vec<(Finding, Vec<String>)> {
        let (before, after) = (self.before.on_id(id), self.after.on_id(id));
        if let (Some(before), Some(after)) = (&before, &after)
            && before.is_plainly(after)
        {
            return Vec::new();
        }
        let both: Vec<&Standing<'_>> = before.iter().chain(&after).collect();
        let Some(target) = both.last().map(|standing| standing.target) else { return Vec::new() };
        let mut findings: Vec<Finding> = Vec::new();
        let cells = cells(&both);
        let all = Places::of(&cells);
        for cell in cells {
            let Some(mut found) = differ(before.as_ref(), after.as_ref(), &cell, calendar) else { continue };
            match findings.iter_mut().find(|known| known.is_like(&found)) {
                Some(known) => known.places.add(&cell),
                None => {
                    found.places.add(&cell);
                    findings.push(found);
                }
            }
        }
        let told = |found: Finding| {
            let actions = found.places.actions(target, &all);
            (found, actions)
        };
        findings.into_iter().map(told).collect()
    }
}

impl Finding {
    fn is_like(&self, other: &Self) -> bool {
        self.change == other.change
            && self.before.text == other.before.text
            && self.after.text == other.after.text
            && self.values == other.values
    }
}

/// How two standings differ at a cell.
fn differ(
    before: Option<&Standing<'_>>,
    after: Option<&Standing<'_>>,
    cell: &Cell,
    calendar: &mut Calendar<'_>,
) -> Option<Finding> {
    let old = before.map_or_else(Meeting::empty, |standing| Meeting::at(standing, cell));
    let new = after.map_or_else(Meeting::empty, |standing| Meeting::at(standing, cell));
    let domains: BTreeSet<Domain> =
        [before, after].into_iter().flatten().map(|standing| domain(cell, standing)).collect();
    let windows = before.map(|standing| &standing.policy.conditions.windows)
        == after.map(|standing| &standing.policy.conditions.windows);
    if old.is_plainly(&new) && domains.len() == 1 && windows {
        return None;
    }
    let side = |meeting: &Meeting<'_>, outcome: Option<&Outcome>| Side {
        text: meeting.describe(),
        rule: outcome.and_then(Outcome::rule).map(|rule| rule.line),
    };
    let unclear = |text: &str| Finding {
        change: Change::Changes,
        before: side(&old, None),
        after: side(&new, None),
        values: None,
        example: Some(text.to_owned()),
        places: Places::default(),
    };
    let values = old.predicates().chain(new.predicates()).any(Predicate::is_value);
    if values && domains.len() > 1 {
        return Some(unclear("the address has another type of number now"));
    }
    let domain = domains.first().copied().unwrap_or(Domain::None);
    let space = Space::new(&[&old, &new], domain, calendar);
    let Ok(points) = space.points() else {
        return Some(unclear("too many conditions to compare one by one"));
    };
    let mut sum = Sum::default();
    for point in points {
        let one = old.judge(|predicate| point.truth(predicate, 0, calendar));
        let other = new.judge(|predicate| point.truth(predicate, 1, calendar));
        sum.take(point, one, other);
    }
    let (change, (point, one, other)) = sum.change()?;
    let words = space.words(&point);
    Some(Finding {
        change,
        before: side(&old, Some(&one)),
        after: side(&new, Some(&other)),
        values: sum.values(change, &space, domain),
        example: (!words.is_empty()).then_some(words),
        places: Places::default(),
    })
}

/// What the points of a cell come to.
#[derive(Default)]
struct Sum {
    wider: Option<(Point, Outcome, Outcome)>,
    narrower: Option<(Point, Outcome, Outcome)>,
    wider_values: Vec<Value>,
    narrower_values: Vec<Value>,
}

impl Sum {
    fn take(&mut self, point: Point, before: Outcome, after: Outcome) {
        let shift = after.since(&before);
        let (wider, narrower) = match shift {
            Shift::Same => return,
            Shift::Wider => (true, false),
            Shift::Narrower => (false, true),
            Shift::Other => (true, true),
        };
        if wider {
            self.wider_values.extend(point.value);
            self.wider.get_or_insert_with(|| (point, before.clone(), after.clone()));
        }
        if narrower {
            self.narrower_values.extend(point.value);
            self.narrower.get_or_insert((point, before, after));
        }
    }

    /// What it is, with an example; of both kinds one that widens.
    fn change(&self) -> Option<(Change, (Point, Outcome, Outcome))> {
        match (self.wider.clone(), self.narrower.clone()) {
            (None, None) => None,
            (Some(example), None) => Some((Change::Gains, example)),
            (None, Some(example)) => Some((Change::Loses, example)),
            (Some(example), Some(_)) => Some((Change::Changes, example)),
        }
    }

    /// For which values, where values matter and it is not both ways.
    fn values(&self, change: Change, space: &Space, domain: Domain) -> Option<String> {
        let found = match change {
            Change::Gains => &self.wider_values,
            Change::Loses => &self.narrower_values,
            Change::Changes => return None,
        };
        let known = space.values.iter().filter(|value| value.is_some()).count();
        let mut ranges: Vec<(Value, Value)> = Vec::new();
        let mut count = 0_usize;
        let mut open = false;
        for (index, value) in space.values.iter().enumerate() {
            let Some(value) = value else { continue };
            if !found.contains(value) {
                open = false;
                continue;
            }
            count = count.saturating_add(1);
            let last = space.last_of(index, domain).unwrap_or(*value);
            match ranges.last_mut() {
                Some(range) if open => range.1 = last,
                Some(_) | None => ranges.push((*value, last)),
            }
            open = true;
        }
        if count == 0 || count == known {
            return None;
        }
        let ranges = ranges
            .iter()
            .map(|(low, high)| if low == high { low.to_string() } else { format!("{low}..{high}") });
        Some(ranges.collect::<Vec<_>>().join(", "))
    }
}
