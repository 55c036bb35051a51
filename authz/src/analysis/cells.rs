//! Places of a target at which the same rules meet.

use super::Standing;
use crate::condition::Predicate;
use crate::scope::{Atom, Scope};
use crate::tag::Tag;
use crate::vocabulary::{areas, has_class, has_objects, names, needs_place};
use dissect::{Area, Class, Name, NameKind, NumberKind, Object, Place, Protocol, Range};
use std::collections::BTreeSet;

/// One class of operations at a spot, where the same rules meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) protocol: Protocol,
    pub(crate) class: Class,
    pub(crate) unit: Unit,
    pub(crate) spot: Spot,
}

/// Where in the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The class has no places, or the request says none.
    Whole,
    /// Consecutive addresses that have the same rules.
    Range(Area, Range),
    /// A name, or an object, as rules and tags have it.
    Named(Place),
    /// All others of a kind, with an example: data blocks, symbols, objects.
    Others(Place),
}

/// Which devices behind a serial gateway a cell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    /// No rule tells them apart, or the protocol has none.
    Any,
    /// This one.
    One(u8),
    /// All that no rule names; an example.
    Other(u8),
}

/// The numbers that a place can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Domain {
    /// Whole numbers between two bounds.
    Integer(i128, i128),
    /// IEEE 754 binary32.
    Float,
    /// IEEE 754 binary64.
    Double,
    /// Whatever the request says; the device checks it.
    Wire,
    /// Nothing that could be compared.
    None,
}

impl Cell {
    /// The part of the cell that is about one unit; the whole for `None`.
    pub(crate) fn of_unit(self, unit: Option<u8>) -> Option<Self> {
        match (unit, self.unit) {
            (None, _) => Some(self),
            (Some(unit), Unit::Any) => Some(Self { unit: Unit::One(unit), ..self }),
            (Some(unit), Unit::One(own)) => (own == unit).then_some(self),
            (Some(unit), Unit::Other(_)) => Some(Self { unit: Unit::Other(unit), ..self }),
        }
    }

    /// Whether rules name this very unit.
    pub(crate) fn is_exactly(&self, unit: u8) -> bool {
        self.unit == Unit::One(unit)
    }

    /// Whether an atom lies within.
    #[cfg(test)]
    pub(crate) fn has(
        &self,
        protocol: Protocol,
        class: Class,
        unit: Option<u8>,
        atom: Option<&Place>,
    ) -> bool {
        let here = match (&self.spot, atom) {
            (Spot::Whole, None) => true,
            (Spot::Range(area, range), Some(Place::Range { area: own, range: touched })) => {
                area == own && range.contains(*touched)
            }
            (Spot::Named(place), Some(atom)) => place == atom,
            (Spot::Whole | Spot::Range(..) | Spot::Named(_) | Spot::Others(_), _) => false,
        };
        let unit = match self.unit {
            Unit::Any | Unit::Other(_) => true,
            Unit::One(own) => Some(own) == unit,
        };
        self.protocol == protocol && self.class == class && unit && here
    }

    /// An atom within; every other one of the cell meets the same rules.
    pub(crate) fn atom(&self) -> Atom {
        let unit = match self.unit {
            Unit::Any => 1,
            Unit::One(unit) | Unit::Other(unit) => unit,
        };
        // No other protocol has units.
        let unit = (self.protocol == Protocol::Modbus).then_some(unit);
        let place = match &self.spot {
            Spot::Whole => None,
            Spot::Range(area, range) => {
                Range::new(range.first(), range.first()).map(|range| Place::Range { area: *area, range })
            }
            Spot::Named(place) | Spot::Others(place) => Some(place.clone()),
        };
        Atom { protocol: self.protocol, class: self.class, unit, place, tag: None }
    }

    /// Where the access may be, as a place.
    fn place(&self) -> Option<Place> {
        match &self.spot {
            Spot::Whole => None,
            Spot::Range(area, range) => Some(Place::Range { area: *area, range: *range }),
            Spot::Named(place) | Spot::Others(place) => Some(place.clone()),
        }
    }
}

