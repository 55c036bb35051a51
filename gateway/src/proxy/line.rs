//! The two sockets of one channel: the client's stream and the device's
//! connection, with what waits to be written to either.
//!
//! A line is polled by its session's task, the only one that touches it: what
//! waits is written first, then whatever side may be read is read. It moves
//! bytes and decides nothing; what it reads goes to the core, and only what
//! the core ordered (after it was recorded) is ever queued here.

use super::bell::Bell;
use crate::cutter::Held;
use crate::quic::{Lost, ReceiveStream, SendStream};
use bytes::{Buf as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that may wait for one side before the other side is no longer read.
const WAITING: usize = 256 * 1024;

/// Bytes read at once, at most.
const BLOCK: usize = 16 * 1024;

/// What has to be left of a block for another read.
const LEAST: usize = 1024;

/// Something that a line has to tell the core.
#[derive(Debug)]
pub(super) enum Heard {
    /// The connection to the device stands.
    Connected,
    /// It could not be made.
    Unreachable(io::Error),
    /// The tool sent bytes.
    FromClient(Bytes),
    /// The tool will send no more.
    ClientFinished,
    /// The tool's stream is gone.
    ClientBroken,
    /// The device sent bytes.
    FromDevice(Bytes),
    /// The device will send no more.
    DeviceFinished,
    /// The device's connection is gone.
    DeviceBroken(io::Error),
}

/// Which sides the core is ready to hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) client: bool,
    pub(super) device: bool,
}

pub(super) type Dialling = Pin<Box<dyn Future<Output = io::Result<Wire>> + Send>>;

/// A connection to a device, and the means to cut it from elsewhere; both
/// close together.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    /// Closes with the stream; nothing else is done with it.
    pub(super) _held: Held,
}

enum Device {
    Dialling(Dialling),
    Connected(Wire),
    Gone,
}

enum Side {
    Open,
    Finished,
}

/// One channel's sockets and queues.
pub(super) struct Line {
    bell: Arc<Bell>,
    ready: Ready,
    from_client: ReceiveStream,
    client: Side,
    to_client: SendStream,
    to_client_queue: Queue,
    device: Device,
    device_reads: Side,
    to_device_queue: Queue,
    block: BytesMut,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    end: End,
}

#[derive(Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Wanted,
    Done,
}

impl Line {
    pub(super) fn new(
        from_client: ReceiveStream,
        to_client: SendStream,
        dialling: Dialling,
        bell: Bell,
    ) -> Self {
        Self {
            bell: Arc::new(bell),
            ready: Ready::default(),
            from_client,
            client: Side::Open,
            to_client,
            to_client_queue: Queue::default(),
            device: Device::Dialling(dialling),
            device_reads: Side::Open,
            to_device_queue: Queue::default(),
            block: BytesMut::new(),
        }
    }

    pub(super) fn queue_to_device(&mut self, bytes: Bytes) {
        self.to_device_queue.push(bytes);
        self.bell.ring();
    }

    pub(super) fn queue_to_client(&mut self, bytes: Bytes) {
        self.to_client_queue.push(bytes);
        self.bell.ring();
    }

    pub(super) fn finish_device(&mut self) {
        self.to_device_queue.want_end();
        self.bell.ring();
    }

    pub(super) fn finish_client(&mut self) {
        self.to_client_queue.want_end();
        self.bell.ring();
    }

    /// Does what there is to do since it was last polled: a socket has news,
    /// something was queued, or the core is ready for other sides.
    pub(super) fn poll(&mut self, ready: Ready) -> Poll<Heard> {
        if ready != self.ready {
            self.ready = ready;
            self.bell.ring();
        }
        Arc::clone(&self.bell).poll(|context| self.work(context))
    }

    /// Writes what can be written, then reads what may be read.
    fn work(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        if let Device::Dialling(dialling) = &mut self.device
            && let Poll::Ready(dialled) = dialling.as_mut().poll(context)
        {
            return Poll::Ready(self.dialled(dialled));
        }
        if let Poll::Ready(Err(error)) = self.write_device(context) {
            return Poll::Ready(self.device_broke(error));
        }
        if let Poll::Ready(Err(_)) = self.write_client(context) {
            return Poll::Ready(self.client_broke());
        }
        if self.ready.device
            && self.to_client_queue.has_room()
            && let Poll::Ready(heard) = self.read_device(context)
        {
            return Poll::Ready(heard);
        }
        // A denial answers the client, so both queues need room for its bytes.
        if self.ready.client && self.to_device_queue.has_room() && self.to_client_queue.has_room() {
            return self.read_client(context);
        }
        Poll::Pending
    }

