//! Passkeys, from the client's command to the recording, with the real
//! programs.
//!
//! Here a browser in software plays the part of the real one ([`browser`]),
//! which [`chromium`] has: it does what the page asks, so that whatever the
//! page itself refuses can be tried as well.

mod attacks;
mod browser;
mod ceremonies;
mod chromium;
mod enrolling;
mod site;
