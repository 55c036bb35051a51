//! The two halves of a stream.

use super::connection::Lost;
use bytes::Bytes;
use quinn::VarInt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// The code with which a stream is cut; the reason comes as a notice.
const CUT: VarInt = VarInt::from_u32(1);

/// What the peer sends on a stream.
#[derive(Debug)]
pub struct ReceiveStream(quinn::RecvStream);

/// What the peer receives on a stream.
#[derive(Debug)]
pub struct SendStream(quinn::SendStream);

impl ReceiveStream {
    pub(super) fn new(stream: quinn::RecvStream) -> Self {
        Self(stream)
    }

    /// The next bytes in order, at most `most`; `None` at the stream's end.
    ///
    /// # Errors
    /// [`Lost`] when the peer or the connection broke it off.
    pub async fn read_chunk(&mut self, most: usize) -> Result<Option<Bytes>, Lost> {
        let chunk = self.0.read_chunk(most, true).await.map_err(|_| Lost)?;
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Fills all of `buffer`.
    ///
    /// # Errors
    /// [`Lost`] when the stream ends or breaks first.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), Lost> {
        self.0.read_exact(buffer).await.map_err(|_| Lost)
    }

    /// Wants no more. A stream that is gone already needs no cutting.
    pub fn cut(&mut self) {
        let _ = self.0.stop(CUT);
    }
}

impl AsyncRead for ReceiveStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.0), context, buffer)
    }
}

impl SendStream {
    pub(super) fn new(stream: quinn::SendStream) -> Self {
        Self(stream)
    }

    /// Hands over as much of `bytes` as the peer's window takes now.
    ///
    /// # Errors
    /// [`Lost`] when the peer or the connection broke the stream off.
    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Lost>> {
        Pin::new(&mut self.0).poll_write(context, bytes).map_err(|_| Lost)
    }

    /// Hands over all of `bytes`.
    ///
    /// # Errors
    /// [`Lost`] when the peer or the connection broke the stream off.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.0.write_all(bytes).await.map_err(|_| Lost)
    }

    /// Says that nothing more will come.
    ///
    /// # Errors
    /// [`Lost`] when the stream was finished or cut before.
    pub fn finish(&mut self) -> Result<(), Lost> {
        self.0.finish().map_err(|_| Lost)
    }

    /// Throws away what the peer does not have yet. A stream that is gone
    /// already needs no cutting.
    pub fn cut(&mut self) {
        let _ = self.0.reset(CUT);
    }

    /// Waits until the peer has taken everything, or wants no more.
    pub async fn taken(&mut self) {
        // Either way nothing is left to wait for.
        let _ = self.0.stopped().await;
    }
}
