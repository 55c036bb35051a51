//! The demo: one technician, one press line, one recording, told as a story.
//!
//! Order of events: PKI, controller, gateway, sign-in, a read and a write
//! that the policy allows, a write that it forbids, the end, verification,
//! replay, and a forged copy that does not pass. Every step checks what it
//! claims, against the controller's own log where that is possible, and the
//! first one that does not hold ends the story with an error.

mod story;
mod voice;

use anyhow::{Context, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
pub use story::{Afterwards, tell};

/// Marks a folder as one that a demo made and may make again.
const MARKER: &str = ".gatehouse-demo";

/// What a demo leaves behind, and the next one replaces.
const LEFT: [&str; 13] = [
    "pki",
    "policies",
    "recordings",
    "log",
    "receipts",
    "gateway.toml",
    "profile.toml",
    "tech-1@vendor-a.seed",
    "state.db",
    "state.db-shm",
    "state.db-wal",
    "admin.sock",
    "altered.ghr",
];

/// Makes `folder` ready for a demo: empty but for the marker.
///
/// # Errors
/// If it holds something that no demo left there.
pub fn prepare(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() && !folder.join(MARKER).exists() && fs::read_dir(folder)?.next().is_some() {
        bail!("{} is not empty and no demo's folder: name another one with --dir", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(folder.join(MARKER), "Made by the demo; the next demo replaces what is here.\n")?;
    for name in LEFT {
        let path = folder.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.exists() {
            fs::remove_file(&path)?;
        }
    }
    Ok(folder.canonicalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_someones_files_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        prepare(folder.path()).unwrap_err();
        fs::remove_file(folder.path().join("thesis.txt")).unwrap();
        prepare(folder.path()).unwrap();
        fs::create_dir(folder.path().join("recordings")).unwrap();
        prepare(folder.path()).unwrap();
        assert!(!folder.path().join("recordings").exists());
    }
}
