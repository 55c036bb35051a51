#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "inputs are the test's own")]

use super::*;
use crate::area::Area;
use crate::dissector::{Content, Dissector, Flaw};
use crate::operation::{Class, Effect, Operation, Protocol, Values};
use crate::place::Place;
use proptest::prelude::*;

fn bytes(text: &str) -> Bytes {
    hex::decode(text.replace(' ', "")).unwrap().into()
}

/// A frame around a PDU, transaction 4, unit 1.
fn framed(pdu: &str) -> Bytes {
    let pdu = bytes(pdu);
    let length = u16::try_from(pdu.len() + 1).unwrap();
    let mut frame = BytesMut::new();
    frame.put_u16(4);
    frame.put_u16(0);
    frame.put_u16(length);
    frame.put_u8(1);
    frame.put_slice(&pdu);
    frame.freeze()
}

fn content(pdu: &str) -> Content {
    Dissector::new(Protocol::Modbus).decode(framed(pdu)).content
}

fn operation(pdu: &str) -> Operation {
    match content(pdu) {
        Content::Operation(operation) => operation,
        Content::Malformed { why } => panic!("{pdu}: {why}"),
    }
}

fn flaw(pdu: &str) -> (Flaw, Denial) {
    match content(pdu) {
        Content::Malformed { why } => (why.flaw, why.denial()),
        Content::Operation(operation) => panic!("{pdu} was taken for {operation}"),
    }
}

/// What the answer to a request says.
fn outcome(request: &str, answer: &str) -> String {
    let mut dissector = Dissector::new(Protocol::Modbus);
    let request = dissector.decode(framed(request));
    dissector.forwarded(&request);
    let answer = dissector.answer(framed(answer));
    assert_eq!(answer.key, Some(request.key));
    answer.outcome.to_string()
}

#[test]
fn a_denial_is_the_exception_with_the_requests_own_ids() {
    let mut dissector = Dissector::new(Protocol::Modbus);
    let request = dissector.decode(bytes("0004 0000 0006 01 06 0014 002a"));
    let denial = |dissector: &mut Dissector, denial| dissector.deny(&request, denial).unwrap();
    assert_eq!(denial(&mut dissector, Denial::Function), bytes("0004 0000 0003 01 86 01"));
    assert_eq!(denial(&mut dissector, Denial::Address), bytes("0004 0000 0003 01 86 02"));
    assert_eq!(denial(&mut dissector, Denial::Value), bytes("0004 0000 0003 01 86 03"));
    assert_eq!(denial(&mut dissector, Denial::Unit), bytes("0004 0000 0003 01 86 0a"));
    let request = dissector.decode(bytes("ffff 0000 0002 f7 83"));
    assert_eq!(dissector.deny(&request, Denial::Function), None);
}

#[test]
fn the_common_functions_have_places_and_values() {
    for (pdu, text) in [
        ("01 0000 07d0", "read coil[0-1999]"),
        ("02 0005 0001", "read discrete[5]"),
        ("03 006b 0003", "read holding[107-109]"),
        ("04 ffff 0001", "read input[65535]"),
        ("05 00ac ff00", "write coil[172] = 1"),
        ("05 00ac 0000", "write coil[172] = 0"),
        ("06 0064 02db", "write holding[100] = 731"),
        ("0f 0013 000a 02 cd01", "write coil[19-28] = 1 0 1 1 0 0 1 1 ..."),
        ("10 0001 0002 04 000a 0102", "write holding[1-2] = 10 258"),
        ("14 07 06 0004 0001 0002", "file-read file[4.1-4.2]"),
        ("14 0e 06 0004 0001 0002 06 0003 0009 0001", "file-read file[4.1-4.2] + file-read file[3.9]"),
        ("15 0b 06 0004 0007 0002 06af 04be", "file-write file[4.7-4.8] = 0x06af04be"),
        ("16 0004 00f2 0025", "write holding[4] = (old and 0x00f2) or (0x0025 and not 0x00f2)"),
        ("17 0003 0006 000e 0001 02 00ff", "read holding[3-8] + write holding[14] = 255"),
        ("18 04de", "read holding[1246-1277]"),
        ("18 fff0", "read holding[65520-65535]"),
    ] {
        assert_eq!(operation(pdu).to_string(), text, "{pdu}");
    }
}

