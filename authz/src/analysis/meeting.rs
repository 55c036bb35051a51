//! The rules at one cell, judged as the language says.

use super::{Cell, Standing};
use crate::condition::{Condition, Predicate, Truth, term};
use crate::rules::{Rule, Ruling};
use crate::scope::{Atom, Scope, is_judgeable};
use crate::verdict::{Obligation, RuleId};
use dissect::Class;
use std::collections::BTreeSet;

/// The rules that meet at a cell, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Meeting<'a> {
    /// Whether operations there come with any grant.
    pub(crate) with_the_grant: bool,
    pub(crate) denies: Vec<&'a Rule>,
    pub(crate) allows: Vec<&'a Rule>,
}

/// What an operation comes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Allow(RuleId),
    Needs(RuleId, BTreeSet<Obligation>),
    Deny(Option<RuleId>),
}

/// How an outcome differs from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shift {
    Same,
    /// Less is demanded than before.
    Wider,
    /// More is demanded than before.
    Narrower,
    /// Something else is demanded: wider and narrower at once.
    Other,
}

impl<'a> Meeting<'a> {
    /// Nothing, where there is nothing.
    pub(crate) fn empty() -> Self {
        Self { with_the_grant: false, denies: Vec::new(), allows: Vec::new() }
    }

    pub(crate) fn at(standing: &Standing<'a>, cell: &Cell) -> Self {
        if !standing.protocols.contains(&cell.protocol) {
            return Self::empty();
        }
        Self::behind_any_door(standing, cell)
    }

    /// As if a channel could be opened to every service.
    pub(crate) fn behind_any_door(standing: &Standing<'a>, cell: &Cell) -> Self {
        let atom = cell.atom();
        let mut meeting = Self::empty();
        meeting.with_the_grant = matches!(cell.class, Class::Housekeeping | Class::Identify);
        let mut hidden = Vec::new();
        for (rule, scope) in &standing.rules {
            match (scope.covers(&atom), rule.ruling) {
                (true, Ruling::Deny) => meeting.denies.push(*rule),
                (true, Ruling::Allow) => meeting.allows.push(*rule),
                // An access that says less than a deny may reach what it is
                // about.
                (false, Ruling::Deny) if may_hide(scope, &atom) => hidden.push(*rule),
                (false, Ruling::Deny | Ruling::Allow) => {}
            }
        }
        meeting.denies.extend(hidden);
        meeting
    }

    /// What it comes to, given what is true.
    pub(crate) fn judge(&self, mut truth: impl FnMut(&Predicate) -> Truth) -> Outcome {
        let mut weigh =
            |condition: &Condition| condition.predicates.iter().map(&mut truth).fold(Truth::True, Truth::and);
        for rule in &self.denies {
            if weigh(&rule.condition) != Truth::False {
                return Outcome::Deny(Some(id(rule)));
            }
        }
        if self.with_the_grant {
            return Outcome::Allow(RuleId::GRANT);
        }
        let mut owed = None;
        for rule in self.allows.iter().filter(|rule| weigh(&rule.condition) == Truth::True) {
            if rule.condition.obligations.is_empty() {
                return Outcome::Allow(id(rule));
            }
            owed.get_or_insert(*rule);
        }
        match owed {
            Some(rule) => Outcome::Needs(id(rule), rule.condition.obligations.iter().cloned().collect()),
            None => Outcome::Deny(None),
        }
    }

    /// All predicates of its rules.
    pub(crate) fn predicates(&self) -> impl Iterator<Item = &'a Predicate> {
        self.denies.iter().chain(&self.allows).flat_map(|rule| &rule.condition.predicates)
    }

    /// The same rules in the same order, wherever they stand.
    pub(crate) fn is_plainly(&self, other: &Meeting<'_>) -> bool {
        let same = |one: &[&Rule], other: &[&Rule]| {
            one.iter().map(|rule| &rule.condition).eq(other.iter().map(|rule| &rule.condition))
        };
        self.with_the_grant == other.with_the_grant
            && same(&self.denies, &other.denies)
            && same(&self.allows, &other.allows)
    }

    /// What is allowed there, in words: `allow`, `deny`, or what it takes.
    pub(crate) fn describe(&self) -> String {
        if self.denies.iter().any(|rule| rule.condition.predicates.is_empty()) {
            return "deny".to_owned();
        }
        let mut ways: Vec<String> = Vec::new();
        if self.with_the_grant {
            ways.push("allow".to_owned());
        }
        for rule in &self.allows {
            if ways.iter().any(|way| way == "allow") {
                break;
            }
            let way = match condition_words(&rule.condition) {
                words if words.is_empty() => "allow".to_owned(),
                words => format!("allow if {words}"),
            };
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        if ways.is_empty() {
            return "deny".to_owned();
        }
        let unless: Vec<String> = self.denies.iter().map(|rule| condition_words(&rule.condition)).collect();
        let ways = ways.join(", or ");
        if unless.is_empty() { ways } else { format!("{ways}; never if {}", unless.join(", nor if ")) }
    }
}

/// Whether a rule's place may lie within what an atom names.
fn may_hide(scope: &Scope, atom: &Atom) -> bool {
    let about = scope.protocol.is_none_or(|own| own == atom.protocol)
        && scope.class.is_none_or(|own| own == atom.class)
        && is_judgeable(atom.protocol, atom.class, atom.place.as_ref());
    about
        && match (&scope.place, &atom.place) {
            (Some(_), None) => true,
            (Some(own), Some(atom)) => own.overlaps(atom) && !own.covers(atom),
            (None, _) => false,
        }
}

fn id(rule: &Rule) -> RuleId {
    RuleId { line: rule.line }
}

/// Predicates and obligations as a condition has them, always in one order.
pub(crate) fn condition_words(condition: &Condition) -> String {
    let predicates = condition.predicates.iter().map(ToString::to_string);
    let mut words: Vec<String> = predicates.chain(condition.obligations.iter().map(term)).collect();
    words.sort();
    words.join(" & ")
}

impl Outcome {
    /// How this differs from an outcome before it.
    pub(crate) fn since(&self, before: &Self) -> Shift {
        let owed = |outcome: &Self| match outcome {
            Self::Allow(_) => Some(BTreeSet::new()),
            Self::Needs(_, obligations) => Some(obligations.clone()),
            Self::Deny(_) => None,
        };
        let (old, new) = match (owed(before), owed(self)) {
            (None, None) => return Shift::Same,
            (None, Some(_)) => return Shift::Wider,
            (Some(_), None) => return Shift::Narrower,
            (Some(old), Some(new)) => (old, new),
        };
        match (demands(&old, &new), demands(&new, &old)) {
            (true, true) => Shift::Same,
            (true, false) => Shift::Wider,
            (false, true) => Shift::Narrower,
            (false, false) => Shift::Other,
        }
    }

    pub(crate) fn rule(&self) -> Option<RuleId> {
        match self {
            Self::Allow(rule) | Self::Needs(rule, _) => Some(*rule),
            Self::Deny(rule) => *rule,
        }
    }
}

/// Whether who does all of `these` has done all of `those`.
fn demands(these: &BTreeSet<Obligation>, those: &BTreeSet<Obligation>) -> bool {
    those.iter().all(|needed| {
        these.iter().any(|done| match (done, needed) {
            (Obligation::Rate(slower), Obligation::Rate(faster)) => slower <= faster,
            (done, needed) => done == needed,
        })
    })
}
