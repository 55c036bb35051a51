//! Everything that differs between operating systems, and nothing else.
//!
//! File modes and signals exist on Unix; elsewhere the files are as private as the user's own folder, and Ctrl-C is
//! the one way to interrupt.

mod echo;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::Problem;

pub use self::echo::Echo;

/// Refuses a secret file that others may read.
///
/// # Errors
/// [`Problem::Configuration`] with the way out, [`Problem::Io`] if the file is not there.
#[cfg(unix)]
pub fn refuse_if_others_may_read(secret: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(secret).map_err(|source| Problem::of_file(secret, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Problem::Configuration(format!(
        "{0} may be read by others (mode {mode:03o}): run `chmod 600 {0}`, and if others had it, ask for a new one",
        secret.display()
    )))
}

/// Refuses a secret file that is not there; its access rights are the folder's.
///
/// # Errors
/// [`Problem::Io`].
#[cfg(not(unix))]
pub fn refuse_if_others_may_read(secret: &Path) -> Result<(), Problem> {
    std::fs::metadata(secret).map(|_| ()).map_err(|source| Problem::of_file(secret, source))
}

/// Makes what is opened with these options readable for its owner only.
pub fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a folder, and those above it, for its owner only; one that exists is left as it is.
///
/// # Errors
/// As the operating system reports them.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Where processes of this user may leave what concerns the present login only; `None` where there is no such place.
#[must_use]
pub fn runtime_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    folder.is_absolute().then(|| folder.join("gatehouse"))
}

/// The technician's wish to end: Ctrl-C, and on Unix a termination signal.
#[derive(Debug)]
pub struct Interrupt {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupt {
    /// From now on the signals are caught instead of ending the process.
    ///
    /// # Errors
    /// As the operating system reports them.
    pub fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the next signal. May be dropped and called again without losing one.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Interrupt {
    /// From now on Ctrl-C is waited for.
    ///
    /// # Errors
    /// None here.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns at the next Ctrl-C.
    pub async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_that_anyone_else_may_read_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let secret = place.path().join("key");
        fs::write(&secret, "").unwrap();
        for (mode, sound) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o660, false)] {
            fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(refuse_if_others_may_read(&secret).is_ok(), sound, "{mode:o}");
        }
        let problem = refuse_if_others_may_read(&secret).unwrap_err();
        assert_eq!(problem.exit_code(), 5);
        assert!(problem.to_string().contains("chmod 600"), "{problem}");
    }
}
