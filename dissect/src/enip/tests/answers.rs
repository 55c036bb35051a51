//! Answers: what they say, and to which request.

use super::*;
use crate::dissector::{Expects, Key, Outcome, Unframed};
use crate::modbus::PENDING;
use crate::number::NumberKind;
use crate::operation::Values;
use std::num::NonZeroUsize;

const READ: &str = "4c02 9102 4142 0100";
const WRITE: &str = "4d02 9102 4142 c300 0100 0700";
const UNFIT: &str = "an answer that does not fit the request";

#[test]
fn answers_say_values_success_or_the_status() {
    for (request, answer, text) in [
        (READ, "cc00 0000 c300 4d00", "= 77"),
        (READ, "cc00 0600 ca00 0000604000000000", "= 3.5 0"),
        (READ, "cc00 0000 a002 ce0f 05000000", "= 0x05000000"),
        (READ, "cc00 0500", "path destination unknown"),
        (READ, "cc00 ff01 0521", "elements past the end of the tag"),
        (READ, "cc00 0f00", "privilege violation"),
        (WRITE, "cd00 0000", "ok"),
        ("0e03 2004 2464 3003", "8e00 0000 0102", "= 0x0102"),
        (
            "4b02 2067 2401 07 4d00 78563412 0f00 0100 a2 02 07 89 05 00",
            "cb00 0000 07 4d00 78563412 4f00 0100 4d00",
            "= 0x4d00",
        ),
        (
            "4b02 2067 2401 07 4d00 78563412 0f00 0100 aa 02 07 89 05 00 0100",
            "cb00 0000 07 4d00 78563412 4f00 0100",
            "ok",
        ),
        (
            "4b02 2067 2401 07 4d00 78563412 0f00 0100 3a 01",
            "cb00 0000 07 4d00 78563412 4ff0 0100 0b",
            "refused with a PCCC status",
        ),
    ] {
        assert_eq!(outcome(&bytes(request), &bytes(answer)), text, "{answer}");
    }
}

#[test]
fn an_answer_that_says_something_else_is_no_confirmation() {
    for (request, answer) in [
        (WRITE, "cc00 0000"),
        (WRITE, "4d00 0000"),
        (WRITE, "cd00 00"),
        (WRITE, "cd00 0002 0100"),
        (READ, "cc00 0000"),
        (READ, "cc00 0000 a002 ce"),
        (READ, "d200 0101 0402"),
        ("4b02 2067 2401 07 4d00 78563412 0f00 0100 3a 01", "cb00 0000 07 4d00 78563412 4f00 0200"),
        ("4b02 2067 2401 07 4d00 78563412 0f00 0100 3a 01", "cb00 0000 07 4d00 78563412 0f00 0100"),
        ("4b02 2067 2401 07 4d00 78563412 0f00 0100 3a 01", "cb00 0000"),
    ] {
        assert_eq!(outcome(&bytes(request), &bytes(answer)), UNFIT, "{answer}");
    }
}

#[test]
fn an_embedded_request_is_answered_by_itself_or_fails_on_the_way() {
    let request = wrapped(&bytes(WRITE), "0105");
    assert_eq!(outcome(&request, &bytes("cd00 0000")), "ok");
    assert_eq!(outcome(&request, &bytes("d200 0101 1203 01")), "no such address on the way");
    assert_eq!(outcome(&request, &bytes("d200 0000")), UNFIT);
}

#[test]
fn a_packet_is_answered_part_by_part() {
    let request = multiple(&[bytes(READ).to_vec(), bytes(WRITE).to_vec()]);
    let parts = |parts: &[&str]| packet(&parts.iter().map(|part| bytes(part).to_vec()).collect::<Vec<_>>());
    let answer = |status: &str, data: &[u8]| outcome(&request, &[&bytes(status)[..], data].concat());
    assert_eq!(answer("8a00 0000", &parts(&["cc00 0000 c300 4d00", "cd00 0000"])), "= 77; ok");
    let refused = parts(&["cc00 0000 c300 4d00", "cd00 0f00"]);
    assert_eq!(answer("8a00 1e00", &refused), "= 77; privilege violation");
    assert_eq!(
        answer("8a00 0000", &parts(&["cd00 0000", "cc00 0000 c300 4d00"])),
        format!("{UNFIT}; {UNFIT}")
    );
    assert_eq!(answer("8a00 0000", &parts(&["cc00 0000 c300 4d00"])), UNFIT);
    assert_eq!(answer("8a00 0800", &[]), "service not supported");
    let mut dissector = new();
    send(&mut dissector, rr(1, &request));
    let outcome = dissector.answer(rr(1, &[&bytes("8a00 1e00")[..], &refused].concat())).outcome;
    assert!(outcome.is_refusal());
    let Outcome::Several(parts) = outcome else { panic!("two parts") };
    let values =
        Values::Numbers { kind: NumberKind::I16, order: crate::ByteOrder::Little, bytes: bytes("4d00") };
    assert_eq!(parts[0], Outcome::Values { values, count: 1 });
    assert!(!parts[0].is_refusal());
}

