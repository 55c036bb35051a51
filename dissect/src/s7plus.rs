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
use bytes::BytesMut;
use smallvec::SmallVec;

/// `72 version length`, then opcode, reserved, function.
const IDENTIFIER: u8 = 0x72;
const VERSION_1: u8 = 1;
const REQUEST: u8 = 0x31;
const RESPONSE: u8 = 0x32;
const NOTIFICATION: u8 = 0x33;

/// The longest unit in bytes: what the length of a TPKT can say.
const LONGEST: usize = 65_535;

/// What is seen at once; more than a few are rare.
pub(crate) type Sights = SmallVec<[&'static str; 2]>;

/// Looks at both directions of a channel.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    from_client: Eye,
    from_device: Eye,
}

impl Watch {
    /// What the bytes that have just passed show, in their order.
    pub(crate) fn see(&mut self, direction: Direction, bytes: &[u8]) -> Sights {
        match direction {
            Direction::FromClient => self.from_client.see(bytes),
            Direction::FromDevice => self.from_device.see(bytes),
        }
    }
}

/// Looks at one direction, from its first byte to the first thing that is no
/// transport unit.
#[derive(Debug, Default)]
struct Eye {
    /// The beginning of a unit that is not all there yet.
    kept: BytesMut,
    sight: Sight,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Sight {
    #[default]
    Clear,
    Lost,
}

impl Eye {
    fn see(&mut self, bytes: &[u8]) -> Sights {
        let mut sights = Sights::new();
        if self.sight == Sight::Lost {
            return sights;
        }
        self.kept.extend_from_slice(bytes);
        while let Some(header) = self.kept.first_chunk::<4>() {
            let [3, 0, high, low] = *header else {
                self.lose();
                break;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length < header.len() {
                self.lose();
                break;
            }
            if self.kept.len() < length {
                break;
            }
            let unit = self.kept.split_to(length);
            sights.extend(look(&unit));
        }
        debug_assert!(self.kept.len() <= LONGEST.saturating_add(bytes.len()));
        sights
    }

    fn lose(&mut self) {
        *self = Self { kept: BytesMut::new(), sight: Sight::Lost };
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
    fn seen(stream: &[u8], size: usize) -> Vec<&'static str> {
        let mut watch = Watch::default();
        stream.chunks(size.max(1)).flat_map(|piece| watch.see(Direction::FromClient, piece)).collect()
    }

    #[test]
    fn what_can_be_seen_of_a_session_is_told_in_order() {
        let stream = stream();
        let expected: Vec<&str> = CLIENT.iter().filter_map(|(_, what)| *what).collect();
        assert_eq!(seen(&stream, stream.len()), expected);
        assert_eq!(seen(&stream, 1), expected);
        let mut watch = Watch::default();
        assert!(watch.see(Direction::FromDevice, stream.get(..3).expect("long enough")).is_empty());
        assert_eq!(watch.see(Direction::FromClient, &stream).len(), expected.len(), "each for itself");
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
        let mut watch = Watch::default();
        assert!(watch.see(Direction::FromClient, &[3, 0, 0, 0]).is_empty());
        assert!(watch.see(Direction::FromClient, &stream).is_empty(), "never searched for");
        assert!(watch.from_client.kept.is_empty());
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
