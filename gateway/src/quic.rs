//! The transport, and the only room that names its library.
//!
//! An [`Endpoint`] takes [`Incoming`] packets, a finished handshake is a
//! [`Connection`], and a connection carries streams in both directions. Other
//! rooms see these and no more of QUIC, so that another transport can stand
//! here where a plant's firewall lets no UDP out.
//!
//! This room decides nothing: who may finish a handshake stands in
//! [`crate::tls`], what a connection may do in the rooms behind the door.

mod connection;
mod endpoint;
mod stream;
#[cfg(test)]
mod tests;
mod transport;

pub use connection::{Connection, Lost};
pub use endpoint::{Endpoint, Incoming, NotValidated};
pub use stream::{ReceiveStream, SendStream};
pub use transport::{ConfigError, ServerConfig, Windows, enrolment_config, server_config};
