//! The fuzz target's corpus, replayed: the strict rules alone, around a
//! verifier that takes everything.

use super::strict::Strict;
use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/chains.rs"]
mod chains;
#[path = "../../../fuzz/src/credulous.rs"]
mod credulous;

#[test]
fn what_the_strict_rules_let_pass_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/chain");
    let inputs = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let passes = |der: &[u8]| chains::chain(der, |chain| credulous::accepts(Strict::new, chain));
    let mut passed: Vec<String> = inputs
        .filter(|input| passes(&fs::read(input.path()).unwrap()))
        .map(|input| input.file_name().into_string().unwrap())
        .collect();
    passed.sort();
    assert_eq!(
        passed,
        [
            "four-intermediates",
            "no-extensions",
            "person",
            "serial-negative",
            "serial-with-a-needed-zero",
            "with-an-intermediate"
        ]
    );
}
