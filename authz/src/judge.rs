//! Judging one operation against compiled terms: the data path's part.
//!
//! An access is one atom for each address. A name or an object is one atom as
//! the request has it, a run of elements one for each element. What names less
//! than a rule does (a whole array, an object, nothing at all) may reach
//! whatever the rule is about: no allow with more to it covers it, and every
//! deny that may lie within denies it.
//!
//! Nothing is allocated unless the verdict is not a plain allow.

use crate::condition::{Truth, lies_within};
use crate::index::{Check, Compiled, Values};
use crate::rules::Ruling;
use crate::scope::{Atom, is_judgeable};
use crate::tag::{Tag, value_at};
use crate::terms::{TermRule, Terms};
use crate::value::Value;
use crate::verdict::{Assurance, Circumstances, Obligation, Reason, Refused, RuleId, Unknown, Verdict};
use crate::vocabulary::needs_place;
use dissect::{Access, Area, Class, Denial, Name, Operation, Place, Protocol, Range};
use std::ops::ControlFlow;

/// What the atoms so far came to.
#[derive(Default)]
struct Sum {
    allowed: Option<RuleId>,
    owed: Option<RuleId>,
    obligations: Vec<Obligation>,
}

/// One atom, with what is needed to judge it.
struct Subject<'a> {
    operation: &'a Operation,
    access: &'a Access,
    /// `None` where the access has no place.
    atom: Option<&'a Place>,
    /// `None`: unknown, or no rule asks.
    value: Option<Value>,
}

type Flow = ControlFlow<Box<Refused>>;

/// How many elements of one access are judged one by one.
const MOST_ELEMENTS: u32 = 4096;

impl Terms {
    /// Judges one operation as the set of its atoms.
    pub fn judge(&self, operation: &Operation, circumstances: &Circumstances) -> Verdict {
        let refuse = |reason, denial| Verdict::Deny(Refused { rule: None, reason, denial });
        if circumstances.now >= self.content.expires {
            return refuse(Reason::Expired, Denial::Function);
        }
        if operation.accesses.is_empty() {
            return refuse(Reason::Nothing, Denial::Function);
        }
        let mut sum = Sum::default();
        for access in &operation.accesses {
            if let ControlFlow::Break(refused) = self.access(operation, access, circumstances, &mut sum) {
                return Verdict::Deny(*refused);
            }
        }
        match (sum.owed, sum.allowed) {
            (Some(rule), _) => Verdict::Needs { rule, obligations: sum.obligations },
            (None, Some(rule)) => Verdict::Allow { rule },
            (None, None) => refuse(Reason::Nothing, Denial::Function),
        }
    }

    fn access(
        &self,
        operation: &Operation,
        access: &Access,
        circumstances: &Circumstances,
        sum: &mut Sum,
    ) -> Flow {
        if access.class == Class::Unknown {
            let reason = Reason::UnknownFunction { function: operation.function.to_owned() };
            return refuse(None, reason, Denial::Function);
        }
        let protocol = operation.protocol;
        let whole = Subject { operation, access, atom: access.place.as_ref(), value: None };
        if !is_judgeable(protocol, access.class, access.place.as_ref()) {
            if access.place.is_none() && needs_place(protocol, access.class) {
                let action = format!("{protocol}:{}", access.class);
                return refuse(None, Reason::NoAddress { action }, Denial::Address);
            }
            return self.no_rule(&whole);
        }
        match &access.place {
            None => self.anywhere(&whole, circumstances, sum),
            Some(Place::Range { area, range }) => self.addresses(&whole, *area, *range, circumstances, sum),
            Some(Place::Name(name)) => self.name(&whole, name, circumstances, sum),
            Some(Place::Object(_)) => self.named(&whole, circumstances, sum),
        }
    }

    /// An access that doesn't say where.
    fn anywhere(&self, subject: &Subject<'_>, circumstances: &Circumstances, sum: &mut Sum) -> Flow {
        let (protocol, class) = (subject.operation.protocol, subject.access.class);
        let Some(meeting) = self.index.at(protocol, class, None, 0) else { return self.no_rule(subject) };
        self.atom(subject, meeting.denies(), meeting.allows(), circumstances, sum)?;
        self.hidden(subject, self.index.placed_denies(protocol, class), circumstances)
    }

