//! A gateway that is killed again and again while a technician works.
//!
//! The device is a process of its own that keeps every byte on stable storage
//! before it answers. After each kill the recording must verify as broken
//! off, not as altered, and what the device got must be a prefix of the
//! recorded `to_device` tap. A few workshops side by side serve all kills; in
//! each the gateway starts anew, over what the last one left behind.

use crate::{
    device::Device,
    evidence::Evidence,
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, Technician},
    process::PATIENCE,
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};
use anyhow::Context;
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread::{JoinHandle, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// Bytes that the device has got, at least, when the gateway is killed.
pub const LEAST_FORWARDED: usize = 240;

/// Requests by which the instant of the kill varies.
const SPREAD: u64 = 40;

/// Workshops in which gateways are killed at the same time: most of a kill's
/// time is waiting for disks and other processes.
const WORKSHOPS: u32 = 3;

/// One recording of so many is also checked by the auditor's program.
const CHECKED_EVERY: u32 = 20;

/// What came of all kills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often the gateway was killed.
    pub kills: u32,
    /// Bytes that the device got, over all kills.
    pub forwarded: usize,
    /// The smallest count of bytes that the device had got at a kill.
    pub least: usize,
    /// Bytes that were recorded and had not arrived at the device.
    pub ahead: usize,
    /// The longest that a gateway took to start over what was left.
    pub slowest_start: Duration,
}

/// Kills gateways `kills` times; `told` hears of each how many there were.
///
/// # Errors
/// At the first kill after which something does not hold.
pub fn kill_again_and_again(kills: u32, told: impl Fn(u32) + Sync) -> anyhow::Result<Tally> {
    let begun = AtomicU32::new(0);
    let next = || {
        let number = begun.fetch_add(1, Ordering::Relaxed);
        (number < kills).then(|| told(number)).is_some()
    };
    let tallies: Vec<anyhow::Result<Tally>> = std::thread::scope(|scope| {
        let work = |_| scope.spawn(|| kill_in_one_workshop(next));
        let workers: Vec<_> = (0..WORKSHOPS.min(kills)).map(work).collect();
        let joined = |worker: ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a workshop's thread panicked")))
        };
        workers.into_iter().map(joined).collect()
    });
    tallies.into_iter().try_fold(Tally::none(), |sum, tally| Ok(sum.with(tally?)))
}

/// Kills as long as there is a next one.
fn kill_in_one_workshop(next: impl Fn() -> bool) -> anyhow::Result<Tally> {
    let truth = tempfile::tempdir_in(crate::binaries::target())?;
    let device = Device::start(truth.path())?;
    let workshop = Workshop::new(device.address());
    // Unlimited: each start leaves a little behind, none is waited for.
    let first = Gateway::ready(&workshop)?;
    let technician = first.import(TECHNICIAN)?;
    first.kill()?;
    let mut tally = Tally::none();
    let mut seen = BTreeSet::new();
    for number in 0.. {
        if !next() {
            break;
        }
        let round = Round { workshop: &workshop, device: &device, technician: &technician, number };
        round.go(&mut seen, &mut tally).with_context(|| format!("kill {number}"))?;
    }
    Ok(tally)
}

impl Tally {
    fn none() -> Self {
        Self { least: usize::MAX, ..Self::default() }
    }

    fn with(self, other: Self) -> Self {
        Self {
            kills: self.kills + other.kills,
            forwarded: self.forwarded + other.forwarded,
            least: self.least.min(other.least),
            ahead: self.ahead + other.ahead,
            slowest_start: self.slowest_start.max(other.slowest_start),
        }
    }
}

struct Round<'a> {
    workshop: &'a Workshop,
    device: &'a Device,
    technician: &'a Technician,
    number: u32,
}

