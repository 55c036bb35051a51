//! The protocol's bytes as they were published, and its behaviour on any bytes at all.

#![expect(clippy::unwrap_used, reason = "a test that can't go on may panic")]

mod any_bytes;
mod corpus;
mod enrolment;
mod pinned;
