//! Requests per second and core through framing and decoding, by kind of
//! request.

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

/// An object's attribute, a tag by its name, and the same through the
/// backplane.
const ENIP: [(&str, &str); 3] = [
    (
        "get attribute single",
        "6f001800 06658cfc 00000000 3000000000000000 00000000
         00000000 0800 0200 0000 0000 b200 0800 0e03 2004 2464 3003",
    ),
    (
        "write tag",
        "6f002c00 06658cfc 00000000 3200000000000000 00000000
         00000000 0800 0200 0000 0000 b200 1c00
         4d09 9108436f6e7665796f72 91055370656564 00 ca00 0100 00006040",
    ),
    (
        "unconnected send, read 4 elements",
        "6f002c00 06658cfc 00000000 3100000000000000 00000000
         00000000 0800 0200 0000 0000 b200 1c00
         5202 2006 2401 059d 0e00 4c05 9105535045454400 2800 0400 0100 0100",
    ),
];

fn rows(criterion: &mut Criterion, protocol: Protocol, frames: &[(&str, &str)]) {
    let mut group = criterion.benchmark_group(protocol.name());
    group.throughput(Throughput::Elements(1));
    for (name, text) in frames {
        let digits: String = text.split_whitespace().collect();
        let frame = Bytes::from(hex::decode(digits).expect("the frames above are hex"));
        let mut dissector = Dissector::new(protocol);
        let framing = dissector.frame(Direction::FromClient, &frame);
        assert!(
            matches!(framing, Framing::Whole(length) if length.get() == frame.len()),
            "{name}: {framing:?}"
        );
        let content = dissector.decode(frame.clone()).content;
        assert!(matches!(content, Content::Operation(_)), "{name}: {content:?}");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let framing = dissector.frame(Direction::FromClient, black_box(&frame));
                (framing, dissector.decode(black_box(frame.clone())))
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    rows(criterion, Protocol::Modbus, &MODBUS);
    rows(criterion, Protocol::Enip, &ENIP);
}

criterion_group!(benches, decode);
criterion_main!(benches);
