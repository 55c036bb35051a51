//! What a channel remembers: answers and their requests, what was agreed,
//! transfers, pieces.

use super::*;
use crate::operation::Range;
use crate::{Answer, Key, Outcome};

/// Sends a request on to the device.
fn forward(dissector: &mut Dissector, frame: Bytes) -> Request {
    let request = dissector.decode(frame);
    dissector.forwarded(&request);
    request
}

/// What the device's frame says in answer to a single request.
fn outcome(request: Bytes, answer: Bytes) -> String {
    let mut dissector = Dissector::new(Protocol::S7);
    let request = forward(&mut dissector, request);
    let answer = dissector.answer(answer);
    assert_eq!(answer.key, Some(request.key));
    answer.outcome.to_string()
}

fn class(request: &Request) -> Class {
    match &request.content {
        Content::Operation(operation) => operation.accesses[0].class,
        Content::Malformed { why } => panic!("{why}"),
    }
}

#[test]
fn answers_are_read_against_their_requests() {
    let byte = item(2, 1, 1, 0x84, 0);
    let word = item(5, 2, 1, 0x84, 16);
    let bit = item(1, 1, 1, 0x84, 3);
    for (request, answer, text) in [
        (job(&format!("0401 {byte}"), ""), unit(3, "0000", "0401", "ff 04 0008 2a"), "= 0x2a"),
        (job(&format!("0401 {byte}"), ""), unit(3, "0000", "0401", "ff 04 0008 2a 00"), "= 0x2a"),
        (job(&format!("0401 {bit}"), ""), unit(3, "0000", "0401", "ff 03 0001 01"), "= 1"),
        (job(&format!("0401 {word}"), ""), unit(3, "0000", "0401", "ff 05 0020 0001 fffe"), "= 1 -2"),
        (
            job(&format!("0403 {byte} {word} {byte}"), ""),
            unit(3, "0000", "0403", "ff 04 0008 2a 00  0a 00 0000  ff 04 0008 2b"),
            "= 0x2a; object does not exist; = 0x2b",
        ),
        (job(&format!("0401 {byte}"), ""), unit(3, "0000", "0401", "05 00 0000"), "invalid address"),
        (job(&format!("0401 {byte}"), ""), unit(2, "8104", "", ""), "service not implemented"),
        (job(&format!("0401 {byte}"), ""), unit(3, "8500", "04", ""), "wrong frame"),
        (job(&format!("0501 {byte}"), "00 04 0008 aa"), unit(3, "0000", "0501", "ff"), "ok"),
        (
            job(&format!("0501 {byte}"), "00 04 0008 aa"),
            unit(3, "0000", "0501", "03"),
            "access to the object not allowed",
        ),
        (
            job(&format!("0502 {byte} {byte}"), "00 04 0008 aa 00 00 04 0008 bb"),
            unit(3, "0000", "0502", "ff 0a"),
            "ok; object does not exist",
        ),
        (job("29 0000000000 09 505f50524f4752414d", ""), unit(3, "0000", "29", ""), "ok"),
        (job("29 0000000000 09 505f50524f4752414d", ""), unit(2, "0000", "", ""), "ok"),
        (
            job("29 0000000000 09 505f50524f4752414d", ""),
            unit(3, "8402", "29", ""),
            "not in the present state of the object",
        ),
        (
            userdata("000112 04 11 47 01 00", "0a000000"),
            userdata("000112 08 12 87 01 00 00 00 0000", "ff09 0002 0026"),
            "= 0x0026",
        ),
        (
            userdata("000112 04 11 47 02 00", "ff09 0002 0019"),
            userdata("000112 08 12 87 02 00 00 00 0000", "0a000000"),
            "ok",
        ),
        (
            userdata("000112 04 11 45 01 00", "ff09 0002 0019"),
            userdata("000112 08 12 85 01 00 00 00 d602", ""),
            "wrong password",
        ),
        (
            userdata("000112 04 11 44 01 00", "ff09 0004 0011 0000"),
            userdata("000112 08 12 84 01 00 00 00 0000", "81000000"),
            "a return code of its own",
        ),
    ] {
        assert_eq!(outcome(request, answer), text);
    }
}

