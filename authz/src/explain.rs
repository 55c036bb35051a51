//! One question to a policy, answered with the reason and the ways out.
//!
//! The answer is worked out for every address of the action at once. What is
//! not given (a source, a value) is unknown: it never allows and always
//! denies, and the ways say what it would have to be.

mod answer;
mod question;

use crate::action::{Action, ActionPlace};
use crate::analysis::{
    Calendar, Cell, Domain, Meeting, Outcome, Places, Reach, Spot, Standing, cells, domain, zoned,
};
use crate::condition::{Predicate, Truth, lies_within, term};
use crate::policy::Policy;
use crate::problem::Problem;
use crate::rules::Rule;
use crate::scope::Scope;
use crate::value::Value;
use crate::verdict::{Assurance, Obligation, RuleId};
use dissect::{Place, Range};
use std::cell::RefCell;

pub use answer::{Explanation, Part, Ruled, Way};
pub use question::Question;

/// What a rule's conditions come to.
struct Facts<'q, 'p> {
    question: &'q Question,
    value: Option<Value>,
    calendar: &'q RefCell<Calendar<'p>>,
}

impl Policy {
    /// Answers a question.
    ///
    /// # Errors
    /// A question that can't be understood: an unknown target, an action that
    /// names no protocol or class, a value that is none.
    pub fn explain(&self, question: &Question) -> Result<Explanation, Problem> {
        let refuse = |text: String| Problem::of_file("question", text);
        let target = self.inventory().target(&question.target).ok_or_else(|| {
            let known = self.inventory().targets().map(|target| target.id.as_str());
            refuse(format!("unknown target {}", question.target))
                .with_hint(crate::hint::nearest(question.target.as_str(), known))
        })?;
        let asked = Action::parse(&question.action).map_err(|slip| {
            refuse(format!("action {}: {}", question.action, slip.message)).with_hint(slip.hint)
        })?;
        let scope = asked_scope(&asked, target).map_err(refuse)?;
        let subject = format!("person:{}", question.person);
        let standing = Reach::new(self, &subject).on(target);
        let calendar = RefCell::new(Calendar::new(question.at, &[self]));
        let mut parts: Vec<Part> = Vec::new();
        let mut places: Vec<Places> = Vec::new();
        let all = Places::of(&cells(&[&standing]));
        for cell in cells_within(&standing, &scope) {
            let part = self.part(&standing, &cell, question, &calendar).map_err(refuse)?;
            match parts.iter().position(|known| *known == part) {
                Some(known) => places.get_mut(known).into_iter().for_each(|places| places.add(&cell)),
                None => {
                    let mut own = Places::default();
                    own.add(&cell);
                    parts.push(part);
                    places.push(own);
                }
            }
        }
        for (part, places) in parts.iter_mut().zip(&places) {
            part.actions = places.actions(target, &all);
        }
        if parts.is_empty() {
            return Err(refuse(format!("{} offers nothing that {} is about", target.id, question.action)));
        }
        Ok(Explanation::new(question, self.hash(), parts, self.knows(&subject)))
    }

    fn knows(&self, subject: &str) -> bool {
        self.rules.people.iter().any(|link| link.member == subject)
            || self.rules.all.iter().any(|rule| rule.subject() == subject)
    }

    fn part(
        &self,
        standing: &Standing<'_>,
        cell: &Cell,
        question: &Question,
        calendar: &RefCell<Calendar<'_>>,
    ) -> Result<Part, String> {
        let meeting = Meeting::at(standing, cell);
        let value = match (&question.value, domain(cell, standing)) {
            (Some(text), Domain::None) => {
                return Err(format!(
                    "{}:{} carries no values that could be compared, but value {text} was given",
                    cell.protocol, cell.class
                ));
            }
            (Some(text), domain) => Some(question::value(text, domain)?),
            (None, _) => None,
        };
        let facts = Facts { question, value, calendar };
        let outcome = meeting.judge(|predicate| facts.truth(predicate));
        let ruled = match &outcome {
            Outcome::Allow(_) => Ruled::Allowed,
            Outcome::Needs(..) => Ruled::Needs,
            Outcome::Deny(_) => Ruled::Denied,
        };
        let owed: Vec<&Obligation> = match &outcome {
            Outcome::Needs(_, obligations) => obligations.iter().collect(),
            Outcome::Allow(_) | Outcome::Deny(_) => Vec::new(),
        };
        let needs: Vec<String> = owed.iter().map(|one| one.to_string()).collect();
        let denying = meeting.denies.iter().find(|rule| facts.weigh(rule) != Truth::False);
        let reason = match (&outcome, denying) {
            (Outcome::Allow(rule), _) if *rule == RuleId::GRANT => "comes with any grant".to_owned(),
            (Outcome::Allow(_), _) => "a rule allows it".to_owned(),
            (Outcome::Needs(..), _) => format!("needs {}", needs.join(" and ")),
            (Outcome::Deny(_), Some(rule)) => facts.why_denied(rule),
            (Outcome::Deny(_), None) if meeting.allows.is_empty() => {
                if standing.protocols.contains(&cell.protocol) {
                    "no rule allows it".to_owned()
                } else {
                    format!("no rule lets this person use {} on {}", cell.protocol, standing.target.id)
                }
            }
            (Outcome::Deny(_), None) => "no rule that allows it has its conditions met".to_owned(),
        };
        let line = outcome.rule().filter(|rule| *rule != RuleId::GRANT).map(|rule| rule.line);
        let ways = match &outcome {
            Outcome::Allow(_) => Vec::new(),
            Outcome::Needs(..) | Outcome::Deny(_) => self.ways(&meeting, &facts),
        };
        Ok(Part {
            actions: Vec::new(),
            ruled,
            line,
            rule: line.and_then(|line| self.text_of(line)),
            reason,
            owes: owed.into_iter().map(term).collect(),
            ways,
        })
    }