impl Round<'_> {
    fn go(&self, seen: &mut BTreeSet<PathBuf>, tally: &mut Tally) -> anyhow::Result<()> {
        self.forget_the_code()?;
        let before = Instant::now();
        let gateway = Gateway::start(self.workshop)?;
        tally.slowest_start = tally.slowest_start.max(before.elapsed());
        self.workshop.profile(TECHNICIAN, gateway.address())?;
        let connection = self.technician.connect(&[PRESS_LINE])?;
        let work = Work::begin(connection.address())?;
        work.wait_for(LEAST_FORWARDED / 12 + self.spread())?;
        gateway.kill()?;
        let connected = usize::try_from(self.number)?;
        self.device.wait_for_end(connected)?;
        drop(connection);
        let answered = work.end();
        let received = self.device.received(connected)?;
        anyhow::ensure!(received.len() >= LEAST_FORWARDED, "only {} bytes were forwarded", received.len());
        anyhow::ensure!(received.len() >= 12 * answered, "{answered} answers to {} bytes", received.len());
        let recorded = self.check(seen, &received)?;
        tally.kills += 1;
        tally.forwarded += received.len();
        tally.least = tally.least.min(received.len());
        tally.ahead += recorded - received.len();
        Ok(())
    }

    /// A code counts once in thirty seconds, which would be the pace of all
    /// kills; the gateway, which is not running, forgets the last one.
    fn forget_the_code(&self) -> anyhow::Result<()> {
        let state = rusqlite::Connection::open(self.workshop.path("state.db"))?;
        state.execute("UPDATE attempts SET last_step = NULL, failures = 0", [])?;
        Ok(())
    }

    /// Some requests more or less, the same at each run.
    fn spread(&self) -> usize {
        let mixed = u64::from(self.number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(mixed % SPREAD).unwrap_or_default()
    }

    /// Checks the one new recording; gives how much of `to_device` it has.
    fn check(&self, seen: &mut BTreeSet<PathBuf>, received: &[u8]) -> anyhow::Result<usize> {
        let new: Vec<_> =
            self.workshop.recordings()?.into_iter().filter(|path| !seen.contains(path)).collect();
        let [recording] = new.as_slice() else { anyhow::bail!("new recordings: {new:?}") };
        seen.insert(recording.clone());
        let key = recording::PublicKey::read(&self.workshop.path("pki/signing.pub"))?;
        let report = recording::verify(fs::File::open(recording)?, &key)?;
        anyhow::ensure!(report.verdict == recording::Verdict::Unclean, "{report:?}");
        anyhow::ensure!(report.signed.is_some(), "nothing is signed: {report:?}");
        if self.number.is_multiple_of(CHECKED_EVERY) {
            Auditor::of(self.workshop).verify(recording)?.expect_code(3)?;
        }
        let evidence = Evidence::open(self.workshop, recording)?;
        let channels = evidence.channels();
        let [channel] = channels.as_slice() else { anyhow::bail!("{} channels", channels.len()) };
        let (recorded, got) = (channel.to_device.len(), received.len());
        anyhow::ensure!(channel.to_device.starts_with(received), "{recorded} recorded, {got} at the device");
        Ok(recorded)
    }
}

/// A technician's tool that reads and writes until its way is closed.
struct Work {
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Work {
    fn begin(address: SocketAddr) -> anyhow::Result<Self> {
        let answered = Arc::new(AtomicUsize::new(0));
        let (counter, mut tool) = (Arc::clone(&answered), Tool::connect(address)?);
        let thread = std::thread::spawn(move || {
            for value in 0.. {
                let answer = match value % 3 {
                    0 => tool.write_holding(100, value % 900).map(|answer| matches!(answer, Answer::Data(_))),
                    _ => tool.read_holding(100, 1).map(|read| read.is_ok()),
                };
                match answer {
                    Ok(true) => counter.fetch_add(1, Ordering::Relaxed),
                    Ok(false) | Err(_) => return,
                };
            }
        });
        Ok(Self { answered, thread })
    }

    fn wait_for(&self, count: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.answered.load(Ordering::Relaxed) < count {
            anyhow::ensure!(Instant::now() < deadline, "the work does not get on");
            anyhow::ensure!(!self.thread.is_finished(), "the work ended early");
            // Short against a request's time, so that the instant varies.
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn end(self) -> usize {
        // A panic of the tool's thread has been printed by its hook.
        let _ended = self.thread.join();
        self.answered.load(Ordering::Relaxed)
    }
}
