//! The four files that an enrolment leaves: profile, key, certificate, authorities.
//!
//! All of them are new: nothing is written over. They are made before the gateway is asked for anything, so that a
//! wrong path or a missing right is found while the token is still good, and removed again if it comes to nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;

use super::Enrolled;
use crate::profile::{Address, UsualFactor};
use crate::{Problem, platform};

/// New, empty files beside each other; removed when dropped unless they were completed.
#[derive(Debug)]
pub(super) struct NewFiles {
    profile: PathBuf,
    key: PathBuf,
    certificate: PathBuf,
    authorities: PathBuf,
    made: Vec<PathBuf>,
}

impl NewFiles {
    /// Makes the files for a profile: `NAME.key`, `NAME.pem` and `NAME-ca.pem` beside `NAME.toml`.
    ///
    /// # Errors
    /// [`Problem::Usage`] if one is there already, [`Problem::Io`] if one can't be made.
    pub(super) fn reserve(profile: &Path) -> Result<Self, Problem> {
        let stem = profile.file_stem().ok_or_else(|| {
            Problem::Usage(format!("{}: not the name of a file; use --profile", profile.display()))
        })?;
        let beside = |ending: &str| {
            let mut name = stem.to_owned();
            name.push(ending);
            profile.with_file_name(name)
        };
        let mut files = Self {
            profile: profile.to_owned(),
            key: beside(".key"),
            certificate: beside(".pem"),
            authorities: beside("-ca.pem"),
            made: Vec::new(),
        };
        for path in [&files.profile, &files.key, &files.certificate, &files.authorities] {
            let mut options = OpenOptions::new();
            let made = platform::private_file(options.write(true).create_new(true)).open(path);
            made.map_err(|error| not_made(path, error))?;
            files.made.push(path.clone());
        }
        Ok(files)
    }

    /// Writes the key before anything is asked for it.
    ///
    /// # Errors
    /// [`Problem::Io`].
    pub(super) fn write_key(&self, pem: &str) -> Result<(), Problem> {
        write(&self.key, pem)
    }

    /// Writes what the gateway gave, the profile last. The files stay from here on, also where one of them can't be
    /// written: the key has its certificate now.
    ///
    /// # Errors
    /// [`Problem::Io`]; [`Problem::Unreachable`] if what came can't be a profile.
    pub(super) fn complete(mut self, enrolled: &Enrolled, factor: UsualFactor) -> Result<PathBuf, Problem> {
        let Enrolled { chain, trust, gateway, server_name } = enrolled;
        let known = ServerName::try_from(server_name.as_str()).is_ok();
        let sound = Address::parse(gateway).filter(|_| known && !chain.is_empty() && !trust.is_empty());
        let address = sound.ok_or_else(|| {
            Problem::Unreachable("the gateway broke the protocol: what it gave is no profile".to_owned())
        })?;
        self.made.clear();
        write(&self.certificate, &pem(chain))?;
        write(&self.authorities, &pem(trust))?;
        write(&self.profile, &self.text(&address, server_name, factor)?)?;
        Ok(self.profile.clone())
    }

    fn text(&self, gateway: &Address, server_name: &str, factor: UsualFactor) -> Result<String, Problem> {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: String| table.insert(key.to_owned(), value.into());
        put("gateway", gateway.to_string());
        put("server_name", server_name.to_owned());
        for (key, path) in [("ca", &self.authorities), ("cert", &self.certificate), ("key", &self.key)] {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            put(key, name);
        }
        if let Some(word) = factor.word() {
            put("factor", word.to_owned());
        }
        toml::to_string(&table)
            .map_err(|error| Problem::of_file(&self.profile, std::io::Error::other(error.to_string())))
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.made {
            // What can't be removed is told when it is in the way.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn not_made(path: &Path, error: std::io::Error) -> Problem {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return Problem::Usage(format!(
            "{} is there already: name another profile with --profile, or move it away",
            path.display()
        ));
    }
    Problem::of_file(path, error)
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let mut options = OpenOptions::new();
    let opened: std::io::Result<File> = options.write(true).truncate(true).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| Problem::of_file(path, source))
}

/// Certificates in PEM.
pub(crate) fn pem(certificates: &[Vec<u8>]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let blocks: Vec<_> =
        certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_slice())).collect();
    pem::encode_many_config(&blocks, config)
}
