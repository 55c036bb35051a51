//! A disk in memory that fails, tears, loses power and forgets on demand.

use super::dice::Dice;
use recording::{Allocation, Storage, SyncStorage};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What reaches the platters as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// What the n-th operation does instead of working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing happens and the error is returned.
    Error(i32),
    /// Half of the bytes are written, then the error is returned.
    Torn(i32),
    /// The process, or the machine, is gone before the operation.
    GoneBefore,
    /// It is gone when half of the bytes are written. Being gone behind an
    /// operation is being gone before the next one.
    GoneAmid,
}

/// The disk and what it remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the operating system shows.
    content: Vec<u8>,
    written: usize,
    /// What survives a power cut for certain, and how much of it was written.
    stable: Vec<u8>,
    stable_written: usize,
    /// What happened to the file since, in order.
    unstable: Vec<Change>,
    operations: usize,
    plan: Option<(usize, Trouble)>,
    gone: bool,
    troubled: Option<&'static str>,
}

#[derive(Debug)]
enum Change {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// A disk whose operation number `at`, counted from 0, goes wrong.
    pub(super) fn with_trouble(at: usize, trouble: Trouble) -> Self {
        let disk = Self::default();
        disk.state().plan = Some((at, trouble));
        disk
    }

    /// Whether the process is gone.
    pub(super) fn gone(&self) -> bool {
        self.state().gone
    }

    /// Which operation went wrong, if one did.
    pub(super) fn troubled(&self) -> Option<&'static str> {
        self.state().troubled
    }

    pub(super) fn operations(&self) -> usize {
        self.state().operations
    }

    /// What the next process finds.
    pub(super) fn content(&self) -> Vec<u8> {
        self.state().content.clone()
    }

    /// How many bytes were written when the last sync began.
    pub(super) fn stable(&self) -> u64 {
        self.state().stable_written as u64
    }

    /// What is found after a power cut: all that was synced, and of the rest
    /// whatever the dice say, sector by sector and in any order.
    pub(super) fn after_power_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let state = self.state();
        let mut image = state.stable.clone();
        let (style, count) = (dice.below(4), state.unstable.len() as u64 + 1);
        let until = usize::try_from(dice.below(count)).unwrap();
        for (number, change) in state.unstable.iter().enumerate() {
            match change {
                Change::Bytes(at, bytes) => {
                    for sector in sectors(*at, bytes) {
                        let kept = match style {
                            0 => false,
                            1 => number < until,
                            _ => dice.below(style + 1) == 0,
                        };
                        if kept {
                            put(&mut image, sector.0, sector.1);
                        }
                    }
                }
                Change::Length(length) if style != 0 && number < until => image.resize(*length, 0),
                Change::Length(_) => {}
            }
        }
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// The parts of a write that lie in different sectors.
fn sectors(at: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut parts = Vec::new();
    let (mut at, mut rest) = (at, bytes);
    while !rest.is_empty() {
        let (part, later) = rest.split_at((SECTOR - at % SECTOR).min(rest.len()));
        parts.push((at, part));
        (at, rest) = (at + part.len(), later);
    }
    parts
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(bytes);
}

impl State {
    /// Does an operation as the plan wants it; `work` with half of it or all.
    fn operation(&mut self, name: &'static str, work: impl FnOnce(&mut Self, Extent)) -> io::Result<()> {
        assert!(!self.gone, "{name} by a process that is gone");
        let number = self.operations;
        self.operations += 1;
        let trouble = self.plan.filter(|(at, _)| *at == number).map(|(_, trouble)| trouble);
        if trouble.is_some() {
            self.troubled = Some(name);
        }
        match trouble {
            None => work(self, Extent::Whole),
            Some(Trouble::Error(_) | Trouble::GoneBefore) => {}
            Some(Trouble::Torn(_) | Trouble::GoneAmid) => work(self, Extent::Half),
        }
        match trouble {
            None => Ok(()),
            Some(Trouble::Error(code) | Trouble::Torn(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Trouble::GoneBefore | Trouble::GoneAmid) => {
                self.gone = true;
                Err(io::Error::from_raw_os_error(5))
            }
        }
    }

    fn resize(&mut self, length: usize) {
        self.content.resize(length, 0);
        self.unstable.push(Change::Length(length));
    }
}

/// How much of an operation is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Half,
    Whole,
}

impl Storage for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state().operation("write", |state, extent| {
            let bytes = if extent == Extent::Whole { bytes } else { &bytes[..bytes.len() / 2] };
            put(&mut state.content, state.written, bytes);
            state.unstable.push(Change::Bytes(state.written, bytes.to_vec()));
            state.written += bytes.len();
        })
    }

    fn allocate(&mut self, length: u64) -> io::Result<Allocation> {
        self.state().operation("allocate", |state, extent| {
            let length = usize::try_from(length).unwrap();
            if extent == Extent::Whole && state.content.len() < length {
                state.resize(length);
            }
        })?;
        Ok(Allocation::Reserved)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.state().operation("truncate", |state, extent| {
            if extent == Extent::Whole {
                state.resize(usize::try_from(length).unwrap());
            }
        })
    }

    fn syncer(&self) -> io::Result<Box<dyn SyncStorage>> {
        Ok(Box::new(self.clone()))
    }
}

impl SyncStorage for Disk {
    fn sync(&self) -> io::Result<()> {
        self.state().operation("sync", |state, extent| {
            if extent == Extent::Whole {
                state.stable = state.content.clone();
                state.stable_written = state.written;
                state.unstable.clear();
            }
        })
    }
}