#[test]
fn functions_without_a_place_have_their_class() {
    for (pdu, text) in [
        ("07", "diagnostic (read exception status)"),
        ("08 0000 a537", "diagnostic (return query data)"),
        ("08 0001 ff00", "control (restart communications)"),
        ("08 0003 0a00", "control (change ASCII input delimiter)"),
        ("08 0004 0000", "control (force listen only mode)"),
        ("08 000a 0000", "diagnostic (clear counters)"),
        ("08 0015 0000", "unknown (unassigned diagnostics)"),
        ("0b", "diagnostic (get comm event counter)"),
        ("0c", "diagnostic (get comm event log)"),
        ("11", "identify (report server id)"),
        ("2b 0e 01 00", "identify (read device identification)"),
        ("2b 0d 0000", "unknown (CANopen general reference)"),
        ("2b 77", "unknown (encapsulated interface transport)"),
        ("5a 00 01 00", "identify (UMAS initialize communication)"),
        ("5a 00 04", "identify (UMAS read PLC information)"),
        ("5a 07 10 01 02", "security (UMAS take reservation)"),
        ("5a 07 20 01", "program-read (UMAS read memory block)"),
        ("5a 07 22 01", "read umas[34]"),
        ("5a 07 23 0a0b", "write umas[35] = 0x0a0b"),
        ("5a 07 25 0a0b", "write umas[37] = 0x0a0b"),
        ("5a 07 32", "program-read (UMAS end upload)"),
        ("5a 07 34 0102", "program-write = 0x0102 (UMAS download block)"),
        ("5a 07 40", "control (UMAS start PLC)"),
        ("5a 07 41 ff", "control (UMAS stop PLC)"),
        ("5a 07 0a", "unknown (UMAS, unknown code)"),
        ("5a 07 42", "unknown (UMAS, unknown code)"),
        ("5a 07 ff", "unknown (UMAS, unknown code)"),
        ("7d 00", "program-write (firmware replacement)"),
        ("41", "unknown (function 65)"),
    ] {
        assert_eq!(operation(pdu).to_string(), text, "{pdu}");
    }
}

/// The table of published codes, so that a change of class is seen.
#[test]
fn every_function_code_has_a_class() {
    let minimal = |code: u8| match code {
        1..=4 => "0000 0001",
        5 | 6 => "0000 0000",
        8 => "0000 0000",
        15 => "0000 0001 01 00",
        16 => "0000 0001 02 0000",
        20 => "07 06 0001 0000 0001",
        21 => "09 06 0001 0000 0001 0000",
        22 => "0000 0000 0000",
        23 => "0000 0001 0000 0001 02 0000",
        24 => "0000",
        43 => "0e 01 00",
        90 => "00 ff",
        _ => "",
    };
    for code in 1..=127_u8 {
        let expected = match code {
            1..=4 | 23 | 24 => Class::Read,
            5 | 6 | 15 | 16 | 22 => Class::Write,
            7 | 8 | 11 | 12 => Class::Diagnostic,
            9 | 10 | 13 | 14 | 18 | 19 | 40 | 125 | 126 => Class::ProgramWrite,
            17 | 43 => Class::Identify,
            20 => Class::FileRead,
            21 => Class::FileWrite,
            _ => Class::Unknown,
        };
        let operation = operation(&format!("{code:02x} {}", minimal(code)));
        assert_eq!(operation.accesses[0].class, expected, "function code {code}");
        assert!(operation.accesses.iter().all(|access| access.unit == Some(1)));
        let observes = matches!(code, 1..=4 | 17 | 24 | 43);
        assert_eq!(operation.effect() == Effect::Observes, observes, "function code {code}");
    }
}

