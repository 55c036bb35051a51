//! The messages of an enrolment in their exact bytes. A change here raises `wire::enrolment::VERSION`.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::enrolment::{AFTER_PROOF, Answer, Ask, Declined, FactorChoice, InvitationId, Proof};
use wire::{
    AFTER_SIGN_IN, BEFORE_SIGN_IN, Code, Der, LONGEST_DER, LONGEST_REGISTRATION, Loopback, Message, PREFIX,
    WireError, decode, encode,
};

/// Compares the message's bytes with `pinned` (blanks are for the reader) and reads them back.
fn pin<M: Message + PartialEq + std::fmt::Debug>(message: &M, pinned: &str) {
    let pinned = pinned.replace(' ', "").replace('I', &"a1".repeat(16)).replace('P', &"b2".repeat(32));
    let bytes = encode(message).unwrap();
    assert_eq!(hex::encode(&bytes), pinned, "{message:?}");
    let mut buffered = BytesMut::from(&bytes[..]);
    assert_eq!(decode::<M>(&mut buffered, AFTER_SIGN_IN).unwrap().as_ref(), Some(message));
    assert!(buffered.is_empty());
}

fn der(bytes: &[u8]) -> Der {
    Der::new(bytes.to_vec()).unwrap()
}

#[test]
fn what_the_client_says() {
    let hello = Ask::Hello {
        version: 1,
        software: "g".into(),
        invitation: InvitationId([0xa1; 16]),
        proof: Proof([0xb2; 32]),
    };
    pin(&hello, "34000000 00 01 01 67 I P");
    pin(&Ask::Apply { request: der(&[0x30, 0]), factor: FactorChoice::NewTotp }, "05000000 01 02 3000 00");
    pin(&Ask::Apply { request: der(&[0x30, 0]), factor: FactorChoice::KnownTotp }, "05000000 01 02 3000 01");
    pin(&Ask::Apply { request: der(&[0x30, 0]), factor: FactorChoice::NewPasskey }, "05000000 01 02 3000 02");
    pin(
        &Ask::Apply { request: der(&[0x30, 0]), factor: FactorChoice::KnownPasskey },
        "05000000 01 02 3000 03",
    );
    pin(&Ask::Code { code: Code::parse("123456").unwrap() }, "08000000 02 06 313233343536");
    // A port is a number in LEB128, as all numbers are: 0xb5bf.
    let loopback = Loopback { port: 46527, nonce: [0xa1; 16] };
    pin(&Ask::BeginRegistration { loopback, name: "n".into() }, "16000000 03 bfeb02 I 01 6e");
    pin(&Ask::Registration { json: "{}".into() }, "04000000 04 02 7b7d");
    pin(&Ask::BeginPasskey { loopback }, "14000000 05 bfeb02 I");
    pin(&Ask::Assertion { json: "{}".into() }, "04000000 06 02 7b7d");
}

#[test]
fn what_the_gateway_says() {
    let factors = vec![FactorChoice::NewTotp, FactorChoice::KnownTotp];
    let welcome = Answer::Welcome { version: 1, gateway_time_ms: 1000, person: "p".into(), factors };
    pin(&welcome, "09000000 00 01 d00f 01 70 02 00 01");
    pin(&Answer::Totp { address: "otpauth:".into() }, "0a000000 01 08 6f7470617574683a");
    pin(&Answer::ProveKnown, "01000000 02");
    let enrolled = Answer::Enrolled {
        chain: vec![der(&[1])],
        trust: vec![der(&[2, 3])],
        gateway: "g:1".into(),
        server_name: "g".into(),
    };
    pin(&enrolled, "0e000000 03 01 01 01 01 02 0203 03 673a31 01 67");
    let declined = Answer::Declined { why: Declined::Factor, text: "no".into(), tries_left: Some(2) };
    pin(&declined, "07000000 04 06 02 6e6f 01 02");
    let page = Answer::PasskeyPage { url: "u".into(), code: "c".into(), within_s: 120 };
    pin(&page, "06000000 05 01 75 01 63 78");
}

#[test]
fn the_protocol_name_and_version() {
    assert_eq!(wire::enrolment::ALPN, b"gatehouse-enrolment/1");
    assert_eq!(wire::enrolment::VERSION, 1);
    assert_eq!(wire::enrolment::EXPORTER_LABEL, b"EXPERIMENTAL gatehouse enrolment");
}

#[test]
fn a_request_over_its_bound_is_refused() {
    let mut body = vec![0x01, 0x81, 0x18];
    body.extend_from_slice(&[0; LONGEST_DER + 1]);
    body.push(0);
    let mut frame = BytesMut::from(&u32::try_from(body.len()).unwrap().to_le_bytes()[..]);
    frame.extend_from_slice(&body);
    assert_eq!(decode::<Ask>(&mut frame, BEFORE_SIGN_IN), Err(WireError::Malformed));
    // The longest one that is allowed fits into the bound of a message.
    let apply = Ask::Apply { request: der(&[0; LONGEST_DER]), factor: FactorChoice::NewTotp };
    let mut bytes = BytesMut::from(&encode(&apply).unwrap()[..]);
    assert_eq!(decode::<Ask>(&mut bytes, BEFORE_SIGN_IN), Ok(Some(apply)));
}

#[test]
fn the_longest_registration_fits_behind_a_proven_token_and_no_longer_one() {
    let registration = Ask::Registration { json: "x".repeat(LONGEST_REGISTRATION) };
    let bytes = BytesMut::from(&encode(&registration).unwrap()[..]);
    assert_eq!(decode::<Ask>(&mut bytes.clone(), AFTER_PROOF), Ok(Some(registration)));
    assert!(decode::<Ask>(&mut bytes.clone(), BEFORE_SIGN_IN).is_err(), "a stranger sends no such thing");
    assert!(encode(&Ask::Registration { json: "x".repeat(LONGEST_REGISTRATION + 1) }).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_one_spelling_of_a_message_or_refused(body in vec(any::<u8>(), 0..200)) {
        let mut frame = BytesMut::from(&u32::try_from(body.len()).unwrap().to_le_bytes()[..]);
        frame.extend_from_slice(&body);
        if let Ok(Some(ask)) = decode::<Ask>(&mut frame.clone(), BEFORE_SIGN_IN) {
            prop_assert_eq!(&encode(&ask).unwrap()[PREFIX..], &body[..]);
        }
        if let Ok(Some(answer)) = decode::<Answer>(&mut frame, AFTER_SIGN_IN) {
            prop_assert_eq!(&encode(&answer).unwrap()[PREFIX..], &body[..]);
        }
    }
}