    /// Writes what still waits and closes both sides; `Ready` when it is done
    /// or can't be.
    pub(super) fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.finish_client();
        self.finish_device();
        let device = self.write_device(context);
        let client = self.write_client(context);
        if device.is_pending() || client.is_pending() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Cuts both sides now. Bytes that the kernel still holds for the device
    /// are thrown away with a reset (promise 7).
    pub(super) fn reset(mut self) {
        if let Device::Connected(Wire { stream, .. }) = &self.device
            && let Err(error) = stream.set_zero_linger()
        {
            tracing::error!("a device's connection can't be reset: {error}");
        }
        self.from_client.cut();
        self.to_client.cut();
    }

    /// The client's half of a line whose device was never reached.
    pub(super) fn into_client(self) -> SendStream {
        self.to_client
    }

    fn dialled(&mut self, dialled: io::Result<Wire>) -> Heard {
        match dialled {
            Ok(wire) => {
                self.device = Device::Connected(wire);
                Heard::Connected
            }
            Err(error) => {
                self.device = Device::Gone;
                Heard::Unreachable(error)
            }
        }
    }

    fn device_broke(&mut self, error: io::Error) -> Heard {
        self.device = Device::Gone;
        self.to_device_queue = Queue::default();
        Heard::DeviceBroken(error)
    }

    fn client_broke(&mut self) -> Heard {
        self.client = Side::Finished;
        self.to_client_queue = Queue { end: End::Done, ..Queue::default() };
        Heard::ClientBroken
    }

    /// `Ready(Ok)` when nothing waits any more.
    fn write_device(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Device::Connected(Wire { stream, .. }) = &mut self.device else { return Poll::Ready(Ok(())) };
        while let Some(front) = self.to_device_queue.pieces.front() {
            match Pin::new(&mut *stream).poll_write(context, front) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.to_device_queue.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.to_device_queue.end == End::Wanted {
            match Pin::new(stream).poll_shutdown(context) {
                Poll::Ready(done) => {
                    self.to_device_queue.end = End::Done;
                    return Poll::Ready(done);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write_client(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        while let Some(front) = self.to_client_queue.pieces.front() {
            match self.to_client.poll_write(context, front) {
                Poll::Ready(Ok(written)) => self.to_client_queue.advance(written),
                Poll::Ready(Err(lost)) => return Poll::Ready(Err(lost)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.to_client_queue.end == End::Wanted {
            self.to_client_queue.end = End::Done;
            return Poll::Ready(self.to_client.finish());
        }
        Poll::Ready(Ok(()))
    }

    fn read_client(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        if matches!(self.client, Side::Finished) {
            return Poll::Pending;
        }
        let filled =
            read_into(&mut self.block, |buffer| Pin::new(&mut self.from_client).poll_read(context, buffer));
        match filled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(self.client_broke()),
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                self.client = Side::Finished;
                Poll::Ready(Heard::ClientFinished)
            }
            Poll::Ready(Ok(bytes)) => Poll::Ready(Heard::FromClient(bytes)),
        }
    }

    fn read_device(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        let (Device::Connected(Wire { stream, .. }), Side::Open) = (&mut self.device, &self.device_reads)
        else {
            return Poll::Pending;
        };
        let filled = read_into(&mut self.block, |buffer| Pin::new(&mut *stream).poll_read(context, buffer));
        match filled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(self.device_broke(error)),
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                self.device_reads = Side::Finished;
                Poll::Ready(Heard::DeviceFinished)
            }
            Poll::Ready(Ok(bytes)) => Poll::Ready(Heard::FromDevice(bytes)),
        }
    }
}

/// Reads into what is left of `block` and takes what came; a new block where
/// too little is left. Small requests share a block, so that a steady poll
/// allocates once in hundreds of reads.
fn read_into(
    block: &mut BytesMut,
    poll: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<Bytes>> {
    if block.len() < LEAST {
        *block = BytesMut::zeroed(BLOCK);
    }
    let mut room = ReadBuf::new(block);
    match poll(&mut room) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => {
            let filled = room.filled().len();
            Poll::Ready(Ok(block.split_to(filled).freeze()))
        }
    }
}

impl Queue {
    fn push(&mut self, bytes: Bytes) {
        if self.end == End::Open && !bytes.is_empty() {
            self.bytes = self.bytes.saturating_add(bytes.len());
            self.pieces.push_back(bytes);
        }
    }

    fn advance(&mut self, written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        if let Some(front) = self.pieces.front_mut() {
            if written < front.len() {
                front.advance(written);
            } else {
                self.pieces.pop_front();
            }
        }
    }

    fn want_end(&mut self) {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
    }

    fn has_room(&self) -> bool {
        self.bytes < WAITING
    }
}
