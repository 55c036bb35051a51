//! All words of actions: which classes and places each protocol has, each
//! with one line of explanation.
//!
//! This is the one table of it: what a rule may say, what an access may be
//! judged as, and what `policy actions` prints all come from here.

use dissect::{Area, Class, NameKind, Place, Protocol};
use serde::Serialize;

/// One action that a rule can have, with placeholders in capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Word {
    /// The action, such as `s7:write:dbN[FIRST-LAST]`.
    pub action: String,
    /// What it means, in one line.
    pub meaning: &'static str,
}

/// The whole vocabulary, shorter actions before the longer ones that they
/// cover.
pub fn vocabulary() -> Vec<Word> {
    let word = |action: String, meaning| Word { action, meaning };
    let mut words = vec![
        word("*".to_owned(), "everything that is known, of every protocol"),
        word("*:CLASS".to_owned(), "one class of all protocols, such as *:program-write"),
    ];
    for protocol in Protocol::ALL {
        words.push(word(protocol.to_string(), of_protocol(protocol)));
        for class in Class::ALL {
            let Some(meaning) = of_class(protocol, class) else { continue };
            words.push(word(format!("{protocol}:{class}"), meaning));
            if protocol == Protocol::Modbus {
                words.push(word(
                    format!("{protocol}:{class}:unit[N]"),
                    "the same, of one unit behind a serial gateway, 0 to 255; may stand before an area",
                ));
            }
            for area in areas(protocol, class) {
                let (pattern, meaning) = of_area(*area);
                words.push(word(format!("{protocol}:{class}:{pattern}"), meaning));
            }
            for kind in names(protocol, class) {
                let (pattern, meaning) = of_name(*kind);
                words.push(word(format!("{protocol}:{class}:{pattern}"), meaning));
            }
            if has_objects(protocol, class) {
                words.extend(
                    OF_OBJECTS
                        .map(|(pattern, meaning)| word(format!("{protocol}:{class}:{pattern}"), meaning)),
                );
            }
            if has_places(protocol, class) && class != Class::Route {
                words.push(word(
                    format!("{protocol}:{class}:tag[NAME]"),
                    "what has that name in targets.toml, on each target of the rule",
                ));
            }
        }
    }
    words
}

/// The areas in which accesses of a class can have addresses. A numbered area
/// stands for all of its kind.
pub(crate) fn areas(protocol: Protocol, class: Class) -> &'static [Area] {
    const S7: &[Area] = &[
        Area::DataBlock(0),
        Area::InstanceBlock(0),
        Area::Inputs,
        Area::Outputs,
        Area::Merkers,
        Area::Peripheral,
        Area::Local,
        Area::Counters,
        Area::Timers,
    ];
    match (protocol, class) {
        (Protocol::Modbus, Class::Read | Class::Subscribe) => {
            &[Area::Coil, Area::Discrete, Area::Input, Area::Holding, Area::Umas]
        }
        (Protocol::Modbus, Class::Write) => &[Area::Coil, Area::Holding, Area::Umas],
        (Protocol::Modbus, Class::FileRead | Class::FileWrite) => &[Area::File],
        (Protocol::S7, Class::Read | Class::Subscribe | Class::Write) => S7,
        (
            Protocol::Modbus
            | Protocol::S7
            | Protocol::S7Plus
            | Protocol::Enip
            | Protocol::Ssh
            | Protocol::Rfb
            | Protocol::Rdp
            | Protocol::Http
            | Protocol::Tcp,
            Class::Housekeeping
            | Class::Identify
            | Class::Read
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
            | Class::Use
            | Class::Unknown,
        ) => &[],
    }
}

/// The kinds of names that accesses of a class can have.
pub(crate) fn names(protocol: Protocol, class: Class) -> &'static [NameKind] {
    match (protocol, class) {
        (Protocol::Enip, Class::Read | Class::Write) => &[NameKind::Symbol, NameKind::Table],
        (Protocol::Enip, Class::Route) => &[NameKind::Path],
        (_, _) => &[],
    }
}

/// Whether accesses of a class can be about CIP objects.
pub(crate) fn has_objects(protocol: Protocol, class: Class) -> bool {
    protocol == Protocol::Enip
        && has_class(protocol, class)
        && !matches!(class, Class::Housekeeping | Class::Route)
}

/// Whether accesses of a class can have any place.
pub(crate) fn has_places(protocol: Protocol, class: Class) -> bool {
    !areas(protocol, class).is_empty() || !names(protocol, class).is_empty() || has_objects(protocol, class)
}

/// Whether accesses of a class can be about this place.
pub(crate) fn touches(protocol: Protocol, class: Class, place: &Place) -> bool {
    match place {
        Place::Range { area, .. } => areas(protocol, class).iter().any(|known| known.name() == area.name()),
        Place::Name(name) => names(protocol, class).contains(&name.kind()),
        Place::Object(_) => has_objects(protocol, class),
    }
}

