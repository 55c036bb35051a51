//! What a large plant's policy costs: loading it, compiling a grant, a
//! verdict, and comparing two of them.
//!
//! 10,000 rules, 1,000 targets in 100 zones, 500 people in 100 roles; a grant
//! has 100 rules. `cargo bench -p authz`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a step that fails fails the measurement")]

use authz::{Ask, Assurance, Circumstances, Files, Handle, Policy, TargetId, Verdict};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dissect::{Access, Area, Class, Operation, Place, Protocol, Range, Values};
use std::fmt::Write;
use std::hint::black_box;

const ROLES: usize = 100;
const RULES_PER_ROLE: usize = 100;
const TARGETS_PER_ZONE: usize = 10;
const PEOPLE: usize = 500;
const NOW: &str = "2026-06-02T10:00:00Z";

fn files(bound: u32) -> Files {
    let (mut rules, mut targets) = (String::new(), String::new());
    for person in 0..PEOPLE {
        writeln!(rules, "g, person:tech-{person}@vendor, role:r{}", person % ROLES).unwrap();
    }
    for role in 0..ROLES {
        for rule in 0..RULES_PER_ROLE {
            let (first, last) = (rule * 20, rule * 20 + 9);
            let (action, condition) = match rule % 4 {
                0 => (format!("modbus:read:input[{first}-{last}]"), "window:day"),
                1 => (format!("modbus:read:holding[{first}-{last}]"), ""),
                2 => (format!("modbus:write:coil[{first}-{last}]"), "from:127.0.0.0/8"),
                _ => (format!("modbus:write:holding[{first}-{last}]"), "value:0..BOUND"),
            };
            let condition = condition.replace("BOUND", &bound.to_string());
            writeln!(rules, "p, role:r{role}, zone:z{role}, {action}, {condition}, allow").unwrap();
        }
    }
    for target in 0..ROLES * TARGETS_PER_ZONE {
        let (zone, third, fourth) = (target % ROLES, target / 250, target % 250 + 1);
        writeln!(
            targets,
            "[[target]]\nid = \"line-{target}\"\nzone = \"z{zone}\"\naddress = \"10.0.{third}.{fourth}\"\n\
             [target.services]\nplc = \"502/tcp modbus\"\n[target.tags]\nspeed = \"modbus:holding[9000]:f32\"\n"
        )
        .unwrap();
    }
    let conditions = "[windows.day]\ntime_zone = \"Europe/Berlin\"\nweekly = [\"mon 06:00 - sun 20:00\"]\n";
    let contents =
        [("policy.csv", rules.as_str()), ("targets.toml", &targets), ("conditions.toml", conditions)];
    Files::from_contents(contents.map(|(name, text)| (name, text.as_bytes()))).unwrap()
}

fn operation(class: Class, area: Area, first: u32, values: Values) -> Operation {
    let place = Place::Range { area, range: Range::counted(first, 4).unwrap() };
    let access = Access { class, unit: Some(1), place: Some(place), values };
    Operation { protocol: Protocol::Modbus, function: "bench", accesses: [access].into_iter().collect() }
}

fn policy(criterion: &mut Criterion) {
    let small = files(900);
    let policy = Policy::from_files(&small).unwrap();
    assert_eq!(policy.counts(), (ROLES * RULES_PER_ROLE, PEOPLE));
    let (person, target) = (Handle::parse("tech-7@vendor").unwrap(), TargetId::parse("line-7").unwrap());
    let circumstances = Circumstances {
        now: NOW.parse().unwrap(),
        source: [127, 0, 0, 1].into(),
        assurance: Assurance::CertificateAndTotp,
    };
    let ask = Ask {
        person: &person,
        target: &target,
        at: circumstances.now,
        source: circumstances.source,
        assurance: circumstances.assurance,
    };
    let grant = policy.grant(&ask).unwrap();

    let mut large = criterion.benchmark_group("10,000 rules, 1,000 targets, 500 people");
    large.sample_size(10);
    large.bench_function("load", |bencher| {
        bencher.iter_batched(
            || small.clone(),
            |files| Policy::from_files(&files).unwrap(),
            BatchSize::LargeInput,
        );
    });
    large.bench_function("compile a grant of 100 rules", |bencher| {
        bencher.iter(|| policy.grant(black_box(&ask)).unwrap());
    });
    let wider = Policy::from_files(&files(950)).unwrap();
    large.bench_function("compare with one in which every bound is wider", |bencher| {
        bencher.iter(|| assert!(policy.compare(black_box(&wider), circumstances.now).has_widened()));
    });
    large.bench_function("review", |bencher| {
        bencher.iter(|| policy.review(black_box(circumstances.now), None));
    });
    large.finish();

    let mut verdicts = criterion.benchmark_group("a verdict by 100 rules");
    let words = |value: u8| Values::Words(vec![0, value, 0, value, 0, value, 0, value].into());
    let cases = [
        ("read of 4 registers, allowed", operation(Class::Read, Area::Holding, 1_060, Values::None), true),
        (
            "write of 4 coils, allowed by source",
            operation(Class::Write, Area::Coil, 1_000, Values::Bits(vec![5].into())),
            true,
        ),
        (
            "write of 4 registers, allowed by value",
            operation(Class::Write, Area::Holding, 1_020, words(7)),
            true,
        ),
        (
            "read of 4 inputs, allowed in a window",
            operation(Class::Read, Area::Input, 1_040, Values::None),
            true,
        ),
        ("write to no rule, denied", operation(Class::Write, Area::Holding, 30, words(7)), false),
    ];
    for (name, operation, allowed) in cases {
        let judged = grant.terms().judge(&operation, &circumstances);
        assert_eq!(matches!(judged, Verdict::Allow { .. }), allowed, "{name}: {judged:?}");
        verdicts.bench_function(name, |bencher| {
            bencher.iter(|| grant.terms().judge(black_box(&operation), black_box(&circumstances)));
        });
    }
    verdicts.finish();
}

criterion_group!(benches, policy);
criterion_main!(benches);
