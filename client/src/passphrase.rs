//! The passphrase of the technician's key: where it comes from.
//!
//! What it never does: it shows or keeps one; each is erased when it was used.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{Problem, platform};

/// The least that a new passphrase has, in characters (NIST SP 800-63B-4, 3.1.1.2, for one of two factors).
const SHORTEST: usize = 8;
/// The most that is read of one, in bytes.
const LONGEST: usize = 1024;

/// Where the passphrase of a key comes from, if the key has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passphrases {
    /// A person at the terminal, without echo.
    Prompt,
    /// The first line of a file, for automation.
    File(PathBuf),
}

/// What a new key is protected by, beside its file's access rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing more.
    FileAlone,
    /// A passphrase.
    Passphrase(Passphrases),
}

impl Passphrases {
    /// The passphrase of the key in `file`.
    ///
    /// # Errors
    /// [`Problem::Usage`] if there is no one to ask, [`Problem::Configuration`] and [`Problem::Io`] for the file.
    pub fn of(&self, file: &Path) -> Result<Zeroizing<String>, Problem> {
        match self {
            Self::Prompt => prompt(&format!("passphrase of {}: ", file.display())),
            Self::File(from) => read(from),
        }
    }

    /// A new passphrase; a person types it twice.
    ///
    /// # Errors
    /// As [`Passphrases::of`], and [`Problem::Usage`] if it is too short or the two differ.
    pub fn choose(&self) -> Result<Zeroizing<String>, Problem> {
        let chosen = match self {
            Self::Prompt => {
                let first = prompt("new passphrase for your key: ")?;
                if *prompt("the same again: ")? != *first {
                    return Err(Problem::Usage("the two passphrases differ".to_owned()));
                }
                first
            }
            Self::File(from) => read(from)?,
        };
        if chosen.chars().count() < SHORTEST {
            return Err(Problem::Usage(format!("a passphrase has at least {SHORTEST} characters")));
        }
        Ok(chosen)
    }
}

/// The first line of a file that its owner alone can read, without its end.
///
/// # Errors
/// [`Problem::Configuration`] and [`Problem::Io`]; none repeats what the file holds.
pub fn read(file: &Path) -> Result<Zeroizing<String>, Problem> {
    platform::refuse_if_others_may_read(file)?;
    let wrong = |why: &str| Problem::Configuration(format!("{}: {why}", file.display()));
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|source| Problem::of_file(file, source))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("no text"))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() > LONGEST {
        return Err(wrong("one line of at most 1024 bytes is needed"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Asks at the terminal, without echo.
///
/// # Errors
/// [`Problem::Usage`] if nothing is typed or there is no terminal.
pub fn prompt(text: &str) -> Result<Zeroizing<String>, Problem> {
    rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
        Problem::Usage(format!("no terminal to ask for it: name a file, see --help ({error})"))
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_passphrase_from_a_file_is_its_first_line_and_its_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("passphrase");
        std::fs::write(&file, "correct horse\nmore\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let from = Passphrases::File(file.clone());
        assert_eq!(from.choose().unwrap_err().exit_code(), 5, "others may read it");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(*from.choose().unwrap(), "correct horse");
        std::fs::write(&file, "short\n").unwrap();
        assert!(from.choose().unwrap_err().to_string().contains("at least 8"));
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(from.of(&file).unwrap_err().exit_code(), 5);
    }
}
