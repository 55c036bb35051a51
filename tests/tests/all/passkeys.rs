//! Passkeys, from the client's command to the recording, with the real
//! programs.
//!
//! Here a browser in software plays the part of the real one ([`browser`]),
//! which [`chromium`] has: it does what the page asks, so that whatever the
//! page itself refuses can be tried as well. Without a browser ([`direct`]) the
//! client's library runs within the test, with an authenticator in software
//! ([`soft`]) where a program has one of its machine.

pub(crate) mod attacks;
pub(crate) mod browser;
mod ceremonies;
mod chromium;
mod direct;
mod enrolling;
mod freshness;
pub(crate) mod site;
mod soft;
