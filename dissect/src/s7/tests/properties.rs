//! What holds for any bytes, in any pieces.

use super::framing::in_fragments;
use super::*;
use crate::{Direction, Outcome, Unframed};
use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

/// Cuts all whole frames from a stream that arrives in pieces.
fn cut(direction: Direction, stream: &[u8], pieces: &[usize]) -> (Vec<Bytes>, Bytes, Option<Unframed>) {
    let dissector = Dissector::new(Protocol::S7);
    let (mut buffered, mut frames, mut rest) = (BytesMut::new(), Vec::new(), stream);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
        rest = later;
        buffered.put_slice(piece);
        loop {
            match dissector.frame(direction, &buffered) {
                Framing::Whole(length) => frames.push(buffered.split_to(length.get()).freeze()),
                Framing::Partial => break,
                Framing::Lost(unframed) => return (frames, buffered.freeze(), Some(unframed)),
            }
        }
        assert!(buffered.len() < super::super::LONGEST_FRAME);
    }
    (frames, buffered.freeze(), None)
}

fn any_unit() -> impl Strategy<Value = Vec<u8>> {
    let kind = proptest::sample::select(&[1_u8, 2, 3, 7][..]);
    let start = prop_oneof![
        Just(vec![4_u8, 1, 0x12, 10, 0x10, 2, 0, 1, 0, 1, 0x84]),
        Just(vec![5, 1, 0x12, 10, 0x10, 2, 0, 1, 0, 1, 0x84, 0, 0, 0]),
        Just(vec![0, 1, 0x12, 4, 0x11, 0x44, 1, 0]),
        Just(vec![0, 1, 0x12, 8, 0x12, 0x84, 1, 0, 0, 0, 0, 0]),
        Just(vec![0x28, 0, 0, 0, 0, 0, 0, 0xFD, 0, 0, 5]),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    let tail = || proptest::collection::vec(prop_oneof![Just(0_u8), Just(0x12), any::<u8>()], 0..40);
    (kind, start, tail(), tail()).prop_map(|(kind, mut parameter, more, data)| {
        parameter.extend(more);
        let mut unit = vec![0x32, kind, 0, 0, 0, 7];
        unit.extend((parameter.len() as u16).to_be_bytes());
        unit.extend((data.len() as u16).to_be_bytes());
        if matches!(kind, 2 | 3) {
            unit.extend([0, 0]);
        }
        unit.extend(parameter);
        unit.extend(data);
        unit
    })
}

proptest! {
    #[test]
    fn frames_put_together_are_the_input_in_any_segmentation(
        units in proptest::collection::vec((any_unit(), proptest::collection::vec(0..30_usize, 0..3)), 1..6),
        pieces in proptest::collection::vec(1..200_usize, 1..8),
    ) {
        let sent: Vec<Bytes> = units.iter().map(|(unit, sizes)| in_fragments(unit, sizes)).collect();
        let (frames, rest, lost) = cut(Direction::FromClient, &sent.concat(), &pieces);
        prop_assert_eq!(lost, None);
        prop_assert!(rest.is_empty());
        prop_assert_eq!(frames, sent);
    }

    #[test]
    fn any_bytes_are_cut_alike_in_any_segmentation(
        stream in proptest::collection::vec(
            proptest::sample::select(&[0_u8, 2, 3, 7, 8, 9, 0x32, 0x80, 0xE0, 0xF0, 0xFF][..]), 0..200),
        whole in proptest::collection::vec(any_unit(), 0..2),
        pieces in proptest::collection::vec(1..20_usize, 1..8),
        from_client in any::<bool>(),
    ) {
        let direction = if from_client { Direction::FromClient } else { Direction::FromDevice };
        let mut input: Vec<u8> = whole.iter().flat_map(|unit| framed(unit)).collect();
        input.extend(&[3, 0, 0][..stream.len().min(3)]);
        input.extend(stream);
        let at_once = cut(direction, &input, &[4000]);
        let (frames, rest, lost) = cut(direction, &input, &pieces);
        prop_assert_eq!(&frames, &at_once.0);
        prop_assert_eq!(lost, at_once.2);
        let mut together: Vec<u8> = frames.concat();
        together.extend_from_slice(&rest);
        prop_assert!(input.starts_with(&together));
    }

    #[test]
    fn no_bytes_make_it_panic(
        request in any_unit(),
        answer in any_unit(),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
        sizes in proptest::collection::vec(0..30_usize, 0..3),
    ) {
        let mut dissector = Dissector::new(Protocol::S7);
        let decoded = dissector.decode(noise.clone().into());
        let _denial = dissector.deny(&decoded, Denial::Value);
        dissector.forwarded(&decoded);
        let _text = dissector.answer(noise.into()).outcome.to_string();
        let frame = in_fragments(&request, &sizes);
        let decoded = dissector.decode(frame.clone());
        // Fragments change nothing but the frame.
        prop_assert_eq!(&decoded.content, &dissector.decode(framed(&request)).content);
        prop_assert_eq!(&decoded.frame, &frame);
        if let Content::Operation(operation) = &decoded.content {
            prop_assert!(!operation.accesses.is_empty());
            let inside = |access: &crate::Access| {
                match &access.place {
                    Some(crate::Place::Range { area, range }) => range.last() <= area.last_address(),
                    Some(crate::Place::Name(_) | crate::Place::Object(_)) => false,
                    None => true,
                }
            };
            prop_assert!(operation.accesses.iter().all(inside));
            let _text = operation.to_string();
        }
        // A refusal is a frame of the device's own that answers this request.
        if let Some(denial) = dissector.deny(&decoded, Denial::Function) {
            let framing = dissector.frame(Direction::FromDevice, &denial);
            prop_assert!(matches!(framing, Framing::Whole(length) if length.get() == denial.len()));
            if matches!(decoded.content, Content::Operation(_)) {
                let mut fresh = Dissector::new(Protocol::S7);
                fresh.forwarded(&decoded);
                let answer = fresh.answer(denial);
                prop_assert_eq!(answer.key, Some(decoded.key));
                let located = !matches!(&decoded.content, Content::Operation(operation)
                    if operation.accesses.iter().any(|access| access.class == Class::Unknown));
                prop_assert!(!located || answer.outcome.is_refusal() || answer.outcome == Outcome::Unreadable);
            }
        }
        dissector.forwarded(&decoded);
        let answer = dissector.answer(framed(&answer));
        let _text = answer.outcome.to_string();
    }

    #[test]
    fn own_encodings_are_decoded_to_what_they_say(
        block in 1..=u16::MAX,
        first in 0..2_000_000_u32,
        values in proptest::collection::vec(any::<u8>(), 1..64),
        bit in proptest::option::of((0..8_u32, any::<bool>())),
    ) {
        let (item, data, text) = match bit {
            Some((bit, on)) => (
                item(1, 1, block, 0x84, first * 8 + bit),
                format!("00 03 0001 {:02x}", u8::from(on)),
                format!("write db{block}[{first}.{bit}] = {}", u8::from(on)),
            ),
            None => {
                let last = first + values.len() as u32 - 1;
                let range = if first == last { format!("{first}") } else { format!("{first}-{last}") };
                let shown: String = values.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                let cut = if values.len() > 8 { "..." } else { "" };
                (
                    item(2, values.len() as u16, block, 0x84, first * 8),
                    format!("00 04 {:04x} {}", values.len() * 8, hex::encode(&values)),
                    format!("write db{block}[{range}] = 0x{shown}{cut}"),
                )
            }
        };
        prop_assert_eq!(self::text(job(&format!("0501 {item}"), &data)), text);
    }
}
