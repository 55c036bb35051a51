#![no_main]

#[path = "../src/chains.rs"]
mod chains;
#[path = "../src/credulous.rs"]
mod credulous;
#[path = "../../gateway/src/tls/strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    chains::chain(input, |chain| credulous::accepts(strict::Strict::new, chain));
});
