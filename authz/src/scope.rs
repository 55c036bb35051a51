//! What a rule is about on one target, and the atoms that it may cover.
//!
//! A shorter action covers all longer ones. [`Scope`] is what the compiled
//! terms hold; [`covers`] is the same for Casbin, over text. Nothing here
//! panics on any text.

use crate::action::{Action, ActionPlace, Parts, parse_place, parse_service, parse_unit};
use crate::names::TagName;
use crate::vocabulary::{has_class, needs_place, touches};
use dissect::{Class, Place, Protocol};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An action on a target of which the tags are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) class: Option<Class>,
    pub(crate) unit: Option<u8>,
    pub(crate) place: Option<Place>,
    /// The tag that the place comes from.
    pub(crate) tag: Option<TagName>,
}

/// One single thing that an operation touches: an address, or a name or an
/// object as the request has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Atom {
    pub(crate) protocol: Protocol,
    pub(crate) class: Class,
    pub(crate) unit: Option<u8>,
    pub(crate) place: Option<Place>,
    /// The tag that the place belongs to.
    pub(crate) tag: Option<TagName>,
}

impl Scope {
    /// Whether the atom lies within. The one definition of "covers" for
    /// Casbin; the compiled index is held equal to it by tests.
    pub(crate) fn covers(&self, atom: &Atom) -> bool {
        is_judgeable(atom.protocol, atom.class, atom.place.as_ref())
            && self.protocol.is_none_or(|protocol| protocol == atom.protocol)
            && self.class.is_none_or(|class| class == atom.class)
            && self.unit.is_none_or(|unit| Some(unit) == atom.unit)
            && match (&self.place, &atom.place) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(own), Some(touched)) => own.covers(touched),
            }
    }
}

/// Whether any rule can be about such an access: one of a class that exists,
/// in a place that the class can have, and in one at all where it has to be.
pub(crate) fn is_judgeable(protocol: Protocol, class: Class, place: Option<&Place>) -> bool {
    has_class(protocol, class)
        && match place {
            None => !needs_place(protocol, class),
            Some(place) => touches(protocol, class, place),
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
        ActionPlace::Place(place) => Some(place),
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
        let mut atom = Self { protocol, class, unit: None, place: None, tag: None };
        for (at, word) in parts {
            if let Some(unit) = parse_unit(at, word).ok()? {
                atom.unit = Some(unit);
            } else if let Some(tag) = word.strip_prefix("tag[").and_then(|rest| rest.strip_suffix(']')) {
                atom.tag = Some(TagName::parse(tag).ok()?);
            } else if let (Some(Place::Object(object)), Some(service)) =
                (&mut atom.place, parse_service(at, word).ok()?)
            {
                object.service = Some(service);
            } else {
                atom.place = Some(parse_place(protocol, at, word).ok().filter(is_single)?);
            }
        }
        Some(atom)
    }
}

/// An area of several addresses is several atoms.
fn is_single(place: &Place) -> bool {
    match place {
        Place::Range { range, .. } => range.first() == range.last(),
        Place::Name(_) | Place::Object(_) => true,
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.protocol, self.class)?;
        if let Some(unit) = self.unit {
            write!(formatter, ":unit[{unit}]")?;
        }
        if let Some(place) = &self.place {
            write_place(formatter, place)?;
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
        if let Some(place) = &self.place {
            write_place(formatter, place)?;
        }
        match &self.tag {
            Some(tag) => write!(formatter, " ({tag})"),
            None => Ok(()),
        }
    }
}

/// A place in the words of actions.
fn write_place(formatter: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
    write!(formatter, ":{place}")?;
    match place {
        Place::Object(object) => {
            object.service.map_or(Ok(()), |service| write!(formatter, ":service[{service}]"))
        }
        Place::Range { .. } | Place::Name(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dissect::{Area, Range};
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
    fn bytes_of_s7_cover_their_bits_and_a_bit_covers_itself() {
        let atom = "s7:write:db12[4.3]";
        for action in ["s7", "*:write", "s7:write:db12", "s7:write:db12[0-63]", "s7:write:db12[4]", atom] {
            assert!(covers(atom, action), "{action}");
        }
        for action in ["s7:read", "s7:write:db1[4]", "s7:write:db12[5-9]", "s7:write:db12[4.4]", "s7:write:m"]
        {
            assert!(!covers(atom, action), "{action}");
        }
        // An atom is a single bit.
        assert!(!covers("s7:write:db12[4]", "s7:write:db12[4]"));
        // Where it writes is not told, so only a rule for all writes covers it.
        assert!(covers("s7:write", "s7:write") && !covers("s7:write", "s7:write:db12"));
    }

    #[test]
    fn names_and_objects_of_cip_cover_their_parts() {
        let atom = "enip:write:symbol[Line[2].Speed]";
        for action in ["enip:write", "enip:write:symbol[LINE]", "enip:write:symbol[line[0-3].speed]", atom] {
            assert!(covers(atom, action), "{action}");
        }
        for action in ["enip:write:symbol[Lin]", "enip:write:symbol[Line[3]]", "enip:write:table[2]"] {
            assert!(!covers(atom, action), "{action}");
        }
        let atom = "enip:control:class[142.1]:service[7]";
        for action in ["enip:control:class[142]", "enip:control:class[142.1]", atom] {
            assert!(covers(atom, action), "{action}");
        }
        for action in ["enip:control:class[142.2]", "enip:control:class[142.1]:service[6]"] {
            assert!(!covers(atom, action), "{action}");
        }
        assert!(covers("enip:read:symbol[Program:Main.A]", "enip:read:symbol[Program:Main]"));
        assert!(!covers("enip:route:path[1.5]", "enip:route:path[1.6]"));
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
        fn near_misses_do_not_panic(
            text in "(modbus|tcp|s7|enip|\\*)(:(write|symbol|class|db1|[a-z]{0,9})(\\[[0-9ä.,\\[-]{0,9}\\]{0,2})?){0,4}",
        ) {
            covers(&text, &text);
        }

        #[test]
        fn an_atom_reads_back(unit in any::<u8>(), address in any::<u16>(), area in 0..4_usize) {
            let atom = Atom {
                protocol: Protocol::Modbus,
                class: Class::Read,
                unit: Some(unit),
                place: Some(Place::Range {
                    area: Area::ALL[area],
                    range: Range::new(address.into(), address.into()).unwrap(),
                }),
                tag: None,
            };
            prop_assert_eq!(Atom::parse(&atom.to_string()), Some(atom));
        }
    }
}
