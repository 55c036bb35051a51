//! Casbin's answer beside the compiled terms': both must be the same.
//!
//! At every grant the operations at the edges of each rule are asked of
//! both. Tests ask the same about random policies and operations.

use crate::action::areas;
use crate::condition::Predicate;
use crate::enforcer::{Decision, Judge, Request};
use crate::facts::Facts;
use crate::tag::value_at;
use crate::terms::{TermRule, Terms};
use crate::verdict::{Circumstances, Obligation, Reason, RuleId, Verdict};
use dissect::{Access, Area, Class, Operation, Place, Protocol, Range, Values};
use smallvec::smallvec;

/// So many rule evaluations a grant may spend on being checked.
const BUDGET: usize = 12_000;

/// The least operations that are asked, whatever the number of rules.
const LEAST: usize = 16;

/// What one of the two says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Allow(RuleId),
    Needs(RuleId),
    /// By a rule, or because none allows.
    Deny(Option<RuleId>),
}

/// Asks both about operations at the edges of the rules.
///
/// # Errors
/// The first operation on which they differ.
pub(crate) fn crosscheck(
    terms: &Terms,
    judge: &mut Judge,
    circumstances: &Circumstances,
) -> Result<(), String> {
    let rules = &terms.content.rules;
    let most = BUDGET.checked_div(rules.len()).unwrap_or(BUDGET).max(LEAST);
    let probes: Vec<Operation> = rules.iter().flat_map(|rule| probes(terms, rule)).collect();
    // Evenly spread where there are more than can be asked.
    let step = probes.len().div_ceil(most).max(1);
    probes.iter().step_by(step).try_for_each(|operation| compare(terms, judge, operation, circumstances))
}

/// Asks both about one operation.
///
/// # Errors
/// How they differ.
pub(crate) fn compare(
    terms: &Terms,
    judge: &mut Judge,
    operation: &Operation,
    circumstances: &Circumstances,
) -> Result<(), String> {
    let ours = match terms.judge(operation, circumstances) {
        Verdict::Allow { rule } => Answer::Allow(rule),
        Verdict::Needs { rule, .. } => Answer::Needs(rule),
        Verdict::Deny(refused) => match refused.reason {
            Reason::Denied { .. } | Reason::DeniedUnknown { .. } => Answer::Deny(refused.rule),
            Reason::NoRule { .. }
            | Reason::Unknown { .. }
            | Reason::Value { .. }
            | Reason::Window { .. }
            | Reason::Source { .. }
            | Reason::Factor
            | Reason::NoAddress { .. }
            | Reason::UnknownFunction { .. }
            | Reason::Expired
            | Reason::Nothing => Answer::Deny(None),
        },
    };
    let casbins = ask(terms, judge, operation, circumstances);
    if ours == casbins {
        Ok(())
    } else {
        Err(format!("{operation:?}: compiled {ours:?}, Casbin {casbins:?}"))
    }
}

/// Casbin's answers about all atoms, put together.
fn ask(terms: &Terms, judge: &mut Judge, operation: &Operation, circumstances: &Circumstances) -> Answer {
    let mut allowed = None;
    let mut owed = None;
    for access in &operation.accesses {
        let (first, last) = access.place.map_or((0, 0), |place| (place.range.first(), place.range.last()));
        for address in first..=last {
            match ask_atom(terms, judge, operation.protocol, access, address, circumstances) {
                Answer::Allow(rule) => {
                    allowed.get_or_insert(rule);
                }
                Answer::Needs(rule) => {
                    owed.get_or_insert(rule);
                }
                Answer::Deny(rule) => return Answer::Deny(rule),
            }
        }
    }
    match (owed, allowed) {
        (Some(rule), _) => Answer::Needs(rule),
        (None, Some(rule)) => Answer::Allow(rule),
        (None, None) => Answer::Deny(None),
    }
}