#[test]
fn the_encapsulation_may_refuse_as_well() {
    let with_status = |frame: Bytes, status: u8| {
        let mut frame = BytesMut::from(&frame[..]);
        frame[8] = status;
        frame.freeze()
    };
    let mut dissector = new();
    let request = send(&mut dissector, rr(1, &bytes(READ)));
    let answer = dissector.answer(with_status(frame(0x6F, 1, &[]), 0x64));
    assert_eq!(
        (answer.key, answer.outcome.to_string()),
        (Some(request.key), "invalid session handle".to_owned())
    );
    open(&mut dissector, 5, &forward_open(0x54, 0xA3, ROUTER));
    let request = send(&mut dissector, unit(5, 1, &bytes(READ)));
    assert_eq!(dissector.answer(frame(0x70, 7, &[])).key, None);
    let answer = dissector.answer(with_status(frame(0x70, 7, &[]), 0x64));
    assert_eq!(answer.key, Some(request.key));
    assert!(answer.outcome.is_refusal());
}

#[test]
fn unconnected_answers_pair_by_command_and_context() {
    let mut dissector = new();
    let register = send(&mut dissector, frame(0x65, 1, &[1, 0, 0, 0]));
    let first = send(&mut dissector, rr(1, &bytes(READ)));
    let second = send(&mut dissector, rr(2, &bytes(WRITE)));
    assert_eq!(dissector.answer(rr(3, &bytes("cd00 0000"))).key, None);
    let answer = dissector.answer(rr(2, &bytes("cd00 0000")));
    assert_eq!((answer.key, answer.outcome), (Some(second.key), Outcome::Done));
    assert_eq!(dissector.answer(rr(1, &bytes("cc00 0000 c300 0100"))).key, Some(first.key));
    let answer = dissector.answer(frame(0x65, 1, &[1, 0, 0, 0]));
    assert_eq!((answer.key, answer.outcome), (Some(register.key), Outcome::Done));
    assert_ne!(first.key, second.key);
}

#[test]
fn connected_answers_pair_by_connection_and_sequence() {
    let mut dissector = new();
    let mut other = forward_open(0x54, 0xA3, ROUTER);
    other[16] = 0;
    open(&mut dissector, 5, &forward_open(0x54, 0xA3, ROUTER));
    let first = send(&mut dissector, unit(5, 1, &bytes(READ)));
    let second = send(&mut dissector, unit(5, 2, &bytes(WRITE)));
    assert_eq!((first.key, second.key), (Key(0x8000_7119_0427_0001), Key(0x8000_7119_0427_0002)));
    assert_eq!(dissector.answer(unit(0x7119_0427, 3, &bytes("cd00 0000"))).key, None);
    assert_eq!(dissector.answer(unit(0x7119_0428, 2, &bytes("cd00 0000"))).key, None);
    let answer = dissector.answer(unit(0x7119_0427, 2, &bytes("cd00 0000")));
    assert_eq!((answer.key, answer.outcome), (Some(second.key), Outcome::Done));
    // Some devices send the id of the wrong direction back.
    assert_eq!(dissector.answer(unit(5, 1, &bytes("cc00 0000 c300 0100"))).key, Some(first.key));
}

#[test]
fn what_is_never_answered_is_not_waited_for() {
    for (command, body) in [(0x00, "0102"), (0x66, "")] {
        let mut dissector = new();
        let request = send(&mut dissector, frame(command, 1, &bytes(body)));
        assert_eq!(request.expects, Expects::Nothing);
        assert_eq!(dissector.answer(request.frame).key, None);
    }
}

#[test]
fn pending_requests_are_bounded() {
    let mut dissector = new();
    for context in 0..=u64::try_from(PENDING).unwrap() {
        send(&mut dissector, rr(context, &bytes(READ)));
    }
    assert_eq!(dissector.answer(rr(0, &bytes("cc00 0500"))).key, None);
    assert_eq!(dissector.answer(rr(1, &bytes("cc00 0500"))).key, Some(Key(1)));
}

#[test]
fn a_header_that_is_none_loses_the_framing() {
    let framing = |text: &str| new().frame(Direction::FromClient, &bytes(text));
    assert_eq!(framing("6f00 e8ff"), Framing::Lost(Unframed::EncapsulationLength { length: 65512 }));
    assert_eq!(framing("6f00 e7ff"), Framing::Partial);
    let http = new().frame(Direction::FromClient, b"GET / HTTP/1.1\r\nHost: plc\r\n");
    assert!(matches!(http, Framing::Lost(Unframed::EncapsulationOptions { .. })), "{http:?}");
    let whole = frame(0x66, 0, &[]);
    assert_eq!(new().frame(Direction::FromDevice, &whole), Framing::Whole(NonZeroUsize::new(24).unwrap()));
    assert_eq!(new().frame(Direction::FromDevice, &whole[..23]), Framing::Partial);
}
