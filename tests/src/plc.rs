//! The press line's controller on the network, with its manners and memory.
//!
//! [`Plc::start`] binds a free loopback port and serves Modbus/TCP there from
//! a thread of its own until the value is dropped. Every byte that arrives is
//! kept per connection *before* it is looked at: that log is the ground truth
//! with which recordings are compared. [`Manners`] make it misbehave the way
//! old devices and broken networks do.
//!
//! It never retries, resynchronises or guesses: a header that is no Modbus
//! ends the connection, as on most controllers.

use crate::{modbus, press_line::PressLine};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// Length field of an MBAP header: unit id and PDU (V1.0b, section 3.1.3).
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=254;

/// How a controller treats its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Answers every request at once.
    Proper,
    /// Takes every byte and never answers.
    Silent,
    /// Answers each request with bytes that are no Modbus.
    Garbage,
    /// Sends the first half of an answer, then closes.
    ClosesMidFrame,
    /// Answers properly, but only after this time.
    Slow(Duration),
}

/// What one connection brought and got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// All bytes that arrived, in order.
    pub received: Vec<u8>,
    /// All bytes that were answered, in order.
    pub sent: Vec<u8>,
    /// Whole requests among `received`.
    pub requests: Vec<Vec<u8>>,
    /// When the last byte arrived.
    pub last_byte: Option<Instant>,
    /// Whether it has ended.
    pub ended: bool,
}

/// All that a controller has seen since it was started.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Connections in the order in which they came.
    pub connections: Vec<Connection>,
}

impl Log {
    /// Every whole request, over all connections.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.connections.iter().flat_map(|connection| connection.requests.clone()).collect()
    }

    /// Whether any request had this function code.
    pub fn saw_function(&self, function: u8) -> bool {
        self.requests().iter().any(|request| request.get(7) == Some(&function))
    }
}

/// What the serving tasks and the holder of the [`Plc`] share.
#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Log>,
    line: Mutex<PressLine>,
    news: Condvar,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, PressLine> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the log of one connection and tells who waits for it.
    fn note(&self, number: usize, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.log().connections.get_mut(number) {
            change(connection);
        }
        self.news.notify_all();
    }
}

/// A running controller; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Plc {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Plc {
    /// Starts a controller on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If no socket or thread is to be had: nothing can be tested then.
    pub fn start(manners: Manners) -> Self {
        Self::start_at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), manners)
    }

    /// Starts a controller at a given address.
    ///
    /// # Panics
    /// As [`Plc::start`], and if the address is taken.
    pub fn start_at(address: SocketAddr, manners: Manners) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a port for the controller");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let address = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("plc".to_owned())
            .spawn(move || run(listener, manners, &served, stopped))
            .expect("a thread for the controller");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A copy of all that it has seen so far.
    pub fn log(&self) -> Log {
        self.shared.log().clone()
    }

    /// The holding register at `at`.
    pub fn holding(&self, at: u16) -> Option<u16> {
        self.shared.line().holding(at)
    }

    /// The coil at `at`.
    pub fn coil(&self, at: u16) -> Option<bool> {
        self.shared.line().coil(at)
    }

    /// Waits until the log satisfies `condition`; false when `patience` ran
    /// out first.
    pub fn wait_until(&self, patience: Duration, condition: impl Fn(&Log) -> bool) -> bool {
        let log = self.shared.log();
        let (_log, result) = self
            .shared
            .news
            .wait_timeout_while(log, patience, |log| !condition(log))
            .unwrap_or_else(PoisonError::into_inner);
        !result.timed_out()
    }
}

impl Drop for Plc {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the serving thread has been printed by its hook.
            let _ended = thread.join();
        }
    }
}

fn run(
    listener: std::net::TcpListener,
    manners: Manners,
    shared: &Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime for the controller").block_on(async {
        let listener = TcpListener::from_std(listener).expect("the listener in the runtime");
        tokio::select! {
            () = accept(&listener, manners, shared) => {}
            // Either a value or the sender's end: both mean stop.
            _ = stopped => {}
        }
    });
}

async fn accept(listener: &TcpListener, manners: Manners, shared: &Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        let number = {
            let mut log = shared.log();
            log.connections.push(Connection::default());
            log.connections.len() - 1
        };
        shared.news.notify_all();
        let shared = Arc::clone(shared);
        connections.spawn(async move {
            serve(stream, number, manners, &shared).await;
            shared.note(number, |connection| connection.ended = true);
        });
    }
}

