//! The client against a gateway that does what each test tells it to, over real QUIC and through the real program.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that can't go on may panic")]

mod channels;
mod endings;
mod enrolling;
mod fake;
mod refusals;
mod sign_in;
