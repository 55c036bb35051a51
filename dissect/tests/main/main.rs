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