/// Whether an access of a class that names no place is a mistake. In Modbus
/// every request of these classes has addresses; in other protocols some
/// don't say where they read or write, and only a rule for the whole class
/// allows these.
pub(crate) fn needs_place(protocol: Protocol, class: Class) -> bool {
    protocol == Protocol::Modbus && has_places(protocol, class)
}

/// Whether a class exists for a protocol. `unknown` never does: what it would
/// do is not known, so no rule can be about it.
pub(crate) fn has_class(protocol: Protocol, class: Class) -> bool {
    match (protocol, class) {
        (_, Class::Unknown) => false,
        (Protocol::Modbus, class) => class != Class::Use,
        (_, class) => of_class(protocol, class).is_some(),
    }
}

fn of_protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Modbus => "all of Modbus/TCP that is known",
        Protocol::S7 => "all of S7 communication that is known",
        Protocol::S7Plus => "S7 communication plus, the same as s7plus:use",
        Protocol::Enip => "all of EtherNet/IP and CIP explicit messages that is known",
        Protocol::Ssh => "SSH, the same as ssh:use",
        Protocol::Rfb => "RFB (VNC), the same as rfb:use",
        Protocol::Rdp => "Remote Desktop, the same as rdp:use",
        Protocol::Http => "HTTP and HTTPS, the same as http:use",
        Protocol::Tcp => "any other TCP service, the same as tcp:use",
    }
}

fn of_class(protocol: Protocol, class: Class) -> Option<&'static str> {
    match protocol {
        Protocol::Modbus => modbus(class),
        Protocol::S7 => s7(class),
        Protocol::Enip => enip(class),
        Protocol::S7Plus => (class == Class::Use).then_some(
            "use of S7 communication plus as a whole, recorded as bytes; the rule has to say opaque-accepted",
        ),
        Protocol::Ssh | Protocol::Rfb | Protocol::Rdp | Protocol::Http | Protocol::Tcp => {
            (class == Class::Use).then_some(
                "use of the service as a whole, recorded as bytes; the rule has to say opaque-accepted",
            )
        }
    }
}

const IDENTIFY: &str = "asking the device what it is; comes with any grant";

fn modbus(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Identify => IDENTIFY,
        Class::Read => "reading coils, inputs, registers and FIFO queues, variables by UMAS",
        Class::Write => "writing coils and holding registers, with masks as well, variables by UMAS",
        Class::Control => {
            "restarting communications, listen-only mode, another delimiter; start and stop by UMAS"
        }
        Class::ProgramRead => "upload of the program and blocks of memory by UMAS",
        Class::Security => "taking and releasing the reservation by UMAS",
        Class::ProgramWrite => "the vendors' programming functions, firmware, download by UMAS",
        Class::FileRead => "reading file records",
        Class::FileWrite => "writing file records",
        Class::Diagnostic => "loop-back, counters, event log, exception status",
        Class::Housekeeping
        | Class::Subscribe
        | Class::TimeSet
        | Class::Route
        | Class::Use
        | Class::Unknown => return None,
    })
}

fn s7(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Housekeeping => {
            "connecting, setup communication, the client's part of a download that is allowed"
        }
        Class::Identify => "order number, version and name of a module (system status lists 0x11 and 0x1C)",
        Class::Read => {
            "read var; without a place also status lists, block lists, block and variable status, clock"
        }
        Class::Subscribe => "cyclic and change-driven reading; without a place also messages and alarms",
        Class::Write => "write var; without a place also modify variable and force",
        Class::Control => "start, stop, mode transition, memory reset, breakpoints, alarm acknowledgement",
        Class::ProgramRead => "upload of blocks",
        Class::ProgramWrite => "download, activation and deletion of blocks, RAM to ROM, compression",
        Class::TimeSet => "setting the clock",
        Class::Security => "session password, NC login",
        Class::Diagnostic => "stacks, job lists, flashing the LED",
        Class::Route => "data records of another device behind this one",
        Class::FileRead | Class::FileWrite | Class::Use | Class::Unknown => return None,
    })
}

fn enip(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Housekeeping => "sessions, and connections for explicit messages",
        Class::Identify => "list services, identity and interfaces; the identity object",
        Class::Read => "reading tags, data tables and attributes",
        Class::Write => "writing tags, data tables and attributes, with masks as well",
        Class::Control => "start, stop and reset of an object",
        Class::ProgramWrite => {
            "create, delete, save, restore, firmware, network settings, a controller's inner objects"
        }
        Class::FileRead => "reading files of the file object",
        Class::TimeSet => "setting the clock",
        Class::Security => "locking and unlocking, security objects",
        Class::Diagnostic => "no-operation",
        Class::Route => "requests aimed through this device at another one",
        Class::Subscribe | Class::ProgramRead | Class::FileWrite | Class::Use | Class::Unknown => {
            return None;
        }
    })
}

