//! The infrastructure as its users need it: judged by rustls, and by what it refuses to do.
#![expect(clippy::unwrap_used, reason = "a test that can't go on may panic")]

mod chains;
mod folder;
