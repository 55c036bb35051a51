//! Showing a new second factor, once: as a code to scan, or in a new file.

use super::exit::{Exit, Failure};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A new, empty file of mode 0600 for a secret; removed again unless it was
/// filled. Made before the gateway is asked, so that a seed that is shown only
/// once is never lost to a full disk or a wrong path.
#[derive(Debug)]
pub(super) struct SecretFile {
    path: PathBuf,
    file: Option<File>,
}

impl SecretFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = made.map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    /// Writes the secret as a line; the file stays.
    pub(super) fn fill(self, secret: &str) -> Result<(), Failure> {
        self.fill_with(format!("{secret}\n").as_bytes())
    }

    /// Writes the secret; the file stays if all of it was written.
    pub(super) fn fill_with(mut self, secret: &[u8]) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(secret).and_then(|()| file.sync_all());
        if written.is_ok() {
            self.file = None;
        }
        written.map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", self.path.display())))
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // An empty file that can't be removed is harmless.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A code to scan from a terminal, dark on light whatever its colours.
pub(super) fn scan(text: &str) -> String {
    match QrCode::new(text) {
        Ok(code) => code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .quiet_zone(true)
            .build(),
        Err(error) => format!("(no code to scan: {error})"),
    }
}

/// The address of a new second factor with its code.
pub(super) fn shown(handle: &str, address: &str) -> String {
    let scan = scan(address);
    format!(
        "{handle}'s second factor, shown this once:\n\n{scan}\n\n{address}\n\nGive it to that person only."
    )
}
