//! What makes the disk under a running gateway fail: system calls that strace
//! answers instead of the kernel, and a file system whose power is cut.
//!
//! Both need rights that not every machine gives. [`Missing`] says what is
//! not there; a test skips loudly then, and fails where `CI` is set.

use crate::process::{PATIENCE, Process, run};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// What a test can't do without and this machine does not have.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(String);

/// Unwraps what a test needs; says so past the harness where it is missing.
///
/// # Panics
/// Where `CI` is set: there nothing may be missing.
pub fn needed<T>(test: &str, what: Result<T, Missing>) -> Option<T> {
    match what {
        Ok(what) => Some(what),
        Err(missing) => {
            // Past the capture of the test harness, so that it is seen.
            let _written = writeln!(std::io::stderr(), "{test}: SKIPPED, {missing}");
            assert!(std::env::var_os("CI").is_none(), "{test}: {missing}");
            None
        }
    }
}

/// System calls of a process that fail on purpose, until it is dropped.
///
/// Only calls named in strace's `trace=` are touched, so the call is named
/// there too; counting is per thread and begins when strace is attached.
#[derive(Debug)]
pub struct Injection {
    strace: Process,
    log: PathBuf,
}

impl Injection {
    /// Attaches to the process: `call` on `file` does what `what` says, in
    /// strace's words (`error=EIO:when=2`). `log` becomes strace's own account.
    ///
    /// # Errors
    /// Where there is no strace, or it may not trace.
    pub fn attach(pid: u32, call: &str, what: &str, file: &Path, log: &Path) -> Result<Self, Missing> {
        let mut command = Command::new("strace");
        command.args(["-f", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:{what}")]);
        command.arg("-P").arg(file).arg("-o").arg(log).args(["-p", &pid.to_string()]);
        let missing = |error: anyhow::Error| Missing(format!("strace (Debian package strace): {error:#}"));
        let strace = Process::start("strace", &mut command).map_err(missing)?;
        strace.wait_for_words("attached").map_err(missing)?;
        Ok(Self { strace, log: log.to_owned() })
    }

    /// Detaches and gives how many calls were answered by strace. A test that
    /// does not look proves nothing.
    ///
    /// # Errors
    /// If strace does not end.
    pub fn detach(self) -> anyhow::Result<usize> {
        let Self { strace, log } = self;
        strace.terminate()?;
        let text = fs::read_to_string(log)?;
        Ok(text.lines().filter(|line| line.contains("(INJECTED)") || line.contains("(DELAYED)")).count())
    }
}

/// An ext4 file system in a file, whose power can be cut.
#[derive(Debug)]
pub struct Volume {
    image: PathBuf,
    mounted: PathBuf,
}

impl Volume {
    /// Makes one of 64 MiB in `image` and mounts it on the folder `on`.
    ///
    /// # Errors
    /// Where mounting is not permitted or a tool is missing.
    pub fn mount(image: &Path, on: &Path) -> Result<Self, Missing> {
        let made = fs::File::create(image).and_then(|file| file.set_len(64 << 20));
        made.map_err(|error| Missing(format!("{}: {error}", image.display())))?;
        done("mkfs.ext4", Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))?;
        let volume = Self { image: image.to_owned(), mounted: on.to_owned() };
        volume.mount_again()?;
        Ok(volume)
    }

    /// Cuts the power: from here on nothing reaches the disk, and what had not
    /// reached it yet is lost (the file system's shutdown call, without
    /// flushing its log).
    ///
    /// # Errors
    /// Where python3 is missing or the kernel refuses.
    pub fn cut_power(&self) -> Result<(), Missing> {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h).
        let script = "import fcntl, os, struct, sys; \
                      fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        done("python3", Command::new("python3").args(["-c", script]).arg(&self.mounted))
    }

    /// Takes the file system away and brings it back, as after a new start of
    /// the machine. Nobody may hold a file of it open.
    ///
    /// # Errors
    /// Where one of the two does not work.
    pub fn power_up(&self) -> Result<(), Missing> {
        done("umount", Command::new("umount").arg(&self.mounted))?;
        self.mount_again()
    }

    fn mount_again(&self) -> Result<(), Missing> {
        done("mount", Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mounted))?;
        done("chmod", Command::new("chmod").arg("700").arg(&self.mounted))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a killed gateway may still hold a file for a moment.
        let _unmounted = run("umount", Command::new("umount").arg("-l").arg(&self.mounted));
        let _removed = fs::remove_file(&self.image);
    }
}

/// Runs a tool that must succeed.
fn done(name: &str, command: &mut Command) -> Result<(), Missing> {
    let finished = Process::start(name, command).and_then(|process| process.finish(PATIENCE));
    let finished = finished.and_then(|finished| finished.expect_code(0));
    finished.map(drop).map_err(|error| Missing(format!("{name} does not work here: {error:#}")))
}
