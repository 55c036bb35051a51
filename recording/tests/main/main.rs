//! The recording from outside: what is written is read back, what is changed
//! is found, what fails stops.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that goes out of bounds fails, which is what it is for"
)]

mod attacks;
mod corpus;
mod disk;
mod failing;
#[allow(dead_code, reason = "other crates' tests use it too")]
mod format;
mod log_vectors;
mod mutations;
mod round;
mod sample;
mod site_log;
mod tampering;
mod vector;
