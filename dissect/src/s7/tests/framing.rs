//! Where frames end, and when that can't be known.

use super::*;
use crate::{Direction, Unframed};
use bytes::{BufMut, BytesMut};

fn lost(direction: Direction, text: &str) -> Unframed {
    match Dissector::new(Protocol::S7).frame(direction, &bytes(text)) {
        Framing::Lost(unframed) => unframed,
        other @ (Framing::Partial | Framing::Whole(_)) => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_header_that_is_none_loses_the_framing_at_once() {
    use Direction::{FromClient, FromDevice};
    assert_eq!(lost(FromClient, "47"), Unframed::TpktHeader { found: 0x47, expected: 3 });
    assert_eq!(lost(FromClient, "0301"), Unframed::TpktHeader { found: 1, expected: 0 });
    assert_eq!(lost(FromClient, "03000006"), Unframed::TpktLength { length: 6 });
    assert_eq!(lost(FromClient, "03004001"), Unframed::Oversized { most: super::super::LONGEST_FRAME });
    assert_eq!(lost(FromClient, "0300000703"), Unframed::TransportHeader { length: 3 });
    assert_eq!(lost(FromClient, "0300000801f0"), Unframed::TransportHeader { length: 1 });
    assert_eq!(lost(FromClient, "0300000c06e0"), Unframed::TransportHeader { length: 6 });
    assert_eq!(lost(FromClient, "0300000b06d0"), Unframed::TransportUnit { found: 0xD0 });
    assert_eq!(lost(FromDevice, "0300000b06e0"), Unframed::TransportUnit { found: 0xE0 });
    assert_eq!(lost(FromClient, "0300000a05c0"), Unframed::TransportUnit { found: 0xC0 });
    assert_eq!(lost(FromClient, "0300000702e1"), Unframed::TransportUnit { found: 0xE1 });
    assert_eq!(lost(FromClient, "0300000902f081"), Unframed::TransportUnit { found: 0x81 });
    for direction in [FromClient, FromDevice] {
        assert_eq!(lost(direction, "0300000902f08072"), Unframed::S7Plus);
        assert_eq!(lost(direction, "0300000902f08016"), Unframed::S7Identifier { found: 0x16 });
        assert_eq!(lost(direction, "0300000702f000 0300000902f08072"), Unframed::S7Plus);
    }
    assert!(Unframed::S7Plus.to_string().contains("s7plus"));
}

#[test]
fn only_data_follows_a_fragment() {
    let fragment = "0300000902f0003201";
    assert_eq!(
        lost(Direction::FromClient, &format!("{fragment} 0300000b0680")),
        Unframed::TransportUnit { found: 0x80 }
    );
    assert_eq!(
        lost(Direction::FromClient, &format!("{fragment} 47")),
        Unframed::TpktHeader { found: 0x47, expected: 3 }
    );
}

/// The unit cut into fragments of these sizes.
pub(super) fn in_fragments(unit: &[u8], sizes: &[usize]) -> Bytes {
    let (mut frame, mut rest) = (BytesMut::new(), unit);
    for size in sizes {
        let (fragment, later) = rest.split_at((*size).min(rest.len()));
        frame.put_slice(&[3, 0]);
        frame.put_u16(fragment.len() as u16 + 7);
        frame.put_slice(&[2, 0xF0, 0]);
        frame.put_slice(fragment);
        rest = later;
    }
    frame.put_slice(&framed(rest));
    frame.freeze()
}

#[test]
fn fragments_are_one_frame_with_one_meaning() {
    let whole = bytes("320100000002000e00000401120a10020006000184000020");
    for sizes in [&[1][..], &[10, 5], &[0, 0, 24], &[24], &[0]] {
        let frame = in_fragments(&whole, sizes);
        let dissector = Dissector::new(Protocol::S7);
        for length in 0..frame.len() {
            assert_eq!(dissector.frame(Direction::FromClient, &frame[..length]), Framing::Partial);
        }
        let mut twice = BytesMut::from(&frame[..]);
        twice.put_slice(&frame);
        let framing = dissector.frame(Direction::FromClient, &twice);
        assert!(matches!(framing, Framing::Whole(length) if length.get() == frame.len()));
        let request = decode(frame.clone());
        assert_eq!(request.frame, frame);
        assert_eq!(text(frame.clone()), "read db1[4-9]");
        assert_eq!(
            denied(frame).unwrap(),
            "0300001902f0803203000000020002000400000401 03000000".replace(' ', "")
        );
    }
}

#[test]
fn a_run_of_fragments_is_bounded() {
    let dissector = Dissector::new(Protocol::S7);
    let mut run = BytesMut::from(&bytes("0300000802f00032")[..]);
    while run.len() + 7 <= super::super::LONGEST_FRAME {
        run.put_slice(&bytes("0300000702f000"));
        assert_eq!(dissector.frame(Direction::FromClient, &run), Framing::Partial);
    }
    run.put_slice(&bytes("0300000702f000"));
    let oversized = Unframed::Oversized { most: super::super::LONGEST_FRAME };
    assert_eq!(dissector.frame(Direction::FromClient, &run), Framing::Lost(oversized));
}
