//! `gatehouse renew`: a new certificate for a new key, by an ordinary sign-in.
//!
//! What it is for: certificates are short-lived, and a new one costs a sign-in with the second factor. Order of events:
//! the new key is on the disk; sign in; ask; the new certificate is on the disk beside it; the profile names both, by
//! one replacement. Whatever breaks off before that leaves the profile as it was, with a certificate that is still good.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use wire::{Renewal, ToClient, ToGateway};

use crate::enroll::pem;
use crate::escape::escape;
use crate::key::NewKey;
use crate::link::{Control, Link};
use crate::passphrase::Passphrases;
use crate::profile::{Profile, point_to};
use crate::screen::Screen;
use crate::sign_in::{Means, out_of_turn, refusal, sign_in};
use crate::{Problem, platform};

/// The names that are tried for a new key, `PROFILE-2.key` and so on.
const MOST_NAMES: u32 = 1000;

/// Renews the profile's certificate.
///
/// # Errors
/// [`Problem::Refused`] with the gateway's words, and as a sign-in; [`Problem::Io`] for the new files.
pub async fn renew(profile: &Profile, means: &Means, screen: &mut Screen) -> Result<(), Problem> {
    let key = NewKey::generate()?;
    let mut new = NewPair::reserve(&profile.file)?;
    write(&new.key, &key.to_pem(profile.passphrase.expose())?)?;
    let link = Link::open(profile).await?;
    let mut control: Control = link.control().await?;
    sign_in(&mut control, means, &[], screen).await?;
    control.send(&ToGateway::Renew { request: key.request()? }).await?;
    let chain = issued(&mut control).await?;
    link.close().await;
    write(&new.certificate, &pem(&chain))?;
    // From here on the new pair is what there is.
    new.made.clear();
    point_to(&profile.file, &new.certificate, &new.key)?;
    let shown = |path: &Path| escape(&path.display().to_string());
    screen.answer(&format!("renewed {}", shown(&profile.file)))?;
    if profile.passphrase.expose().is_none() {
        let until = Profile::load_with(&profile.file, &Passphrases::Prompt)?.validity.ends;
        screen.remark(&format!("your certificate is good until {until}"));
    }
    screen.remark(&format!(
        "the old key and certificate are not needed any more: {} and {} may be deleted",
        shown(&profile.files.key),
        shown(&profile.files.certificate)
    ));
    Ok(())
}

/// Waits for the new certificate.
async fn issued(control: &mut Control) -> Result<Vec<Vec<u8>>, Problem> {
    loop {
        match control.answer().await? {
            ToClient::Renewal(Renewal::Issued { chain }) => {
                return Ok(chain.iter().map(|der| der.as_bytes().to_vec()).collect());
            }
            ToClient::Renewal(Renewal::Refused { code, text }) => {
                return Err(Problem::Refused(refusal(code, &text)));
            }
            ToClient::LogCheckpoint { .. } | ToClient::Pong => {}
            other @ (ToClient::Welcome { .. }
            | ToClient::SignedIn { .. }
            | ToClient::Refused { .. }
            | ToClient::Targets(_)
            | ToClient::Opened { .. }
            | ToClient::NotOpened { .. }
            | ToClient::Notice { .. }
            | ToClient::Checkpoint { .. }
            | ToClient::PasskeyPage { .. }
            | ToClient::PasskeyOptions { .. }
            | ToClient::PasskeyAdded { .. }
            | ToClient::PasskeyNotAdded { .. }
            | ToClient::FactorAgain { .. }) => return Err(out_of_turn(&other)),
        }
    }
}

/// Two new, empty files beside the profile; removed when dropped unless they came to be used.
struct NewPair {
    key: PathBuf,
    certificate: PathBuf,
    made: Vec<PathBuf>,
}

impl NewPair {
    fn reserve(profile: &Path) -> Result<Self, Problem> {
        let stem = profile.file_stem().unwrap_or_default();
        for number in 2..MOST_NAMES {
            let beside = |ending: &str| {
                let mut name = stem.to_owned();
                name.push(format!("-{number}.{ending}"));
                profile.with_file_name(name)
            };
            let mut pair = Self { key: beside("key"), certificate: beside("pem"), made: Vec::new() };
            match [&pair.key, &pair.certificate].map(|path| new_file(path)) {
                [Ok(()), Ok(())] => {
                    pair.made = vec![pair.key.clone(), pair.certificate.clone()];
                    return Ok(pair);
                }
                [first, second] => {
                    pair.made.extend(first.is_ok().then(|| pair.key.clone()));
                    pair.made.extend(second.is_ok().then(|| pair.certificate.clone()));
                    for (path, made) in [(&pair.key, first), (&pair.certificate, second)] {
                        match made {
                            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                                return Err(Problem::of_file(path, error));
                            }
                            Ok(()) | Err(_) => {}
                        }
                    }
                }
            }
        }
        Err(Problem::Usage(format!("{}: too many old keys beside it", profile.display())))
    }
}

impl Drop for NewPair {
    fn drop(&mut self) {
        for path in &self.made {
            // What can't be removed is an empty file or a key without a certificate.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn new_file(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    platform::private_file(options.write(true).create_new(true)).open(path).map(drop)
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let opened = OpenOptions::new().write(true).truncate(true).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| Problem::of_file(path, source))
}
