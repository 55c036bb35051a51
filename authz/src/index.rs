//! The compiled form of a grant's rules: per protocol and class the rules that
//! can apply; for each area that a rule names, a sorted list of address
//! segments, each with the rules that meet there.
//!
//! A range is judged by walking the segments that it crosses, never address
//! by address unless a rule compares values. Within a segment denies come
//! first, then allows, each in the order of the file. Finding the rules of an
//! address takes two binary searches and allocates nothing. Names and objects
//! are compared rule by rule.

use crate::condition::Predicate;
use crate::names::WindowName;
use crate::rules::Ruling;
use crate::tag::Tag;
use crate::terms::TermRule;
use crate::value::Bounds;
use crate::vocabulary::has_class;
use dissect::{Area, Class, Place, Protocol};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// The most rule references in all segments; beyond it there is no grant.
const MOST: usize = 2_000_000;

/// Rules by place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// For each protocol the classes in their order.
    classes: Vec<OfClass>,
    /// Sorted, so that the tag of an address is found by binary search.
    tags: Vec<TagPlace>,
    /// The numbers of the tags that are names or attributes.
    named_tags: Vec<usize>,
    /// In the order of the terms' rules.
    rules: Vec<Compiled>,
}

/// The rules of a protocol's class.
#[derive(Debug, Clone, Default)]
struct OfClass {
    /// Those without a place; they hold in all areas that no rule names.
    anywhere: Slot,
    /// Sorted by area: what holds where a rule names the area.
    areas: Vec<(Area, Slot)>,
    /// Rule numbers, denies first: those without a place and those of a name
    /// or an object.
    named: Vec<u32>,
    /// Rule numbers of the denies that have a place.
    placed_denies: Vec<u32>,
}

/// The segments of one area, or a single one.
#[derive(Debug, Clone, Default)]
struct Slot {
    segments: Vec<Segment>,
    /// Rule numbers, referred to by segments.
    order: Vec<u32>,
}

/// Consecutive addresses at which the same rules meet.
#[derive(Debug, Clone)]
struct Segment {
    first: u32,
    last: u32,
    start: usize,
    denies_end: usize,
    end: usize,
    values: Values,
}

/// Whether any rule of a segment compares values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    Ignored,
    Compared,
}

/// Where a tag begins, and its number among the terms' tags. Tags of one unit
/// never overlap.
type TagPlace = ((Protocol, Area, Option<u8>, u32), u32, usize);

/// What judging needs of a rule.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) unit: Option<u8>,
    pub(crate) ruling: Ruling,
    pub(crate) checks: Vec<Check>,
    pub(crate) number: usize,
}

impl Compiled {
    /// Whether it compares values.
    pub(crate) fn has_value(&self) -> bool {
        self.checks.iter().any(|check| matches!(check, Check::Value(_)))
    }
}

/// A predicate with its window looked up.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// By its place among the terms' windows.
    Window(usize),
    From(IpNet),
    Webauthn,
    Value(Bounds),
}

/// The rules at some addresses.
pub(crate) struct Meeting<'a> {
    /// The last address at which the same rules meet.
    pub(crate) last: u32,
    pub(crate) values: Values,
    index: &'a Index,
    denies: &'a [u32],
    allows: &'a [u32],
}

impl<'a> Meeting<'a> {
    pub(crate) fn denies(&self) -> impl Iterator<Item = &'a Compiled> + use<'a> {
        let index = self.index;
        self.denies.iter().filter_map(|number| index.rule(*number))
    }

    pub(crate) fn allows(&self) -> impl Iterator<Item = &'a Compiled> + use<'a> {
        let index = self.index;
        self.allows.iter().filter_map(|number| index.rule(*number))
    }
}

impl Index {
    /// Compiles rules; refuses what would take unbounded memory.
    pub(crate) fn build(rules: &[TermRule], windows: &[WindowName], tags: &[Tag]) -> Result<Self, String> {
        let mut index = Self::default();
        for (number, tag) in tags.iter().enumerate() {
            match &tag.place {
                Place::Range { area, range } => {
                    let start = (tag.protocol, *area, tag.unit, range.first());
                    index.tags.push((start, range.last(), number));
                }
                Place::Name(_) | Place::Object(_) => index.named_tags.push(number),
            }
        }
        index.tags.sort();
        for (number, rule) in rules.iter().enumerate() {
            let checks = rule.predicates.iter().map(|predicate| check(predicate, windows));
            index.rules.push(Compiled {
                unit: rule.scope.unit,
                ruling: rule.ruling,
                checks: checks.collect::<Result<_, _>>()?,
                number,
            });
        }
        let mut total = 0_usize;
        for protocol in Protocol::ALL {
            for class in Class::ALL {
                let of_class = if has_class(protocol, class) {
                    OfClass::build(rules, protocol, class, &mut total)?
                } else {
                    OfClass::default()
                };
                index.classes.push(of_class);
            }
        }
        Ok(index)
    }

