//! Cells in words.

use super::Cell;
use super::cells::{Spot, Unit};
use crate::inventory::Target;
use crate::scope::Scope;
use crate::vocabulary::has_places;
use dissect::{Area, Class, Place, Protocol, Range};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Cells gathered to be told together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    spots: BTreeMap<(Protocol, Class, Unit), Vec<Spot>>,
}

impl Places {
    /// All of these.
    pub(crate) fn of(cells: &[Cell]) -> Self {
        let mut places = Self::default();
        cells.iter().for_each(|cell| places.add(cell));
        places
    }

    pub(crate) fn add(&mut self, cell: &Cell) {
        let spots = self.spots.entry((cell.protocol, cell.class, cell.unit)).or_default();
        if let (Spot::Range(area, range), Some(Spot::Range(last_area, last))) = (&cell.spot, spots.last_mut())
            && area == last_area
            && last.last().checked_add(1) == Some(range.first())
        {
            *last = Range::new(last.first(), range.last()).unwrap_or(*range);
            return;
        }
        spots.push(cell.spot.clone());
    }

    /// One action for each of them, with the addresses' names on a target. A
    /// class of which everything is there that `all` has is told as a whole.
    pub(crate) fn actions(&self, target: &Target, all: &Self) -> Vec<String> {
        let mut actions = Vec::new();
        for (key, spots) in &self.spots {
            let (protocol, class, unit) = key;
            let head = format!("{protocol}:{class}{}", unit_words(*unit));
            if all.spots.get(key) == Some(spots) {
                actions.push(head);
                continue;
            }
            actions.extend(
                spots.iter().map(|spot| format!("{head}{}", spot_words(*protocol, *class, spot, target))),
            );
        }
        actions
    }
}

fn unit_words(unit: Unit) -> String {
    match unit {
        Unit::Any => String::new(),
        Unit::One(unit) => format!(":unit[{unit}]"),
        Unit::Other(_) => ":unit[any other]".to_owned(),
    }
}

fn spot_words(protocol: Protocol, class: Class, spot: &Spot, target: &Target) -> String {
    match spot {
        Spot::Whole if has_places(protocol, class) => " (where the request says no place)".to_owned(),
        Spot::Whole => String::new(),
        Spot::Range(area, range) => format!(":{}", range_words(*area, *range, target)),
        Spot::Named(place) => {
            let scope =
                Scope { protocol: None, class: None, unit: None, place: Some(place.clone()), tag: None };
            let action = scope.to_string();
            format!("{}{}", action.strip_prefix('*').unwrap_or(&action), beside(None, place, target))
        }
        Spot::Others(Place::Range { area, .. }) => format!(":any other {}", area.name()),
        Spot::Others(Place::Name(name)) => format!(":any other {}", name.kind().word()),
        Spot::Others(Place::Object(_)) => ":any other object".to_owned(),
    }
}

/// `holding[100-199] (40101-40200, press_force)`.
fn range_words(area: Area, range: Range, target: &Target) -> String {
    if range.first() == 0 && range.last() == area.last_address() {
        return area.to_string();
    }
    let place = Place::Range { area, range };
    format!("{place}{}", beside(modicon(area, range), &place, target))
}

/// What is good to know about a place, in brackets.
fn beside(numbers: Option<String>, place: &Place, target: &Target) -> String {
    let tags = target.tags.iter().filter(|tag| tag.place.covers(place)).map(|tag| tag.name.to_string());
    let beside: Vec<String> = numbers.into_iter().chain(tags).collect();
    if beside.is_empty() { String::new() } else { format!(" ({})", beside.join(", ")) }
}

/// The numbers that engineering tools show for Modbus addresses: counted from
/// one behind the area's digit, five digits as long as they suffice, else six.
fn modicon(area: Area, range: Range) -> Option<String> {
    let digit = match area {
        Area::Coil => 0,
        Area::Discrete => 1,
        Area::Input => 3,
        Area::Holding => 4,
        Area::File
        | Area::Umas
        | Area::DataBlock(_)
        | Area::InstanceBlock(_)
        | Area::Inputs
        | Area::Outputs
        | Area::Merkers
        | Area::Peripheral
        | Area::Local
        | Area::Counters
        | Area::Timers => return None,
    };
    let width = if range.last() < 9999 { 4 } else { 5 };
    let number = |address: u32| format!("{digit}{:0width$}", address.saturating_add(1));
    let (first, last) = (number(range.first()), number(range.last()));
    Some(if first == last { first } else { format!("{first}-{last}") })
}

/// A moment in a time zone, to the second.
pub(crate) fn zoned(at: Timestamp, zone: &TimeZone) -> String {
    at.round(jiff::Unit::Second).unwrap_or(at).to_zoned(zone.clone()).to_string()
}
