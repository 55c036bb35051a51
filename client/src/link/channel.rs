//! One stream per channel: header, reply, then raw bytes each way.

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use wire::{AFTER_SIGN_IN, ChannelHeader, ChannelReply, PREFIX, Refusal};

/// The most that one read takes, in bytes.
const LARGEST_READ: usize = 64 * 1024;

/// The stream of a channel broke: reset by the gateway, or the whole line is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway cut the channel")]
pub struct ChannelBroken;

/// Opens channels on a connection.
#[derive(Clone, Debug)]
pub struct Opener(Connection);

/// What the gateway said to a channel.
#[derive(Debug)]
pub enum Opening {
    /// It stands.
    Open(Sending, Receiving),
    /// It does not, and why.
    Refused(Refusal, String),
}

impl Opener {
    pub(super) fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Asks for a channel and waits for the reply.
    ///
    /// # Errors
    /// [`ChannelBroken`] if the stream ended before a reply, or the reply is no message of this protocol.
    pub async fn open(&self, header: &ChannelHeader) -> Result<Opening, ChannelBroken> {
        let bytes = wire::encode(header).map_err(|_| ChannelBroken)?;
        let (mut send, mut receive) = self.0.open_bi().await.map_err(|_| ChannelBroken)?;
        send.write_all(&bytes).await.map_err(|_| ChannelBroken)?;
        let mut buffered = BytesMut::new();
        loop {
            match wire::decode(&mut buffered, AFTER_SIGN_IN).map_err(|_| ChannelBroken)? {
                Some(ChannelReply::Open) => {
                    return Ok(Opening::Open(
                        Sending::new(send),
                        Receiving { stream: receive, ahead: buffered.freeze() },
                    ));
                }
                Some(ChannelReply::Refused { code, text }) => return Ok(Opening::Refused(code, text)),
                None => {}
            }
            let room = AFTER_SIGN_IN.saturating_add(PREFIX).saturating_sub(buffered.len());
            match receive.read_chunk(room, true).await {
                Ok(Some(chunk)) => buffered.extend_from_slice(&chunk.bytes),
                Ok(None) | Err(_) => return Err(ChannelBroken),
            }
        }
    }
}

/// The direction towards the device. Dropped without [`Sending::finish`], it is reset: the gateway must never take a
/// broken tool for one that has finished.
#[derive(Debug)]
pub struct Sending {
    /// `None` once it is finished: a reset then would throw away what is still on its way.
    stream: Option<SendStream>,
}

impl Sending {
    fn new(stream: SendStream) -> Self {
        Self { stream: Some(stream) }
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`ChannelBroken`], also after [`Sending::finish`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ChannelBroken> {
        let stream = self.stream.as_mut().ok_or(ChannelBroken)?;
        stream.write_all(bytes).await.map_err(|_| ChannelBroken)
    }

    /// The tool has said all it had to say.
    pub fn finish(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // It fails only where the gateway has stopped the stream already, and then nobody waits for the end.
            let _ = stream.finish();
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = stream.reset(VarInt::from_u32(0));
        }
    }
}

/// The direction from the device.
#[derive(Debug)]
pub struct Receiving {
    stream: RecvStream,
    /// What came in the same packet as the reply.
    ahead: Bytes,
}

impl Receiving {
    /// The next bytes, `None` when the device has said all it had to say.
    ///
    /// # Errors
    /// [`ChannelBroken`].
    pub async fn read(&mut self) -> Result<Option<Bytes>, ChannelBroken> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        match self.stream.read_chunk(LARGEST_READ, true).await {
            Ok(chunk) => Ok(chunk.map(|chunk| chunk.bytes)),
            Err(_) => Err(ChannelBroken),
        }
    }
}
