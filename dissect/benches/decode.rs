//! Frames per second through framing and decoding, by kind of request.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dissect::{Content, Direction, Dissector, Framing, Protocol};
use std::hint::black_box;

/// Requests as tools send them: a poll, a setpoint, a block of registers.
const MODBUS: [(&str, &str); 3] = [
    ("read 10 registers", "00010000000601030000000a"),
    ("write 1 register", "000200000006010600640 2db"),
    ("write 8 registers", "000300000017011000640008100001000200030004000500060007 0008"),
];

/// The same of S7, the poll with its answer.
const S7: [(&str, &str); 3] = [
    ("read 6 bytes", "0300001f02f080320100000002000e00000401120a10020006000184000020"),
    ("write 1 real", "0300002702f080320100000003000e00080501120a100800010001840000500007000441480000"),
    (
        "read 2 items",
        "0300002b02f080320100000008001a00000402120a10020003000184000000120a10020004004d84000040",
    ),
];
const S7_ANSWER: &str = "0300001f02f0803203000000020002000a00000401ff040030040506070809";

fn frame(text: &str) -> Bytes {
    Bytes::from(hex::decode(text.replace(' ', "")).expect("the frames above are hex"))
}

fn requests(criterion: &mut Criterion, protocol: Protocol, frames: &[(&str, &str)]) {
    let mut group = criterion.benchmark_group(protocol.name());
    group.throughput(Throughput::Elements(1));
    for (name, text) in frames {
        let frame = frame(text);
        let mut dissector = Dissector::new(protocol);
        let framing = dissector.frame(Direction::FromClient, &frame);
        assert!(
            matches!(framing, Framing::Whole(length) if length.get() == frame.len()),
            "{name}: {framing:?}"
        );
        assert!(matches!(dissector.decode(frame.clone()).content, Content::Operation(_)), "{name}");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let framing = dissector.frame(Direction::FromClient, black_box(&frame));
                (framing, dissector.decode(black_box(frame.clone())))
            });
        });
    }
    group.finish();
}

/// A request on its way to the device and the answer on its way back.
fn exchange(criterion: &mut Criterion) {
    let (request, answer) = (frame(S7[0].1), frame(S7_ANSWER));
    let mut dissector = Dissector::new(Protocol::S7);
    let mut group = criterion.benchmark_group("s7 exchange");
    group.throughput(Throughput::Elements(1));
    group.bench_function(S7[0].0, |bencher| {
        bencher.iter(|| {
            let decoded = dissector.decode(black_box(request.clone()));
            dissector.forwarded(&decoded);
            dissector.answer(black_box(answer.clone()))
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    requests(criterion, Protocol::Modbus, &MODBUS);
    requests(criterion, Protocol::S7, &S7);
    exchange(criterion);
}

criterion_group!(benches, decode);
criterion_main!(benches);