#[test]
fn an_answer_that_says_something_else_is_no_confirmation() {
    let byte = item(2, 1, 1, 0x84, 0);
    let read = job(&format!("0401 {byte}"), "");
    let write = job(&format!("0501 {byte}"), "00 04 0008 aa");
    let clock = userdata("000112 04 11 47 02 00", "ff09 0002 0019");
    for (request, answer) in [
        (&read, unit(3, "0000", "0501", "ff")),
        (&read, unit(3, "0000", "0402", "ff 04 0008 2a")),
        (&read, unit(3, "0000", "0401", "ff 04 0010 2a2b")),
        (&read, unit(3, "0000", "0401", "ff 04 0008 2a 00 00")),
        (&read, unit(3, "0000", "0401", "")),
        (&read, unit(2, "0000", "", "")),
        (&write, unit(3, "0000", "0501", "ffff")),
        (&write, unit(3, "0000", "0501", "")),
        (&write, unit(3, "0000", "0401", "ff")),
        (&job("29", ""), unit(3, "0000", "28", "")),
        (&clock, userdata("000112 08 12 87 01 00 00 00 0000", "0a000000")),
        (&clock, userdata("000112 08 12 87 02 00 00 00 0000", "")),
        (&clock, userdata("000112 08 12 87 02", "")),
    ] {
        assert_eq!(outcome(request.clone(), answer), "an answer that does not fit the request");
    }
}

#[test]
fn several_requests_pair_by_reference_and_kind() {
    let mut dissector = Dissector::new(Protocol::S7);
    let reads: Vec<Request> = (1..=3_u16)
        .map(|reference| {
            let mut frame = job(&format!("0401 {}", item(2, 1, 1, 0x84, 0)), "").to_vec();
            frame[11..13].copy_from_slice(&reference.to_be_bytes());
            forward(&mut dissector, frame.into())
        })
        .collect();
    let clock = forward(&mut dissector, bytes("0300001d02f0803207000000020008000400011204114701000a000000"));
    let answer = |dissector: &mut Dissector, text: &str| -> Answer { dissector.answer(bytes(text)) };
    let second = answer(&mut dissector, "0300001a02f08032030000000200020005 0000 0401 ff0400082a");
    assert_eq!((second.key, second.outcome.to_string()), (Some(reads[1].key), "= 0x2a".into()));
    let set = answer(&mut dissector, "0300002102f080320700000002000c000400011208128701000000 0000 0a000000");
    assert_eq!(set.key, Some(clock.key));
    assert_eq!(answer(&mut dissector, "0300001a02f08032030000000200020005 0000 0401 ff0400082a").key, None);
    let first = answer(&mut dissector, "0300001a02f08032030000000100020005 0000 0401 ff0400082b");
    assert_eq!(first.key, Some(reads[0].key));
    assert_ne!(reads[1].key, clock.key);
    assert_eq!(reads[2].key, Key(0x1_0003));
}

#[test]
fn setup_communication_sets_the_limits_of_the_channel() {
    let mut dissector = Dissector::new(Protocol::S7);
    let write = |bytes: usize| {
        let item = item(2, bytes as u16, 1, 0x84, 0);
        let data = format!("0004 {:04x} {}", bytes * 8, "ab".repeat(bytes));
        job(&format!("0501 {item}"), &data)
    };
    // 10 bytes of header, 14 of parameter, 4 before the data.
    assert!(matches!(dissector.decode(write(240)).content, Content::Operation(_)));
    assert_eq!(dissector.parallel(), None);
    forward(&mut dissector, job("f000 0008 0008 03c0", ""));
    dissector.answer(unit(3, "0000", "f000 0002 0003 00f0", ""));
    assert_eq!(dissector.parallel().map(u16::from), Some(2));
    assert!(matches!(dissector.decode(write(240 - 28)).content, Content::Operation(_)));
    let long = dissector.decode(write(240 - 27));
    assert!(matches!(long.content, Content::Malformed { why } if why.flaw == Flaw::Length));
    assert!(dissector.deny(&long, Denial::Value).is_some());
    // A refused one changes nothing.
    forward(&mut dissector, job("f000 0008 0008 03c0", ""));
    dissector.answer(unit(3, "8104", "f000 0008 0008 03c0", ""));
    assert_eq!(dissector.parallel().map(u16::from), Some(2));
}