#[test]
fn what_does_not_add_up_is_malformed() {
    for (pdu, expected) in [
        ("00", Flaw::Function),
        ("01 0000 0000", Flaw::Count { count: 0 }),
        ("01 0000 07d1", Flaw::Count { count: 2001 }),
        ("03 0000 007e", Flaw::Count { count: 126 }),
        ("03 0000 0001 00", Flaw::Length),
        ("03 0000 00", Flaw::Length),
        ("05 0000 0001", Flaw::Value { value: 1 }),
        ("06 0000 0001 0002", Flaw::Length),
        ("0f 0000 07b1 f7", Flaw::Count { count: 1969 }),
        ("0f 0000 0009 01 ff", Flaw::ByteCount { bytes: 1 }),
        ("10 0000 0001 04 0000 0000", Flaw::ByteCount { bytes: 4 }),
        ("10 0000 0002 04 0000", Flaw::Length),
        ("10 0000 0001 02 0000 00", Flaw::Length),
        ("10 0000 007c f8", Flaw::Count { count: 124 }),
        ("11 00", Flaw::Length),
        ("14 06 06 0004 0001 00", Flaw::ByteCount { bytes: 6 }),
        ("14 07 06 0004 0001 007a", Flaw::Count { count: 122 }),
        ("15 09 06 0004 0007 0002 06af", Flaw::Length),
        ("16 0004 00f2 0025 00", Flaw::Length),
        ("17 0003 0006 000e 007a f4", Flaw::Count { count: 122 }),
        ("17 0003 0006 000e 0001 04 00ff 00ff", Flaw::ByteCount { bytes: 4 }),
        ("08 0000", Flaw::Length),
        ("08 0001 1234", Flaw::Value { value: 0x1234 }),
        ("08 000a 0000 00", Flaw::Length),
        ("08 000a 0001", Flaw::Value { value: 1 }),
        ("2b 0e 05 00", Flaw::Value { value: 5 }),
        ("2b 0e 01 00 00", Flaw::Length),
        ("2b", Flaw::Length),
        ("5a", Flaw::Length),
        ("5a 00", Flaw::Length),
    ] {
        let (found, denial) = flaw(pdu);
        assert_eq!(found, expected, "{pdu}");
        let nearest = if found == Flaw::Function { Denial::Function } else { Denial::Value };
        assert_eq!(denial, nearest, "{pdu}");
    }
}

#[test]
fn addresses_past_the_end_are_refused_as_addresses() {
    for pdu in [
        "01 ffff 0002",
        "03 fff0 0011",
        "0f ffff 0002 01 00",
        "10 ffff 0002 04 0000 0000",
        "17 0000 0001 ffff 0002 04 0000 0000",
        "14 07 06 0004 270f 0002",
        "14 07 06 0000 0000 0001",
        "14 07 05 0001 0000 0001",
        "15 09 06 0001 ffff 0001 0000",
    ] {
        assert_eq!(flaw(pdu), (Flaw::Address, Denial::Address), "{pdu}");
    }
}

#[test]
fn answers_are_read_against_their_requests() {
    for (request, answer, text) in [
        ("03 006b 0003", "03 06 022b 0000 0064", "= 555 0 100"),
        ("01 0013 0003", "01 01 05", "= 1 0 1"),
        ("06 0001 0003", "06 0001 0003", "ok"),
        ("10 0001 0002 04 000a 0102", "10 0001 0002", "ok"),
        ("16 0004 00f2 0025", "16 0004 00f2 0025", "ok"),
        ("17 0003 0001 000e 0001 02 00ff", "17 02 00fe", "= 254"),
        ("18 04de", "18 0006 0002 01b8 1284", "= 440 4740"),
        ("08 0000 a537", "08 0000 a537", "ok"),
        ("08 000b 0000", "08 000b 0007", "= 7"),
        ("08 0002 0000", "08 0002 8001", "= 32769"),
        ("07", "07 6d", "= 1 0 1 1 0 1 1 0"),
        ("0b", "0b ffff 0108", "= 65535 264"),
        ("0c", "0c 08 0000 0108 0121 2000", "= 0x0000010801212000"),
        ("11", "11 05 504c2d37 ff", "= \"PL-7\\xff\""),
        ("14 0e 06 0004 0001 0002 06 0003 0009 0001", "14 0a 05 06 0dfe 0020 03 06 33cd", "= 3582 32 13261"),
        ("15 09 06 0004 0007 0001 06af", "15 09 06 0004 0007 0001 06af", "ok"),
        ("2b 0e 01 00", "2b 0e 01 01 00 00 02 00 02 4142 01 02 4344", "= \"vendor AB; product CD\""),
        ("5a 00 01", "5a 00 fe 0204", "= 0x0204"),
        ("5a 07 41 ff", "5a 07 fe", "ok"),
        ("5a 07 41 ff", "5a 07 fd 8000", "UMAS error"),
        ("5a 07 41 ff", "da 01", "illegal function"),
        ("01 04a1 0001", "81 02", "illegal data address"),
        ("06 0001 0003", "86 04", "server device failure"),
    ] {
        assert_eq!(outcome(request, answer), text, "{request}");
    }
}