    /// A rule as its fields stand in the file.
    pub(crate) fn text_of(&self, line: u32) -> Option<String> {
        let rule = self.rules.all.iter().find(|rule| rule.line == line)?;
        Some(format!("p, {}", rule.row.join(", ")))
    }

    /// What would have to be true, by each rule that could allow it.
    fn ways(&self, meeting: &Meeting<'_>, facts: &Facts<'_, '_>) -> Vec<Way> {
        let blocking: Vec<&&Rule> =
            meeting.denies.iter().filter(|rule| facts.weigh(rule) != Truth::False).collect();
        if blocking.iter().any(|rule| rule.condition.predicates.is_empty()) {
            return Vec::new();
        }
        let away = blocking.iter().flat_map(|rule| facts.escapes(rule));
        let away: Vec<String> = away.collect();
        let ways = meeting.allows.iter().map(|rule| {
            let unmet = rule.condition.predicates.iter().filter(|one| facts.truth(one) != Truth::True);
            let unmet = unmet.map(|predicate| facts.wanted(predicate));
            let owed = rule.condition.obligations.iter().map(|one| self.owed(one));
            Way { line: rule.line, takes: away.iter().cloned().chain(unmet).chain(owed).collect() }
        });
        ways.filter(|way| !way.takes.is_empty()).collect()
    }

    fn owed(&self, obligation: &Obligation) -> String {
        let group = match obligation {
            Obligation::Approval(group) | Obligation::Hold(group) | Obligation::Supervised(group) => group,
            Obligation::Rate(_) => return obligation.to_string(),
        };
        let members = self.conditions.groups.get(group);
        let members: Vec<String> = members.into_iter().flatten().map(ToString::to_string).collect();
        match members.as_slice() {
            [] => format!("{obligation} (nobody is in it: {} can never be met)", term(obligation)),
            members => format!("{obligation} ({})", members.join(", ")),
        }
    }
}

/// What is asked about, on the target.
fn asked_scope(asked: &Action, target: &crate::inventory::Target) -> Result<Scope, String> {
    let (Some(protocol), Some(class)) = (asked.protocol, asked.class) else {
        return Err("the action names no protocol and class; ask for one such as modbus:read".to_owned());
    };
    let scope =
        Scope { protocol: Some(protocol), class: Some(class), unit: asked.unit, place: None, tag: None };
    match &asked.place {
        ActionPlace::Anywhere => Ok(scope),
        ActionPlace::Place(place) => Ok(Scope { place: Some(place.clone()), ..scope }),
        ActionPlace::Tag(name) => {
            let tag = target.tags.iter().find(|tag| tag.name == *name).ok_or_else(|| {
                let known = target.tags.iter().map(|tag| tag.name.as_str());
                let hint = crate::hint::nearest(name.as_str(), known);
                format!(
                    "{} has no tag {name}{}",
                    target.id,
                    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
                )
            })?;
            Ok(Scope { unit: tag.unit, place: Some(tag.place.clone()), ..scope })
        }
    }
}

/// The cells of a standing that are asked about, cut to what is asked.
fn cells_within(standing: &Standing<'_>, asked: &Scope) -> Vec<Cell> {
    let all = cells(&[standing]);
    // A block that no rule names has the rules of the others.
    let is_named = |place: &Place| {
        let Place::Range { area, .. } = place else { return true };
        all.iter().any(|cell| matches!(&cell.spot, Spot::Range(own, _) if own == area))
    };
    let named = asked.place.as_ref().is_none_or(is_named);
    let cut = |cell: &Cell| {
        if asked.protocol != Some(cell.protocol) || asked.class != Some(cell.class) {
            return None;
        }
        let spot = match &asked.place {
            None => Some(cell.spot.clone()),
            Some(place) => match &cell.spot {
                Spot::Others(Place::Range { .. }) if named => None,
                Spot::Whole | Spot::Range(..) | Spot::Named(_) | Spot::Others(_) => {
                    cut_spot(&cell.spot, place)
                }
            },
        };
        Cell { spot: spot?, ..cell.clone() }.of_unit(asked.unit)
    };
    let mut found: Vec<Cell> = Vec::new();
    for cell in all.iter().filter_map(cut) {
        if !found.contains(&cell) {
            found.push(cell);
        }
    }
    // A unit that no rule names is one of the others.
    if let Some(unit) = asked.unit
        && found.iter().any(|cell| cell.is_exactly(unit))
    {
        found.retain(|cell| cell.is_exactly(unit));
    }
    found
}

