//! Refusals, byte by byte.

use super::*;

/// The refusal of a frame.
fn denial(dissector: &mut Dissector, frame: Bytes) -> Option<Bytes> {
    let request = dissector.decode(frame);
    dissector.deny(&request, Denial::Function)
}

fn denied(message: &[u8]) -> Bytes {
    denial(&mut new(), rr(0x0123_4567_89AB_CDEF, message)).unwrap()
}

/// An answer with the context of that, and no time-out.
fn refusal(message: &str) -> Bytes {
    let mut frame = BytesMut::from(&rr(0x0123_4567_89AB_CDEF, &bytes(message))[..]);
    frame[28..30].copy_from_slice(&[0, 0]);
    frame.freeze()
}

#[test]
fn an_unconnected_request_is_refused_with_its_own_ids() {
    let expected = bytes(
        "6f00 1400 44332211 00000000 efcdab8967452301 00000000 00000000 0000 0200 0000 0000 b200 0400 cd00 0f00",
    );
    let request = rr(0x0123_4567_89AB_CDEF, &bytes("4d02 9102 4142 c300 0100 0700"));
    assert_eq!(denial(&mut new(), request).unwrap(), expected);
}

#[test]
fn a_connected_request_is_refused_on_the_other_direction_of_its_connection() {
    let mut dissector = new();
    open(&mut dissector, 0xA349_0F79, &forward_open(0x5B, 0xA3, ROUTER));
    let request = unit(0xA349_0F79, 0x1234, &bytes("1003 2099 2401 3002 01000000"));
    let expected = bytes(
        "7000 1a00 44332211 00000000 0700000000000000 00000000 00000000 0000 0200
         a100 0400 27041971 b100 0600 3412 9000 0f00",
    );
    assert_eq!(denial(&mut dissector, request).unwrap(), expected);
    let request = unit(0xA349_0F79, 0x1234, &multiple(&[bytes("1003 2099 2401 3002 01").to_vec()]));
    let reply = bytes("8a00 1e00 0100 0400 9000 0f00");
    assert_eq!(denial(&mut dissector, request).unwrap(), unit(0x7119_0427, 0x1234, &reply));
}

#[test]
fn what_carries_requests_is_refused_in_the_place_of_these() {
    let write = bytes("4d02 9102 4142 c300 0100 0700").to_vec();
    let same = |denied: Bytes, message: &str| assert_eq!(denied, refusal(message), "{message}");
    same(denied(&wrapped(&write, "0100")), "cd00 0f00");
    same(
        denied(&multiple(&[write.clone(), bytes("4c02 9102 4142 0100").to_vec()])),
        "8a00 1e00 0200 0600 0a00 cd00 0f00 cc00 0f00",
    );
    same(
        denied(&multiple(&[write.clone(), multiple(&[write])])),
        "8a00 1e00 0200 0600 0a00 cd00 0f00 8a00 1e00 0100 0400 cd00 0f00",
    );
    let triad = "2704 0910 51964a96 0000";
    same(denied(&forward_open(0x54, 0x01, "2004 2464")), &format!("d400 0f00 {triad}"));
    same(denied(&forward_open(0x5B, 0x01, "2004 2464")), &format!("db00 0f00 {triad}"));
    same(denied(&bytes("4b02 2067 2401 07 4d00 78563412 0f00 0100 3a 01")), "cb00 0f00");
}

#[test]
fn what_is_broken_is_told_what_is_wrong() {
    for (message, status) in [
        ("4c02 9102 4142 0100 00", 0x13),
        ("4c02 9102 4142 0000", 0x03),
        ("4c01 9103", 0x04),
        ("0a02 2002 2401 0100 0400 0a02 2002 2401 0100 0400 0a02 2002 2401 0100 0400 0e01 2001", 0x08),
    ] {
        let denied = denied(&bytes(message));
        let start = crate::enip::encapsulation::HEADER + 16;
        let last = *denied[start..].iter().rev().nth(1).unwrap();
        assert_eq!(last, status, "{message}");
    }
    assert_eq!(&denied(&[])[..], &bytes("6f00 0000 44332211 03000000 efcdab8967452301 00000000")[..]);
}

#[test]
fn what_is_no_request_of_cip_is_refused_by_the_encapsulation() {
    let status = |frame: Bytes| {
        let denied = denial(&mut new(), frame.clone()).unwrap();
        assert_eq!((&denied[..2], &denied[2..4], denied.len()), (&frame[..2], &[0, 0][..], 24));
        denied[8]
    };
    assert_eq!(status(frame(0x72, 5, &[])), 1);
    assert_eq!(status(frame(0x65, 5, &[1])), 1);
    assert_eq!(status(frame(0x6F, 5, &bytes("00000000 0000 0100 0000 0000"))), 3);
    // A connection that was not opened here.
    assert_eq!(status(unit(1, 1, &bytes("4c02 9102 4142 0100"))), 3);
    // Data of an implicit connection, behind a message.
    let items = "00000000 0000 0300 0000 0000 b200 0400 0101 2001 0080 0000";
    assert_eq!(status(frame(0x6F, 5, &bytes(items))), 3);
    let missing = "00000000 0000 0300 0000 0000 b200 0400 0101 2001";
    assert_eq!(status(frame(0x6F, 5, &bytes(missing))), 3);
    assert_eq!(status(frame(0x6F, 5, &bytes("01000000 0000 0200 0000 0000 b200 0400 0101 2001"))), 3);
    // Never answered: there is nothing to say.
    assert_eq!(denial(&mut new(), frame(0x66, 5, &[1])), None);
    assert_eq!(denial(&mut new(), Bytes::from_static(&[0; 23])), None);
}

#[test]
fn a_denied_request_is_not_waited_for() {
    let mut dissector = new();
    let request = dissector.decode(rr(1, &bytes("4d02 9102 4142 c300 0100 0700")));
    assert!(dissector.deny(&request, Denial::Value).is_some());
    assert_eq!(dissector.answer(rr(1, &bytes("cd00 0000"))).key, None);
}