#[test]
fn an_answer_that_says_something_else_is_no_confirmation() {
    for (request, answer) in [
        ("03 006b 0003", "03 04 022b 0000"),
        ("03 006b 0003", "03 06 022b 0000"),
        ("03 006b 0003", "04 06 022b 0000 0064"),
        ("06 0001 0003", "06 0001 0004"),
        ("06 0001 0003", "06 0001 0003 00"),
        ("06 0001 0003", "86 04 00"),
        ("06 0001 0003", "83 04"),
        ("18 04de", "18 0006 0003 01b8 1284"),
        ("08 0000 a537", "08 0000 a538"),
        ("08 000b 0000", "08 000c 0007"),
        ("08 000b 0000", "08 000b 0007 00"),
        ("07", "07 6d 00"),
        ("0b", "0b ffff"),
        ("0c", "0c 02 0000"),
        ("0c", "0c 08 0000"),
        ("11", "11 00"),
        ("11", "11 03 01ff"),
        ("14 07 06 0004 0001 0002", "14 06 05 06 0dfe 0020 00"),
        ("14 07 06 0004 0001 0002", "14 04 03 06 0dfe"),
        ("14 07 06 0004 0001 0002", "14 06 05 07 0dfe 0020"),
        ("2b 0e 01 00", "2b 0e 02 01 00 00 00"),
        ("2b 0e 01 00", "2b 0d 01 01 00 00 00"),
        ("2b 0e 01 00", "2b 0e 01 01 00 00 02 00 02 4142"),
        ("2b 0e 01 00", "2b 0e 01 01 00 00 01 00 02 414200"),
        ("5a 07 41 ff", "5a 07 fc"),
        ("5a 07 41 ff", "5a 07"),
    ] {
        assert_eq!(outcome(request, answer), "an answer that does not fit the request", "{answer}");
    }
}

#[test]
fn answers_pair_by_transaction_and_unit_in_order() {
    let mut dissector = Dissector::new(Protocol::Modbus);
    let first = dissector.decode(bytes("0007 0000 0006 01 03 0000 0001"));
    let same = dissector.decode(bytes("0007 0000 0006 01 03 0000 0002"));
    let other_unit = dissector.decode(bytes("0007 0000 0006 02 03 0000 0003"));
    for request in [&first, &same, &other_unit] {
        dissector.forwarded(request);
    }
    let answer = dissector.answer(bytes("0007 0000 0009 02 03 06 0001 0002 0003"));
    assert_eq!((answer.key, answer.outcome.to_string()), (Some(other_unit.key), "= 1 2 3".to_owned()));
    let answer = dissector.answer(bytes("0007 0000 0005 01 03 02 0001"));
    assert_eq!((answer.key, answer.outcome.to_string()), (Some(first.key), "= 1".to_owned()));
    let answer = dissector.answer(bytes("0007 0000 0007 01 03 04 0001 0002"));
    assert_eq!((answer.key, answer.outcome.to_string()), (Some(same.key), "= 1 2".to_owned()));
    assert_eq!(dissector.answer(bytes("0007 0000 0005 01 03 02 0001")).key, None);
}

