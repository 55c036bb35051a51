//! The technician's side of Gatehouse.
//!
//! What it is for: it signs in once with certificate and second factor, asks the gateway for sessions with targets,
//! and gives the technician's own tools a local address for each service. What it never does: it decides nothing
//! about permissions, never names a device's address, and shows nothing that came from outside without making it
//! harmless first.
//!
//! In the order of events: [`arguments`] (what was typed), once [`enroll`] with [`pinned`], [`key`] and
//! [`passphrase`] (from a token to certificate and second factor), [`profile`] (where the gateway is and who we are),
//! [`link`] (the line to it), [`sign_in`], then [`targets`], or [`connect`] with [`opening`], [`intake`], [`pump`],
//! [`sessions`], [`again`] and the [`status`] line on the [`screen`]. A [`passkey`] is used through the browser
//! ([`hand_over`]) or [`direct`]ly, by an [`authenticator`] of this machine; [`receipts`] keeps what the gateway signed; [`running`] lets
//! another process ask what runs.

pub mod again;
pub mod arguments;
pub mod asked;
pub mod authenticator;
pub mod connect;
pub mod direct;
pub mod enroll;
pub mod escape;
pub mod hand_over;
pub mod intake;
pub mod key;
pub mod link;
pub mod listen;
pub mod opening;
pub mod passkey;
pub mod passphrase;
pub mod pinned;
pub mod platform;
pub mod problem;
pub mod profile;
pub mod pump;
pub mod receipts;
pub mod renew;
pub mod running;
pub mod screen;
pub mod seed;
pub mod sessions;
pub mod sign_in;
pub mod status;
pub mod targets;

pub use arguments::run;
pub use problem::Problem;
