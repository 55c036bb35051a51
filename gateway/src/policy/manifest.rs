//! The manifest of a policy folder: SHA-256 sums as `sha256sum` writes them,
//! and a signature where one was made.
//!
//! A signed manifest is a C2SP signed note: the lines of sums, an empty line,
//! the signature. Its text can't be taken for a checkpoint or the other way
//! round: no checkpoint begins with a sum.

use crate::config::Manifest;
use crate::problem::Problem;
use authz::{Files, Policy, Problems};
use aws_lc_rs::digest::{SHA256, digest};
use recording::{KeyError, PublicKey, SigningKey};
use signed_note::{Note, VerifierList};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The manifest's file name in a policy folder.
pub(super) const NAME: &str = "MANIFEST";

/// The file that a new manifest is written to before it gets its name.
const UNFINISHED: &str = ".MANIFEST.new";

/// The largest manifest that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Sums by file name.
#[derive(Debug)]
pub(super) struct Sums {
    path: PathBuf,
    sums: BTreeMap<String, String>,
    /// The whole note, if it is signed.
    note: Option<Vec<u8>>,
}

/// The folder's manifest, `None` if it has none.
///
/// # Errors
/// When it can't be read or understood.
pub(super) fn read(folder: &Path) -> Result<Option<Sums>, Problem> {
    let path = folder.join(NAME);
    let failed = |error: io::Error| Problem::new(&path, error.to_string());
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.is_file() => return Err(Problem::new(&path, "is not a plain file")),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .map_err(failed)?
        .take(LONGEST.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(Problem::new(&path, format!("is longer than {LONGEST} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::new(&path, "is not UTF-8"))?;
    let (lines, note) = match text.split_once("\n\n") {
        Some((lines, _)) => (lines, Some(text.as_bytes().to_vec())),
        None => (text.as_str(), None),
    };
    let mut sums = BTreeMap::new();
    for (number, line) in lines.lines().enumerate() {
        let parts = line.split_once("  ").filter(|(sum, name)| is_sum(sum) && !name.is_empty());
        let Some((sum, name)) = parts else {
            let problem = Problem::new(&path, "is no line of a SHA-256 sum and a file name");
            return Err(problem.key(&format!("line {}", number.saturating_add(1))));
        };
        if sums.insert(name.to_owned(), sum.to_ascii_lowercase()).is_some() {
            return Err(Problem::new(&path, format!("{name} is listed twice")));
        }
    }
    Ok(Some(Sums { path, sums, note }))
}

fn is_sum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a folder's manifest is what the configuration demands, and fits
/// the files.
///
/// # Errors
/// What is missing or does not fit.
pub(super) fn check(folder: &Path, files: &Files, demanded: &Manifest) -> Result<(), Problem> {
    let sums = read(folder)?;
    match (sums, demanded) {
        (None, Manifest::Optional) => Ok(()),
        (None, Manifest::Required | Manifest::Signed(_)) => {
            let problem = Problem::new(folder, "there is no MANIFEST, and [policy] demands one");
            Err(problem.hint("make one with `gatehouse-gateway policy seal --policies` and the folder"))
        }
        (Some(sums), Manifest::Optional | Manifest::Required) => sums.covers(files),
        (Some(sums), Manifest::Signed(key)) => {
            sums.is_signed_by(key)?;
            sums.covers(files)
        }
    }
}

impl Sums {
    /// Every file has its sum and every sum its file. The bytes are the ones
    /// that were checked as a policy, not read again.
    fn covers(&self, files: &Files) -> Result<(), Problem> {
        let hint = "look at what changed; then seal the folder anew";
        for (name, content) in files.iter() {
            let found = sum(content);
            match self.sums.get(name) {
                Some(sum) if *sum == found => {}
                Some(_) => {
                    return Err(Problem::new(&self.path, format!("{name} does not match its sum")).hint(hint));
                }
                None => return Err(Problem::new(&self.path, format!("{name} is not listed")).hint(hint)),
            }
        }
        let lost = self.sums.keys().find(|name| files.get(name).is_none());
        lost.map_or(Ok(()), |name| {
            Err(Problem::new(&self.path, format!("{name} is listed and missing")).hint(hint))
        })
    }

    fn is_signed_by(&self, key: &PublicKey) -> Result<(), Problem> {
        let hint = "seal the folder with `policy seal --sign KEY`, KEY being the private half of [policy] manifest_key";
        let refuse = |reason: &str| Problem::new(&self.path, reason).hint(hint);
        let note = self
            .note
            .as_ref()
            .ok_or_else(|| refuse("is not signed, and [policy] manifest_key demands it"))?;
        let parsed = Note::from_bytes(note).map_err(|_| refuse("is no signed manifest"))?;
        if parsed.to_bytes() != *note {
            return Err(refuse("is no signed manifest in its one form"));
        }
        let verifiers = VerifierList::new(vec![Box::new(key.clone())]);
        let verified = parsed.verify(&verifiers);
        verified.map(|_| ()).map_err(|_| refuse("is not signed by the key of [policy] manifest_key"))
    }
}

fn sum(content: &[u8]) -> String {
    hex::encode(digest(&SHA256, content))
}

/// What sealing a folder did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sealed {
    /// SHA-256 of the policy, as hex.
    pub policy: String,
    /// The files that the manifest lists.
    pub files: Vec<String>,
    /// The line that belongs into the file of `[policy] manifest_key`.
    pub signed_by: Option<String>,
}

/// Why a folder could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It is not a valid policy.
    #[error("{0}")]
    Invalid(Problems),
    /// The key can't be used.
    #[error("{0}")]
    Key(KeyError),
    /// The manifest could not be written.
    #[error("{0}")]
    Write(Problem),
}

/// Writes the manifest of a valid policy folder, signed if a key is given.
///
/// # Errors
/// [`SealError`]; a manifest that was there before stays then.
pub fn seal(folder: &Path, key: Option<&Path>) -> Result<Sealed, SealError> {
    let key = key.map(SigningKey::read).transpose().map_err(SealError::Key)?;
    let policy = Policy::load(folder).map_err(SealError::Invalid)?;
    let mut text = String::new();
    for (name, content) in policy.files().iter() {
        // Writing into memory can't fail.
        let _ = writeln!(text, "{}  {name}", sum(content));
    }
    let path = folder.join(NAME);
    let failed = |error: &dyn fmt::Display| SealError::Write(Problem::new(&path, error.to_string()));
    let bytes = match &key {
        None => text.into_bytes(),
        Some(key) => {
            let mut note = Note::new(text.as_bytes(), &[]).map_err(|error| failed(&error))?;
            note.add_sigs(&[key]).map_err(|error| failed(&error))?;
            note.to_bytes()
        }
    };
    put(folder, &bytes).map_err(|error| failed(&error))?;
    Ok(Sealed {
        policy: policy.hash().to_string(),
        files: policy.files().iter().map(|(name, _)| name.to_owned()).collect(),
        signed_by: key.map(|key| key.public().to_string()),
    })
}

/// A reader sees the old manifest or the new one, never a part.
fn put(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

impl fmt::Display for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sealed {}: {}", self.policy, self.files.join(", "))?;
        match &self.signed_by {
            Some(key) => write!(
                formatter,
                "\nsigned by {key}\n(this line goes into the file of [policy] manifest_key)"
            ),
            None => {
                formatter.write_str("\nnot signed: it shows slips and half-copied files, not who wrote them")
            }
        }
    }
}
