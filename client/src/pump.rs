//! Carries a channel's bytes both ways, each way ended by itself.
//!
//! What it never does: it never turns a broken tool into a finished one, or a cut channel into a clean end. A tool
//! that breaks off resets the stream; a channel that the gateway cuts resets the tool's connection.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::intake::{Answering, Cut};
use crate::link::{Receiving, Sending};

/// What is read from a tool at once, in bytes. Requests are small; a larger buffer would only add delay.
const READ: usize = 8 * 1024;

/// One end broke off.
#[derive(Clone, Copy, Debug)]
struct Broken;

/// Carries everything until both directions have ended or one end breaks. Dropped before, both ends see a break.
pub async fn pump<R, W>(mut reading: R, mut answering: Answering<W>, sending: Sending, receiving: Receiving)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Cut + Unpin,
{
    let both =
        tokio::try_join!(towards_device(&mut reading, sending), towards_tool(receiving, &mut answering));
    if both.is_ok() {
        answering.end();
    }
}

/// Ends when the tool has finished. If the gateway no longer takes anything, the other direction decides how it ends:
/// the device's last words may still be on their way.
async fn towards_device<R: AsyncRead + Unpin>(reading: &mut R, mut sending: Sending) -> Result<(), Broken> {
    let mut buffer = vec![0_u8; READ];
    loop {
        let count = reading.read(&mut buffer).await.map_err(|_| Broken)?;
        if count == 0 {
            sending.finish();
            return Ok(());
        }
        let bytes = buffer.get(..count).ok_or(Broken)?;
        if sending.write(bytes).await.is_err() {
            return Ok(());
        }
    }
}

/// Ends when the device has finished.
async fn towards_tool<W>(mut receiving: Receiving, answering: &mut Answering<W>) -> Result<(), Broken>
where
    W: AsyncWrite + Cut + Unpin,
{
    let writing = answering.half().ok_or(Broken)?;
    while let Some(bytes) = receiving.read().await.map_err(|_| Broken)? {
        writing.write_all(&bytes).await.map_err(|_| Broken)?;
    }
    writing.shutdown().await.map_err(|_| Broken)
}