    /// The rules that meet at an address of an area, or where there is none.
    pub(crate) fn at(
        &self,
        protocol: Protocol,
        class: Class,
        area: Option<Area>,
        address: u32,
    ) -> Option<Meeting<'_>> {
        let of_class = self.classes.get(position(protocol, class))?;
        let slot = area.and_then(|area| of_class.area(area)).unwrap_or(&of_class.anywhere);
        let number = slot.segments.partition_point(|segment| segment.last < address);
        let segment = slot.segments.get(number).filter(|segment| segment.first <= address)?;
        Some(Meeting {
            last: segment.last,
            values: segment.values,
            index: self,
            denies: slot.order.get(segment.start..segment.denies_end)?,
            allows: slot.order.get(segment.denies_end..segment.end)?,
        })
    }

    /// The rules that may apply to names and objects, denies first.
    pub(crate) fn named(&self, protocol: Protocol, class: Class) -> impl Iterator<Item = &Compiled> {
        let of_class = self.classes.get(position(protocol, class));
        of_class.into_iter().flat_map(|of_class| &of_class.named).filter_map(|number| self.rule(*number))
    }

    /// The denies of a class that have a place.
    pub(crate) fn placed_denies(&self, protocol: Protocol, class: Class) -> impl Iterator<Item = &Compiled> {
        let of_class = self.classes.get(position(protocol, class));
        let denies = of_class.into_iter().flat_map(|of_class| &of_class.placed_denies);
        denies.filter_map(|number| self.rule(*number))
    }

    /// The number of the tag that an address belongs to.
    pub(crate) fn tag(
        &self,
        protocol: Protocol,
        unit: Option<u8>,
        area: Area,
        address: u32,
    ) -> Option<usize> {
        let within = |unit: Option<u8>| {
            let place = (protocol, area, unit, address);
            let after = self.tags.partition_point(|(start, ..)| *start <= place);
            let (start, last, number) = self.tags.get(after.checked_sub(1)?)?;
            let same = (start.0, start.1, start.2) == (protocol, area, unit);
            (same && address <= *last).then_some(*number)
        };
        within(None).or_else(|| within(Some(unit?)))
    }

    /// The numbers of the tags that are names or attributes.
    pub(crate) fn named_tags(&self) -> impl Iterator<Item = usize> {
        self.named_tags.iter().copied()
    }

    fn rule(&self, number: u32) -> Option<&Compiled> {
        self.rules.get(usize::try_from(number).ok()?)
    }
}

/// Classes lie in the order in which `build` makes them.
fn position(protocol: Protocol, class: Class) -> usize {
    protocol as usize * Class::ALL.len() + class as usize
}

impl OfClass {
    fn build(
        rules: &[TermRule],
        protocol: Protocol,
        class: Class,
        total: &mut usize,
    ) -> Result<Self, String> {
        let about = |rule: &TermRule| {
            rule.scope.protocol.is_none_or(|own| own == protocol)
                && rule.scope.class.is_none_or(|own| own == class)
        };
        let ranked = ranked(rules, about);
        let areas: BTreeSet<Area> = ranked.iter().filter_map(|(_, rule)| Some(own_area(rule)?.0)).collect();
        let mut of_class = Self { anywhere: Slot::build(&ranked, None, total)?, ..Self::default() };
        for area in areas {
            of_class.areas.push((area, Slot::build(&ranked, Some(area), total)?));
        }
        for (number, rule) in &ranked {
            let number = u32::try_from(*number).unwrap_or(u32::MAX);
            if own_area(rule).is_none() {
                of_class.named.push(number);
            }
            if rule.ruling == Ruling::Deny && rule.scope.place.is_some() {
                of_class.placed_denies.push(number);
            }
        }
        Ok(of_class)
    }