/// Serves one connection until either side ends it.
async fn serve(mut stream: TcpStream, number: usize, manners: Manners, shared: &Shared) {
    let _ignored = stream.set_nodelay(true);
    let mut waiting = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let bytes = &chunk[..count];
        shared.note(number, |connection| {
            connection.received.extend(bytes);
            connection.last_byte = Some(Instant::now());
        });
        waiting.extend(bytes);
        loop {
            let request = match next_frame(&mut waiting) {
                Ok(Some(request)) => request,
                Ok(None) => break,
                Err(NotModbus) => return,
            };
            shared.note(number, |connection| connection.requests.push(request.clone()));
            let Some(answer) = answer(&request, manners, shared).await else { continue };
            // Noted first: a tool that has read the answer finds it in the log.
            shared.note(number, |connection| connection.sent.extend(&answer));
            if stream.write_all(&answer).await.is_err() || manners == Manners::ClosesMidFrame {
                return;
            }
        }
    }
}

/// The peer does not speak Modbus/TCP.
struct NotModbus;

/// Takes the next whole frame from the front of `waiting`.
fn next_frame(waiting: &mut Vec<u8>) -> Result<Option<Vec<u8>>, NotModbus> {
    let [_, _, p0, p1, l0, l1, ..] = waiting.as_slice() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    if (*p0, *p1) != (0, 0) || !LENGTHS.contains(&length) {
        return Err(NotModbus);
    }
    let end = 6 + length;
    if waiting.len() < end {
        return Ok(None);
    }
    Ok(Some(waiting.drain(..end).collect()))
}

/// The bytes to send for one request, `None` for none.
async fn answer(request: &[u8], manners: Manners, shared: &Shared) -> Option<Vec<u8>> {
    let [t0, t1, _, _, _, _, unit, pdu @ ..] = request else {
        return None;
    };
    let proper = |shared: &Shared| {
        let answer = shared.line().answer(pdu);
        modbus::frame(u16::from_be_bytes([*t0, *t1]), *unit, &answer)
    };
    match manners {
        Manners::Proper => Some(proper(shared)),
        Manners::Silent => None,
        Manners::Garbage => Some(b"\xde\xad\xbe\xef not modbus at all \x1b]0;owned\x07".to_vec()),
        Manners::ClosesMidFrame => {
            let whole = proper(shared);
            Some(whole[..whole.len() / 2].to_vec())
        }
        Manners::Slow(delay) => {
            tokio::time::sleep(delay).await;
            Some(proper(shared))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::{Answer, Tool, pdu};

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn the_log_has_every_byte_of_every_connection() {
        let plc = Plc::start(Manners::Proper);
        let mut one = Tool::connect(plc.address()).unwrap();
        let mut two = Tool::connect(plc.address()).unwrap().with_unit(9);
        assert_eq!(one.read_holding(100, 2).unwrap(), Ok(vec![650, 120]));
        assert_eq!(two.write_holding(100, 731).unwrap(), Answer::Data(vec![0, 100, 2, 0xDB]));
        drop(one);
        assert!(plc.wait_until(SOON, |log| log.connections.iter().any(|one| one.ended)));
        let log = plc.log();
        assert_eq!(log.connections.len(), 2);
        assert_eq!(log.connections[0].received, modbus::frame(1, 1, &pdu(3, &[100, 2])));
        assert_eq!(log.connections[1].received, modbus::frame(1, 9, &pdu(6, &[100, 731])));
        assert_eq!(plc.holding(100), Some(731));
    }

    #[test]
    fn requests_in_pieces_and_in_a_heap_are_told_apart() {
        let plc = Plc::start(Manners::Proper);
        let mut tool = Tool::connect(plc.address()).unwrap();
        let heap: Vec<u8> = (1..=3).flat_map(|id| modbus::frame(id, 1, &pdu(3, &[100, 1]))).collect();
        for piece in heap.chunks(5) {
            tool.send_raw(piece).unwrap();
        }
        for id in 1..=3 {
            assert_eq!(tool.receive().unwrap().0, id);
        }
        assert_eq!(plc.log().requests().len(), 3);
    }

    #[test]
    fn bad_manners_are_what_they_say() {
        let plc = Plc::start(Manners::ClosesMidFrame);
        let mut tool = Tool::connect(plc.address()).unwrap();
        tool.read_holding(0, 1).unwrap_err();
        let plc = Plc::start(Manners::Garbage);
        let mut tool = Tool::connect(plc.address()).unwrap();
        assert!(matches!(tool.read_holding(0, 1), Err(modbus::Failure::Mismatch(_))));
        let plc = Plc::start(Manners::Silent);
        let mut tool = Tool::connect(plc.address()).unwrap();
        tool.send(&pdu(3, &[0, 1])).unwrap();
        assert!(plc.wait_until(SOON, |log| log.requests().len() == 1));
        assert!(plc.log().connections[0].sent.is_empty());
    }

    #[test]
    fn what_is_no_modbus_ends_the_connection() {
        let plc = Plc::start(Manners::Proper);
        let mut tool = Tool::connect(plc.address()).unwrap();
        tool.send_raw(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        tool.expect_closed().unwrap();
    }
}
