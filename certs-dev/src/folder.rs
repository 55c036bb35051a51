//! Files of the infrastructure: made once, with the right modes, whole or not at all.
//!
//! What it never does: it overwrites nothing but through [`Folder::replace_public`], which swaps in a finished file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::Problem;

/// One folder and the files in it.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// A folder that is being filled beside the place where it will stand. Dropped before [`Staged::publish`], it is
/// removed with all that is in it.
#[derive(Debug)]
pub(crate) struct Staged {
    folder: Folder,
    destination: PathBuf,
}

impl Staged {
    pub(crate) fn beside(destination: &Path) -> Result<Self, Problem> {
        refuse_if_used(destination)?;
        let name = destination.file_name().ok_or_else(|| Problem::Exists(destination.to_owned()))?;
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent).map_err(|source| io_problem(parent, source))?;
        }
        let staging = format!(".{}.making-{}", name.to_string_lossy(), std::process::id());
        let folder = Folder(destination.with_file_name(staging));
        create_folder(&folder.0)?;
        Ok(Self { folder, destination: destination.to_owned() })
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Gives the finished folder its name. Replaces an empty folder, never one with anything in it.
    pub(crate) fn publish(self) -> Result<(), Problem> {
        refuse_if_used(&self.destination)?;
        // An empty folder is in the way of the rename on some systems; one that was filled meanwhile is not removed.
        if self.destination.exists() {
            fs::remove_dir(&self.destination).map_err(|source| io_problem(&self.destination, source))?;
        }
        fs::rename(&self.folder.0, &self.destination).map_err(|source| io_problem(&self.destination, source))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After `publish` the staging folder is gone and this finds nothing; a failure here has no one to tell.
        let _ = fs::remove_dir_all(&self.folder.0);
    }
}

/// Names the first thing that would be overwritten.
fn refuse_if_used(destination: &Path) -> Result<(), Problem> {
    match fs::read_dir(destination) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(Ok(entry)) => Err(Problem::Exists(entry.path())),
            Some(Err(source)) => Err(io_problem(destination, source)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Problem::Exists(destination.to_owned()))
        }
        Err(source) => Err(io_problem(destination, source)),
    }
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path_of(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub(crate) fn create_subfolder(&self, name: &str) -> Result<(), Problem> {
        create_folder(&self.path_of(name))
    }

    /// A new file that only its owner may read.
    pub(crate) fn write_secret(&self, file: &str, content: &str) -> Result<(), Problem> {
        write_new(&self.path_of(file), content, Readers::Owner)
    }

    /// A new file that anyone may read who gets into the folder.
    pub(crate) fn write_public(&self, file: &str, content: &str) -> Result<(), Problem> {
        write_new(&self.path_of(file), content, Readers::Anyone)
    }

    /// Swaps in a new content: a reader sees the old file or the new one, never half of one.
    pub(crate) fn replace_public(&self, file: &str, content: &str) -> Result<(), Problem> {
        let path = self.path_of(file);
        let beside = self.path_of(&format!("{file}.new-{}", std::process::id()));
        write_new(&beside, content, Readers::Anyone)?;
        fs::rename(&beside, &path).map_err(|source| {
            let _ = fs::remove_file(&beside);
            io_problem(&path, source)
        })
    }

    /// Adds a line to a file that exists.
    pub(crate) fn append_line(&self, file: &str, line: &str) -> Result<(), Problem> {
        let path = self.path_of(file);
        let written = OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.map_err(|source| io_problem(&path, source))
    }

    /// The text of a file that [`crate::init`] made.
    pub(crate) fn read(&self, file: &str) -> Result<String, Problem> {
        let path = self.path_of(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Problem::Unreadable { file: path, why: "missing".to_owned() })
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Problem::Unreadable { file: path, why: "no text".to_owned() })
            }
            Err(error) => Err(io_problem(&path, error)),
        }
    }

    /// The text of a file that is there only if something was issued to `name`.
    pub(crate) fn read_of_name(&self, file: &str, name: &str) -> Result<String, Problem> {
        let looked_at = self.path_of(file);
        if looked_at.exists() {
            self.read(file)
        } else {
            Err(Problem::NoSuchName { name: name.to_owned(), looked_at })
        }
    }
}

#[derive(Clone, Copy)]
enum Readers {
    Owner,
    Anyone,
}

fn write_new(path: &Path, content: &str, readers: Readers) -> Result<(), Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    restrict_file(&mut options, readers);
    match options.open(path).and_then(|mut file: File| file.write_all(content.as_bytes())) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Problem::Exists(path.to_owned())),
        Err(error) => Err(io_problem(path, error)),
    }
}

fn create_folder(path: &Path) -> Result<(), Problem> {
    let mut builder = DirBuilder::new();
    restrict_folder(&mut builder);
    builder.create(path).map_err(|source| io_problem(path, source))
}

#[cfg(unix)]
fn restrict_file(options: &mut OpenOptions, readers: Readers) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(match readers {
        Readers::Owner => 0o600,
        Readers::Anyone => 0o644,
    });
}

#[cfg(unix)]
fn restrict_folder(builder: &mut DirBuilder) {
    use std::os::unix::fs::DirBuilderExt as _;
    builder.mode(0o700);
}

// Elsewhere the files inherit what the folder's owner set.
#[cfg(not(unix))]
fn restrict_file(_options: &mut OpenOptions, _readers: Readers) {}

#[cfg(not(unix))]
fn restrict_folder(_builder: &mut DirBuilder) {}

fn io_problem(path: &Path, source: io::Error) -> Problem {
    Problem::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_published_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let destination = place.path().join("pki");
        let staged = Staged::beside(&destination).unwrap();
        staged.folder().write_secret("ca.key", "half").unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        drop(staged);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_filled_meanwhile_is_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        let destination = place.path().join("pki");
        let staged = Staged::beside(&destination).unwrap();
        staged.folder().write_secret("ca.key", "mine").unwrap();
        fs::create_dir(&destination).unwrap();
        fs::write(destination.join("ca.key"), "theirs").unwrap();
        assert!(matches!(staged.publish(), Err(Problem::Exists(path)) if path == destination.join("ca.key")));
        assert_eq!(fs::read_to_string(destination.join("ca.key")).unwrap(), "theirs");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_over_a_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path());
        folder.write_secret("key", "first").unwrap();
        assert!(matches!(folder.write_secret("key", "second"), Err(Problem::Exists(_))));
        assert_eq!(folder.read("key").unwrap(), "first");
    }
}
