//! Actions: what a rule is about, `protocol:class[:unit[N]][:area[range]]`.
//!
//! Nothing here panics on any text: Casbin's functions call it.

use crate::hint::nearest;
use crate::names::TagName;
use crate::problem::Slip;
use dissect::{Area, Class, Protocol, Range};

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
    Addresses(Area, Range),
    /// Whatever the tag of that name is on the target.
    Tag(TagName),
}

/// The areas in which accesses of a class have addresses; none for a class
/// that is about the device as a whole.
pub(crate) fn areas(protocol: Protocol, class: Class) -> &'static [Area] {
    match (protocol, class) {
        (Protocol::Modbus, Class::Read | Class::Subscribe) => {
            &[Area::Coil, Area::Discrete, Area::Input, Area::Holding]
        }
        (Protocol::Modbus, Class::Write) => &[Area::Coil, Area::Holding],
        (Protocol::Modbus, Class::FileRead | Class::FileWrite) => &[Area::File],
        (
            Protocol::Modbus | Protocol::Tcp,
            Class::Housekeeping
            | Class::Identify
            | Class::Control
            | Class::ProgramRead
            | Class::ProgramWrite
            | Class::TimeSet
            | Class::Security
            | Class::Diagnostic
            | Class::Route
            | Class::Use
            | Class::Unknown,
        )
        | (
            Protocol::Tcp,
            Class::Read | Class::Subscribe | Class::Write | Class::FileRead | Class::FileWrite,
        ) => &[],
    }
}

/// Whether a class exists for a protocol. `unknown` never does: what it would
/// do is not known, so no rule can be about it.
pub(crate) fn has_class(protocol: Protocol, class: Class) -> bool {
    match (protocol, class) {
        (_, Class::Unknown) => false,
        (Protocol::Tcp, class) => class == Class::Use,
        (Protocol::Modbus, class) => class != Class::Use,
    }
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
            action.modbus_only(at, "a unit")?;
            action.unit = Some(unit);
            part = parts.next();
        }
        if let Some((at, word)) = part {
            action.place = action.parse_place(at, word)?;
        }
        match parts.next() {
            Some((at, word)) => Err(Slip::at(at, format!("nothing can follow here, found {word}"))),
            None => Ok(action),
        }
    }

    fn modbus_only(&self, at: usize, what: &str) -> Result<(), Slip> {
        match self.protocol {
            Some(Protocol::Modbus) => Ok(()),
            Some(Protocol::Tcp) => Err(Slip::at(at, format!("tcp has no {}", what.trim_start_matches("a ")))),
            None => Err(Slip::at(at, format!("{what} needs a protocol instead of *"))),
        }
    }

    fn parse_place(&self, at: usize, word: &str) -> Result<ActionPlace, Slip> {
        self.modbus_only(at, "an address")?;
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
        let (area, range) = parse_area(at, word)?;
        let class = self.class.unwrap_or(Class::Unknown);
        if areas(Protocol::Modbus, class).contains(&area) {
            Ok(ActionPlace::Addresses(area, range))
        } else {
            Err(Slip::at(at, format!("{class} never touches {area}")))
        }
    }

    /// Whether it includes the use of opaque services.
    pub(crate) fn includes_opaque(&self) -> bool {
        self.protocol.is_none_or(|protocol| protocol == Protocol::Tcp)
            && self.class.is_none_or(|class| class == Class::Use)
    }
}

/// The parts between colons with their offsets.
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
        let part = match rest.split_once(':') {
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

/// `holding`, `holding[40]`, `holding[100-199]`, `file[7]`.
pub(crate) fn parse_area(at: usize, word: &str) -> Result<(Area, Range), Slip> {
    let (name, bracket) = split_bracket(at, word)?;
    let area = Area::from_name(name).ok_or_else(|| {
        let known = Area::ALL.map(Area::name).into_iter().chain(["tag", "unit"]);
        Slip::at(at, format!("unknown area {name:?}")).hint(nearest(name, known))
    })?;
    // In files a rule counts whole files, an address counts their records.
    let (last, shift) = match area {
        Area::File => (0xFFFF, 16),
        Area::Coil | Area::Discrete | Area::Input | Area::Holding => (area.last_address(), 0),
    };
    let (low, high) = match bracket {
        Some((offset, inner)) => parse_range(offset, inner, last)?,
        None => (0, last),
    };
    let rest_of_last = (1_u32 << shift) - 1;
    Range::new(low << shift, high << shift | rest_of_last)
        .map(|range| (area, range))
        .ok_or_else(|| Slip::at(at, "the range runs backwards"))
}

fn parse_range(at: usize, inner: &str, last: u32) -> Result<(u32, u32), Slip> {
    let refuse = || Slip::at(at, format!("expected ADDRESS or FIRST-LAST, zero-based, up to {last}"));
    let (low, high) = inner.split_once('-').unwrap_or((inner, inner));
    let low = parse_number(low).filter(|number| *number <= last).ok_or_else(refuse)?;
    let high = parse_number(high).filter(|number| *number <= last).ok_or_else(refuse)?;
    if low > high {
        return Err(Slip::at(at, "the range runs backwards"));
    }
    Ok((low, high))
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
            ("tcp:use:holding[3]", "8: tcp has no"),
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
