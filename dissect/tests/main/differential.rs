//! Modbus against an independent decoder, `sawp-modbus`: both have to say the
//! same of any request and answer, and where ours refuses more, the limit of
//! the specification that it is by is named here.

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "inputs are the test's own")]

use bytes::Bytes;
use dissect::{
    Access, Answer, Area, Class, Content, Direction, Dissector, Flaw, Framing, Malformed, Operation, Outcome,
    Place, Protocol, Request, Values,
};
use proptest::prelude::*;
use sawp::parser::{Direction as Towards, Parse};
use sawp_modbus::{Data, ErrorFlags, Flag as _, Message, Modbus, Read, Write};

/// How many frames each property tries.
const CASES: u32 = 4096;

/// A frame around a PDU.
fn framed(pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("a PDU is short");
    [&[0, 9, 0, 0][..], &length.to_be_bytes(), &[3], pdu].concat()
}

/// What the other decoder says of a whole frame.
fn other(frame: &[u8], towards: Towards) -> Message {
    let (rest, message) = Modbus::default().parse(frame, towards).expect("it reads every whole frame");
    assert!(rest.is_empty());
    message.expect("a whole frame is a message")
}

fn ours(frame: &[u8]) -> Request {
    let mut dissector = Dissector::new(Protocol::Modbus);
    let framing = dissector.frame(Direction::FromClient, frame);
    assert!(matches!(framing, Framing::Whole(length) if length.get() == frame.len()), "{framing:?}");
    dissector.decode(Bytes::copy_from_slice(frame))
}

/// Numbers at which limits lie.
fn number() -> impl Strategy<Value = u16> {
    prop_oneof![
        4 => 0..=8_u16,
        2 => 118..=130_u16,
        2 => 1964..=2004_u16,
        1 => 0xFF00..=0xFFFF_u16,
        1 => any::<u16>(),
    ]
}

/// A request that is well formed or nearly so.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let fields = (number(), number(), number(), number());
    let content = proptest::collection::vec(any::<u8>(), 0..=250);
    (1..=25_u8, fields, content, -1..=1_i8).prop_map(
        |(function, (first, second, third, fourth), content, slip)| {
            let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
            // As many bytes as the count asks for, or one more or fewer.
            let counted = |count: usize| {
                let bytes = count.min(content.len());
                let told = u8::try_from(bytes).unwrap_or(u8::MAX);
                let (told, bytes) = if slip < 0 { (told.wrapping_sub(1), bytes) } else { (told, bytes) };
                let more: &[u8] = if slip > 0 { &[0] } else { &[] };
                [&[told], &content[..bytes], more].concat()
            };
            let rest = match function {
                1..=4 => words(&[first, second]),
                5 => words(&[first, if slip == 0 { 0xFF00 } else { second & 1 }]),
                6 => words(&[first, second]),
                8 => words(&[first, if slip == 0 { 0 } else { second }]),
                15 => [words(&[first, second]), counted(usize::from(second).div_ceil(8))].concat(),
                16 => [words(&[first, second]), counted(usize::from(second) * 2)].concat(),
                22 => words(&[first, second, third]),
                23 => [words(&[first, second, third, fourth]), counted(usize::from(fourth) * 2)].concat(),
                24 => words(&[first]),
                _ => Vec::new(),
            };
            let mut pdu = [vec![function], rest].concat();
            if slip > 0 && second % 3 == 0 {
                pdu.push(0);
            }
            pdu.truncate(253);
            pdu
        },
    )
}

/// Whether the limit that a request breaks is one that only we keep: sawp
/// takes the reads' limits for the writes too and no address for too high.
fn is_stricter(why: &Malformed, message: &Message) -> bool {
    let past = |address: u16, quantity: u16| u32::from(address) + u32::from(quantity) > 0x1_0000;
    match &message.data {
        Data::Read(Read::Request { address, quantity }) => {
            why.flaw == Flaw::Address && past(*address, *quantity)
        }
        Data::Write(Write::MultReq { address, quantity, .. }) => {
            let most = if message.function.raw == 15 { 1968 } else { 123 };
            (why.flaw == Flaw::Address && past(*address, *quantity))
                || (why.flaw == Flaw::Count { count: *quantity } && *quantity > most)
        }
        Data::ReadWrite {
            read: Read::Request { address, quantity },
            write: Write::MultReq { address: to, quantity: written, .. },
        } => {
            (why.flaw == Flaw::Address && (past(*address, *quantity) || past(*to, *written)))
                || (why.flaw == Flaw::Count { count: *written } && *written > 121)
        }
        // Section 6.8.1: nothing but zero.
        Data::Diagnostic { func, data } => func.raw == 4 && data.as_slice() != [0, 0],
        // File records have no fields there.
        Data::Exception(_)
        | Data::MEI { .. }
        | Data::Read(_)
        | Data::Write(_)
        | Data::ReadWrite { .. }
        | Data::ByteVec(_)
        | Data::Empty => message.function.raw == 20 || message.function.raw == 21,
    }
}

