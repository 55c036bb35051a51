//! The one stream of an enrolment: whole messages, one after the other.

use crate::quic::{Connection, Lost, ReceiveStream, SendStream};
use bytes::BytesMut;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wire::enrolment::{AFTER_PROOF, Answer, Ask, Declined};

/// How long a client may take to take the last words, and to leave.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// Why an enrolment did not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The client went away.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A message broke the protocol.
    #[error("the client broke the protocol")]
    Malformed,
    /// No invitation is open any more.
    #[error("no invitation is open any more")]
    Over,
    /// It is refused.
    #[error("{0}")]
    Declined(Declined),
    /// The same, with more to say than its sentence.
    #[error("{0}: {1}")]
    Explained(Declined, String),
}

impl Broken {
    /// The last word to the client; nobody is there to hear one where the line
    /// was lost.
    pub(super) fn last_word(&self) -> Option<Answer> {
        let (why, text) = match self {
            Self::Lost(_) => return None,
            Self::Malformed => (Declined::Malformed, Declined::Malformed.sentence()),
            Self::Over => (Declined::Ended, Declined::Ended.sentence()),
            Self::Declined(why) => (*why, why.sentence()),
            Self::Explained(why, text) => (*why, text.as_str()),
        };
        Some(Answer::Declined { why, text: text.to_owned(), tries_left: None })
    }
}

/// Both halves of the stream.
#[derive(Debug)]
pub(super) struct Talk {
    connection: Connection,
    sender: SendStream,
    receiver: ReceiveStream,
    buffered: BytesMut,
    /// Cancelled when no invitation is open any more.
    over: CancellationToken,
}

impl Talk {
    /// Waits for the client to open its stream.
    pub(super) async fn open(connection: Connection, over: CancellationToken) -> Result<Self, Lost> {
        let (sender, receiver) = connection.accept_stream().await?;
        Ok(Self { connection, sender, receiver, buffered: BytesMut::new(), over })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The client's next message.
    pub(super) async fn hear(&mut self) -> Result<Ask, Broken> {
        self.hear_within(wire::BEFORE_SIGN_IN).await
    }

    /// The next message of a client whose token was proven. It may be longer,
    /// and is not waited for once nothing can come of it.
    pub(super) async fn hear_invited(&mut self) -> Result<Ask, Broken> {
        let over = self.over.clone();
        tokio::select! {
            () = over.cancelled() => Err(Broken::Over),
            heard = self.hear_within(AFTER_PROOF) => heard,
        }
    }

    async fn hear_within(&mut self, bound: usize) -> Result<Ask, Broken> {
        loop {
            if let Some(ask) = wire::decode(&mut self.buffered, bound).map_err(|_| Broken::Malformed)? {
                return Ok(ask);
            }
            let room = bound.saturating_add(wire::PREFIX).saturating_sub(self.buffered.len());
            let chunk = self.receiver.read_chunk(room.max(1)).await?.ok_or(Lost)?;
            self.buffered.extend_from_slice(&chunk);
        }
    }

    /// Says something to the client.
    pub(super) async fn say(&mut self, answer: &Answer) -> Result<(), Broken> {
        let bytes = wire::encode(answer).map_err(|error| {
            tracing::error!("an answer to an enrolment can't be written: {error}");
            Broken::Declined(Declined::Internal)
        })?;
        Ok(self.sender.write_all(&bytes).await?)
    }

    /// Says the last thing to a client that may not be there to hear it, or
    /// takes nothing.
    pub(super) async fn say_last(&mut self, answer: &Answer) {
        let _ = tokio::time::timeout(HEARD_WITHIN, self.say(answer)).await;
    }

    /// Ends the connection once the client has what was said to it, or does
    /// not take it in time.
    pub(super) async fn leave(mut self) {
        if self.sender.finish().is_ok() {
            let _ = tokio::time::timeout(HEARD_WITHIN, self.sender.taken()).await;
            // Taken is not read yet: a close would overtake it at the client,
            // which leaves by itself after a last word.
            let _ = tokio::time::timeout(HEARD_WITHIN, self.connection.closed()).await;
        }
        self.connection.hang_up();
    }
}