    fn area(&self, area: Area) -> Option<&Slot> {
        let found = self.areas.binary_search_by_key(&area, |(area, _)| *area).ok()?;
        self.areas.get(found).map(|(_, slot)| slot)
    }
}

/// Rules with their numbers, denies before allows, else in the order of the
/// file.
fn ranked(rules: &[TermRule], about: impl Fn(&TermRule) -> bool) -> Vec<(usize, &TermRule)> {
    let mut ranked: Vec<_> = rules.iter().enumerate().filter(|(_, rule)| about(rule)).collect();
    ranked.sort_by_key(|(number, rule)| (rule.ruling == Ruling::Allow, *number));
    ranked
}

/// The area of a rule with the addresses in it.
fn own_area(rule: &TermRule) -> Option<(Area, u32, u32)> {
    match &rule.scope.place {
        Some(Place::Range { area, range }) => Some((*area, range.first(), range.last())),
        Some(Place::Name(_) | Place::Object(_)) | None => None,
    }
}

fn check(predicate: &Predicate, windows: &[WindowName]) -> Result<Check, String> {
    match predicate {
        Predicate::Window(window) => windows
            .iter()
            .position(|name| name == window)
            .map(Check::Window)
            .ok_or_else(|| format!("window {window} has no times")),
        Predicate::From(network) => Ok(Check::From(*network)),
        Predicate::Webauthn => Ok(Check::Webauthn),
        Predicate::Value(bounds) => Ok(Check::Value(*bounds)),
    }
}

impl Slot {
    /// The rules without a place and, in `area`, those of it.
    fn build(ranked: &[(usize, &TermRule)], area: Option<Area>, total: &mut usize) -> Result<Self, String> {
        let last = area.map_or(u32::MAX, Area::last_address);
        let reach = |(number, rule): &(usize, &TermRule)| match (&rule.scope.place, own_area(rule)) {
            (None, _) => Some((*number, 0, last)),
            (Some(_), Some((own, first, to))) if area == Some(own) => Some((*number, first, to.min(last))),
            (Some(_), _) => None,
        };
        let ranked: Vec<(usize, &TermRule, u32, u32)> = ranked
            .iter()
            .filter_map(|entry| reach(entry).map(|(number, from, to)| (number, entry.1, from, to)))
            .collect();
        let mut changes: BTreeMap<u64, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (rank, (_, _, from, to)) in ranked.iter().enumerate() {
            changes.entry(u64::from(*from)).or_default().0.push(rank);
            changes.entry(u64::from(*to).saturating_add(1)).or_default().1.push(rank);
        }
        let mut slot = Self::default();
        let mut active: BTreeSet<usize> = BTreeSet::new();
        let starts: Vec<u64> = changes.keys().copied().collect();
        for ((start, (begin, end)), next) in changes.iter().zip(starts.iter().skip(1)) {
            end.iter().for_each(|rank| {
                active.remove(rank);
            });
            active.extend(begin);
            *total = total.saturating_add(active.len());
            if *total > MOST {
                return Err(format!("more than {MOST} rules meet at the same addresses"));
            }
            slot.push(*start, next.saturating_sub(1), active.iter().filter_map(|rank| ranked.get(*rank)));
        }
        Ok(slot)
    }

    fn push<'a>(
        &mut self,
        first: u64,
        last: u64,
        rules: impl Iterator<Item = &'a (usize, &'a TermRule, u32, u32)>,
    ) {
        let start = self.order.len();
        let mut denies_end = start;
        let mut values = Values::Ignored;
        for (number, rule, ..) in rules {
            self.order.push(u32::try_from(*number).unwrap_or(u32::MAX));
            if rule.ruling == Ruling::Deny {
                denies_end = self.order.len();
            }
            if rule.predicates.iter().any(Predicate::is_value) {
                values = Values::Compared;
            }
        }
        let end = self.order.len();
        let narrow = |address| u32::try_from(address).unwrap_or(u32::MAX);
        if end > start {
            self.segments.push(Segment {
                first: narrow(first),
                last: narrow(last),
                start,
                denies_end,
                end,
                values,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_a_protocol_has_a_position_of_its_own() {
        let mut expected = 0;
        for protocol in Protocol::ALL {
            for class in Class::ALL {
                assert_eq!(position(protocol, class), expected, "{protocol}:{class}");
                expected += 1;
            }
        }
        assert_eq!(Index::build(&[], &[], &[]).unwrap().classes.len(), expected);
    }
}