fn ask_atom(
    terms: &Terms,
    judge: &mut Judge,
    protocol: Protocol,
    access: &Access,
    address: u32,
    circumstances: &Circumstances,
) -> Answer {
    let atom = terms.atom_at(protocol, access, address).to_string();
    let value = access.place.and_then(|place| {
        let tag = terms.tag_at(protocol, access.unit, place.area, address);
        value_at(place.range, &access.values, address, tag)
    });
    let windows = terms.content.windows.iter().enumerate();
    let windows = windows.map(|(number, times)| (&times.window, terms.window(number, circumstances)));
    let mut facts = Facts {
        source: circumstances.source,
        assurance: circumstances.assurance,
        windows: windows.collect(),
        value,
        met: Vec::new(),
    };
    let subject = format!("person:{}", terms.content.person);
    let mut decide = |facts: &Facts<'_>| {
        let request = Request {
            subject: &subject,
            target: terms.content.target.as_str(),
            atom: &atom,
            facts: &facts.to_string(),
        };
        judge.decide(&request)
    };
    let rule = |row: usize| terms.content.rules.get(row).map_or(RuleId { line: u32::MAX }, |rule| rule.id);
    if let Decision::Allowed { row } = decide(&facts) {
        return Answer::Allow(rule(row));
    }
    facts.met = all_obligations(terms);
    match decide(&facts) {
        Decision::Allowed { row } => Answer::Needs(rule(row)),
        Decision::Denied { row } => Answer::Deny(row.map(rule)),
    }
}

fn all_obligations(terms: &Terms) -> Vec<&Obligation> {
    terms.content.rules.iter().flat_map(|rule| &rule.obligations).collect()
}

/// Operations at the first and last address of a rule and one beyond it.
fn probes(terms: &Terms, rule: &TermRule) -> Vec<Operation> {
    let offered = terms.content.services.first().map_or(Protocol::Tcp, |(_, protocol)| *protocol);
    let protocol = rule.scope.protocol.unwrap_or(offered);
    let class = rule.scope.class.unwrap_or(match protocol {
        Protocol::Modbus => Class::Write,
        Protocol::Tcp => Class::Use,
    });
    let unit = match protocol {
        Protocol::Modbus => Some(rule.scope.unit.unwrap_or(1)),
        Protocol::Tcp => None,
    };
    let operation = |access| Operation { protocol, function: "probe", accesses: smallvec![access] };
    let Some(area) =
        rule.scope.place.map(|(area, _)| area).or_else(|| areas(protocol, class).first().copied())
    else {
        return vec![operation(Access::whole(class, unit))];
    };
    let (first, last) = rule.scope.place.map_or((0, 0), |(_, range)| (range.first(), range.last()));
    let beyond = last.saturating_add(1).min(area.last_address());
    let mut addresses = vec![first, last, beyond];
    addresses.dedup();
    let probe = |address| {
        let range = whole_element(terms, protocol, unit, area, address);
        let values = values(rule, class, area, range);
        operation(Access { class, unit, place: Some(Place { area, range }), values })
    };
    addresses.into_iter().map(probe).collect()
}

/// The two registers of a 32-bit value are asked about together.
fn whole_element(terms: &Terms, protocol: Protocol, unit: Option<u8>, area: Area, address: u32) -> Range {
    let tag = terms.tag_at(protocol, unit, area, address);
    let of_tag = tag.and_then(|tag| {
        let pair = Range::counted(address.checked_sub(address.checked_sub(tag.range.first())? & 1)?, 2)?;
        tag.range.contains(pair).then_some(pair)
    });
    of_tag.unwrap_or_else(|| single(address))
}

fn single(address: u32) -> Range {
    Range::new(address, address).expect("a range from an address to itself")
}

fn values(rule: &TermRule, class: Class, area: Area, range: Range) -> Values {
    match (class, area) {
        (Class::Write, Area::Coil) => Values::Bits(vec![0].into()),
        (Class::Write, Area::Holding) => {
            let sample = rule.predicates.iter().find_map(|predicate| match predicate {
                Predicate::Value(bounds) => Some(bounds.sample()),
                Predicate::Window(_) | Predicate::From(_) | Predicate::Webauthn => None,
            });
            let word = u16::try_from(sample.unwrap_or_default()).unwrap_or_default().to_be_bytes();
            let count = range.last().saturating_sub(range.first()).saturating_add(1);
            Values::Words((0..count).flat_map(|_| word).collect::<Vec<u8>>().into())
        }
        (_, _) => Values::None,
    }
}
