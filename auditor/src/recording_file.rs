//! Opens what is named as a recording, if it can be one.
//!
//! A pipe would wait for its writer and a device never ends, so only regular
//! files are opened, and none that is longer than any recording.

use crate::trouble::Trouble;
use recording::MAX_LENGTH;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

pub(crate) fn open(path: &Path) -> Result<File, Trouble> {
    opened(path).map_err(Trouble::file(path))
}

fn opened(path: &Path) -> io::Result<File> {
    // Asked before it is opened: opening a pipe waits.
    expect_recording(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    expect_recording(&file.metadata()?)?;
    Ok(file)
}

fn expect_recording(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file, so no recording"));
    }
    if metadata.len() > MAX_LENGTH {
        let text = format!("this is longer than a recording can be ({MAX_LENGTH} bytes)");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_recording_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ghr");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_LENGTH).unwrap();
        assert!(open(&path).is_ok());
        file.set_len(MAX_LENGTH + 1).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("longer than a recording"));
        for no_file in [folder.path(), Path::new("/dev/zero"), &folder.path().join("missing")] {
            assert!(open(no_file).is_err(), "{}", no_file.display());
        }
    }
}