/// The accesses that the other decoder's fields mean.
fn agrees(operation: &Operation, message: &Message) -> bool {
    let place = |access: &Access, class: Class, address: u16, quantity: u16| {
        access.class == class
            && access.unit == Some(message.unit_id)
            && access.place.as_ref().is_some_and(|place| {
                let (first, last) = (u32::from(address), u32::from(address) + u32::from(quantity) - 1);
                matches!(place, Place::Range { area: known, range }
                    if area(message).contains(known) && (range.first(), range.last()) == (first, last))
            })
    };
    let written = |access: &Access, bytes: &[u8]| match &access.values {
        Values::Bits(values) | Values::Words(values) => *values == bytes,
        Values::None
        | Values::Masked { .. }
        | Values::Numbers { .. }
        | Values::Untyped(_)
        | Values::Text(_)
        | Values::Module { .. }
        | Values::Secret(_) => false,
    };
    match (&message.data, operation.accesses.as_slice()) {
        (Data::Read(Read::Request { address, quantity }), [access]) => {
            place(access, Class::Read, *address, *quantity) && access.values == Values::None
        }
        (Data::Write(Write::Other { address, data }), [access]) => {
            let bit = [u8::from(*data == 0xFF00)];
            let bytes = if message.function.raw == 5 { bit.to_vec() } else { data.to_be_bytes().to_vec() };
            place(access, Class::Write, *address, 1) && written(access, &bytes)
        }
        (Data::Write(Write::MultReq { address, quantity, data }), [access]) => {
            place(access, Class::Write, *address, *quantity) && written(access, data)
        }
        (Data::Write(Write::Mask { address, and_mask, or_mask }), [access]) => {
            place(access, Class::Write, *address, 1)
                && access.values == Values::Masked { and: (*and_mask).into(), or: (*or_mask).into() }
        }
        (
            Data::ReadWrite {
                read: Read::Request { address, quantity },
                write: Write::MultReq { address: to, quantity: words, data },
            },
            [read, write],
        ) => {
            place(read, Class::Read, *address, *quantity)
                && place(write, Class::Write, *to, *words)
                && written(write, data)
        }
        (Data::Diagnostic { .. } | Data::ByteVec(_) | Data::MEI { .. }, [access, ..]) => {
            access.class != Class::Write && access.unit == Some(message.unit_id)
        }
        (_, _) => false,
    }
}

fn area(message: &Message) -> &'static [Area] {
    match message.function.raw {
        1 | 5 | 15 => &[Area::Coil],
        2 => &[Area::Discrete],
        4 => &[Area::Input],
        _ => &[Area::Holding],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn requests_mean_the_same_to_both(pdu in request()) {
        let frame = framed(&pdu);
        let message = other(&frame, Towards::ToServer);
        let clean = message.error_flags == ErrorFlags::none();
        match ours(&frame).content {
            Content::Operation(operation) if clean => {
                prop_assert!(agrees(&operation, &message), "{operation} is to sawp {message:?}");
            }
            Content::Operation(operation) => {
                // Section 6.8.1: query data may have any length; file records
                // and codes without a public meaning have no fields in sawp.
                let query = pdu.starts_with(&[8, 0, 0]) && pdu.len() % 2 == 1;
                let reserved = operation.accesses[0].class == Class::Unknown;
                prop_assert!(query || reserved, "{operation} has to sawp the faults of {message:?}");
            }
            Content::Malformed { why } if clean => {
                prop_assert!(is_stricter(&why, &message), "{why} is to sawp {message:?}");
            }
            Content::Malformed { .. } => {}
        }
    }

    #[test]
    fn answers_mean_the_same_to_both(
        function in prop_oneof![1..=4_u8, Just(23)],
        count in 1..=100_u16,
        content in proptest::collection::vec(any::<u8>(), 0..=250),
        exact: bool,
        exception in proptest::option::weighted(0.2, any::<u8>()),
    ) {
        let count_bytes = count.to_be_bytes();
        let asked: Vec<u8> = match function {
            23 => [&[23, 0, 0][..], &count_bytes, &[0, 0, 0, 1, 2, 0, 0]].concat(),
            _ => [&[function, 0, 0][..], &count_bytes].concat(),
        };
        let wanted = if function < 3 { usize::from(count).div_ceil(8) } else { usize::from(count) * 2 };
        let mut content = content;
        if exact {
            content.resize(wanted, 0xA5);
        }
        let answer = match exception {
            Some(code) => vec![function | 0x80, code],
            None => [&[function, u8::try_from(content.len()).unwrap()], content.as_slice()].concat(),
        };
        let mut dissector = Dissector::new(Protocol::Modbus);
        let request = dissector.decode(framed(&asked).into());
        dissector.forwarded(&request);
        let frame = framed(&answer);
        let message = other(&frame, Towards::ToClient);
        let Answer { key, outcome, .. } = dissector.answer(frame.into());
        prop_assert_eq!(key, Some(request.key));
        match (&message.data, outcome) {
            (Data::Exception(other), Outcome::Refused { code, .. }) => {
                prop_assert_eq!(code, u32::from(other.raw));
            }
            (Data::Read(Read::Response(data)), Outcome::Values { values, count: told }) => {
                prop_assert_eq!(told, u32::from(count));
                let same = match values {
                    Values::Bits(values) | Values::Words(values) => values == *data,
                    Values::None
        | Values::Masked { .. }
        | Values::Numbers { .. }
        | Values::Untyped(_)
        | Values::Text(_)
        | Values::Module { .. }
        | Values::Secret(_) => false,
                };
                prop_assert!(same && data.len() == wanted);
            }
            (Data::Read(Read::Response(data)), Outcome::Unreadable) => prop_assert!(data.len() != wanted),
            (data, outcome) => prop_assert!(false, "{outcome:?} is to sawp {data:?}"),
        }
    }
}