/// What of a spot is asked about.
fn cut_spot(spot: &Spot, asked: &Place) -> Option<Spot> {
    match (spot, asked) {
        (Spot::Range(own_area, own), Place::Range { area, range }) if own_area == area => {
            let (first, last) = (own.first().max(range.first()), own.last().min(range.last()));
            Range::new(first, last).map(|range| Spot::Range(*area, range))
        }
        (Spot::Others(Place::Range { area: example, .. }), Place::Range { area, range })
            if example.name() == area.name() && example.number().is_some() =>
        {
            Some(Spot::Range(*area, *range))
        }
        // A name or an object is one atom, whatever rules say of others.
        (Spot::Named(Place::Name(_)) | Spot::Others(Place::Name(_)), Place::Name(_))
        | (Spot::Named(Place::Object(_)) | Spot::Others(Place::Object(_)), Place::Object(_)) => {
            Some(Spot::Named(asked.clone()))
        }
        (Spot::Whole | Spot::Range(..) | Spot::Named(_) | Spot::Others(_), _) => None,
    }
}

impl Facts<'_, '_> {
    fn truth(&self, predicate: &Predicate) -> Truth {
        match predicate {
            Predicate::Window(window) => {
                Truth::of(self.calendar.borrow_mut().is_open(&(0, window.clone()), self.question.at))
            }
            Predicate::From(network) => match self.question.source {
                Some(source) => Truth::of(lies_within(network, source)),
                None => Truth::Unknown,
            },
            Predicate::Webauthn => Truth::of(self.question.assurance == Assurance::CertificateAndWebauthn),
            Predicate::Value(bounds) => {
                self.value.map_or(Truth::Unknown, |value| Truth::of(bounds.contain(value)))
            }
        }
    }

    fn weigh(&self, rule: &Rule) -> Truth {
        rule.condition.predicates.iter().map(|one| self.truth(one)).fold(Truth::True, Truth::and)
    }

    fn why_denied(&self, rule: &Rule) -> String {
        let unknown = rule.condition.predicates.iter().filter(|one| self.truth(one) == Truth::Unknown);
        let unknown: Vec<&str> = unknown
            .map(|predicate| match predicate {
                Predicate::Value(_) => "the value",
                Predicate::From(_) => "the source",
                Predicate::Window(_) => "the window",
                Predicate::Webauthn => "the factor",
            })
            .collect();
        if unknown.is_empty() {
            "a rule denies it".to_owned()
        } else {
            format!("a rule denies it unless {} is known", unknown.join(" and "))
        }
    }

    /// What a predicate wants that is not so.
    fn wanted(&self, predicate: &Predicate) -> String {
        match predicate {
            Predicate::Window(window) => match self.next_opening(window) {
                Some((from, until)) => format!("window {window} opens at {from} (until {until})"),
                None => format!("window {window} is open (it never opens again)"),
            },
            Predicate::From(network) => format!("a connection from {network}"),
            Predicate::Webauthn => "a sign-in with a security key".to_owned(),
            Predicate::Value(bounds) => format!("a value in {bounds}"),
        }
    }

    /// How a conditional deny could stop to apply.
    fn escapes(&self, rule: &Rule) -> Option<String> {
        let escapes: Vec<String> = rule
            .condition
            .predicates
            .iter()
            .map(|predicate| match predicate {
                Predicate::Window(window) => match self.closing(window) {
                    Some(at) => format!("window {window} closes at {at}"),
                    None => format!("window {window} is shut"),
                },
                Predicate::From(network) => format!("a connection from outside of {network}"),
                Predicate::Webauthn => "a sign-in without a security key".to_owned(),
                Predicate::Value(bounds) => format!("a known value outside of {bounds}"),
            })
            .collect();
        (!escapes.is_empty()).then(|| format!("{} (line {} denies)", escapes.join(" or "), rule.line))
    }

    fn next_opening(&self, window: &crate::names::WindowName) -> Option<(String, String)> {
        let mut calendar = self.calendar.borrow_mut();
        let zone = calendar.zone(&(0, window.clone()));
        let open = calendar.open(&(0, window.clone()));
        let (from, until) = open.iter().find(|(from, _)| *from > self.question.at)?;
        Some((zoned(*from, &zone), zoned(*until, &zone)))
    }

    fn closing(&self, window: &crate::names::WindowName) -> Option<String> {
        let mut calendar = self.calendar.borrow_mut();
        let zone = calendar.zone(&(0, window.clone()));
        let open = calendar.open(&(0, window.clone()));
        let (_, until) =
            open.iter().find(|(from, until)| *from <= self.question.at && self.question.at < *until)?;
        Some(zoned(*until, &zone))
    }
}
