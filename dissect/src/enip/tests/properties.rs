//! What holds for any bytes.

use super::*;
use crate::dissector::Unframed;
use crate::enip::message::MOST_REQUESTS;
use crate::operation::Class;
use proptest::prelude::*;

/// Cuts all whole frames from a stream that arrives in pieces.
fn cut(stream: &[u8], pieces: &[usize]) -> (Vec<Bytes>, Bytes, Option<Unframed>) {
    let dissector = new();
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
    }
    (frames, buffered.freeze(), None)
}

/// Bytes that look like messages, so that depth is reached.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just("9102 4142"), 3 => Just("2006 2401"), 3 => Just("2002 2401"), 2 => Just("206b 2401"),
        1 => Just("2067 2401"), 1 => Just("0100"), 1 => Just("0105"), 1 => Just("0200"), 1 => Just("0600"),
        1 => Just("c300"), 1 => Just("07"), 1 => Just("0f00 0100"), 1 => Just("0000")
    ];
    let service = prop_oneof![
        4 => prop::sample::select(vec![0x01_u8, 0x03, 0x0A, 0x0E, 0x10, 0x4B, 0x4C, 0x4D, 0x4E, 0x52, 0x53, 0x54, 0x55, 0x5B]),
        1 => any::<u8>()
    ];
    let pieces = proptest::collection::vec(piece.prop_map(|piece| bytes(piece).to_vec()), 0..8);
    (service, 0..6_u8, pieces, proptest::collection::vec(any::<u8>(), 0..24))
        .prop_map(|(service, words, pieces, tail)| [vec![service, words], pieces.concat(), tail].concat())
}

fn nested() -> impl Strategy<Value = Vec<u8>> {
    message().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| multiple(&parts)),
            (inner, prop::sample::select(vec!["", "0100", "0105"]))
                .prop_map(|(inner, route)| wrapped(&inner, route)),
        ]
    })
}

/// What holds for a decoded request, whatever it is.
fn check(dissector: &mut Dissector, request: &Request) -> Result<(), TestCaseError> {
    if let Content::Operation(operation) = &request.content {
        prop_assert!(!operation.accesses.is_empty() && operation.accesses.len() <= MOST_REQUESTS);
        let placed = |class: Class| matches!(class, Class::Read | Class::Write | Class::Route);
        prop_assert!(operation.accesses.iter().all(|access| !placed(access.class) || access.place.is_some()));
        let _text = operation.to_string();
    }
    if let Some(denial) = dissector.deny(request, Denial::Value) {
        let framing = dissector.frame(Direction::FromDevice, &denial);
        prop_assert!(matches!(framing, Framing::Whole(length) if length.get() == denial.len()));
        // Ids of the request: command, session, context.
        prop_assert_eq!(&denial[..2], &request.frame[..2]);
        prop_assert_eq!(&denial[4..8], &request.frame[4..8]);
        prop_assert_eq!(&denial[12..20], &request.frame[12..20]);
    }
    Ok(())
}

proptest! {
    #[test]
    fn frames_put_together_are_the_input_in_any_segmentation(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
        pieces in proptest::collection::vec(1..300_usize, 1..8),
    ) {
        let sent: Vec<Bytes> = bodies.iter().map(|body| frame(0x6F, 9, body)).collect();
        let (frames, rest, lost) = cut(&sent.concat(), &pieces);
        prop_assert_eq!(lost, None);
        prop_assert!(rest.is_empty());
        prop_assert_eq!(frames, sent);
    }

    #[test]
    fn any_bytes_are_cut_alike_in_any_segmentation(
        stream in proptest::collection::vec(prop_oneof![5 => Just(0_u8), 1 => any::<u8>()], 0..400),
        pieces in proptest::collection::vec(1..40_usize, 1..8),
    ) {
        let whole = cut(&stream, &[400]);
        let (frames, rest, lost) = cut(&stream, &pieces);
        prop_assert_eq!(&frames, &whole.0);
        prop_assert_eq!(lost, whole.2);
        let mut together: Vec<u8> = frames.concat();
        together.extend_from_slice(&rest);
        prop_assert!(stream.starts_with(&together));
    }

    #[test]
    fn no_bytes_make_it_panic(
        request in proptest::collection::vec(any::<u8>(), 0..120),
        answer in proptest::collection::vec(any::<u8>(), 0..120),
        command in prop_oneof![Just(0x6F_u16), Just(0x70), any::<u16>()],
    ) {
        let mut dissector = new();
        for frame in [request.clone().into(), frame(command, 1, &request)] {
            let decoded = send(&mut dissector, frame);
            check(&mut dissector, &decoded)?;
        }
        for frame in [answer.clone().into(), frame(command, 1, &answer)] {
            let _text = dissector.answer(frame).outcome.to_string();
        }
    }

    #[test]
    fn no_message_makes_it_panic_and_each_is_judged_or_malformed(request in nested(), answer in nested()) {
        let mut dissector = new();
        open(&mut dissector, 5, &forward_open(0x54, 0xA3, ROUTER));
        for frame in [rr(1, &request), unit(5, 1, &request)] {
            let decoded = send(&mut dissector, frame);
            check(&mut dissector, &decoded)?;
        }
        prop_assert!(dissector.answer(rr(1, &answer)).key.is_some());
        prop_assert!(dissector.answer(unit(0x7119_0427, 1, &answer)).key.is_some());
    }

    #[test]
    fn own_encodings_are_decoded_to_what_they_say(
        symbol in "[A-Za-z_][A-Za-z0-9_]{0,30}",
        index in proptest::option::of(any::<u16>()),
        values in proptest::collection::vec(any::<i16>(), 1..8),
    ) {
        let mut path = vec![0x91, u8::try_from(symbol.len()).unwrap()];
        path.extend(symbol.as_bytes());
        if path.len() % 2 == 1 {
            path.push(0);
        }
        if let Some(index) = index {
            path.extend([0x29, 0]);
            path.extend(index.to_le_bytes());
        }
        let mut message = vec![0x4D, u8::try_from(path.len() / 2).unwrap()];
        message.extend(path);
        message.extend([0xC3, 0, u8::try_from(values.len()).unwrap(), 0]);
        message.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let first = u32::from(index.unwrap_or(0));
        let last = first + u32::try_from(values.len()).unwrap() - 1;
        let elements = match (index, values.len()) {
            (None, 1) => String::new(),
            (_, 1) => format!("[{first}]"),
            (_, _) => format!("[{first}-{last}]"),
        };
        let numbers = values.iter().map(i16::to_string).collect::<Vec<_>>().join(" ");
        let expected = format!("write symbol[{symbol}{elements}] = {numbers}");
        prop_assert_eq!(operation(&message).to_string(), expected);
    }
}
