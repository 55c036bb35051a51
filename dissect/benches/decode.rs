//! Frames per second through framing and decoding, by kind of request.
//!
//! Per second of a core, that is: where the kernel tells how long this thread
//! was on one, that is measured, so that what else runs on the machine counts
//! less. Elsewhere it is the time of the clock on the wall.

use bytes::Bytes;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use dissect::{Content, Direction, Dissector, Framing, Protocol};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Time of this thread on a core.
struct OnCore(WallTime);

/// When something began.
enum Began {
    /// So long this thread had been on a core.
    OnCore(Duration),
    OnTheWall(Instant),
}

/// The kernel's own account, kept to a tick or better: a sample has to be
/// long against that.
fn on_core() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

impl Measurement for OnCore {
    type Intermediate = Began;
    type Value = Duration;

    fn start(&self) -> Began {
        on_core().map_or_else(|| Began::OnTheWall(self.0.start()), Began::OnCore)
    }

    fn end(&self, began: Began) -> Duration {
        match began {
            Began::OnCore(before) => on_core().unwrap_or_default().saturating_sub(before),
            Began::OnTheWall(before) => self.0.end(before),
        }
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        self.0.add(one, other)
    }

    fn zero(&self) -> Duration {
        self.0.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

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
        "0300002b02f0803201000000080 01a00000402120a10020003000184000000120a10020004004d84000040",
    ),
];
const S7_ANSWER: &str = "0300001f02f0803203000000020002000a00000401ff040030040506070809";

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
const ENIP_ANSWER: &str = "6f001400 06658cfc 00000000 3200000000000000 00000000
    00000000 0800 0200 0000 0000 b200 0400 cd00 0000";

fn frame(text: &str) -> Bytes {
    let digits: String = text.split_whitespace().collect();
    Bytes::from(hex::decode(digits).expect("the frames above are hex"))
}

fn requests(criterion: &mut Criterion<OnCore>, protocol: Protocol, frames: &[(&str, &str)]) {
    let mut group = criterion.benchmark_group(protocol.name());
    group.throughput(Throughput::Elements(1));
    // Samples of one length, all of them long against a tick.
    group.sampling_mode(SamplingMode::Flat).sample_size(50);
    for (name, text) in frames {
        let frame = frame(text);
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

/// A request on its way to the device and the answer on its way back.
fn exchange(
    criterion: &mut Criterion<OnCore>,
    protocol: Protocol,
    (name, request): (&str, &str),
    answer: &str,
) {
    let (request, answer) = (frame(request), frame(answer));
    let mut dissector = Dissector::new(protocol);
    let mut group = criterion.benchmark_group(format!("{protocol} exchange"));
    group.throughput(Throughput::Elements(1));
    // Samples of one length, all of them long against a tick.
    group.sampling_mode(SamplingMode::Flat).sample_size(50);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let decoded = dissector.decode(black_box(request.clone()));
            dissector.forwarded(&decoded);
            let answer = dissector.answer(black_box(answer.clone()));
            assert!(answer.key.is_some());
            answer
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion<OnCore>) {
    requests(criterion, Protocol::Modbus, &MODBUS);
    requests(criterion, Protocol::S7, &S7);
    requests(criterion, Protocol::Enip, &ENIP);
    exchange(criterion, Protocol::S7, S7[0], S7_ANSWER);
    exchange(criterion, Protocol::Enip, ENIP[1], ENIP_ANSWER);
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(OnCore(WallTime));
    targets = decode
}
criterion_main!(benches);
