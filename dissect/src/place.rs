//! Where in a device an access takes place, and what a place of a rule covers.
//!
//! A place is numbers within an area, a name, or an object by its numbers. The
//! same types serve an access and the place that a rule names; the words here
//! are those of policy actions:
//!
//! | action | about |
//! |---|---|
//! | `modbus:write:holding[100-199]` | numbered addresses |
//! | `enip:write:symbol[Conveyor.Speed]` | a tag, or a member of one |
//! | `enip:write:symbol[Line[0-3].Data[0-9]]` | elements of arrays |
//! | `enip:read:table[7[0-9]]` | a file of a PCCC data table |
//! | `enip:write:class[4]`, `class[4.100]`, `class[4.100.3]` | a CIP class, an instance of it, an attribute |
//! | `enip:control:class[142.1]:service[7]` | one service of an object |
//! | `enip:route:path[1.5]` | requests aimed through the device, by the way they take |
//!
//! [`Place::covers`] is for rules that allow, [`Place::overlaps`] for rules
//! that deny: where the two can't be told apart for certain, the first says no
//! and the second yes.

use crate::area::Area;
use crate::name::Name;
use crate::operation::Range;
use std::fmt;

/// Where in the device an access takes place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Numbered addresses.
    Range {
        /// The area.
        area: Area,
        /// The addresses within it.
        range: Range,
    },
    /// Something with a name.
    Name(Name),
    /// A CIP object by its numbers.
    Object(Object),
}

/// A CIP object, or all of its class (CIP Volume 1, 1-3).
///
/// In an access, a missing part means that all there is of it is touched; in
/// a rule, that any is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Object {
    /// The class.
    pub class: u32,
    /// The instance; 0 is the class itself.
    pub instance: Option<u32>,
    /// The attribute.
    pub attribute: Option<u32>,
    /// The service that is asked for, 0 to 127.
    pub service: Option<u8>,
}

impl Place {
    /// Whether all that `access` touches lies for certain within this place.
    pub fn covers(&self, access: &Self) -> bool {
        match (self, access) {
            (Self::Range { area, range }, Self::Range { area: other, range: touched }) => {
                area == other && range.contains(*touched)
            }
            (Self::Name(own), Self::Name(touched)) => own.covers(touched),
            (Self::Object(own), Self::Object(touched)) => own.covers(*touched),
            (Self::Range { .. } | Self::Name(_) | Self::Object(_), _) => false,
        }
    }

    /// Whether `access` may touch anything within this place.
    pub fn overlaps(&self, access: &Self) -> bool {
        match (self, access) {
            (Self::Range { area, range }, Self::Range { area: other, range: touched }) => {
                area == other && range.overlaps(*touched)
            }
            (Self::Name(own), Self::Name(touched)) => own.overlaps(touched),
            (Self::Object(own), Self::Object(touched)) => own.overlaps(*touched),
            (Self::Range { .. } | Self::Name(_) | Self::Object(_), _) => false,
        }
    }
}

impl Object {
    /// Whether all that `access` touches is part of this object.
    pub fn covers(self, access: Self) -> bool {
        fn within<T: PartialEq>(own: Option<T>, touched: Option<T>) -> bool {
            own.is_none() || own == touched
        }
        self.class == access.class
            && within(self.instance, access.instance)
            && within(self.attribute, access.attribute)
            && within(self.service, access.service)
    }

    /// Whether `access` may touch a part of this object.
    pub fn overlaps(self, access: Self) -> bool {
        fn meets<T: PartialEq>(own: Option<T>, touched: Option<T>) -> bool {
            own.is_none() || touched.is_none() || own == touched
        }
        self.class == access.class
            && meets(self.instance, access.instance)
            && meets(self.attribute, access.attribute)
            && meets(self.service, access.service)
    }
}

impl fmt::Display for Object {
    /// `class[4.100.3]`: without the service, of which people see the name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "class[{}", self.class)?;
        match (self.instance, self.attribute) {
            (Some(instance), Some(attribute)) => write!(formatter, ".{instance}.{attribute}]"),
            (Some(instance), None) => write!(formatter, ".{instance}]"),
            (None, Some(attribute)) => write!(formatter, ".*.{attribute}]"),
            (None, None) => formatter.write_str("]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameKind;

    fn object(class: u32, instance: Option<u32>, attribute: Option<u32>) -> Place {
        Place::Object(Object { class, instance, attribute, service: None })
    }

    #[test]
    fn a_place_covers_what_lies_within_and_nothing_of_another_sort() {
        let words =
            |first, last| Place::Range { area: Area::Holding, range: Range::new(first, last).unwrap() };
        assert!(words(0, 9).covers(&words(3, 9)) && !words(0, 9).covers(&words(3, 10)));
        assert!(words(0, 9).overlaps(&words(9, 12)) && !words(0, 9).overlaps(&words(10, 12)));
        let tag = Place::Name(Name::parse(NameKind::Symbol, "Speed").unwrap());
        assert!(!tag.covers(&words(0, 9)) && !tag.overlaps(&object(4, None, None)));
        assert!(tag.covers(&tag) && tag.overlaps(&tag));
    }

    #[test]
    fn an_object_rule_covers_its_parts_and_a_denial_what_may_touch_them() {
        let (class, instance) = (object(4, None, None), object(4, Some(100), None));
        let attribute = object(4, Some(100), Some(3));
        assert!(class.covers(&attribute) && instance.covers(&attribute) && attribute.covers(&attribute));
        assert!(!attribute.covers(&instance) && !instance.covers(&class));
        assert!(attribute.overlaps(&instance) && attribute.overlaps(&class));
        assert!(!object(4, Some(101), None).overlaps(&attribute) && !object(5, None, None).overlaps(&class));
        let served = |service| {
            Place::Object(Object { class: 142, instance: Some(1), attribute: None, service: Some(service) })
        };
        assert!(object(142, None, None).covers(&served(7)) && served(7).covers(&served(7)));
        assert!(!served(7).covers(&served(6)) && !served(7).overlaps(&served(6)));
        assert_eq!(
            [class, instance, attribute].map(|place| place.to_string()),
            ["class[4]", "class[4.100]", "class[4.100.3]"]
        );
    }
}