#[test]
fn a_refusal_never_outgrows_what_was_agreed() {
    let mut dissector = Dissector::new(Protocol::S7);
    forward(&mut dissector, job("f000 0001 0001 0064", ""));
    dissector.answer(unit(3, "0000", "f000 0001 0001 0064", ""));
    // Seven items are in 96 bytes; refusing each takes 42.
    let items = item(2, 1, 1, 0x84, 0).repeat(7);
    let request = dissector.decode(job(&format!("0407 {items}"), ""));
    assert_eq!(dissector.deny(&request, Denial::Address).unwrap().len(), 7 + 12 + 2 + 7 * 4);
    // Not one of 250 others, whose refusals would take 1014.
    let request = dissector.decode(job("04fa 1201b0", ""));
    assert_eq!(
        hex::encode(dissector.deny(&request, Denial::Address).unwrap()),
        "0300001402f080320300000007000100008703 04".replace(' ', "")
    );
}

#[test]
fn a_connection_is_paired_and_asked_for_once() {
    let connect = || bytes("0300001611e00000001200c1020100c2020102c0010a");
    let confirm = || bytes("0300001611d00012440000c0010ac1020100c2020102");
    let mut dissector = Dissector::new(Protocol::S7);
    assert_eq!(dissector.answer(confirm()).key, None);
    let request = forward(&mut dissector, connect());
    assert_eq!(class(&request), Class::Housekeeping);
    let answer = dissector.answer(confirm());
    assert_eq!((answer.key, answer.outcome), (Some(request.key), Outcome::Done));
    let again = dissector.decode(connect());
    assert_eq!(class(&again), Class::Unknown);
    assert_eq!(dissector.deny(&again, Denial::Function).unwrap(), bytes("0300000b0680 0012 0000 00"));
    // A device that ends the connection, and one that refuses it.
    let goodbye = || bytes("0300000b06800012440080");
    assert!(matches!(dissector.answer(goodbye()).outcome, Outcome::Push { .. }));
    let mut dissector = Dissector::new(Protocol::S7);
    let request = forward(&mut dissector, connect());
    let answer = dissector.answer(goodbye());
    assert_eq!(answer.key, Some(request.key));
    assert!(answer.outcome.is_refusal());
}

#[test]
fn what_the_device_sends_by_itself_passes_as_a_push() {
    let mut dissector = Dissector::new(Protocol::S7);
    for (frame, text) in [
        (
            userdata("000112 08 12 04 03 00 00 00 0000", "ff09 0002 0102"),
            "sent by itself: diagnostic message",
        ),
        (userdata("000112 08 12 02 01 01 00 00 0000", "ff09 0002 0102"), "sent by itself: subscribed values"),
        (userdata("000112 08 12 04 11 00 00 00 0000", "ff09 0002 0102"), "sent by itself: alarm"),
        (framed(&[]), "sent by itself: an empty unit"),
        (bytes("0300000a05c000010001"), "sent by itself: disconnected"),
    ] {
        let answer = dissector.answer(frame);
        assert_eq!((answer.key, answer.outcome.to_string()), (None, text.into()));
        assert!(!answer.outcome.is_refusal());
    }
    // A request or an answer of its own invention is none.
    for frame in [
        userdata("000112 04 11 44 01 00", "0a000000"),
        userdata("000112 08 12 84 01 00 00 00 0000", "0a000000"),
        unit(3, "0000", "0501", "ff"),
        job("1b 00000000000000 09 5f30413030303031 50", ""),
        job("29", ""),
    ] {
        let answer = dissector.answer(frame);
        assert_eq!((answer.key, answer.outcome), (None, Outcome::Unreadable));
    }
}

const DOWNLOAD: &str =
    "0300003102f080320100000002002000001a00010000000000095f30413030303031500d31303030353132303030343736";

/// A job of the device within a download, and the client's acknowledgement.
fn device_job(reference: u16, function: u8) -> Bytes {
    let name = "09 5f3041303030303150";
    let mut frame = job(&format!("{function:02x} 00000000000000 {name}"), "").to_vec();
    frame[11..13].copy_from_slice(&reference.to_be_bytes());
    frame.into()
}