    fn addresses(
        &self,
        whole: &Subject<'_>,
        area: Area,
        range: Range,
        circumstances: &Circumstances,
        sum: &mut Sum,
    ) -> Flow {
        let Subject { operation, access, .. } = *whole;
        let (mut address, last) = (range.first(), range.last());
        loop {
            let Some(meeting) = self.index.at(operation.protocol, access.class, Some(area), address) else {
                let atom = single(area, address);
                return self.no_rule(&Subject { atom: atom.as_ref(), ..*whole });
            };
            let end = meeting.last.min(last);
            let judged = match meeting.values {
                Values::Ignored => address..=address,
                Values::Compared => address..=end,
            };
            for address in judged {
                let atom = single(area, address);
                let value = match meeting.values {
                    Values::Ignored => None,
                    Values::Compared => {
                        atom.as_ref().and_then(|atom| self.value(operation.protocol, access, atom))
                    }
                };
                let subject = Subject { atom: atom.as_ref(), value, ..*whole };
                self.atom(&subject, meeting.denies(), meeting.allows(), circumstances, sum)?;
            }
            match end.checked_add(1) {
                Some(next) if next <= last => address = next,
                Some(_) | None => return ControlFlow::Continue(()),
            }
        }
    }

    /// A name; element by element where rules differ between the elements or
    /// compare their values.
    fn name(&self, whole: &Subject<'_>, name: &Name, circumstances: &Circumstances, sum: &mut Sum) -> Flow {
        let Some(elements) = name.elements().filter(|_| self.is_divided(whole)) else {
            return self.named(whole, circumstances, sum);
        };
        if name.element(elements.first()).is_none() {
            return self.named(whole, circumstances, sum);
        }
        if elements.last().saturating_sub(elements.first()) >= MOST_ELEMENTS {
            return refuse(None, Reason::TooManyElements { action: self.action(whole) }, Denial::Address);
        }
        for index in elements.first()..=elements.last() {
            let atom = name.element(index).map(Place::Name);
            self.named(&Subject { atom: atom.as_ref(), ..*whole }, circumstances, sum)?;
        }
        ControlFlow::Continue(())
    }

    /// Whether some rule is about a part of the access only, or about values.
    fn is_divided(&self, subject: &Subject<'_>) -> bool {
        let rules = self.index.named(subject.operation.protocol, subject.access.class);
        rules.into_iter().any(|rule| rule.has_value() || self.meets_in_part(rule, subject))
    }

    /// An atom that is a name or an object.
    fn named(&self, subject: &Subject<'_>, circumstances: &Circumstances, sum: &mut Sum) -> Flow {
        let (protocol, class) = (subject.operation.protocol, subject.access.class);
        let Some(atom) = subject.atom else { return self.no_rule(subject) };
        let subject = &Subject { value: self.value(protocol, subject.access, atom), ..*subject };
        let rules = |ruling| {
            let rules = self.index.named(protocol, class);
            rules.filter(move |rule| rule.ruling == ruling && self.covers(rule, atom))
        };
        self.atom(subject, rules(Ruling::Deny), rules(Ruling::Allow), circumstances, sum)?;
        let denies = self.index.placed_denies(protocol, class);
        self.hidden(subject, denies.filter(|rule| self.meets_in_part(rule, subject)), circumstances)
    }

