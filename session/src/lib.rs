//! The pure core of a session: inputs with the time in, actions out.
//!
//! One [`Core`] holds one session: one person on one target under one grant,
//! with all its channels. It finds frames, has each request judged, says what
//! is recorded, what goes to the device or the technician and what waits.
//! The same core runs in the gateway, in tests with virtual time, and in
//! replay, where the recorded inputs have to give the recorded verdicts.
//!
//! Order of events for a request: its bytes are recorded as they arrive; the
//! frame is cut; it waits for its turn (outstanding requests, pace); it is
//! judged; the operation with verdict and rule is recorded; then it is either
//! recorded for the device and goes, at once or after its [`Action::Sync`]
//! came back as [`Input::Durable`], or the protocol's own refusal waits behind
//! the answers that are due, is recorded, and goes to the client.
//!
//! This crate never does I/O, never reads a clock, and never gives an action
//! towards a peer before the [`Action::Record`] that covers it.
#![warn(missing_docs)]

mod action;
mod channel;
mod core;
mod desk;
mod due;
mod ending;
mod input;
mod intake;
mod judge;
mod pace;
mod presence;
mod record;
mod taps;

pub use crate::core::Core;
pub use action::{Action, Counts, Notice, Refusal};
pub use ending::{EndCause, How};
pub use input::{By, Input, PIECE, Setup};
pub use intake::BUFFERED;
pub use judge::{Judgement, judge};
pub use presence::{Call, Due, Presence, PresenceLimits};
pub use record::{Body, Decision, Entry, Event, Tap, Totals, UNASKED};
pub use taps::REACH;