fn acknowledgement(reference: u16, error: &str, parameter: &str, data: &str) -> Bytes {
    let mut frame = unit(3, error, parameter, data).to_vec();
    frame[11..13].copy_from_slice(&reference.to_be_bytes());
    frame.into()
}

#[test]
fn a_download_turns_the_roles_round_until_it_has_ended() {
    let mut dissector = Dissector::new(Protocol::S7);
    let piece = || acknowledgement(0x4001, "0000", "1b01", "0002 00fb 0102");
    assert_eq!(class(&dissector.decode(piece())), Class::Unknown);
    let request = forward(&mut dissector, bytes(DOWNLOAD));
    assert_eq!(class(&request), Class::ProgramWrite);
    assert_eq!(dissector.sequence(), Some(Class::ProgramWrite));
    dissector.answer(bytes("0300001402f0803203000000020001000000001a"));
    // Not before the device has asked for it.
    assert_eq!(class(&dissector.decode(piece())), Class::Unknown);
    let answer = dissector.answer(device_job(0x4001, 0x1B));
    assert_eq!((answer.key, answer.outcome.to_string()), (None, "sent by itself: download block".into()));
    // Only with the reference and the function that were asked for.
    assert_eq!(class(&dissector.decode(acknowledgement(0x4002, "0000", "1b01", ""))), Class::Unknown);
    assert_eq!(class(&dissector.decode(acknowledgement(0x4001, "0000", "1c", ""))), Class::Unknown);
    let request = forward(&mut dissector, piece());
    assert_eq!((class(&request), request.expects), (Class::Housekeeping, Expects::Nothing));
    // Only once.
    assert_eq!(class(&dissector.decode(piece())), Class::Unknown);
    assert_eq!(dissector.sequence(), Some(Class::ProgramWrite));
    dissector.answer(device_job(0x4002, 0x1C));
    forward(&mut dissector, acknowledgement(0x4002, "0000", "1c", ""));
    assert_eq!(dissector.sequence(), None);
    assert_eq!(dissector.answer(device_job(0x4003, 0x1B)).outcome, Outcome::Unreadable);
}

#[test]
fn a_download_that_fails_is_over() {
    let refused = || bytes("0300001302f080320200000002000000008104");
    let mut dissector = Dissector::new(Protocol::S7);
    let request = dissector.decode(bytes(DOWNLOAD));
    // A denied one has never begun.
    assert!(dissector.deny(&request, Denial::Function).is_some());
    assert_eq!(dissector.sequence(), None);
    dissector.forwarded(&request);
    assert!(dissector.answer(refused()).outcome.is_refusal());
    assert_eq!(dissector.sequence(), None);
    dissector.forwarded(&request);
    dissector.answer(bytes("0300001402f0803203000000020001000000001a"));
    dissector.answer(device_job(1, 0x1B));
    forward(&mut dissector, acknowledgement(1, "8503", "", ""));
    assert_eq!(dissector.sequence(), None);
}

#[test]
fn the_devices_own_jobs_are_bounded() {
    let mut dissector = Dissector::new(Protocol::S7);
    forward(&mut dissector, bytes(DOWNLOAD));
    for reference in 0..=super::super::REMEMBERED as u16 {
        dissector.answer(device_job(reference, 0x1B));
    }
    assert_eq!(class(&dissector.decode(acknowledgement(0, "0000", "1b00", ""))), Class::Unknown);
    assert_eq!(class(&dissector.decode(acknowledgement(1, "0000", "1b00", ""))), Class::Housekeeping);
}

#[test]
fn an_upload_is_under_way_from_start_to_end() {
    let mut dissector = Dissector::new(Protocol::S7);
    let start = job("1d 00000000000000 09 5f3041303030303141", "");
    forward(&mut dissector, start.clone());
    assert_eq!(dissector.sequence(), Some(Class::ProgramRead));
    dissector.answer(unit(3, "8304", "1d", ""));
    assert_eq!(dissector.sequence(), None);
    forward(&mut dissector, start);
    dissector.answer(unit(3, "0000", "1d 00000000000001 00000030303130", ""));
    forward(&mut dissector, job("1e 000000000000 01", ""));
    dissector.answer(unit(3, "0000", "1e00", "0002 00fb 0102"));
    assert_eq!(dissector.sequence(), Some(Class::ProgramRead));
    forward(&mut dissector, job("1f 000000000000 01", ""));
    dissector.answer(unit(3, "0000", "1f", ""));
    assert_eq!(dissector.sequence(), None);
}

