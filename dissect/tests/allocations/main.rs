//! Decoding allocates nothing per frame once a channel runs. In a program of
//! its own, since it counts all that the process allocates.
#![allow(clippy::arithmetic_side_effects, reason = "the numbers of a test are its own")]

use bytes::Bytes;
use dissect::{Content, Direction, Dissector, Framing, Protocol};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

/// How often each frame is decoded.
const TIMES: u64 = 1000;

/// A poll and a setpoint in each protocol, with the device's answers.
const EXCHANGES: [(Protocol, &str, &str); 7] = [
    (
        Protocol::Modbus,
        "00010000000601030000000a",
        "000100000017010314 0000000000000000000000000000000000000000",
    ),
    (Protocol::Modbus, "0002000000060106006402db", ""),
    (
        Protocol::S7,
        "0300001f02f080320100000002000e00000401120a10020006000184000020",
        "0300001f02f0803203000000020002000a00000401ff040030040506070809",
    ),
    (
        Protocol::S7,
        "0300002702f080320100000003000e00080501120a100800010001840000500007000441480000",
        "0300001602f08032030000000300020001000005 01ff",
    ),
    (
        Protocol::S7,
        "0300002b02f080320100000008001a00000402120a10020003000184000000120a10020004004d84000040",
        "",
    ),
    (
        Protocol::Enip,
        "6f001800 06658cfc 00000000 3000000000000000 00000000
         00000000 0800 0200 0000 0000 b200 0800 0e03 2004 2464 3003",
        "6f001600 06658cfc 00000000 3000000000000000 00000000
         00000000 0000 0200 0000 0000 b200 0600 8e00 0000 0100",
    ),
    (
        Protocol::Enip,
        "6f002c00 06658cfc 00000000 3200000000000000 00000000
         00000000 0800 0200 0000 0000 b200 1c00
         4d09 9108436f6e7665796f72 91055370656564 00 ca00 0100 00006040",
        "6f001400 06658cfc 00000000 3200000000000000 00000000
         00000000 0000 0200 0000 0000 b200 0400 cd00 0000",
    ),
];

fn frame(text: &str) -> Bytes {
    let digits: String = text.split_whitespace().collect();
    Bytes::from(hex::decode(digits).expect("the frames above are hex"))
}

/// One request to the device and, where there is one, its answer.
fn exchange(dissector: &mut Dissector, request: &Bytes, answer: &Bytes) {
    let framing = dissector.frame(Direction::FromClient, request);
    assert!(matches!(framing, Framing::Whole(length) if length.get() == request.len()));
    let request = dissector.decode(request.clone());
    assert!(matches!(request.content, Content::Operation(_)), "{request:?}");
    if answer.is_empty() {
        return;
    }
    dissector.admitted(&request);
    let _bytes = dissector.translate(Direction::FromClient, request.frame.clone());
    dissector.forwarded(&request);
    let answer = dissector.answer(answer.clone());
    assert_eq!(answer.key, Some(request.key));
}

#[test]
fn decoding_allocates_nothing_per_frame() {
    let _profiler = dhat::Profiler::builder().testing().build();
    drop(frame("00"));
    let counted = dhat::HeapStats::get().total_blocks;
    dhat::assert!(counted > 0, "nothing is counted");
    for (protocol, request, answer) in EXCHANGES {
        let (request, answer) = (frame(request), frame(answer));
        let mut dissector = Dissector::new(protocol);
        // The first makes the frames' memory shared and the tables their size.
        exchange(&mut dissector, &request, &answer);
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..TIMES {
            exchange(&mut dissector, &request, &answer);
        }
        let blocks = dhat::HeapStats::get().total_blocks - before;
        dhat::assert_eq!(blocks, 0, "{protocol}: {blocks} allocations in {TIMES} exchanges");
    }
}