    /// Denies of something that may lie within what the access names.
    fn hidden<'b>(
        &self,
        subject: &Subject<'_>,
        mut denies: impl Iterator<Item = &'b Compiled>,
        circumstances: &Circumstances,
    ) -> Flow {
        denies.try_for_each(|rule| self.deny(rule, subject, circumstances))
    }

    fn covers(&self, rule: &Compiled, atom: &Place) -> bool {
        let scope = self.content.rules.get(rule.number).map(|term| &term.scope);
        scope.is_some_and(|scope| scope.place.as_ref().is_none_or(|own| own.covers(atom)))
    }

    fn meets_in_part(&self, rule: &Compiled, subject: &Subject<'_>) -> bool {
        let scope = self.content.rules.get(rule.number).map(|term| &term.scope);
        match (scope.and_then(|scope| scope.place.as_ref()), subject.atom) {
            (Some(own), Some(atom)) => own.overlaps(atom) && !own.covers(atom),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn value(&self, protocol: Protocol, access: &Access, atom: &Place) -> Option<Value> {
        value_at(access, atom, self.tag_of(protocol, access.unit, atom))
    }

    fn atom<'b>(
        &self,
        subject: &Subject<'_>,
        denies: impl Iterator<Item = &'b Compiled>,
        allows: impl Iterator<Item = &'b Compiled>,
        circumstances: &Circumstances,
        sum: &mut Sum,
    ) -> Flow {
        let here = |rule: &&Compiled| rule.unit.is_none_or(|unit| Some(unit) == subject.access.unit);
        for rule in denies.filter(here) {
            self.deny(rule, subject, circumstances)?;
        }
        let mut owed = None;
        let mut failed = None;
        for rule in allows.filter(here) {
            let Some(term) = self.content.rules.get(rule.number) else { continue };
            match self.truth(rule, subject, circumstances) {
                Truth::True if term.obligations.is_empty() => {
                    sum.allowed.get_or_insert(term.id);
                    return ControlFlow::Continue(());
                }
                Truth::True => {
                    owed.get_or_insert(term);
                }
                Truth::False | Truth::Unknown => {
                    failed.get_or_insert(rule);
                }
            }
        }
        match (owed, failed) {
            (Some(term), _) => {
                sum.owe(term);
                ControlFlow::Continue(())
            }
            (None, Some(rule)) => self.failed(subject, rule, circumstances),
            (None, None) => self.no_rule(subject),
        }
    }

    /// A deny counts unless its conditions are known not to hold.
    fn deny(&self, rule: &Compiled, subject: &Subject<'_>, circumstances: &Circumstances) -> Flow {
        match self.truth(rule, subject, circumstances) {
            Truth::False => ControlFlow::Continue(()),
            Truth::True => self.denied(subject, rule, None),
            Truth::Unknown => {
                let unknown = self.first_unknown(rule, subject, circumstances);
                self.denied(subject, rule, unknown)
            }
        }
    }

    fn truth(&self, rule: &Compiled, subject: &Subject<'_>, circumstances: &Circumstances) -> Truth {
        let checks = rule.checks.iter().map(|check| self.check(check, subject, circumstances));
        checks.fold(Truth::True, Truth::and)
    }

    fn check(&self, check: &Check, subject: &Subject<'_>, circumstances: &Circumstances) -> Truth {
        match check {
            Check::Window(number) => self.window(*number, circumstances),
            Check::From(network) => Truth::of(lies_within(network, circumstances.source)),
            Check::Webauthn => Truth::of(circumstances.assurance == Assurance::CertificateAndWebauthn),
            Check::Value(bounds) => {
                subject.value.map_or(Truth::Unknown, |value| Truth::of(bounds.contain(value)))
            }
        }
    }

    /// Beyond the times that the grant was made for nothing is known.
    pub(crate) fn window(&self, number: usize, circumstances: &Circumstances) -> Truth {
        let now = circumstances.now;
        if now < self.content.granted || now >= self.content.expires {
            return Truth::Unknown;
        }
        self.content.windows.get(number).map_or(Truth::Unknown, |times| {
            Truth::of(times.open.iter().any(|(from, until)| *from <= now && now < *until))
        })
    }

    fn denied(&self, subject: &Subject<'_>, rule: &Compiled, unknown: Option<Unknown>) -> Flow {
        let action = self.action(subject);
        let term = self.content.rules.get(rule.number);
        let by_value = rule.has_value();
        let denial = match term {
            Some(_) if by_value => Denial::Value,
            Some(term) if term.scope.place.is_some() => Denial::Address,
            Some(term) if term.scope.unit.is_some() => Denial::Unit,
            Some(_) | None => Denial::Function,
        };
        let reason = match unknown {
            None => Reason::Denied { action },
            Some(unknown) => Reason::DeniedUnknown { action, unknown },
        };
        refuse(term.map(|term| term.id), reason, denial)
    }

    fn failed(&self, subject: &Subject<'_>, rule: &Compiled, circumstances: &Circumstances) -> Flow {
        let id = self.content.rules.get(rule.number).map(|term| term.id);
        let unmet = rule.checks.iter().find_map(|check| match self.check(check, subject, circumstances) {
            Truth::True => None,
            Truth::False => Some(self.false_reason(check, subject)),
            Truth::Unknown => {
                Some((Reason::Unknown { unknown: self.unknown(check, subject)? }, denial_of(check)))
            }
        });
        match unmet {
            Some((reason, denial)) => refuse(id, reason, denial),
            None => self.no_rule(subject),
        }
    }

    fn false_reason(&self, check: &Check, subject: &Subject<'_>) -> (Reason, Denial) {
        let reason = match check {
            Check::Window(number) => match self.content.windows.get(*number) {
                Some(times) => Reason::Window { window: times.window.clone() },
                None => Reason::NoRule { action: self.action(subject) },
            },
            Check::From(network) => Reason::Source { network: network.to_string() },
            Check::Webauthn => Reason::Factor,
            Check::Value(bounds) => Reason::Value {
                value: subject.value.map(|value| value.to_string()).unwrap_or_default(),
                bounds: bounds.to_string(),
            },
        };
        (reason, denial_of(check))
    }

    fn first_unknown(
        &self,
        rule: &Compiled,
        subject: &Subject<'_>,
        circumstances: &Circumstances,
    ) -> Option<Unknown> {
        let unknown = |check: &&Check| self.check(check, subject, circumstances) == Truth::Unknown;
        rule.checks.iter().find(unknown).and_then(|check| self.unknown(check, subject))
    }

    fn unknown(&self, check: &Check, subject: &Subject<'_>) -> Option<Unknown> {
        match check {
            Check::Window(number) => {
                let window = self.content.windows.get(*number)?.window.clone();
                Some(Unknown::Window { window })
            }
            Check::Value(_) => Some(Unknown::Value { tag: self.tag(subject).map(|tag| tag.name.clone()) }),
            Check::From(_) | Check::Webauthn => None,
        }
    }

    /// Nothing allows it: the protocol's refusal says how much of it was
    /// wrong, the class, the unit or only the address.
    fn no_rule(&self, subject: &Subject<'_>) -> Flow {
        let (protocol, class) = (subject.operation.protocol, subject.access.class);
        let of_class = |rule: &&TermRule| {
            rule.ruling == Ruling::Allow
                && rule.scope.protocol.is_none_or(|own| own == protocol)
                && rule.scope.class.is_none_or(|own| own == class)
        };
        let here = |rule: &&TermRule| rule.scope.unit.is_none_or(|unit| Some(unit) == subject.access.unit);
        let rules = || self.content.rules.iter().filter(of_class);
        let denial = match (rules().next(), rules().find(here)) {
            (None, _) => Denial::Function,
            (Some(_), Some(_)) => Denial::Address,
            (Some(_), None) => Denial::Unit,
        };
        refuse(None, Reason::NoRule { action: self.action(subject) }, denial)
    }

    fn tag(&self, subject: &Subject<'_>) -> Option<&Tag> {
        self.tag_of(subject.operation.protocol, subject.access.unit, subject.atom?)
    }

    fn action(&self, subject: &Subject<'_>) -> String {
        self.atom_of(subject.operation.protocol, subject.access, subject.atom).to_string()
    }

    /// An access at one of its atoms.
    pub(crate) fn atom_of(&self, protocol: Protocol, access: &Access, place: Option<&Place>) -> Atom {
        let tag = place.and_then(|place| self.tag_of(protocol, access.unit, place));
        Atom {
            protocol,
            class: access.class,
            unit: access.unit,
            place: place.cloned(),
            tag: tag.map(|tag| tag.name.clone()),
        }
    }
}

fn single(area: Area, address: u32) -> Option<Place> {
    Range::new(address, address).map(|range| Place::Range { area, range })
}

impl Sum {
    fn owe(&mut self, term: &TermRule) {
        self.owed.get_or_insert(term.id);
        for obligation in &term.obligations {
            if !self.obligations.contains(obligation) {
                self.obligations.push(obligation.clone());
            }
        }
    }
}

fn refuse(rule: Option<RuleId>, reason: Reason, denial: Denial) -> Flow {
    ControlFlow::Break(Box::new(Refused { rule, reason, denial }))
}

fn denial_of(check: &Check) -> Denial {
    match check {
        Check::Value(_) => Denial::Value,
        Check::Window(_) | Check::From(_) | Check::Webauthn => Denial::Function,
    }
}
