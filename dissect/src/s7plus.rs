//! S7 communication plus: carried without being understood, but what can be
//! seen of it from outside is told.
//!
//! Frames of version 1 name their function; those of later versions are bound
//! to a session key or are TLS, so only that is told. Nothing here is a basis
//! for a verdict: the function alone does not say what is done, since
//! stopping a controller is the writing of a variable.
//!
//! Source: the header as published dissectors describe it.

use crate::dissector::Direction;
use crate::observer::{Fact, FactName};
use bytes::BytesMut;
use smallvec::SmallVec;

/// `72 version length`, then opcode, reserved, function.
const IDENTIFIER: u8 = 0x72;
const VERSION_1: u8 = 1;
const REQUEST: u8 = 0x31;
const RESPONSE: u8 = 0x32;
const NOTIFICATION: u8 = 0x33;

/// Looks at both directions of a channel. What has been told of a direction
/// is not told again, so a long session shows no more than all there is to be
/// seen.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    from_client: Eye,
    from_device: Eye,
}

impl Watch {
    /// Appends what the bytes that have arrived show, in their order.
    pub(crate) fn observe(&mut self, direction: Direction, bytes: &[u8], facts: &mut Vec<Fact>) {
        let eye = match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::FromDevice => &mut self.from_device,
        };
        eye.see(bytes, |offset, what| {
            facts.push(Fact { direction, offset, name: FactName::S7PlusUnit, value: what.to_owned() });
        });
    }

    /// Whether neither direction can be read any further.
    pub(crate) fn is_over(&self) -> bool {
        self.from_client.sight == Sight::Lost && self.from_device.sight == Sight::Lost
    }
}

/// Looks at one direction, from its first byte to the first thing that is no
/// transport unit. Keeps at most one unit, whose length is 16 bits.
#[derive(Debug, Default)]
struct Eye {
    /// The beginning of a unit that is not all there yet.
    kept: BytesMut,
    /// Where it begins.
    offset: u64,
    sight: Sight,
    told: SmallVec<[&'static str; 8]>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Sight {
    #[default]
    Clear,
    Lost,
}

impl Eye {
    fn see(&mut self, bytes: &[u8], mut tell: impl FnMut(u64, &'static str)) {
        if self.sight == Sight::Lost {
            return;
        }
        self.kept.extend_from_slice(bytes);
        while let Some(header) = self.kept.first_chunk::<4>() {
            let length = match *header {
                [3, 0, high, low] => usize::from(u16::from_be_bytes([high, low])),
                _ => 0,
            };
            if length < header.len() {
                *self = Self { sight: Sight::Lost, ..Self::default() };
                return;
            }
            if self.kept.len() < length {
                return;
            }
            let unit = self.kept.split_to(length);
            if let Some(what) = look(&unit).filter(|what| !self.told.contains(what)) {
                self.told.push(what);
                tell(self.offset, what);
            }
            self.offset = self.offset.saturating_add(unit.len() as u64);
        }
    }
}

/// `None` for a unit in which there is nothing to see, such as one that goes
/// on with the body of another.
fn look(unit: &[u8]) -> Option<&'static str> {
    match (*unit.get(5)?, unit.get(7..)?) {
        (0xE0, _) => Some(if contains(unit, b"SIMATIC-ROOT-ES") {
            "connection request of an engineering station"
        } else if contains(unit, b"SIMATIC-ROOT-HMI") {
            "connection request of an operator panel"
        } else {
            "connection request"
        }),
        (0xD0, _) => Some("connection confirmed"),
        (0x80, _) => Some("disconnected"),
        (0xF0, [IDENTIFIER, VERSION_1, _, _, opcode, _, _, high, low, ..]) => {
            name(*opcode, u16::from_be_bytes([*high, *low]))
        }
        (0xF0, [IDENTIFIER, 2 | 3, ..]) => Some("a unit bound to a session"),
        (0xF0, [IDENTIFIER, 0xFE, ..]) => Some("system event"),
        (0xF0, [0x14..=0x17, 3, ..]) => Some("TLS"),
        _ => None,
    }
}

fn contains(unit: &[u8], name: &[u8]) -> bool {
    unit.windows(name.len()).any(|window| window == name)
}

/// Names of requests and responses, one pair for each function.
macro_rules! functions {
    ($($code:literal $name:literal)*) => {
        fn name(opcode: u8, function: u16) -> Option<&'static str> {
            match (opcode, function) {
                $(
                    (REQUEST, $code) => Some($name),
                    (RESPONSE, $code) => Some(concat!("response to ", $name)),
                )*
                (REQUEST, _) => Some("unknown function"),
                (RESPONSE, _) => Some("response to unknown function"),
                (NOTIFICATION, _) => Some("notification"),
                _ => None,
            }
        }
    };
}

