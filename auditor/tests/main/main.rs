//! The auditor's commands on recordings that the `recording` crate wrote.

#![allow(clippy::unwrap_used, reason = "a test that finds no value fails, which is what it is for")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of action among all")]

mod accounting;
mod checking;
mod exporting;
mod following;
mod plant;
mod reading;
mod reproducing;
mod searching;
mod secrets;
mod telling;
mod work;
