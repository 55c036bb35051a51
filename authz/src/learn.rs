//! Rules learnt from what was done: the least that would have allowed exactly
//! that, merged so that a person can review it.
//!
//! Neighbouring addresses become one range, the addresses of a tag its name,
//! values the bounds in which they lay. What a merged rule allows beyond what
//! was done (another value within the bounds) is what a reviewer has to look
//! at; each rule says how often and with which values it was needed.

use crate::inventory::{Inventory, Target};
use crate::names::{Handle, TargetId};
use crate::scope::Scope;
use crate::tag::{Tag, value_at};
use crate::value::{Bounds, Value};
use crate::vocabulary::has_places;
use dissect::{Access, AddressUnit, Area, Carriage, Class, Operation, Place, Protocol, Range};
use std::collections::BTreeMap;
use std::fmt;

/// Gathers operations of one person.
#[derive(Debug)]
pub struct Lessons<'a> {
    person: Handle,
    inventory: &'a Inventory,
    seen: BTreeMap<(TargetId, Kind), Seen>,
    left_out: BTreeMap<String, u64>,
    /// Addresses that are kept.
    kept: usize,
}

/// A rule that was learnt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Learnt {
    /// The line for `policy.csv`.
    pub rule: String,
    /// How many accesses needed it.
    pub count: u64,
    /// What a reviewer should know.
    pub remark: String,
}

/// All rules, and what no rule can allow.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Proposal {
    /// In the order of targets and actions.
    pub rules: Vec<Learnt>,
    /// What could not be learnt, with how often it was seen.
    pub left_out: Vec<(String, u64)>,
}

type Kind = (Protocol, Class, Option<u8>, Whereabouts);

/// Where something was done, as far as rules are told apart by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whereabouts {
    Whole,
    Area(AreaOrder),
    /// A name or an object, as an action has it.
    Named(String),
}

/// Areas have no order of their own.
type AreaOrder = (usize, u16);

/// What was done of one kind on a target.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    area: Option<Area>,
    addresses: BTreeMap<u32, Heard>,
    named: Heard,
    place: Option<Place>,
}

/// What was done at one address.
#[derive(Debug, Clone, Default)]
struct Heard {
    count: u64,
    values: Option<(Value, Value)>,
    /// A value that could not be told: no bound can be given.
    unknown: u64,
}

/// Units that tools address where there is only one device.
const USUAL_UNITS: [u8; 3] = [0, 1, 255];

/// So many addresses are kept of all that was done.
const KEPT: usize = 2_000_000;

impl<'a> Lessons<'a> {
    /// Nothing yet.
    pub fn new(person: Handle, inventory: &'a Inventory) -> Self {
        Self { person, inventory, seen: BTreeMap::new(), left_out: BTreeMap::new(), kept: 0 }
    }

    /// Takes note of an operation that was done.
    pub fn take(&mut self, target: &TargetId, operation: &Operation) {
        let Some(known) = self.inventory.target(target) else {
            return self.leave_out(format!("{target} is not in targets.toml"));
        };
        if known.services.values().all(|service| service.protocol != operation.protocol) {
            return self.leave_out(format!("{target} offers no {}", operation.protocol));
        }
        for access in &operation.accesses {
            match access.class {
                // They come with any grant.
                Class::Housekeeping | Class::Identify => {}
                Class::Unknown => {
                    self.leave_out(format!(
                        "{target}: {}, of which nobody knows the effect",
                        operation.function
                    ));
                }
                Class::Read
                | Class::Subscribe
                | Class::Write
                | Class::Control
                | Class::ProgramRead
                | Class::ProgramWrite
                | Class::FileRead
                | Class::FileWrite
                | Class::TimeSet
                | Class::Security
                | Class::Diagnostic
                | Class::Route
                | Class::Use => self.access(known, operation.protocol, access),
            }
        }
    }

    fn access(&mut self, target: &Target, protocol: Protocol, access: &Access) {
        let unit = access.unit.filter(|unit| !USUAL_UNITS.contains(unit));
        let whereabouts = match &access.place {
            None => Whereabouts::Whole,
            Some(Place::Range { area, .. }) => Whereabouts::Area(order(*area)),
            Some(place @ (Place::Name(_) | Place::Object(_))) => Whereabouts::Named(action_of(place)),
        };
        if self.kept > KEPT {
            return self.leave_out("more addresses than are kept".to_owned());
        }
        let seen =
            self.seen.entry((target.id.clone(), (protocol, access.class, unit, whereabouts))).or_default();
        seen.count = seen.count.saturating_add(1);
        match &access.place {
            None => {}
            Some(Place::Range { area, range }) => {
                let before = seen.addresses.len();
                seen.range(target, protocol, access, *area, *range);
                self.kept = self.kept.saturating_add(seen.addresses.len().saturating_sub(before));
            }
            Some(place @ (Place::Name(_) | Place::Object(_))) => {
                seen.named.count = seen.count;
                seen.place = Some(place.clone());
                if access.class == Class::Write {
                    for atom in elements(place) {
                        let tag = tag_of(target, protocol, access.unit, &atom);
                        seen.named.value(value_at(access, &atom, tag));
                    }
                }
            }
        }
    }

