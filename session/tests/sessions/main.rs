//! Whole sessions in virtual time: the core between a simulated client, a
//! simulated device and a simulated recorder, all in one struct that checks
//! the promises at every action.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of event among all")]

mod endings;
mod limits;
mod opaque;
mod oracle;
mod presence;
mod protocols;
mod requests;
mod sim;
mod speech;
mod storage;
