//! The compiled form of a grant's rules: per protocol, class and area a
//! sorted list of address segments, each with the rules that meet there.
//!
//! A range is judged by walking the segments that it crosses, never address
//! by address unless a rule compares values. Within a segment denies come
//! first, then allows, each in the order of the file. Finding the rules of an
//! address takes one lookup and one binary search and allocates nothing.

use crate::action::{areas, has_class};
use crate::condition::Predicate;
use crate::names::WindowName;
use crate::rules::Ruling;
use crate::tag::Tag;
use crate::terms::TermRule;
use crate::value::Bounds;
use dissect::{Area, Class, Protocol};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// The most rule references in all segments; beyond it there is no grant.
const MOST: usize = 2_000_000;

/// Rules by place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    /// Sorted, so that the tag of an address is found by binary search.
    tags: Vec<TagPlace>,
    /// In the order of the terms' rules.
    rules: Vec<Compiled>,
}

/// The segments of one area of one class; one segment at 0 where there are
/// no addresses.
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
    pub(crate) checks: Vec<Check>,
    pub(crate) number: usize,
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
        let place = |tag: &Tag| (tag.protocol, tag.area, tag.unit, tag.range.first());
        index.tags =
            tags.iter().enumerate().map(|(number, tag)| (place(tag), tag.range.last(), number)).collect();
        index.tags.sort();
        for (number, rule) in rules.iter().enumerate() {
            let checks = rule.predicates.iter().map(|predicate| check(predicate, windows));
            index.rules.push(Compiled {
                unit: rule.scope.unit,
                checks: checks.collect::<Result<_, _>>()?,
                number,
            });
        }
        let mut total = 0_usize;
        for protocol in Protocol::ALL {
            for class in Class::ALL {
                for place in std::iter::once(None).chain(Area::ALL.map(Some)) {
                    let slot = if exists(protocol, class, place) {
                        Slot::build(rules, protocol, class, place, &mut total)?
                    } else {
                        Slot::default()
                    };
                    index.slots.push(slot);
                }
            }
        }
        Ok(index)
    }

    /// The rules that meet at an address (0 where there are none).
    pub(crate) fn at(
        &self,
        protocol: Protocol,
        class: Class,
        area: Option<Area>,
        address: u32,
    ) -> Option<Meeting<'_>> {
        let slot = self.slots.get(position(protocol, class, area))?;
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

    fn rule(&self, number: u32) -> Option<&Compiled> {
        self.rules.get(usize::try_from(number).ok()?)
    }
}

/// Slots lie in the order in which `build` makes them.
fn position(protocol: Protocol, class: Class, area: Option<Area>) -> usize {
    let areas = Area::ALL.len() + 1;
    let place = area.map_or(0, |area| area as usize + 1);
    (protocol as usize * Class::ALL.len() + class as usize) * areas + place
}

fn exists(protocol: Protocol, class: Class, place: Option<Area>) -> bool {
    let areas = areas(protocol, class);
    has_class(protocol, class) && place.map_or(areas.is_empty(), |area| areas.contains(&area))
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
    fn build(
        rules: &[TermRule],
        protocol: Protocol,
        class: Class,
        place: Option<Area>,
        total: &mut usize,
    ) -> Result<Self, String> {
        let last = place.map_or(0, Area::last_address);
        // Ranks sort denies before allows and keep the order of the file.
        let mut ranked: Vec<(usize, &TermRule, u32, u32)> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            if let Some((from, to)) = reach(rule, protocol, class, place, last) {
                ranked.push((number, rule, from, to));
            }
        }
        ranked.sort_by_key(|(number, rule, ..)| (rule.ruling == Ruling::Allow, *number));
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

/// The addresses of a slot that a rule is about.
fn reach(
    rule: &TermRule,
    protocol: Protocol,
    class: Class,
    place: Option<Area>,
    last: u32,
) -> Option<(u32, u32)> {
    let scope = &rule.scope;
    let about =
        scope.protocol.is_none_or(|own| own == protocol) && scope.class.is_none_or(|own| own == class);
    match (scope.place, place) {
        _ if !about => None,
        (None, _) => Some((0, last)),
        (Some((area, range)), Some(place)) if area == place => Some((range.first(), range.last().min(last))),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut expected = 0;
        for protocol in Protocol::ALL {
            for class in Class::ALL {
                for place in std::iter::once(None).chain(Area::ALL.map(Some)) {
                    assert_eq!(position(protocol, class, place), expected, "{protocol}:{class}:{place:?}");
                    expected += 1;
                }
            }
        }
        assert_eq!(Index::build(&[], &[], &[]).unwrap().slots.len(), expected);
    }
}