    fn leave_out(&mut self, why: String) {
        let count = self.left_out.entry(why).or_default();
        *count = count.saturating_add(1);
    }

    /// The rules.
    pub fn propose(self) -> Proposal {
        let mut rules = Vec::new();
        for ((target, kind), seen) in &self.seen {
            let Some(known) = self.inventory.target(target) else { continue };
            let head = format!("p, person:{}, {target}", self.person);
            rules.extend(seen.rules(&head, known, kind));
        }
        Proposal { rules, left_out: self.left_out.into_iter().collect() }
    }
}

/// A name element by element, as far as that is how it is judged.
fn elements(place: &Place) -> Vec<Place> {
    let Place::Name(name) = place else { return vec![place.clone()] };
    match name.elements().filter(|range| name.element(range.first()).is_some()) {
        Some(range) => (range.first()..=range.last())
            .take(usize::from(u16::MAX))
            .filter_map(|index| name.element(index))
            .map(Place::Name)
            .collect(),
        None => vec![place.clone()],
    }
}

fn order(area: Area) -> AreaOrder {
    let kind = Area::ALL.iter().position(|known| known.name() == area.name()).unwrap_or_default();
    (kind, area.number().unwrap_or_default())
}

/// `:symbol[Line]`, `:class[142.1]:service[7]`, as an action has it.
fn action_of(place: &Place) -> String {
    let scope = Scope { protocol: None, class: None, unit: None, place: Some(place.clone()), tag: None };
    let action = scope.to_string();
    action.strip_prefix('*').unwrap_or(&action).to_owned()
}

fn tag_of<'t>(target: &'t Target, protocol: Protocol, unit: Option<u8>, place: &Place) -> Option<&'t Tag> {
    target.tags.iter().find(|tag| {
        tag.protocol == protocol && tag.unit.is_none_or(|own| Some(own) == unit) && tag.place.covers(place)
    })
}

impl Heard {
    fn value(&mut self, value: Option<Value>) {
        let Some(value) = value else {
            self.unknown = self.unknown.saturating_add(1);
            return;
        };
        self.values = Some(join(self.values, (value, value)));
    }

    fn join(&mut self, other: &Self) {
        self.count = self.count.max(other.count);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.values = match (self.values, other.values) {
            (own, None) => own,
            (own, Some(other)) => Some(join(own, other)),
        };
    }

    /// The bounds of all values, if every one is known and they can be
    /// written.
    fn bounds(&self) -> Option<Bounds> {
        let (low, high) = self.values.filter(|_| self.unknown == 0)?;
        let text = |value: Value| match value {
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Double(value) => value.to_string(),
        };
        let bounds = Bounds::parse(&format!("{}..{}", text(low), text(high))).ok()?;
        (bounds.contain(low) && bounds.contain(high)).then_some(bounds)
    }

    fn learnt(&self, rule: &str) -> Learnt {
        let bounds = self.bounds();
        let condition = bounds.as_ref().map(|bounds| format!("value:{bounds}")).unwrap_or_default();
        let remark = match (self.values, self.unknown, bounds) {
            (_, 1.., _) => "a value that could not be told was written: no bounds are given".to_owned(),
            (Some(_), 0, None) => "the values are too long for bounds".to_owned(),
            (_, 0, _) => String::new(),
        };
        Learnt { rule: format!("{rule}, {condition}, allow"), count: self.count, remark }
    }
}

fn join(own: Option<(Value, Value)>, other: (Value, Value)) -> (Value, Value) {
    let Some((low, high)) = own else { return other };
    let less = |one: Value, other: Value| match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one < other,
        (Value::Float(one), Value::Float(other)) => one < other,
        (Value::Double(one), Value::Double(other)) => one < other,
        (Value::Integer(_) | Value::Float(_) | Value::Double(_), _) => false,
    };
    (if less(other.0, low) { other.0 } else { low }, if less(high, other.1) { other.1 } else { high })
}