/// All cells of the standings' targets, in the order of listings.
pub(crate) fn cells(standings: &[&Standing<'_>]) -> Vec<Cell> {
    let protocols: BTreeSet<Protocol> = standings
        .iter()
        .flat_map(|standing| standing.target.services.values().map(|service| service.protocol))
        .collect();
    let mut cells = Vec::new();
    for protocol in protocols {
        for class in Class::ALL.into_iter().filter(|class| has_class(protocol, *class)) {
            let about = scopes(standings, protocol, class);
            let tags = value_tags(standings, protocol, class);
            let spots = spots(protocol, class, &about, &tags);
            for unit in units(&about, &tags) {
                let cell = |spot: &Spot| Cell { protocol, class, unit, spot: spot.clone() };
                cells.extend(spots.iter().map(cell));
            }
        }
    }
    cells
}

fn scopes<'a>(standings: &'a [&Standing<'_>], protocol: Protocol, class: Class) -> Vec<&'a Scope> {
    let scopes = standings.iter().flat_map(|standing| standing.rules.iter().map(|(_, scope)| scope));
    scopes
        .filter(|scope| {
            scope.protocol.is_none_or(|own| own == protocol) && scope.class.is_none_or(|own| own == class)
        })
        .collect()
}

/// Tags divide cells only where rules compare the values in them.
fn value_tags<'a>(standings: &[&'a Standing<'_>], protocol: Protocol, class: Class) -> Vec<&'a Tag> {
    let compared = |standing: &&&Standing<'_>| {
        standing.rules.iter().any(|(rule, _)| rule.condition.predicates.iter().any(Predicate::is_value))
    };
    if class != Class::Write {
        return Vec::new();
    }
    let standings = standings.iter().filter(compared);
    standings.flat_map(|standing| &standing.target.tags).filter(|tag| tag.protocol == protocol).collect()
}

fn units(about: &[&Scope], tags: &[&Tag]) -> Vec<Unit> {
    let of_tags = tags.iter().filter_map(|tag| tag.unit);
    let named: BTreeSet<u8> = about.iter().filter_map(|scope| scope.unit).chain(of_tags).collect();
    if named.is_empty() {
        return vec![Unit::Any];
    }
    let other = (0..=u8::MAX).find(|unit| !named.contains(unit)).map(Unit::Other);
    named.into_iter().map(Unit::One).chain(other).collect()
}

fn spots(protocol: Protocol, class: Class, about: &[&Scope], tags: &[&Tag]) -> Vec<Spot> {
    let of_rules = about.iter().filter_map(|scope| scope.place.as_ref());
    let places: Vec<&Place> = of_rules.chain(tags.iter().map(|tag| &tag.place)).collect();
    let mut spots = Vec::new();
    if !needs_place(protocol, class) {
        spots.push(Spot::Whole);
    }
    for kind in areas(protocol, class) {
        for (area, example) in areas_of(*kind, &places) {
            match example {
                Example::Itself => {
                    spots.extend(ranges(&places, area).into_iter().map(|range| Spot::Range(area, range)));
                }
                Example::OfOthers => {
                    spots.extend(Range::new(0, 0).map(|range| Spot::Others(Place::Range { area, range })))
                }
            }
        }
    }
    for kind in names(protocol, class) {
        spots.extend(named(*kind, &places));
    }
    if has_objects(protocol, class) {
        spots.extend(objects(&places));
    }
    spots
}

/// Whether an area is looked at itself or stands for all others of its kind.
#[derive(Clone, Copy)]
enum Example {
    Itself,
    OfOthers,
}

/// An area, or of numbered ones all that are named and one that is not.
fn areas_of(kind: Area, places: &[&Place]) -> Vec<(Area, Example)> {
    if kind.number().is_none() {
        return vec![(kind, Example::Itself)];
    }
    let here = places.iter().filter_map(|place| match place {
        Place::Range { area, .. } if area.name() == kind.name() => area.number(),
        Place::Range { .. } | Place::Name(_) | Place::Object(_) => None,
    });
    let known: BTreeSet<u16> = here.collect();
    let other = (1..=u16::MAX).find(|number| !known.contains(number));
    let known = known.into_iter().map(|number| (kind.with_number(number), Example::Itself));
    known.chain(other.map(|number| (kind.with_number(number), Example::OfOthers))).collect()
}

fn ranges(places: &[&Place], area: Area) -> Vec<Range> {
    let last = area.last_address();
    let mut starts = BTreeSet::from([0]);
    for place in places {
        if let Place::Range { area: own, range } = place
            && *own == area
        {
            starts.insert(range.first());
            starts.extend(range.last().checked_add(1));
        }
    }
    let starts: Vec<u32> = starts.into_iter().filter(|start| *start <= last).collect();
    let ends = starts.iter().skip(1).map(|start| start.saturating_sub(1)).chain([last]);
    starts.iter().zip(ends).filter_map(|(start, end)| Range::new(*start, end)).collect()
}

/// Names as rules have them, the elements at their edges, and another one.
fn named(kind: NameKind, places: &[&Place]) -> Vec<Spot> {
    let all: Vec<&Name> = places
        .iter()
        .filter_map(|place| match place {
            Place::Name(name) if name.kind() == kind => Some(name),
            Place::Name(_) | Place::Range { .. } | Place::Object(_) => None,
        })
        .collect();
    let mut spots: Vec<Spot> = Vec::new();
    let mut add = |name: Name| {
        let spot = Spot::Named(Place::Name(name));
        if !spots.contains(&spot) {
            spots.push(spot);
        }
    };
    let edges: BTreeSet<u32> = all
        .iter()
        .filter_map(|name| name.elements())
        .flat_map(|range| {
            [
                Some(range.first()),
                Some(range.last()),
                range.last().checked_add(1),
                range.first().checked_sub(1),
            ]
        })
        .flatten()
        .collect();
    for name in all {
        add(name.clone());
        edges.iter().filter_map(|edge| name.element(*edge)).for_each(&mut add);
    }
    let other = match kind {
        NameKind::Symbol => "Any_other_name_0",
        NameKind::Table => "65535[0]",
        NameKind::Path => "255.255",
    };
    spots.extend(Name::parse(kind, other).ok().map(|name| Spot::Others(Place::Name(name))));
    spots
}

fn objects(places: &[&Place]) -> Vec<Spot> {
    let all = places.iter().filter_map(|place| match place {
        Place::Object(object) => Some(*object),
        Place::Range { .. } | Place::Name(_) => None,
    });
    let all: BTreeSet<Object> = all.collect();
    let other = (1..u32::MAX).find(|class| all.iter().all(|object| object.class != *class));
    let other = other.map(|class| Object { class, instance: Some(1), attribute: Some(1), service: Some(1) });
    let spots = all.into_iter().map(|object| Spot::Named(Place::Object(object)));
    spots.chain(other.map(|object| Spot::Others(Place::Object(object)))).collect()
}

/// What numbers a write into the cell can carry.
pub(crate) fn domain(cell: &Cell, standing: &Standing<'_>) -> Domain {
    let Some(place) = cell.place().filter(|_| cell.class == Class::Write) else { return Domain::None };
    let unit = cell.atom().unit;
    let tag = standing.target.tags.iter().find(|tag| {
        tag.protocol == cell.protocol
            && tag.unit.is_none_or(|own| Some(own) == unit)
            && tag.place.covers(&place)
    });
    let told = tag.map(|tag| tag.value.map(|value| value.kind));
    match (told, &place) {
        (Some(Some(kind)), _) => of_kind(kind),
        (None, Place::Range { area: Area::Holding, .. }) => of_kind(NumberKind::U16),
        (Some(None) | None, Place::Range { .. }) => Domain::None,
        (Some(None) | None, Place::Name(_) | Place::Object(_)) => Domain::Wire,
    }
}

fn of_kind(kind: NumberKind) -> Domain {
    match kind {
        NumberKind::Bool => Domain::Integer(0, 1),
        NumberKind::U8 => Domain::Integer(0, u8::MAX.into()),
        NumberKind::I8 => Domain::Integer(i8::MIN.into(), i8::MAX.into()),
        NumberKind::U16 => Domain::Integer(0, u16::MAX.into()),
        NumberKind::I16 => Domain::Integer(i16::MIN.into(), i16::MAX.into()),
        NumberKind::U32 => Domain::Integer(0, u32::MAX.into()),
        NumberKind::I32 => Domain::Integer(i32::MIN.into(), i32::MAX.into()),
        NumberKind::U64 => Domain::Integer(0, u64::MAX.into()),
        NumberKind::I64 => Domain::Integer(i64::MIN.into(), i64::MAX.into()),
        NumberKind::F32 => Domain::Float,
        NumberKind::F64 => Domain::Double,
    }
}
