//! The controller of `src/bin/device.rs` as a process, with its log.

use crate::{
    binaries::binaries,
    process::{PATIENCE, Process},
};
use anyhow::Context;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// A running controller; it is killed when dropped.
#[derive(Debug)]
pub struct Device {
    _process: Process,
    address: SocketAddr,
    folder: PathBuf,
}

impl Device {
    /// Starts it with its log in `folder`, which is made.
    ///
    /// # Errors
    /// With what it printed, if it does not listen.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let process = Process::start("device", Command::new(&binaries().device).arg(folder))?;
        let address =
            process.wait_for(PATIENCE, |line| line.strip_prefix("listening ")?.trim().parse().ok())?;
        Ok(Self { _process: process, address, folder: folder.to_owned() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All bytes that connection `number` brought, from stable storage.
    ///
    /// # Errors
    /// If there was no such connection.
    pub fn received(&self, number: usize) -> anyhow::Result<Vec<u8>> {
        let path = self.folder.join(format!("{number}.received"));
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Waits until connection `number` has ended, so that its log is whole.
    ///
    /// # Errors
    /// If it does not end.
    pub fn wait_for_end(&self, number: usize) -> anyhow::Result<()> {
        let (path, deadline) = (self.folder.join(format!("{number}.ended")), Instant::now() + PATIENCE);
        while !path.exists() {
            anyhow::ensure!(Instant::now() < deadline, "connection {number} does not end");
            // A file can't be waited for; asking again is the wait.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
