//! Actions: what a rule is about, `protocol:class[:unit[N]][:place]`.
//!
//! A place is `area[range]` where a protocol numbers its addresses, a name in
//! brackets behind its kind (`symbol[Line[0-3].Speed]`), a CIP object
//! (`class[142.1]`, with `:service[7]` behind it for a single service), or the
//! name of a tag (`tag[pump]`). [`mod@crate::vocabulary`] has all the words.
//!
//! Nothing here panics on any text: Casbin's functions call it.

use crate::hint::nearest;
use crate::names::TagName;
use crate::problem::Slip;
use crate::vocabulary::{has_class, touches};
use dissect::{AddressUnit, Area, Carriage, Class, Name, NameKind, Object, Place, Protocol, Range};

/// A parsed action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// `None` is `*`.
    pub(crate) protocol: Option<Protocol>,
    /// `None` is every class.
    pub(crate) class: Option<Class>,
    /// `None` is any unit.
    pub(crate) unit: Option<u8>,
    pub(crate) place: ActionPlace,
}

/// Where an action is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ActionPlace {
    Anywhere,
    Place(Place),
    /// Whatever the tag of that name is on the target.
    Tag(TagName),
}

impl Action {
    /// Parses the text of a rule's action field.
    pub(crate) fn parse(text: &str) -> Result<Self, Slip> {
        let mut parts = Parts::of(text);
        let (at, word) = parts.next().unwrap_or((0, ""));
        let protocol = parse_protocol(at, word)?;
        let class = parts.next().map(|(at, word)| parse_class(at, word, protocol)).transpose()?;
        let mut action = Self { protocol, class, unit: None, place: ActionPlace::Anywhere };
        let mut part = parts.next();
        if let Some((at, word)) = part
            && let Some(unit) = parse_unit(at, word)?
        {
            action.check_unit(at)?;
            action.unit = Some(unit);
            part = parts.next();
        }
        if let Some((at, word)) = part {
            action.place = action.parse_place(at, word)?;
        }
        part = parts.next();
        if let (ActionPlace::Place(Place::Object(object)), Some((at, word))) = (&mut action.place, part)
            && let Some(service) = parse_service(at, word)?
        {
            object.service = Some(service);
            part = parts.next();
        }
        match part {
            Some((at, word)) => Err(Slip::at(at, format!("nothing can follow here, found {word}"))),
            None => Ok(action),
        }
    }

    fn check_unit(&self, at: usize) -> Result<(), Slip> {
        match self.protocol {
            Some(Protocol::Modbus) => Ok(()),
            Some(protocol) => Err(Slip::at(at, format!("{protocol} has no units"))),
            None => Err(Slip::at(at, "a unit needs a protocol instead of *")),
        }
    }

    fn parse_place(&self, at: usize, word: &str) -> Result<ActionPlace, Slip> {
        let protocol =
            self.protocol.ok_or_else(|| Slip::at(at, "an address needs a protocol instead of *"))?;
        let class = self.class.unwrap_or(Class::Unknown);
        let (name, bracket) = split_bracket(at, word)?;
        if name == "tag" {
            let (offset, inner) = bracket.ok_or_else(|| Slip::at(at, "tag needs a name, as in tag[NAME]"))?;
            let tag = TagName::parse(inner).map_err(|error| Slip::at(offset, error.to_string()))?;
            return match self.unit {
                None => Ok(ActionPlace::Tag(tag)),
                Some(_) => Err(Slip::at(at, "a tag has its own unit")
                    .hint("leave out unit[..] or name the area".to_owned())),
            };
        }
        let place = parse_place(protocol, at, word)?;
        if touches(protocol, class, &place) {
            Ok(ActionPlace::Place(place))
        } else {
            Err(Slip::at(at, format!("{class} never touches {name}")))
        }
    }

    /// Whether it includes the use of opaque services.
    pub(crate) fn includes_opaque(&self) -> bool {
        self.protocol.is_none_or(|protocol| protocol.carriage() == Carriage::Opaque)
            && self.class.is_none_or(|class| class == Class::Use)
    }
}

