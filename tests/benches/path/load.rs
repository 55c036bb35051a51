//! The load: a device that answers at once and a tool that asks again at once.
//!
//! Both are the same for every path, so that what differs between two rows is
//! the path alone. A round trip is one Modbus request of 12 bytes and its
//! whole answer; the next request of a channel goes out when the answer to
//! the last is there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tests::modbus;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What the tool asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Read one holding register.
    Read,
    /// Write one holding register: on stable storage before it goes.
    Write,
}

impl Question {
    fn request(self, transaction: u16) -> Vec<u8> {
        let pdu = match self {
            Self::Read => modbus::pdu(3, &[100, 1]),
            Self::Write => modbus::pdu(6, &[100, 731]),
        };
        modbus::frame(transaction, 1, &pdu)
    }

    fn answer(self, transaction: u16) -> Vec<u8> {
        let pdu = match self {
            Self::Read => vec![3, 2, 0, 7],
            Self::Write => modbus::pdu(6, &[100, 731]),
        };
        modbus::frame(transaction, 1, &pdu)
    }
}

/// Starts the device on a thread that lives as long as the process.
pub(crate) fn device() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("the listener in the runtime");
            while let Ok((stream, _peer)) = listener.accept().await {
                tokio::spawn(respond(stream));
            }
        });
    });
    Ok(address)
}

/// Answers requests of 12 bytes until the peer is gone.
async fn respond(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; 12];
    loop {
        stream.read_exact(&mut request).await?;
        let question = if request[7] == 3 { Question::Read } else { Question::Write };
        let transaction = u16::from_be_bytes([request[0], request[1]]);
        stream.write_all(&question.answer(transaction)).await?;
    }
}

/// What one measurement saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Round trips per second over all channels.
    pub(crate) rate: f64,
    /// Half of the round trips took no longer, microseconds.
    pub(crate) p50: f64,
    /// 99 of 100 round trips took no longer, microseconds.
    pub(crate) p99: f64,
}

/// Asks through `address` on `channels` connections for `span`.
pub(crate) async fn measure(
    address: SocketAddr,
    question: Question,
    channels: usize,
    span: Duration,
) -> anyhow::Result<Figures> {
    let mut streams = Vec::new();
    for _ in 0..channels {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // The first round trip opens the channel behind the listener; it is
        // no part of the figures.
        round_trip(&mut stream, question, 0).await?;
        streams.push(stream);
    }
    let start = Instant::now();
    let mut tools = JoinSet::new();
    for stream in streams {
        tools.spawn(ask(stream, question, start + span));
    }
    let mut times = Vec::new();
    while let Some(done) = tools.join_next().await {
        times.extend(done??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let percentile = |part: usize| {
        let at = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Ok(Figures { rate: times.len() as f64 / elapsed, p50: percentile(50), p99: percentile(99) })
}

async fn ask(mut stream: TcpStream, question: Question, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut transaction = 0_u16;
    let mut before = Instant::now();
    while before < until {
        transaction = transaction.wrapping_add(1);
        round_trip(&mut stream, question, transaction).await?;
        let after = Instant::now();
        times.push(after - before);
        before = after;
    }
    Ok(times)
}

async fn round_trip(stream: &mut TcpStream, question: Question, transaction: u16) -> anyhow::Result<()> {
    stream.write_all(&question.request(transaction)).await?;
    let expected = question.answer(transaction);
    let mut answer = vec![0; expected.len()];
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer));
    reading.await??;
    anyhow::ensure!(answer == expected, "a wrong answer: {answer:02x?} for {expected:02x?}");
    Ok(())
}
