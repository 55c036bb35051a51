//! Judging one operation against compiled terms: the data path's part.
//!
//! Nothing is allocated unless the verdict is not a plain allow.

use crate::action::areas;
use crate::condition::{Truth, lies_within};
use crate::index::{Check, Compiled, Meeting, Values};
use crate::rules::Ruling;
use crate::scope::Atom;
use crate::tag::{Tag, value_at};
use crate::terms::{TermRule, Terms};
use crate::value::Value;
use crate::verdict::{Assurance, Circumstances, Obligation, Reason, Refused, RuleId, Unknown, Verdict};
use dissect::{Access, Class, Denial, Operation, Protocol};
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
    /// 0 where the access has no place.
    address: u32,
    /// `None`: unknown, or no rule asks.
    value: Option<Value>,
}

type Flow = ControlFlow<Box<Refused>>;

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
        let (area, mut address, last) = match access.place {
            Some(place) => (Some(place.area), place.range.first(), place.range.last()),
            None if areas(operation.protocol, access.class).is_empty() => (None, 0, 0),
            None => {
                let action = format!("{}:{}", operation.protocol, access.class);
                return refuse(None, Reason::NoAddress { action }, Denial::Address);
            }
        };
        loop {
            let subject = |address, value| Subject { operation, access, address, value };
            let Some(meeting) = self.index.at(operation.protocol, access.class, area, address) else {
                return self.no_rule(&subject(address, None));
            };
            let end = meeting.last.min(last);
            match meeting.values {
                Values::Ignored => self.atom(&subject(address, None), &meeting, circumstances, sum)?,
                Values::Compared => {
                    for address in address..=end {
                        let value = self.value(operation.protocol, access, address);
                        self.atom(&subject(address, value), &meeting, circumstances, sum)?;
                    }
                }
            }
            match end.checked_add(1) {
                Some(next) if next <= last => address = next,
                Some(_) | None => return ControlFlow::Continue(()),
            }
        }
    }

    fn value(&self, protocol: Protocol, access: &Access, address: u32) -> Option<Value> {
        let place = access.place?;
        let tag = self.tag_at(protocol, access.unit, place.area, address);
        value_at(place.range, &access.values, address, tag)
    }

    fn atom(
        &self,
        subject: &Subject<'_>,
        meeting: &Meeting<'_>,
        circumstances: &Circumstances,
        sum: &mut Sum,
    ) -> Flow {
        let here = |rule: &&Compiled| rule.unit.is_none_or(|unit| Some(unit) == subject.access.unit);
        for rule in meeting.denies().filter(here) {
            match self.truth(rule, subject, circumstances) {
                Truth::False => {}
                Truth::True => return self.denied(subject, rule, None),
                Truth::Unknown => {
                    let unknown = self.first_unknown(rule, subject, circumstances);
                    return self.denied(subject, rule, unknown);
                }
            }
        }
        let mut owed = None;
        let mut failed = None;
        for rule in meeting.allows().filter(here) {
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
        let by_value = rule.checks.iter().any(|check| matches!(check, Check::Value(_)));
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
        let area = subject.access.place?.area;
        self.tag_at(subject.operation.protocol, subject.access.unit, area, subject.address)
    }

    fn action(&self, subject: &Subject<'_>) -> String {
        self.atom_at(subject.operation.protocol, subject.access, subject.address).to_string()
    }

    /// The atom of an access at an address.
    pub(crate) fn atom_at(&self, protocol: Protocol, access: &Access, address: u32) -> Atom {
        let place = access.place.map(|place| (place.area, address));
        let tag = place.and_then(|(area, address)| self.tag_at(protocol, access.unit, area, address));
        Atom {
            protocol,
            class: access.class,
            unit: access.unit,
            address: place,
            tag: tag.map(|tag| tag.name.clone()),
        }
    }
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