/// The parts between colons with their offsets; a colon in brackets belongs
/// to a name.
pub(crate) struct Parts<'a> {
    rest: Option<&'a str>,
    at: usize,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { rest: Some(text), at: 0 }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let at = self.at;
        let mut depth = 0_usize;
        let colon = rest.find(|letter: char| {
            match letter {
                '[' => depth = depth.saturating_add(1),
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            letter == ':' && depth == 0
        });
        let part =
            match colon.and_then(|colon| Some((rest.get(..colon)?, rest.get(colon.checked_add(1)?..)?))) {
                Some((part, after)) => {
                    self.rest = Some(after);
                    part
                }
                None => rest,
            };
        self.at = at.saturating_add(part.len()).saturating_add(1);
        Some((at, part))
    }
}

fn parse_protocol(at: usize, word: &str) -> Result<Option<Protocol>, Slip> {
    if word == "*" {
        return Ok(None);
    }
    Protocol::from_name(word).map(Some).ok_or_else(|| {
        Slip::at(at, format!("unknown protocol {word:?}"))
            .hint(nearest(word, Protocol::ALL.map(Protocol::name)))
    })
}

fn parse_class(at: usize, word: &str, protocol: Option<Protocol>) -> Result<Class, Slip> {
    let class = Class::from_name(word).ok_or_else(|| {
        Slip::at(at, format!("unknown class {word:?}")).hint(nearest(word, Class::ALL.map(Class::name)))
    })?;
    if class == Class::Unknown {
        return Err(Slip::at(at, "no rule can be about unknown functions: they are always denied"));
    }
    match protocol {
        Some(protocol) if !has_class(protocol, class) => {
            Err(Slip::at(at, format!("{protocol} has no class {class}")))
        }
        Some(_) | None => Ok(class),
    }
}

pub(crate) fn parse_unit(at: usize, word: &str) -> Result<Option<u8>, Slip> {
    let Some(inner) = word.strip_prefix("unit") else {
        return Ok(None);
    };
    let number = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    number
        .and_then(parse_number)
        .and_then(|number| u8::try_from(number).ok())
        .map(Some)
        .ok_or_else(|| Slip::at(at, "a unit is written unit[N], N from 0 to 255"))
}

/// A word that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotAPlace {
    /// Where in the word it goes wrong, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

/// The place that a word of an action names on devices of a protocol:
/// `holding`, `holding[100-199]`, `db12[4.3]`, `symbol[Line[3].Speed]`.
///
/// # Errors
/// [`NotAPlace`].
pub fn place(protocol: Protocol, word: &str) -> Result<Place, NotAPlace> {
    parse_place(protocol, 0, word).map_err(|slip| NotAPlace { offset: slip.offset, message: slip.message })
}

/// `holding`, `holding[100-199]`, `db12[4.3]`, `symbol[Line[3].Speed]`,
/// `class[4.100]`.
pub(crate) fn parse_place(protocol: Protocol, at: usize, word: &str) -> Result<Place, Slip> {
    let (name, bracket) = split_bracket(at, word)?;
    let inside = |what: &str| bracket.ok_or_else(|| Slip::at(at, format!("{name} needs {what} in brackets")));
    let of_enip = protocol == Protocol::Enip;
    if let Some(kind) = NameKind::from_word(name).filter(|_| of_enip) {
        let (offset, inner) = inside("a name")?;
        let name = Name::parse(kind, inner).map_err(|error| Slip::at(offset, error.to_string()))?;
        return Ok(Place::Name(name));
    }
    if name == "class" && of_enip {
        let (offset, inner) = inside("CLASS, CLASS.INSTANCE or CLASS.INSTANCE.ATTRIBUTE")?;
        return parse_object(inner).map(Place::Object).ok_or_else(|| {
            Slip::at(offset, "expected CLASS, CLASS.INSTANCE or CLASS.INSTANCE.ATTRIBUTE in decimal")
        });
    }
    let (area, range) = parse_area(protocol, at, word)?;
    Ok(Place::Range { area, range })
}

