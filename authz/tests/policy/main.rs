//! Policy folders from outside: what is let in, what is refused, what is
//! judged.

mod damaged;
mod folder;
mod protocols;
mod sample;
mod tools;
mod traps;

use authz::{Ask, Assurance, Circumstances, Files, Grant, Handle, Policy, Problems, Refusal, TargetId};
use bytes::Bytes;
use dissect::{Access, Area, Class, Operation, Place, Protocol, Range, Values};
use jiff::Timestamp;
use std::path::PathBuf;

/// A Tuesday at noon in Berlin.
const NOON: &str = "2026-06-02T10:00:00Z";

fn sample_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies"))
}

fn sample_files() -> Files {
    Files::read(&sample_folder()).expect("the sample can be read")
}

/// The sample with another `policy.csv`.
fn files_with(rules: &str) -> Files {
    let sample = sample_files();
    let kept = sample.iter().filter(|(name, _)| *name != "policy.csv");
    Files::from_contents(kept.chain([("policy.csv", rules.as_bytes())])).expect("small files")
}

fn policy(rules: &str) -> Result<Policy, Problems> {
    Policy::from_files(&files_with(rules))
}

fn problems(rules: &str) -> String {
    policy(rules).expect_err(rules).to_string()
}

fn ask(policy: &Policy, person: &str, target: &str, at: &str) -> Result<Grant, Refusal> {
    let person = Handle::parse(person).expect("a handle");
    let target = TargetId::parse(target).expect("a target id");
    let circumstances = circumstances(at);
    policy.grant(&Ask {
        person: &person,
        target: &target,
        at: circumstances.now,
        source: circumstances.source,
        assurance: circumstances.assurance,
    })
}

fn circumstances(at: &str) -> Circumstances {
    let now: Timestamp = at.parse().expect("a time");
    let source = "127.0.0.1".parse().expect("an address");
    Circumstances { now, source, assurance: Assurance::CertificateAndTotp }
}

fn modbus(accesses: impl IntoIterator<Item = Access>) -> Operation {
    Operation { protocol: Protocol::Modbus, function: "test", accesses: accesses.into_iter().collect() }
}

fn read(area: Area, first: u32, count: u32) -> Access {
    let place = Place::Range { area, range: Range::counted(first, count).expect("a range") };
    Access { class: Class::Read, unit: Some(1), place: Some(place), values: Values::None }
}

fn write(first: u32, words: &[u16]) -> Access {
    let count = u32::try_from(words.len()).expect("few words");
    let range = Range::counted(first, count).expect("a range");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let place = Some(Place::Range { area: Area::Holding, range });
    Access { class: Class::Write, unit: Some(1), place, values: Values::Words(Bytes::from(bytes)) }
}