functions! {
    0x04BB "explore"
    0x04CA "create object"
    0x04D4 "delete object"
    0x04F2 "set variable"
    0x04FC "get variable"
    0x0542 "set multiple variables"
    0x054C "get multiple variables"
    0x0556 "begin sequence"
    0x0560 "end sequence"
    0x056B "invoke"
    0x057C "set variable in a sub-stream"
    0x0586 "get variables in sub-streams"
    0x0590 "get variable addresses"
    0x05B3 "begin TLS"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The beginning of a real client's session, as sent.
    const CLIENT: [(&str, Option<&str>); 7] = [
        (
            "030000241fe00000000100c1020600c21053494d415449432d524f4f542d484d49c0010a",
            Some("connection request of an operator panel"),
        ),
        ("0300002102f0807201001231000005b30000000000000000300000000072010000", Some("begin TLS")),
        ("0300000902f0801603", Some("TLS")),
        (
            "0300002b02f0807202001c310000054c00000002000000013400000001010182320100000072020000",
            Some("a unit bound to a session"),
        ),
        ("0300002102f0807201001231000004d40000000600000001340000000072010000", Some("delete object")),
        ("0300000a02f08001020304", None),
        ("0300000c0680000100010000", Some("disconnected")),
    ];

    fn stream() -> Vec<u8> {
        CLIENT.iter().flat_map(|(unit, _)| whole(unit)).collect()
    }

    /// The unit with the length that it has.
    fn whole(unit: &str) -> Vec<u8> {
        let mut unit = hex::decode(unit).expect("hex");
        let [high, low] = u16::try_from(unit.len()).expect("short").to_be_bytes();
        if let [_, _, first, second, ..] = unit.as_mut_slice() {
            (*first, *second) = (high, low);
        }
        unit
    }

    /// What is seen when the stream comes in pieces of that size.
    fn seen(stream: &[u8], size: usize) -> Vec<(u64, String)> {
        let (mut watch, mut facts) = (Watch::default(), Vec::new());
        for piece in stream.chunks(size.max(1)) {
            watch.observe(Direction::FromClient, piece, &mut facts);
        }
        facts.into_iter().map(|fact| (fact.offset, fact.value)).collect()
    }

    #[test]
    fn what_can_be_seen_of_a_session_is_told_in_order_and_once() {
        let stream = stream();
        let expected: Vec<&str> = CLIENT.iter().filter_map(|(_, what)| *what).collect();
        let words: Vec<String> = seen(&stream, stream.len()).into_iter().map(|(_, what)| what).collect();
        assert_eq!(words, expected);
        assert_eq!(seen(&stream, 1), seen(&stream, stream.len()));
        let offsets: Vec<u64> = seen(&stream, 7).into_iter().map(|(offset, _)| offset).take(3).collect();
        assert_eq!(offsets, [0, 36, 69]);
        assert_eq!(seen(&[&stream[..], &stream].concat(), 50).len(), expected.len());
        let (mut watch, mut facts) = (Watch::default(), Vec::new());
        watch.observe(Direction::FromDevice, stream.get(..3).expect("long enough"), &mut facts);
        watch.observe(Direction::FromClient, &stream, &mut facts);
        assert_eq!(facts.len(), expected.len(), "each direction for itself");
    }

    #[test]
    fn functions_have_their_names_in_both_directions() {
        let named = |opcode, function| name(opcode, function).expect("a name");
        assert_eq!(named(0x31, 0x054C), "get multiple variables");
        assert_eq!(named(0x32, 0x054C), "response to get multiple variables");
        assert_eq!(named(0x31, 0x0542), "set multiple variables");
        assert_eq!(named(0x31, 0x04CA), "create object");
        assert_eq!(named(0x31, 0x056B), "invoke");
        assert_eq!(named(0x33, 0), "notification");
        assert_eq!(named(0x31, 0x9999), "unknown function");
        assert_eq!(name(0x34, 0x054C), None);
    }

    #[test]
    fn what_is_not_all_there_or_no_transport_unit_ends_it() {
        let stream = stream();
        assert_eq!(seen(stream.get(..68).expect("long enough"), 68).len(), 1);
        assert!(seen(b"GET / HTTP/1.1", 14).is_empty());
        assert!(seen(&[&[3, 0, 0, 0][..], &stream].concat(), 50).is_empty(), "never searched for");
        let (mut watch, mut facts) = (Watch::default(), Vec::new());
        watch.observe(Direction::FromClient, b"GET / HTTP/1.1", &mut facts);
        assert!(!watch.is_over());
        watch.observe(Direction::FromDevice, b"HTTP/1.1", &mut facts);
        assert!(watch.is_over() && watch.from_client.kept.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_show_the_same_in_any_pieces(
            stream in proptest::collection::vec(proptest::sample::select(&[0_u8, 1, 3, 5, 9, 0x72, 0xF0][..]), 0..300),
            size in 1..40_usize,
        ) {
            prop_assert_eq!(seen(&stream, size), seen(&stream, stream.len()));
        }
    }
}
