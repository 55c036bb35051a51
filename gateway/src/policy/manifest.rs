//! The manifest of a policy folder: SHA-256 sums as `sha256sum` writes them.

use crate::problem::Problem;
use authz::Files;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The manifest's file name in a policy folder.
const NAME: &str = "MANIFEST";

/// The largest manifest that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Sums by file name.
#[derive(Debug)]
pub(super) struct Sums {
    path: PathBuf,
    sums: BTreeMap<String, String>,
}

/// The folder's manifest, `None` if it has none.
///
/// # Errors
/// When it can't be read or understood.
pub(super) fn read(folder: &Path) -> Result<Option<Sums>, Problem> {
    let path = folder.join(NAME);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Problem::new(&path, error.to_string())),
        Ok(metadata) if metadata.len() > LONGEST => {
            return Err(Problem::new(&path, format!("is longer than {LONGEST} bytes")));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(&path).map_err(|error| Problem::new(&path, error.to_string()))?;
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let parts = line.split_once("  ").filter(|(sum, name)| sum.len() == 64 && !name.is_empty());
        let Some((sum, name)) = parts else {
            let problem = Problem::new(&path, "is no line of a SHA-256 sum and a file name");
            return Err(problem.key(&format!("line {}", number.saturating_add(1))));
        };
        sums.insert(name.to_owned(), sum.to_ascii_lowercase());
    }
    Ok(Some(Sums { path, sums }))
}

impl Sums {
    /// Every file has its sum and every sum its file. The bytes are the ones
    /// that were checked as a policy, not read again.
    pub(super) fn covers(&self, files: &Files) -> Result<(), Problem> {
        let hint = "look at what changed; then seal the folder anew";
        for (name, content) in files.iter() {
            let found = hex::encode(digest(&SHA256, content));
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
}
