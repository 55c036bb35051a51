//! New files and folders that come into being whole or not at all, readable
//! by their owner alone, and never in the place of anything else.

use crate::trouble::Trouble;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// How the names of unfinished exports begin.
const UNFINISHED: &str = ".gatehouse-export-";

/// A file that is being written.
#[derive(Debug)]
pub(super) struct NewFile {
    written: BufWriter<NamedTempFile>,
    path: PathBuf,
}

/// A folder that is being filled.
#[derive(Debug)]
pub(super) struct NewFolder {
    temporary: TempDir,
    path: PathBuf,
}

/// Says no where there is something already.
pub(super) fn refuse_existing(path: &Path) -> Result<(), Trouble> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Trouble::Exists { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Trouble::file(path)(error)),
    }
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<Self, Trouble> {
        let temporary = Builder::new().prefix(UNFINISHED).tempfile_in(folder_of(path));
        let temporary = temporary.map_err(Trouble::file(path))?;
        Ok(Self { written: BufWriter::new(temporary), path: path.to_owned() })
    }

    /// Brings it to the disk and gives it its name.
    pub(super) fn finish(self) -> Result<(), Trouble> {
        let Self { written, path } = self;
        let temporary = written.into_inner().map_err(|error| Trouble::file(&path)(error.into_error()))?;
        temporary.as_file().sync_all().map_err(Trouble::file(&path))?;
        match temporary.persist_noclobber(&path) {
            Ok(_) => sync_folder(&path),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(Trouble::Exists { path }),
            Err(error) => Err(Trouble::file(&path)(error.error)),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.written.flush()
    }
}

impl NewFolder {
    pub(super) fn create(path: &Path) -> Result<Self, Trouble> {
        let mut builder = Builder::new();
        builder.prefix(UNFINISHED);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let temporary = builder.tempdir_in(folder_of(path));
        Ok(Self { temporary: temporary.map_err(Trouble::file(path))?, path: path.to_owned() })
    }

    /// Appends to a file of the folder, which is made if it is not there.
    pub(super) fn append(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.temporary.path().join(name));
        let written = file.and_then(|mut file| file.write_all(bytes));
        written.map_err(Trouble::file(&self.path.join(name)))
    }

    /// Brings it to the disk and gives it its name.
    pub(super) fn finish(self) -> Result<(), Trouble> {
        let Self { temporary, path } = self;
        let synced = fs::read_dir(temporary.path()).and_then(|entries| {
            for entry in entries {
                File::open(entry?.path())?.sync_all()?;
            }
            Ok(())
        });
        synced.map_err(Trouble::file(&path))?;
        // Renaming replaces an empty folder at most, of which nothing is lost.
        refuse_existing(&path)?;
        fs::rename(temporary.path(), &path).map_err(Trouble::file(&path))?;
        let _now_elsewhere = temporary.keep();
        sync_folder(&path)
    }
}

/// The folder in which something is, as it can be opened.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// A new name is on the disk once its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<(), Trouble> {
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(Trouble::file(path))
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> Result<(), Trouble> {
    Ok(())
}
