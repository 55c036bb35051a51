//! The UDP socket and what comes in through it.

use super::connection::{Connection, Lost};
use super::transport::ServerConfig;
use quinn::{EndpointConfig, TokioRuntime};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// The gateway's side of every connection.
#[derive(Debug, Clone)]
pub struct Endpoint(quinn::Endpoint);

/// Somebody's first packet; no handshake has begun.
#[derive(Debug)]
pub struct Incoming(quinn::Incoming);

/// An address can't be asked to prove itself a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address can't be validated")]
pub struct NotValidated;

impl Endpoint {
    /// Serves a bound socket, from within the data path's runtime.
    ///
    /// # Errors
    /// When the system refuses the socket's options.
    pub fn new(udp: UdpSocket, config: ServerConfig) -> io::Result<Self> {
        let runtime = Arc::new(TokioRuntime);
        quinn::Endpoint::new(EndpointConfig::default(), Some(config.0), udp, runtime).map(Self)
    }

    /// The next newcomer; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Incoming> {
        self.0.accept().await.map(Incoming)
    }

    /// From the next handshake on another configuration holds.
    pub fn change(&self, config: ServerConfig) {
        self.0.set_server_config(Some(config.0));
    }

    /// From now on every newcomer is refused.
    pub fn let_nobody_in(&self) {
        self.0.set_server_config(None);
    }

    /// Waits until the peers know of every end.
    pub async fn wait_idle(&self) {
        self.0.wait_idle().await;
    }

    /// Closes all that is still open, without a word.
    pub fn close(&self) {
        self.0.close(0_u32.into(), b"");
    }
}

impl Incoming {
    /// Whether the address has shown that it receives what is sent to it.
    pub fn is_validated(&self) -> bool {
        self.0.remote_address_validated()
    }

    /// Where the packet came from; forged unless validated.
    pub fn remote_address(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// Asks the address to prove itself, keeping nothing (RFC 9000, 8.1.2).
    ///
    /// # Errors
    /// [`NotValidated`] if it was asked before.
    pub fn retry(self) -> Result<(), NotValidated> {
        self.0.retry().map_err(|_| NotValidated)
    }

    /// Turns the newcomer away before any handshake.
    pub fn refuse(self) {
        self.0.refuse();
    }

    /// Goes through the handshake, in which both certificates are judged.
    ///
    /// # Errors
    /// [`Lost`] when it fails.
    pub async fn handshake(self) -> Result<Connection, Lost> {
        let connecting = self.0.accept().map_err(|_| Lost)?;
        connecting.await.map(Connection::new).map_err(|_| Lost)
    }
}