fn of_area(area: Area) -> (&'static str, &'static str) {
    match area {
        Area::Coil => ("coil[FIRST-LAST]", "coils, from 0; coil[0] is 00001 in the 0xxxx form"),
        Area::Discrete => ("discrete[FIRST-LAST]", "discrete inputs, from 0; discrete[0] is 10001"),
        Area::Input => ("input[FIRST-LAST]", "input registers, from 0; input[0] is 30001"),
        Area::Holding => ("holding[FIRST-LAST]", "holding registers, from 0; holding[0] is 40001"),
        Area::File => ("file[FIRST-LAST]", "whole files by number, or records: file[7.0-7.9]"),
        Area::Umas => ("umas[FIRST-LAST]", "what UMAS reads and writes, by its codes: umas[34-35]"),
        Area::DataBlock(_) => ("dbN[FIRST-LAST]", "bytes of data block N, or a bit: db12[4.3]"),
        Area::InstanceBlock(_) => ("diN[FIRST-LAST]", "bytes of instance data block N, or a bit"),
        Area::Inputs => ("i[FIRST-LAST]", "bytes of the process inputs, or a bit"),
        Area::Outputs => ("q[FIRST-LAST]", "bytes of the process outputs, or a bit"),
        Area::Merkers => ("m[FIRST-LAST]", "bytes of bit memory (flags), or a bit"),
        Area::Peripheral => ("p[FIRST-LAST]", "bytes of the peripheral inputs and outputs, or a bit"),
        Area::Local => ("l[FIRST-LAST]", "bytes of local data, or a bit"),
        Area::Counters => ("counter[FIRST-LAST]", "counters by number"),
        Area::Timers => ("timer[FIRST-LAST]", "timers by number"),
    }
}

fn of_name(kind: NameKind) -> (&'static str, &'static str) {
    match kind {
        NameKind::Symbol => (
            "symbol[NAME]",
            "a tag of the controller, a member or elements of it: symbol[Line[0-3].Speed]; case does not matter",
        ),
        NameKind::Table => {
            ("table[FILE[FIRST-LAST]]", "elements of a data table (PCCC), by file number: table[7[0-9]]")
        }
        NameKind::Path => ("path[HOPS]", "that way only, port and address of each hop: path[1.5]"),
    }
}

const OF_OBJECTS: [(&str, &str); 4] = [
    ("class[CLASS]", "objects of a CIP class, by its number in decimal"),
    ("class[CLASS.INSTANCE]", "one instance; class[CLASS.INSTANCE.ATTRIBUTE] one attribute of it"),
    ("class[CLASS.*.ATTRIBUTE]", "one attribute, of any instance"),
    ("class[...]:service[N]", "one service of the object, 0 to 127, in decimal"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;

    /// What stands for the placeholders.
    fn example(action: &str) -> String {
        [
            ("class[...]", "class[142.1]"),
            ("FILE[FIRST-LAST]", "7[0-9]"),
            ("FIRST-LAST", "0-9"),
            ("dbN", "db12"),
            ("diN", "di12"),
            ("symbol[NAME]", "symbol[Line[0-3].Speed]"),
            ("tag[NAME]", "tag[pump]"),
            ("[N]", "[7]"),
            ("HOPS", "1.5"),
            ("*:CLASS", "*:program-write"),
            ("CLASS.INSTANCE", "4.100"),
            ("CLASS.*.ATTRIBUTE", "4.*.3"),
            ("CLASS", "4"),
        ]
        .iter()
        .fold(action.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    #[test]
    fn every_word_of_it_is_an_action() {
        let words = vocabulary();
        for word in &words {
            let action = example(&word.action);
            assert!(Action::parse(&action).is_ok(), "{action}: {:?}", Action::parse(&action));
        }
        let mut actions: Vec<&str> = words.iter().map(|word| word.action.as_str()).collect();
        actions.sort_unstable();
        actions.dedup();
        assert_eq!(actions.len(), words.len(), "an action is there twice");
    }

    #[test]
    fn every_class_and_place_that_a_rule_can_name_is_in_it() {
        let words = vocabulary();
        let has = |action: &str| words.iter().any(|word| word.action.starts_with(action));
        // Of Modbus the classes that it never uses may be named as well.
        for protocol in Protocol::ALL.into_iter().filter(|protocol| *protocol != Protocol::Modbus) {
            for class in Class::ALL.into_iter().filter(|class| has_class(protocol, *class)) {
                assert!(has(&format!("{protocol}:{class}")), "{protocol}:{class}");
            }
        }
        for area in Area::ALL {
            let (pattern, _) = of_area(area);
            assert!(
                words.iter().any(|word| word.action.ends_with(&format!(":{pattern}"))),
                "{area} is nowhere"
            );
        }
        assert!(words.iter().all(|word| !word.meaning.is_empty() && !word.meaning.contains('\n')));
    }
}