fn parse_area(protocol: Protocol, at: usize, word: &str) -> Result<(Area, Range), Slip> {
    let (name, bracket) = split_bracket(at, word)?;
    let area = Area::parse(protocol, name).ok_or_else(|| unknown_area(protocol, at, name))?;
    let whole = || Range::new(0, area.last_address());
    let Some((offset, inner)) = bracket else {
        return whole().map(|range| (area, range)).ok_or_else(|| Slip::at(at, "an area without addresses"));
    };
    if let Some(range) = area.parse_range(inner) {
        return Ok((area, range));
    }
    let reversed = inner.split_once('-').map(|(low, high)| format!("{high}-{low}"));
    if reversed.is_some_and(|reversed| area.parse_range(&reversed).is_some()) {
        return Err(Slip::at(offset, "the range runs backwards"));
    }
    let last = Range::new(area.last_address(), area.last_address());
    let last = last.map(|last| area.addresses(last).to_string()).unwrap_or_default();
    let form = match area.unit() {
        AddressUnit::Bit | AddressUnit::Word => "zero-based",
        AddressUnit::Code => "a code",
        AddressUnit::BitOfByte => "in bytes, or BYTE.BIT",
        AddressUnit::Record => "in files, or FILE.RECORD",
    };
    Err(Slip::at(offset, format!("expected ADDRESS or FIRST-LAST, {form}, up to {last}")))
}

fn unknown_area(protocol: Protocol, at: usize, name: &str) -> Slip {
    if Area::ALL.iter().all(|area| area.protocol() != protocol) && protocol != Protocol::Enip {
        return Slip::at(at, format!("{protocol} has no addresses"));
    }
    let mut known: Vec<&str> =
        Area::ALL.into_iter().filter(|area| area.protocol() == protocol).map(Area::name).collect();
    known.push("tag");
    match protocol {
        Protocol::Modbus => known.push("unit"),
        Protocol::Enip => known.extend(NameKind::ALL.map(NameKind::word).into_iter().chain(["class"])),
        Protocol::S7
        | Protocol::S7Plus
        | Protocol::Ssh
        | Protocol::Rfb
        | Protocol::Rdp
        | Protocol::Http
        | Protocol::Tcp => {}
    }
    Slip::at(at, format!("unknown area {name:?}")).hint(nearest(name, known))
}

/// `4`, `4.100`, `4.100.3`, `4.*.3`.
fn parse_object(text: &str) -> Option<Object> {
    let mut parts = text.split('.');
    let class = parse_number(parts.next()?)?;
    let instance = match parts.next() {
        None => return Some(Object { class, instance: None, attribute: None, service: None }),
        Some("*") => None,
        Some(instance) => Some(parse_number(instance)?),
    };
    let attribute = parts.next().map(parse_number);
    match (instance, attribute, parts.next()) {
        (None, None, _) | (_, Some(None), _) | (_, _, Some(_)) => None,
        (instance, attribute, None) => {
            Some(Object { class, instance, attribute: attribute.flatten(), service: None })
        }
    }
}

/// `service[7]` behind an object.
pub(crate) fn parse_service(at: usize, word: &str) -> Result<Option<u8>, Slip> {
    let Some(inner) = word.strip_prefix("service") else { return Ok(None) };
    let number = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    number
        .and_then(parse_number)
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| *number < 128)
        .map(Some)
        .ok_or_else(|| Slip::at(at, "a service is written service[N], N from 0 to 127"))
}

