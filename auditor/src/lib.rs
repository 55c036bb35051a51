//! The auditor's side: identities, listing, verification, replay, search and
//! exports.
//!
//! Order of events: arguments are parsed ([`Arguments`]), one command runs
//! ([`run()`]) and ends in an [`Exit`]. Checking needs the gateway's public key,
//! reading an age identity; only an export that says whether it was checked
//! takes both.
//!
//! Everything that a recording, a key or a file name says may be hostile: it
//! is bounded by the reader of the `recording` crate and shown through
//! `escape` alone. Nothing here talks to a network, writes a recording or
//! decides anything.

#![warn(missing_docs)]

mod accounting;
mod arguments;
mod books;
mod chronicle;
mod escape;
mod exit;
mod export;
mod filter;
mod interrupt;
mod listing;
mod log_finding;
mod pace;
mod policy;
mod progress;
mod recording_file;
mod replay;
mod row;
mod run;
mod search;
mod seek;
mod showing;
mod story;
mod time;
mod trouble;
mod verification;

pub use arguments::{Arguments, Command, Export, Format, Keygen, List, Replay, Search, Show, Verify};
pub use escape::{Safe, is_harmless, safe, safe_json};
pub use exit::Exit;
pub use filter::{Filter, NoFilter};
pub use interrupt::Interrupt;
pub use pace::{NoSpeed, Speed};
pub use policy::{Backtest, PolicyCommand, Suggest};
pub use run::{Output, run};
pub use seek::{NoSeek, Seek};