#[test]
fn a_request_without_an_answer_is_not_waited_for() {
    let mut dissector = Dissector::new(Protocol::Modbus);
    let request = dissector.decode(framed("08 0004 0000"));
    assert_eq!(request.expects, Expects::Nothing);
    dissector.forwarded(&request);
    assert_eq!(dissector.answer(framed("08 0004 0000")).key, None);
}

#[test]
fn pending_requests_are_bounded() {
    let mut dissector = Dissector::new(Protocol::Modbus);
    for transaction in 0..=u16::try_from(PENDING).unwrap() {
        let mut frame = BytesMut::from(&framed("03 0000 0001")[..]);
        frame[..2].copy_from_slice(&transaction.to_be_bytes());
        let request = dissector.decode(frame.freeze());
        dissector.forwarded(&request);
    }
    assert_eq!(dissector.answer(bytes("0000 0000 0005 01 03 02 0001")).key, None);
    assert_eq!(dissector.answer(bytes("0001 0000 0005 01 03 02 0001")).key, Some(Key(0x101)));
}

#[test]
fn a_header_that_is_none_loses_the_framing_at_once() {
    let dissector = Dissector::new(Protocol::Modbus);
    let lost = |text| match dissector.frame(Direction::FromClient, &bytes(text)) {
        Framing::Lost(unframed) => unframed,
        other @ (Framing::Partial | Framing::Whole(_)) => panic!("{text}: {other:?}"),
    };
    assert_eq!(lost("0000 0001"), Unframed::ProtocolIdentifier { found: 1 });
    assert_eq!(lost("0000 0000 0001"), Unframed::Length { length: 1 });
    assert_eq!(lost("0000 0000 00ff"), Unframed::Length { length: 255 });
    assert_eq!(lost("0000 0000 0003 01 83"), Unframed::AnswerFromClient { function: 0x83 });
    let exception = bytes("0000 0000 0003 01 83 02");
    assert_eq!(
        dissector.frame(Direction::FromDevice, &exception),
        Framing::Whole(NonZeroUsize::new(9).unwrap())
    );
}

#[test]
fn masked_writes_carry_their_masks() {
    let Values::Masked { and, or } = operation("16 0004 00f2 0025").accesses[0].values else {
        panic!("a masked write")
    };
    assert_eq!((and, or), (0x00F2, 0x0025));
}

/// Cuts all whole frames from a stream that arrives in pieces.
fn cut(stream: &[u8], pieces: &[usize]) -> (Vec<Bytes>, Bytes, Option<Unframed>) {
    let dissector = Dissector::new(Protocol::Modbus);
    let (mut buffered, mut frames, mut rest) = (BytesMut::new(), Vec::new(), stream);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
        rest = later;
        buffered.put_slice(piece);
        loop {
            match dissector.frame(Direction::FromClient, &buffered) {
                Framing::Whole(length) => frames.push(buffered.split_to(length.get()).freeze()),
                Framing::Partial => break,
                Framing::Lost(unframed) => return (frames, buffered.freeze(), Some(unframed)),
            }
        }
        assert!(buffered.len() < LONGEST_FRAME);
    }
    (frames, buffered.freeze(), None)
}

/// One well-formed request of a common function and its operation's text.
fn well_formed() -> impl Strategy<Value = (Vec<u8>, String)> {
    let words = proptest::collection::vec(any::<u16>(), 1..=8);
    prop_oneof![
        (0..=65_410_u32, 1..=125_u32).prop_map(|(first, count)| {
            let last = first + count - 1;
            let range = if count == 1 { format!("[{first}]") } else { format!("[{first}-{last}]") };
            let pdu = [&[3][..], &(first as u16).to_be_bytes(), &(count as u16).to_be_bytes()].concat();
            (pdu, format!("read unit[7] holding{range}"))
        }),
        (0..=65_000_u16, words).prop_map(|(first, words)| {
            let count = words.len() as u16;
            let mut pdu = [&[16][..], &first.to_be_bytes(), &count.to_be_bytes()].concat();
            pdu.push(2 * count as u8);
            pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            let range =
                if count == 1 { format!("[{first}]") } else { format!("[{first}-{}]", first + count - 1) };
            let values = words.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
            (pdu, format!("write unit[7] holding{range} = {values}"))
        }),
        (any::<u16>(), any::<bool>()).prop_map(|(address, on)| {
            let value = if on { [0xFF, 0] } else { [0, 0] };
            let pdu = [&[5][..], &address.to_be_bytes(), &value].concat();
            (pdu, format!("write unit[7] coil[{address}] = {}", u8::from(on)))
        }),
    ]
}

