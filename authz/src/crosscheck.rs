//! Casbin's answer beside the compiled terms': both must be the same.
//!
//! At every grant the operations at the edges of each rule are asked of
//! both. Tests ask the same about random policies and operations.

use crate::condition::Predicate;
use crate::enforcer::{Decision, Judge, Request};
use crate::facts::Facts;
use crate::rules::Ruling;
use crate::tag::value_at;
use crate::terms::{TermRule, Terms};
use crate::verdict::{Circumstances, Obligation, Reason, RuleId, Verdict};
use crate::vocabulary::{areas, names, needs_place};
use dissect::{
    Access, AddressUnit, Area, ByteOrder, Class, Name, NameKind, NumberKind, Operation, Place, Protocol,
    Range, Values,
};
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
            | Reason::TooManyElements { .. }
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
        for atom in atoms(terms, operation.protocol, access) {
            match ask_atom(terms, judge, operation.protocol, access, atom.as_ref(), circumstances) {
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

/// The atoms of an access, each followed by what a deny is about that may lie
/// within it.
fn atoms(terms: &Terms, protocol: Protocol, access: &Access) -> Vec<Option<Place>> {
    let own: Vec<Option<Place>> = match &access.place {
        None => vec![None],
        Some(Place::Range { area, range }) => {
            (range.first()..=range.last()).map(|address| Some(place(*area, Range::single(address)))).collect()
        }
        Some(Place::Name(name)) => match name.elements() {
            Some(elements) if name.element(elements.first()).is_some() => (elements.first()
                ..=elements.last())
                .map(|index| name.element(index).map(Place::Name))
                .collect(),
            Some(_) | None => vec![access.place.clone()],
        },
        Some(Place::Object(_)) => vec![access.place.clone()],
    };
    let within = |atom: &Option<Place>| {
        let denied = terms.content.rules.iter().filter(|rule| {
            rule.ruling == Ruling::Deny
                && rule.scope.protocol.is_none_or(|own| own == protocol)
                && rule.scope.class.is_none_or(|own| own == access.class)
        });
        let places = denied.filter_map(|rule| rule.scope.place.as_ref()).filter(|own| match atom {
            None => true,
            Some(atom) => own.overlaps(atom) && !own.covers(atom),
        });
        places.map(first_of).collect::<Vec<_>>()
    };
    own.into_iter()
        .flat_map(|atom| {
            let within = within(&atom);
            std::iter::once(atom).chain(within)
        })
        .collect()
}

/// An atom of a place.
fn first_of(own: &Place) -> Option<Place> {
    Some(match own {
        Place::Range { area, range } => place(*area, Range::single(range.first())),
        Place::Name(_) | Place::Object(_) => own.clone(),
    })
}

fn place(area: Area, range: Range) -> Place {
    Place::Range { area, range }
}

fn ask_atom(
    terms: &Terms,
    judge: &mut Judge,
    protocol: Protocol,
    access: &Access,
    atom: Option<&Place>,
    circumstances: &Circumstances,
) -> Answer {
    let value = atom.and_then(|atom| value_at(access, atom, terms.tag_of(protocol, access.unit, atom)));
    let atom = terms.atom_of(protocol, access, atom).to_string();
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

/// Operations at the first and last address of a rule and one beyond it, or
/// at what it names.
fn probes(terms: &Terms, rule: &TermRule) -> Vec<Operation> {
    let offered = terms.content.services.first().map_or(Protocol::Tcp, |(_, protocol)| *protocol);
    let protocol = rule.scope.protocol.unwrap_or(offered);
    let class = rule.scope.class.unwrap_or(match protocol {
        Protocol::Modbus | Protocol::S7 | Protocol::Enip => Class::Write,
        Protocol::S7Plus | Protocol::Ssh | Protocol::Rfb | Protocol::Rdp | Protocol::Http | Protocol::Tcp => {
            Class::Use
        }
    });
    let unit = match protocol {
        Protocol::Modbus => Some(rule.scope.unit.unwrap_or(1)),
        Protocol::S7
        | Protocol::S7Plus
        | Protocol::Enip
        | Protocol::Ssh
        | Protocol::Rfb
        | Protocol::Rdp
        | Protocol::Http
        | Protocol::Tcp => None,
    };
    let operation = |access| Operation { protocol, function: "probe", accesses: smallvec![access] };
    let of_place = |place: Place| {
        let values = values(rule, class, &place, tag_type(terms, protocol, unit, &place));
        operation(Access { class, unit, place: Some(place), values })
    };
    let mut probes = Vec::new();
    if !needs_place(protocol, class) {
        probes.push(operation(Access::whole(class, unit)));
    }
    let sample = || areas(protocol, class).first().map(|area| place(area.with_number(1), Range::single(0)));
    let named =
        || names(protocol, class).first().and_then(|kind| Name::parse(*kind, "1").ok()).map(Place::Name);
    match rule.scope.place.clone().or_else(sample).or_else(named) {
        None => {}
        Some(Place::Range { area, range }) => {
            let (first, last) = match rule.scope.place {
                Some(_) => (range.first(), range.last()),
                None => (0, 0),
            };
            let beyond = last.saturating_add(1).min(area.last_address());
            let mut addresses = vec![first, last, beyond];
            addresses.dedup();
            let whole = |address| place(area, whole_element(terms, protocol, unit, area, address));
            probes.extend(addresses.into_iter().map(whole).map(of_place));
        }
        Some(Place::Name(name)) => probes.extend(ends(name).into_iter().map(of_place)),
        Some(own @ Place::Object(_)) => probes.push(of_place(own)),
    }
    probes
}

/// The first and the last of the elements that a name ends with, or the name.
fn ends(name: Name) -> Vec<Place> {
    let elements = name.elements();
    let end = |at: fn(Range) -> u32| elements.and_then(|all| name.element(at(all))).map(Place::Name);
    match (end(Range::first), end(Range::last)) {
        (Some(first), Some(last)) => vec![first, last],
        (Some(_), None) | (None, _) => vec![Place::Name(name)],
    }
}

fn tag_type(terms: &Terms, protocol: Protocol, unit: Option<u8>, place: &Place) -> Option<NumberKind> {
    terms.tag_of(protocol, unit, place).and_then(|tag| tag.value).map(|value| value.kind)
}

/// All addresses of a value are asked about together.
fn whole_element(terms: &Terms, protocol: Protocol, unit: Option<u8>, area: Area, address: u32) -> Range {
    let tag = terms.tag_at(protocol, unit, area, address);
    let of_tag = tag.and_then(|tag| {
        let Place::Range { range, .. } = &tag.place else { return None };
        let addresses = tag.value?.addresses(area)?;
        let into = address.checked_sub(range.first())?.checked_rem(addresses)?;
        Range::counted(address.checked_sub(into)?, addresses).filter(|whole| range.contains(*whole))
    });
    of_tag.unwrap_or_else(|| Range::single(address))
}

/// Values that a rule's bounds may be about.
fn values(rule: &TermRule, class: Class, place: &Place, told: Option<NumberKind>) -> Values {
    let sample = rule.predicates.iter().find_map(|predicate| match predicate {
        Predicate::Value(bounds) => Some(bounds.sample()),
        Predicate::Window(_) | Predicate::From(_) | Predicate::Webauthn => None,
    });
    let sample = sample.unwrap_or_default();
    match (class, place) {
        (Class::Write, Place::Range { area: Area::Coil, .. }) => Values::Bits(vec![0].into()),
        (Class::Write, Place::Range { area: Area::Holding, range }) => {
            let word = u16::try_from(sample).unwrap_or_default().to_be_bytes();
            let count = range.last().saturating_sub(range.first()).saturating_add(1);
            Values::Words((0..count).flat_map(|_| word).collect::<Vec<u8>>().into())
        }
        (Class::Write, Place::Range { area, range }) if area.unit() == AddressUnit::BitOfByte => {
            let count = range.last().saturating_sub(range.first()).saturating_add(1);
            match count {
                1 => Values::Bits(vec![u8::from(sample != 0)].into()),
                bits => {
                    let bytes = usize::try_from(bits.div_ceil(8)).unwrap_or_default();
                    let low = sample.to_be_bytes();
                    let low = low.get(low.len().saturating_sub(bytes)..).unwrap_or_default();
                    let mut all = vec![0; bytes.saturating_sub(low.len())];
                    all.extend_from_slice(low);
                    Values::Untyped(all.into())
                }
            }
        }
        (Class::Write, Place::Name(name)) if name.kind() == NameKind::Symbol => {
            let kind = told.unwrap_or(NumberKind::I64);
            let bytes = sample.to_le_bytes();
            let number = bytes.get(..kind.width()).unwrap_or_default();
            Values::Numbers { kind, order: ByteOrder::Little, bytes: number.to_vec().into() }
        }
        (_, _) => Values::None,
    }
}