/// Digits only: no sign, no blank, no second spelling of a number.
pub(crate) fn parse_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// `name[inner]` into its name and the inner text with its offset.
#[expect(clippy::type_complexity, reason = "two optional pieces of one word")]
fn split_bracket(at: usize, word: &str) -> Result<(&str, Option<(usize, &str)>), Slip> {
    let Some((name, rest)) = word.split_once('[') else {
        return Ok((word, None));
    };
    let offset = at.saturating_add(name.len()).saturating_add(1);
    match rest.strip_suffix(']') {
        Some(inner) => Ok((name, Some((offset, inner)))),
        None => Err(Slip::at(offset, "the bracket is not closed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slip(text: &str) -> String {
        let slip = Action::parse(text).expect_err(text);
        format!(
            "{}: {}{}",
            slip.offset,
            slip.message,
            slip.hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
        )
    }

    #[test]
    fn the_grammar_in_full() {
        let good = [
            "*",
            "*:program-write",
            "modbus",
            "modbus:read",
            "modbus:write:holding",
            "modbus:write:holding[100-199]",
            "modbus:write:unit[3]:holding[40]",
            "modbus:write:unit[3]",
            "modbus:write:tag[pump_setpoint]",
            "modbus:file-read:file[7]",
            "tcp",
            "tcp:use",
            "s7:read",
            "s7:write:db12[0-63]",
            "s7:write:db12[4.3]",
            "s7:write:db12[4.0-5.3]",
            "s7:subscribe:m",
            "s7:read:timer[0-9]",
            "s7:write:tag[pump]",
            "s7:time-set",
            "s7plus:use",
            "enip:read:symbol[Conveyor.Speed]",
            "enip:write:symbol[Program:Main.Line[0-3].Data[1,2]]",
            "enip:read:table[7[0-9]]",
            "enip:write:class[4.100.3]",
            "enip:write:class[4.*.3]",
            "enip:control:class[142.1]:service[7]",
            "enip:route:path[1.5]",
            "modbus:file-read:file[7.1-7.9]",
        ];
        for text in good {
            assert!(Action::parse(text).is_ok(), "{text}: {}", slip(text));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("", "0: unknown protocol"),
            ("modbsu:read", "0: unknown protocol \"modbsu\" (did you mean modbus?)"),
            ("modbus:raed", "7: unknown class \"raed\" (did you mean read?)"),
            ("modbus:write:hodling[3]", "13: unknown area \"hodling\" (did you mean holding?)"),
            ("modbus:write:input[3]", "13: write never touches input"),
            ("modbus:control:holding[3]", "15: control never touches holding"),
            ("modbus:write:holding[9-3]", "21: the range runs backwards"),
            ("modbus:write:holding[65536]", "21: expected ADDRESS"),
            ("modbus:write:holding[01]", "21: expected ADDRESS"),
            ("modbus:write:holding[3", "21: the bracket is not closed"),
            ("modbus:write:unit[256]", "13: a unit is written"),
            ("modbus:write:holding[3]:unit[1]", "24: nothing can follow"),
            ("modbus:write:unit[1]:tag[x]", "21: a tag has its own unit"),
            ("modbus:unknown", "7: no rule can be about unknown"),
            ("tcp:read", "4: tcp has no class read"),
            ("modbus:use", "7: modbus has no class use"),
            ("tcp:use:holding[3]", "8: tcp has no addresses"),
            ("s7plus:use:db1[3]", "11: s7plus has no addresses"),
            ("s7plus:read", "7: s7plus has no class read"),
            ("s7:write:unit[1]", "9: s7 has no units"),
            ("s7:write:db0[1]", "9: unknown area \"db0\""),
            (
                "s7:write:db12[4.8]",
                "14: expected ADDRESS or FIRST-LAST, in bytes, or BYTE.BIT, up to 2097151.7",
            ),
            ("s7:write:db12[5-4]", "14: the range runs backwards"),
            ("s7:write:holding[1]", "9: unknown area"),
            ("s7:write:symbol[x]", "9: unknown area"),
            ("s7:control:db12[1]", "11: control never touches db12"),
            ("enip:write:symbol", "11: symbol needs a name in brackets"),
            ("enip:write:symbol[]", "18: no name"),
            ("enip:write:symbol[A[3-1]]", "18: no name"),
            ("enip:write:path[1.5]", "11: write never touches path"),
            ("enip:route:class[1]", "11: route never touches class"),
            ("enip:write:class[x]", "17: expected CLASS"),
            ("enip:write:class[4.*]", "17: expected CLASS"),
            ("enip:write:class[4.1.1.1]", "17: expected CLASS"),
            ("enip:write:class[4]:service[128]", "20: a service is written"),
            ("enip:write:symbol[A]:service[7]", "21: nothing can follow"),
            ("enip:subscribe", "5: enip has no class subscribe"),
            ("*:write:holding[3]", "8: an address needs a protocol"),
        ] {
            let slip = slip(text);
            assert!(slip.starts_with(told), "{text}: {slip}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = Action::parse(&text);
        }
    }
}