fn adu(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).unwrap();
    [&transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &[unit], pdu].concat()
}

proptest! {
    #[test]
    fn frames_put_together_are_the_input_in_any_segmentation(
        pdus in proptest::collection::vec(proptest::collection::vec(0..0x80_u8, 1..=253), 1..8),
        pieces in proptest::collection::vec(1..300_usize, 1..8),
    ) {
        let sent: Vec<Vec<u8>> = pdus.iter().map(|pdu| adu(9, 1, pdu)).collect();
        let (frames, rest, lost) = cut(&sent.concat(), &pieces);
        prop_assert_eq!(lost, None);
        prop_assert!(rest.is_empty());
        prop_assert_eq!(frames, sent);
    }

    #[test]
    fn any_bytes_are_cut_alike_in_any_segmentation(
        stream in proptest::collection::vec(prop_oneof![Just(0_u8), Just(6), any::<u8>()], 0..600),
        pieces in proptest::collection::vec(1..40_usize, 1..8),
    ) {
        let whole = cut(&stream, &[600]);
        let (frames, rest, lost) = cut(&stream, &pieces);
        prop_assert_eq!(&frames, &whole.0);
        prop_assert_eq!(lost, whole.2);
        let mut together: Vec<u8> = frames.concat();
        together.extend_from_slice(&rest);
        prop_assert!(stream.starts_with(&together));
    }

    #[test]
    fn no_bytes_make_it_panic(
        request in proptest::collection::vec(any::<u8>(), 0..280),
        answer in proptest::collection::vec(any::<u8>(), 0..280),
        function in 0..0x80_u8,
    ) {
        let mut dissector = Dissector::new(Protocol::Modbus);
        let decoded = dissector.decode(request.clone().into());
        let _denial = dissector.deny(&decoded, Denial::Value);
        dissector.forwarded(&decoded);
        let _text = dissector.answer(answer.clone().into()).outcome.to_string();
        // The same behind a sound header, so that the function is reached.
        let mut pdu = vec![function];
        pdu.extend(request.iter().take(252));
        let decoded = dissector.decode(adu(1, 1, &pdu).into());
        if let Content::Operation(operation) = &decoded.content {
            prop_assert!(!operation.accesses.is_empty());
            let inside = |access: &crate::Access| {
                match &access.place {
                    Some(Place::Range { area, range }) => range.last() <= area.last_address(),
                    Some(Place::Name(_) | Place::Object(_)) => false,
                    None => true,
                }
            };
            prop_assert!(operation.accesses.iter().all(inside));
            let _text = operation.to_string();
        }
        dissector.forwarded(&decoded);
        let mut pdu = vec![function];
        pdu.extend(answer.iter().take(252));
        prop_assert_eq!(dissector.answer(adu(1, 1, &pdu).into()).key.is_some(), decoded.expects == Expects::Answer);
    }

    #[test]
    fn own_encodings_are_decoded_to_what_they_say((pdu, text) in well_formed(), transaction: u16) {
        let frame: Bytes = adu(transaction, 7, &pdu).into();
        let request = Dissector::new(Protocol::Modbus).decode(frame.clone());
        prop_assert_eq!(request.key, Key(u64::from(transaction) << 8 | 7));
        prop_assert_eq!(request.frame, frame);
        let Content::Operation(operation) = request.content else { panic!("{text} is malformed") };
        prop_assert_eq!(operation.to_string(), text);
        let common = |access: &crate::Access| {
            matches!(access.place, Some(Place::Range { area: Area::Coil | Area::Holding, .. }))
        };
        prop_assert!(operation.accesses.iter().all(common));
    }
}