#[test]
fn more_of_an_answer_means_what_the_first_request_meant() {
    let more = |sequence: u8| userdata(&format!("000112 08 12 44 01 {sequence:02x} 00 00 0000"), "0a000000");
    let mut dissector = Dissector::new(Protocol::S7);
    forward(&mut dissector, userdata("000112 04 11 44 01 00", "ff09 0004 001c 0000"));
    assert_eq!(class(&dissector.decode(more(5))), Class::Unknown);
    dissector.answer(userdata("000112 08 12 84 01 05 01 01 0000", "ff09 0002 0102"));
    assert_eq!(class(&dissector.decode(more(6))), Class::Unknown);
    let loaded = userdata("000112 08 12 44 01 05 00 00 0000", "ff09 0002 0102");
    assert_eq!(class(&dissector.decode(loaded)), Class::Unknown);
    let request = forward(&mut dissector, more(5));
    assert_eq!(class(&request), Class::Identify);
    dissector.answer(userdata("000112 08 12 84 01 05 01 00 0000", "ff09 0002 0102"));
    assert_eq!(class(&dissector.decode(more(5))), Class::Unknown);
}

#[test]
fn an_answer_of_another_service_opens_nothing() {
    let mut dissector = Dissector::new(Protocol::S7);
    forward(&mut dissector, userdata("000112 04 11 44 01 00", "ff09 0004 001c 0000"));
    let answer = dissector.answer(userdata("000112 08 12 87 01 05 01 01 0000", "ff09 0002 0102"));
    assert_eq!(answer.outcome, Outcome::Unreadable);
    let more = userdata("000112 08 12 47 01 05 00 00 0000", "0a000000");
    assert_eq!(class(&dissector.decode(more)), Class::Unknown);
}

#[test]
fn a_request_of_the_devices_is_no_answer() {
    let mut dissector = Dissector::new(Protocol::S7);
    forward(&mut dissector, userdata("000112 04 11 47 01 00", "0a000000"));
    let answer = dissector.answer(userdata("000112 04 11 47 01 00", "ff09 0002 0026"));
    assert_eq!((answer.key, answer.outcome), (None, Outcome::Unreadable));
}

#[test]
fn unfinished_answers_are_bounded() {
    let mut dissector = Dissector::new(Protocol::S7);
    for sequence in 1..=super::super::REMEMBERED + 1 {
        forward(&mut dissector, userdata("000112 04 11 44 01 00", "ff09 0004 001c 0000"));
        let answer = format!("000112 08 12 84 01 {sequence:02x} 01 01 0000");
        dissector.answer(userdata(&answer, "ff09 0002 0102"));
    }
    let more = |sequence: u8| userdata(&format!("000112 08 12 44 01 {sequence:02x} 00 00 0000"), "0a000000");
    assert_eq!(class(&dissector.decode(more(1))), Class::Unknown);
    assert_eq!(class(&dissector.decode(more(2))), Class::Identify);
}

#[test]
fn pending_requests_are_bounded() {
    let mut dissector = Dissector::new(Protocol::S7);
    for reference in 0..=crate::PENDING as u16 {
        let mut frame = job("29", "").to_vec();
        frame[11..13].copy_from_slice(&reference.to_be_bytes());
        forward(&mut dissector, frame.into());
    }
    assert_eq!(dissector.answer(acknowledgement(0, "0000", "29", "")).key, None);
    assert!(dissector.answer(acknowledgement(1, "0000", "29", "")).key.is_some());
}

#[test]
fn a_write_covers_every_bit_that_it_changes() {
    let write = |transport: u8, count: u16, data: &str| {
        range(&operation(job(&format!("0501 {}", item(transport, count, 3, 0x84, 80)), data)))
    };
    assert_eq!(write(1, 1, "00 03 0001 01"), Range::new(80, 80));
    assert_eq!(write(2, 2, "00 04 0010 0102"), Range::new(80, 95));
    assert_eq!(write(8, 1, "00 07 0004 01020304"), Range::new(80, 111));
}
