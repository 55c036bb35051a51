//! The fuzz targets' corpus, replayed.

#[allow(unreachable_pub, reason = "the fuzz targets use it as a library")]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

mod differential;
mod observing;

use dissect::Protocol;
use std::fs;
use std::path::Path;

/// Every input of a target. An empty folder would prove nothing.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).expect("the target has a corpus");
    let inputs: Vec<Vec<u8>> =
        entries.map(|entry| fs::read(entry.expect("listed").path()).expect("readable")).collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

#[test]
fn modbus_streams_are_cut_alike_in_any_pieces() {
    inputs("modbus_frame").iter().for_each(|input| fuzz::framing(Protocol::Modbus, input));
}

#[test]
fn modbus_channels_are_survived() {
    for input in inputs("modbus_channel") {
        assert!(fuzz::channel(Protocol::Modbus, &input) > 0, "{input:02x?}");
    }
}

#[test]
fn s7_channels_are_survived() {
    let mut frames = 0;
    let inputs = inputs("s7");
    for input in &inputs {
        fuzz::framing(Protocol::S7, input);
        frames += fuzz::channel(Protocol::S7, input);
    }
    assert!(frames > inputs.len(), "only {frames} frames");
}

#[test]
fn enip_channels_are_survived() {
    let mut frames = 0;
    let inputs = inputs("enip");
    for input in &inputs {
        fuzz::framing(Protocol::Enip, input);
        frames += fuzz::channel(Protocol::Enip, input);
    }
    assert!(frames > 2 * inputs.len(), "only {frames} frames");
}

#[test]
fn what_s7plus_shows_is_the_same_in_any_pieces() {
    let inputs = inputs("s7plus");
    let facts: usize = inputs.iter().map(|input| fuzz::observed(Protocol::S7Plus, input).len()).sum();
    assert!(facts > 3, "only {facts}");
}
