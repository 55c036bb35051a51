//! The auditor's commands on recordings that the `recording` crate wrote.

#![allow(clippy::unwrap_used, reason = "a test that finds no value fails, which is what it is for")]

mod accounting;
mod checking;
mod plant;
mod reading;
mod telling;
