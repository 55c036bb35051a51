//! Where the tools' traffic comes in.
//!
//! What it is for: [`Intake`] is the seam between a tool and a channel. Today's intake is a loopback listener; a
//! virtual interface with the plant's own addresses can take its place. Each connection that comes in becomes one
//! channel. What it never does: it never answers a tool on its own, and it never holds more than [`MOST_CHANNELS`].

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wire::{ChannelHeader, Refusal, SessionId, Transport};

use crate::link::{Opener, Opening};
use crate::pump::pump;

/// The most connections that one service holds at once, whatever the gateway would permit; further ones wait.
pub const MOST_CHANNELS: usize = 64;
/// How long the gateway may take to reach the device.
const REPLY_WITHIN: Duration = Duration::from_secs(30);
/// How long channels may take to end after their session has.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// The pause after the system could not give us a connection (too many open files), so that it can recover.
const PAUSE: Duration = Duration::from_millis(100);

/// A source of connections from tools.
pub trait Intake: Send + 'static {
    /// What the tool says.
    type Reading: AsyncRead + Unpin + Send;
    /// What it is answered.
    type Writing: AsyncWrite + Cut + Unpin + Send;

    /// The next connection. May be dropped and called again without losing one.
    fn next(&mut self) -> impl Future<Output = io::Result<(Self::Reading, Self::Writing)>> + Send;
}

/// The writing half of a connection that can be broken off so that the tool sees it was no clean end.
pub trait Cut {
    /// Resets the connection as soon as its reading half is gone too.
    fn cut(self);
}

impl Cut for OwnedWriteHalf {
    fn cut(self) {
        // It fails only on a socket that is gone already.
        let _ = self.as_ref().set_zero_linger();
        // Dropped, the half would say a clean goodbye first.
        self.forget();
    }
}

/// What a tool is answered. Dropped without [`Answering::end`], whatever the reason, the connection is cut: a tool
/// must never take half an answer for a whole one.
#[derive(Debug)]
pub struct Answering<W: Cut> {
    half: Option<W>,
}

impl<W: Cut> Answering<W> {
    /// Guards this half.
    pub fn new(half: W) -> Self {
        Self { half: Some(half) }
    }

    /// The half itself.
    pub fn half(&mut self) -> Option<&mut W> {
        self.half.as_mut()
    }

    /// The end is a clean one.
    pub fn end(mut self) {
        self.half = None;
    }
}

impl<W: Cut> Drop for Answering<W> {
    fn drop(&mut self) {
        if let Some(half) = self.half.take() {
            half.cut();
        }
    }
}

impl Intake for TcpListener {
    type Reading = OwnedReadHalf;
    type Writing = OwnedWriteHalf;

    async fn next(&mut self) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
        let (stream, _) = self.accept().await?;
        // Requests are small and each waits for its answer: nothing is gained by collecting bytes.
        stream.set_nodelay(true)?;
        Ok(stream.into_split())
    }
}

/// Whether new connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Yes.
    Open,
    /// No; those that stand may end by themselves.
    Shut,
}

/// What happened to a channel.
#[derive(Debug)]
pub enum ChannelEvent {
    /// It stands.
    Opened(SessionId),
    /// It stood and is over.
    Closed(SessionId),
    /// The gateway refused it.
    Refused(SessionId, String, Refusal, String),
    /// There was no usable answer, or the tool's connection could not be taken.
    Failed(SessionId, String, String),
}

/// Makes channels of connections, for one service of one session.
#[derive(Clone, Debug)]
pub struct Porter {
    /// What opens streams.
    pub opener: Opener,
    /// The session.
    pub session: SessionId,
    /// The service's name.
    pub service: String,
    /// The numbers of channels, shared by all services of the sign-in.
    pub numbers: Arc<AtomicU32>,
    /// Who is told.
    pub events: mpsc::Sender<ChannelEvent>,
}

impl Porter {
    /// Takes connections until the door is shut, then lets those that stand end for a moment.
    pub async fn serve<I: Intake>(self, mut intake: I, mut door: watch::Receiver<Door>) {
        let mut channels = JoinSet::new();
        loop {
            tokio::select! {
                // The sender is gone only if all of it is over.
                changed = door.changed() => if changed.is_err() || *door.borrow() == Door::Shut { break },
                arrived = intake.next(), if channels.len() < MOST_CHANNELS => match arrived {
                    Ok((reading, writing)) => {
                        channels.spawn(self.clone().carry(reading, writing));
                    }
                    Err(error) => {
                        self.tell(ChannelEvent::Failed(self.session, self.service.clone(), error.to_string())).await;
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = channels.join_next() => {}
            }
        }
        drop(intake);
        let drained = async { while channels.join_next().await.is_some() {} };
        // What is left is dropped with the set.
        let _ = tokio::time::timeout(DRAIN_WITHIN, drained).await;
    }

    /// One connection: one channel.
    async fn carry<R, W>(self, reading: R, writing: W)
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Cut + Unpin + Send,
    {
        let answering = Answering::new(writing);
        let header = ChannelHeader {
            session: self.session,
            channel: self.numbers.fetch_add(1, Ordering::Relaxed),
            service: self.service.clone(),
            transport: Transport::Tcp,
            resume_offset: 0,
        };
        let event = match tokio::time::timeout(REPLY_WITHIN, self.opener.open(&header)).await {
            Ok(Ok(Opening::Open(sending, receiving))) => {
                self.tell(ChannelEvent::Opened(self.session)).await;
                pump(reading, answering, sending, receiving).await;
                ChannelEvent::Closed(self.session)
            }
            Ok(Ok(Opening::Refused(code, text))) => {
                ChannelEvent::Refused(self.session, self.service.clone(), code, text)
            }
            Ok(Err(broken)) => ChannelEvent::Failed(self.session, self.service.clone(), broken.to_string()),
            Err(_) => {
                let text = "the gateway did not answer in time".to_owned();
                ChannelEvent::Failed(self.session, self.service.clone(), text)
            }
        };
        self.tell(event).await;
    }

    async fn tell(&self, event: ChannelEvent) {
        // Nobody listens any more only when all is over.
        let _ = self.events.send(event).await;
    }
}
