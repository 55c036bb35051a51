//! What a rule is about on one target, and the atoms that it may cover.
//!
//! A shorter action covers all longer ones. [`Scope`] is what the compiled
//! terms hold; [`covers`] is the same for Casbin, over text. Nothing here
//! panics on any text.

use crate::action::{Action, ActionPlace, Parts, areas, has_class, parse_number, parse_unit};
use crate::names::TagName;
use dissect::{Area, Class, Protocol, Range};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An action on a target of which the tags are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) class: Option<Class>,
    pub(crate) unit: Option<u8>,
    pub(crate) place: Option<(Area, Range)>,
    /// The tag that the place comes from.
    pub(crate) tag: Option<TagName>,
}

/// One single thing that an operation touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Atom {
    pub(crate) protocol: Protocol,
    pub(crate) class: Class,
    pub(crate) unit: Option<u8>,
    pub(crate) address: Option<(Area, u32)>,
    /// The tag that the address belongs to.
    pub(crate) tag: Option<TagName>,
}

impl Scope {
    /// Whether the atom lies within. The one definition of "covers" for
    /// Casbin; the compiled index is held equal to it by tests.
    pub(crate) fn covers(&self, atom: &Atom) -> bool {
        has_class(atom.protocol, atom.class)
            && is_judgeable(atom)
            && self.protocol.is_none_or(|protocol| protocol == atom.protocol)
            && self.class.is_none_or(|class| class == atom.class)
            && self.unit.is_none_or(|unit| Some(unit) == atom.unit)
            && match (self.place, atom.address) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some((area, range)), Some((atom_area, address))) => {
                    area == atom_area && range.first() <= address && address <= range.last()
                }
            }
    }
}

/// An atom of a class with addresses must have one, in an area of that class.
fn is_judgeable(atom: &Atom) -> bool {
    let areas = areas(atom.protocol, atom.class);
    match atom.address {
        None => areas.is_empty(),
        Some((area, _)) => areas.contains(&area),
    }
}

/// Casbin's `covers`: false for whatever is not an atom or not an action.
pub(crate) fn covers(atom: &str, action: &str) -> bool {
    let (Some(atom), Ok(action)) = (Atom::parse(atom), Action::parse(action)) else {
        return false;
    };
    let Action { protocol, class, unit, place } = action;
    let place = match place {
        ActionPlace::Anywhere => None,
        ActionPlace::Addresses(area, range) => Some((area, range)),
        // The atom's text says which tag its address belongs to.
        ActionPlace::Tag(tag) if atom.tag.as_ref() == Some(&tag) => None,
        ActionPlace::Tag(_) => return false,
    };
    Scope { protocol, class, unit, place, tag: None }.covers(&atom)
}

impl Atom {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = Parts::of(text);
        let protocol = Protocol::from_name(parts.next()?.1)?;
        let class = Class::from_name(parts.next()?.1)?;
        let mut atom = Self { protocol, class, unit: None, address: None, tag: None };
        for (at, word) in parts {
            if let Some(unit) = parse_unit(at, word).ok()? {
                atom.unit = Some(unit);
            } else if let Some(tag) = word.strip_prefix("tag[").and_then(|rest| rest.strip_suffix(']')) {
                atom.tag = Some(TagName::parse(tag).ok()?);
            } else {
                atom.address = Some(parse_address(word)?);
            }
        }
        Some(atom)
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.protocol, self.class)?;
        if let Some(unit) = self.unit {
            write!(formatter, ":unit[{unit}]")?;
        }
        match self.address {
            Some((Area::File, address)) => {
                write!(formatter, ":file[{}.{}]", address >> 16, address & 0xFFFF)?;
            }
            Some((area, address)) => write!(formatter, ":{area}[{address}]")?,
            None => {}
        }
        match &self.tag {
            Some(tag) => write!(formatter, ":tag[{tag}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.protocol.map_or("*", Protocol::name))?;
        if let Some(class) = self.class {
            write!(formatter, ":{class}")?;
        }
        if let Some(unit) = self.unit {
            write!(formatter, ":unit[{unit}]")?;
        }
        match self.place {
            None => {}
            Some((Area::File, range)) => {
                write!(formatter, ":file[{}-{}]", range.first() >> 16, range.last() >> 16)?;
            }
            Some((area, range)) => write!(formatter, ":{area}{range}")?,
        }
        match &self.tag {
            Some(tag) => write!(formatter, " ({tag})"),
            None => Ok(()),
        }
    }
}

fn parse_address(word: &str) -> Option<(Area, u32)> {
    let (name, inner) = word.strip_suffix(']')?.split_once('[')?;
    let area = Area::from_name(name)?;
    let address = match (area, inner.split_once('.')) {
        (Area::File, Some((file, record))) => {
            let half = |text| parse_number(text).filter(|number| *number <= 0xFFFF);
            half(file)? << 16 | half(record)?
        }
        (Area::Coil | Area::Discrete | Area::Input | Area::Holding, None) => parse_number(inner)?,
        (Area::File, None) | (Area::Coil | Area::Discrete | Area::Input | Area::Holding, Some(_)) => {
            return None;
        }
    };
    (address <= area.last_address()).then_some((area, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shorter_covers_longer_and_never_the_reverse() {
        let atom = "modbus:write:unit[3]:holding[40]:tag[pump]";
        for action in [
            "*",
            "*:write",
            "modbus",
            "modbus:write",
            "modbus:write:unit[3]",
            "modbus:write:holding",
            "modbus:write:holding[40]",
            "modbus:write:holding[0-40]",
            "modbus:write:tag[pump]",
        ] {
            assert!(covers(atom, action), "{action}");
        }
        for action in [
            "*:read",
            "tcp",
            "modbus:read",
            "modbus:write:unit[4]",
            "modbus:write:coil",
            "modbus:write:holding[41-50]",
            "modbus:write:holding[0-39]",
            "modbus:write:tag[other]",
        ] {
            assert!(!covers(atom, action), "{action}");
        }
    }

    #[test]
    fn nothing_covers_the_unknown_or_a_place_that_is_not_told() {
        for atom in ["modbus:unknown", "modbus:write:unit[1]", "modbus:write:unit[1]:input[3]", "modbus:use"]
        {
            assert!(!covers(atom, "*"), "{atom}");
        }
    }

    #[test]
    fn files_are_counted_whole() {
        assert!(covers("modbus:file-read:unit[1]:file[7.9999]", "modbus:file-read:file[7]"));
        assert!(!covers("modbus:file-read:unit[1]:file[8.0]", "modbus:file-read:file[7]"));
        assert!(covers("modbus:file-read:unit[1]:file[65535.65535]", "modbus:file-read:file"));
    }

    proptest! {
        #[test]
        fn no_text_panics(atom in "\\PC{0,40}", action in "\\PC{0,40}") {
            covers(&atom, &action);
        }

        #[test]
        fn near_misses_do_not_panic(text in "(modbus|tcp|\\*)(:[a-z]{0,9}(\\[[0-9ä.-]{0,9}\\]?)?){0,4}") {
            covers(&text, &text);
        }

        #[test]
        fn an_atom_reads_back(unit in any::<u8>(), address in any::<u16>(), area in 0..4_usize) {
            let atom = Atom {
                protocol: Protocol::Modbus,
                class: Class::Read,
                unit: Some(unit),
                address: Some((Area::ALL[area], u32::from(address))),
                tag: None,
            };
            prop_assert_eq!(Atom::parse(&atom.to_string()), Some(atom));
        }
    }
}
