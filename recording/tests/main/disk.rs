//! A disk in memory that fails on demand.

use recording::{Allocation, Storage, SyncStorage};
use std::io;
use std::sync::{Arc, Mutex};

/// What one operation of the disk does instead of working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing happens and the error is returned.
    Error(i32),
    /// Half of the bytes are written, then the error is returned.
    Torn(i32),
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) content: Vec<u8>,
    pub(crate) written: usize,
    /// What survives a power failure.
    pub(crate) synced: Vec<u8>,
    /// Every operation, by name.
    pub(crate) operations: Vec<&'static str>,
    /// The n-th operation, counted from 0, fails.
    pub(crate) plan: Option<(usize, Failure)>,
    /// Space behind which nothing can be reserved.
    pub(crate) capacity: Option<u64>,
    pub(crate) allocation: Option<Allocation>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(pub(crate) Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn failing(at: usize, failure: Failure) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().plan = Some((at, failure));
        disk
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap().content.clone()
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        state.content[..state.written].to_vec()
    }

    pub(crate) fn synced(&self) -> Vec<u8> {
        self.0.lock().unwrap().synced.clone()
    }

    pub(crate) fn operations(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().operations.clone()
    }
}

impl State {
    fn operation(&mut self, name: &'static str) -> Option<Failure> {
        let number = self.operations.len();
        self.operations.push(name);
        self.plan.filter(|(at, _)| *at == number).map(|(_, failure)| failure)
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.written + bytes.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[self.written..end].copy_from_slice(bytes);
        self.written = end;
    }
}

impl Storage for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        match state.operation("write") {
            None => state.put(bytes),
            Some(Failure::Error(code)) => return Err(io::Error::from_raw_os_error(code)),
            Some(Failure::Torn(code)) => {
                state.put(&bytes[..bytes.len() / 2]);
                return Err(io::Error::from_raw_os_error(code));
            }
        }
        Ok(())
    }

    fn allocate(&mut self, length: u64) -> io::Result<Allocation> {
        let mut state = self.0.lock().unwrap();
        if let Some(Failure::Error(code) | Failure::Torn(code)) = state.operation("allocate") {
            return Err(io::Error::from_raw_os_error(code));
        }
        if state.capacity.is_some_and(|capacity| length > capacity) {
            return Err(io::Error::from_raw_os_error(28));
        }
        if state.allocation == Some(Allocation::Unsupported) {
            return Ok(Allocation::Unsupported);
        }
        let length = usize::try_from(length).unwrap();
        if state.content.len() < length {
            state.content.resize(length, 0);
        }
        Ok(Allocation::Reserved)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Some(Failure::Error(code) | Failure::Torn(code)) = state.operation("truncate") {
            return Err(io::Error::from_raw_os_error(code));
        }
        state.content.truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn syncer(&self) -> io::Result<Box<dyn SyncStorage>> {
        Ok(Box::new(self.clone()))
    }
}

impl SyncStorage for Disk {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Some(Failure::Error(code) | Failure::Torn(code)) = state.operation("sync") {
            return Err(io::Error::from_raw_os_error(code));
        }
        state.synced = state.content.clone();
        Ok(())
    }
}