impl Seen {
    fn range(&mut self, target: &Target, protocol: Protocol, access: &Access, area: Area, range: Range) {
        self.area = Some(area);
        for address in range.first()..=range.last() {
            let heard = self.addresses.entry(address).or_default();
            heard.count = heard.count.saturating_add(1);
            let Some(single) = Range::new(address, address) else { continue };
            let atom = Place::Range { area, range: single };
            let tag = tag_of(target, protocol, access.unit, &atom);
            // Without a type there is nothing that bounds could compare.
            let typed =
                tag.is_some_and(|tag| tag.value.is_some()) || (tag.is_none() && area == Area::Holding);
            if access.class == Class::Write && typed {
                heard.value(value_at(access, &atom, tag));
            }
        }
    }

    fn rules(&self, head: &str, target: &Target, kind: &Kind) -> Vec<Learnt> {
        let (protocol, class, unit, whereabouts) = kind;
        let unit_words = unit.map(|unit| format!(":unit[{unit}]")).unwrap_or_default();
        let head = format!("{head}, {protocol}:{class}");
        match whereabouts {
            Whereabouts::Whole => {
                let condition = match protocol.carriage() {
                    Carriage::Opaque => "opaque-accepted",
                    Carriage::Decoded => "",
                };
                let remark = if has_places(*protocol, *class) {
                    "the request says no place: only a rule for the whole class allows it"
                } else {
                    ""
                };
                let rule = format!("{head}{unit_words}, {condition}, allow");
                vec![Learnt { rule, count: self.count, remark: remark.to_owned() }]
            }
            Whereabouts::Named(place) => {
                let tag = self.place.as_ref().and_then(|place| tag_of(target, *protocol, *unit, place));
                match tag.filter(|tag| self.place.as_ref() == Some(&tag.place)) {
                    Some(tag) => vec![self.named.learnt(&format!("{head}:tag[{}]", tag.name))],
                    None => vec![self.named.learnt(&format!("{head}{place}"))],
                }
            }
            Whereabouts::Area(_) => self.runs(&head, &unit_words, target, kind),
        }
    }

    /// One rule for each run of neighbouring addresses of one tag, or of none.
    fn runs(&self, head: &str, unit_words: &str, target: &Target, kind: &Kind) -> Vec<Learnt> {
        let (protocol, _, unit, _) = kind;
        let Some(area) = self.area else { return Vec::new() };
        let mut runs: Vec<(Range, Option<&Tag>, Heard)> = Vec::new();
        for (address, heard) in &self.addresses {
            let Some(here) = Range::new(*address, *address) else { continue };
            let tag = tag_of(target, *protocol, unit.or(Some(1)), &Place::Range { area, range: here });
            match runs.last_mut() {
                Some((range, own, sum))
                    if range.last().checked_add(1) == Some(*address)
                        && own.map(|tag| &tag.name) == tag.map(|tag| &tag.name) =>
                {
                    *range = Range::new(range.first(), *address).unwrap_or(here);
                    sum.join(heard);
                }
                Some(_) | None => runs.push((here, tag, heard.clone())),
            }
        }
        let rule = |(range, tag, heard): (Range, Option<&Tag>, Heard)| {
            let place = Place::Range { area, range: whole_records(area, range) };
            let whole = tag.filter(|tag| tag.place == place && tag.unit == *unit);
            heard.learnt(&match whole {
                Some(tag) => format!("{head}:tag[{}]", tag.name),
                None => format!("{head}{unit_words}{}", action_of(&place)),
            })
        };
        runs.into_iter().map(rule).collect()
    }
}

/// In files a rule counts whole files.
fn whole_records(area: Area, range: Range) -> Range {
    match area.unit() {
        AddressUnit::Record => {
            let (first, last) = (range.first() & 0xFFFF_0000, range.last() | 0xFFFF);
            Range::new(first, last).unwrap_or(range)
        }
        AddressUnit::Bit | AddressUnit::Word | AddressUnit::BitOfByte | AddressUnit::Code => range,
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for learnt in &self.rules {
            let times = if learnt.count == 1 { "once".to_owned() } else { format!("{} times", learnt.count) };
            let remark =
                if learnt.remark.is_empty() { String::new() } else { format!("; {}", learnt.remark) };
            writeln!(formatter, "# seen {times}{remark}")?;
            writeln!(formatter, "{}", learnt.rule)?;
        }
        for (what, count) in &self.left_out {
            writeln!(formatter, "# left out, seen {count} times: {what}")?;
        }
        Ok(())
    }
}
