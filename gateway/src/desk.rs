//! The control stream: where client and gateway talk about the sign-in.
//!
//! Reads and writes `wire` messages with a bound before any allocation. It
//! decides nothing. The bound and the flow-control windows are small until the
//! second factor was accepted, [`Desk::widen`] lifts them.

use crate::quic::{Connection, Lost, ReceiveStream, SendStream};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::{CloseCode, ToClient, ToGateway};

/// Messages that may wait for a slow client before its connection is closed.
const WAITING: usize = 256;

/// How long a client may take to acknowledge the last words.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// What went wrong on the control stream.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The client went away.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A message broke the protocol.
    #[error("the client broke the protocol: {0}")]
    Malformed(#[from] wire::WireError),
}

/// Both halves of the control stream.
#[derive(Debug)]
pub struct Desk {
    connection: Connection,
    reader: ReceiveStream,
    buffered: BytesMut,
    bound: usize,
    writer: Speaker,
    writing: JoinHandle<()>,
}

/// Says things to the client, from any task of the connection.
#[derive(Debug, Clone)]
pub struct Speaker {
    connection: Connection,
    queue: mpsc::Sender<Arc<[u8]>>,
}

impl Desk {
    /// Waits for the client to open its control stream.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn open(connection: &Connection) -> Result<Self, DeskError> {
        let (sender, reader) = connection.accept_stream().await?;
        let (queue, waiting) = mpsc::channel(WAITING);
        let writing = tokio::spawn(write_all(sender, waiting));
        let writer = Speaker { connection: connection.clone(), queue };
        let connection = connection.clone();
        Ok(Self {
            connection,
            reader,
            buffered: BytesMut::new(),
            bound: wire::BEFORE_SIGN_IN,
            writer,
            writing,
        })
    }

    /// The client's next message.
    ///
    /// # Errors
    /// [`DeskError`], after which nothing more can be read.
    pub async fn hear(&mut self) -> Result<ToGateway, DeskError> {
        loop {
            if let Some(message) = wire::decode(&mut self.buffered, self.bound)? {
                return Ok(message);
            }
            let room = self.bound.saturating_add(wire::PREFIX).saturating_sub(self.buffered.len());
            let chunk = self.reader.read_chunk(room.max(1)).await?.ok_or(Lost)?;
            self.buffered.extend_from_slice(&chunk);
        }
    }

    /// Says something to the client.
    pub fn say(&self, message: &ToClient) {
        self.writer.say(message);
    }

    /// The part that other tasks of this connection speak through.
    pub fn speaker(&self) -> Speaker {
        self.writer.clone()
    }

    /// Closes the connection once the client has what was said to it, or does
    /// not take it in time. Other speakers must be gone by then.
    pub async fn leave(self, code: CloseCode) {
        let Self { connection, writer, writing, .. } = self;
        drop(writer);
        if tokio::time::timeout(HEARD_WITHIN, writing).await.is_err() {
            tracing::debug!("a client did not take the last words");
        }
        // Taken is not read yet: a close would overtake them at the client, so
        // the client, which leaves by itself after a last word, goes first.
        let _ = tokio::time::timeout(HEARD_WITHIN, connection.closed()).await;
        connection.close(code);
    }

    /// Gives a signed-in client room for its channels.
    pub fn widen(&mut self) {
        self.bound = wire::AFTER_SIGN_IN;
        self.connection.widen();
    }
}

impl Speaker {
    /// Queues a message. A client that reads nothing for hundreds of messages
    /// loses its connection: what it must be told can't be dropped.
    pub fn say(&self, message: &ToClient) {
        let bytes = match wire::encode(message) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!("a message to a client can't be written: {error}");
                self.connection.close(CloseCode::Internal);
                return;
            }
        };
        if self.queue.try_send(bytes.into()).is_err() {
            self.connection.close(CloseCode::Busy);
        }
    }
}

/// The only writer of the stream, so that messages are never interleaved. Ends
/// with the last speaker, and finishes the stream then.
async fn write_all(mut sender: SendStream, mut waiting: mpsc::Receiver<Arc<[u8]>>) {
    while let Some(bytes) = waiting.recv().await {
        if sender.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // The stream may be gone with its connection, which ends the talk as well.
    let _ = sender.finish();
    sender.taken().await;
}
