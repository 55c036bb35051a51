//! One peer's connection, from the finished handshake to its close.

use super::stream::{ReceiveStream, SendStream};
use quinn::VarInt;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use wire::CloseCode;

/// Bidirectional streams a signed-in client may hold open: the control stream
/// and its channels. Each costs memory whether used or not.
const STREAMS_SIGNED_IN: u32 = 65;

/// Bytes of a signed-in client's connection that may wait unread.
const WINDOW_SIGNED_IN: u32 = 4 * 1024 * 1024;

/// A connection whose handshake is finished.
#[derive(Debug, Clone)]
pub struct Connection(quinn::Connection);

/// The connection is gone, or never came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the line was lost")]
pub struct Lost;

impl Connection {
    pub(super) fn new(connection: quinn::Connection) -> Self {
        Self(connection)
    }

    /// The certificates that the peer showed, end entity first.
    pub fn certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        let identity = self.0.peer_identity()?;
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        Some(*chain).filter(|chain| !chain.is_empty())
    }

    /// Where the peer is now: it may move (RFC 9000, 9).
    pub fn remote_address(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// The next stream that the peer opens.
    ///
    /// # Errors
    /// [`Lost`] when the connection ends first.
    pub async fn accept_stream(&self) -> Result<(SendStream, ReceiveStream), Lost> {
        let (sender, receiver) = self.0.accept_bi().await.map_err(|_| Lost)?;
        Ok((SendStream::new(sender), ReceiveStream::new(receiver)))
    }

    /// A value that both ends of this connection know and nobody else, and that
    /// no other connection has (RFC 8446, 7.5).
    ///
    /// # Errors
    /// [`Lost`] when the handshake can't give one.
    pub fn exporter(&self, label: &[u8]) -> Result<[u8; 32], Lost> {
        let mut value = [0; 32];
        self.0.export_keying_material(&mut value, label, b"").map_err(|_| Lost)?;
        Ok(value)
    }

    /// Gives a signed-in peer room for its channels.
    pub fn widen(&self) {
        self.0.set_max_concurrent_bi_streams(VarInt::from_u32(STREAMS_SIGNED_IN));
        self.0.set_receive_window(VarInt::from_u32(WINDOW_SIGNED_IN));
    }

    /// Closes with one of the protocol's codes and its plain sentence.
    pub fn close(&self, code: CloseCode) {
        self.0.close(VarInt::from_u32(u32::from(code.number())), code.sentence().as_bytes());
    }

    /// Closes without a code: for a connection that spoke other messages.
    pub fn hang_up(&self) {
        self.0.close(VarInt::from_u32(0), b"");
    }

    /// Waits until the connection is closed, by whichever side.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}
