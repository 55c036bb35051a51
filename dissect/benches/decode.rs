//! Frames per second through framing and decoding, by kind of request.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dissect::{Direction, Dissector, Framing, Protocol};
use std::hint::black_box;

/// Requests as tools send them: a poll, a setpoint, a block of registers.
const FRAMES: [(&str, &str); 3] = [
    ("read 10 registers", "00010000000601030000000a"),
    ("write 1 register", "000200000006010600640 2db"),
    ("write 8 registers", "000300000017011000640008100001000200030004000500060007 0008"),
];

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("modbus");
    group.throughput(Throughput::Elements(1));
    for (name, text) in FRAMES {
        let frame = Bytes::from(hex::decode(text.replace(' ', "")).expect("the frames above are hex"));
        let mut dissector = Dissector::new(Protocol::Modbus);
        let framing = dissector.frame(Direction::FromClient, &frame);
        assert!(
            matches!(framing, Framing::Whole(length) if length.get() == frame.len()),
            "{name}: {framing:?}"
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let framing = dissector.frame(Direction::FromClient, black_box(&frame));
                (framing, dissector.decode(black_box(frame.clone())))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
