//! Taking the second factor: a new one into an authenticator, or the one that is there already.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use wire::Code;
use wire::enrolment::{Answer, Ask, FactorChoice};

use super::{Enrolled, Talk, declined, refused_or_out_of_turn};
use crate::escape::escape;
use crate::screen::Screen;
use crate::seed::Seed;
use crate::sign_in::{ask_for_code, from_seed, unix_seconds};
use crate::{Problem, platform};

/// How the second factor is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taking {
    /// A person scans it and types a code.
    Person,
    /// A new one is written to this new file; a known one is read from it. For automation.
    SeedFile(PathBuf),
}

impl Taking {
    /// Finds out early what could fail late.
    pub(super) fn prepare(&self) -> Result<(), Problem> {
        match self {
            Self::Person => Ok(()),
            Self::SeedFile(file) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
                std::fs::metadata(folder).map(drop).map_err(|source| Problem::of_file(folder, source))
            }
        }
    }

    /// The first of the gateway's ways that this program can go.
    pub(super) fn choose(&self, offered: &[FactorChoice]) -> Result<FactorChoice, Problem> {
        let known = |choice: &FactorChoice| match choice {
            FactorChoice::NewTotp | FactorChoice::KnownTotp => true,
        };
        let none = || "the gateway asks for a second factor that this program cannot give".to_owned();
        offered.iter().copied().find(known).ok_or_else(|| Problem::Refused(none()))
    }
}

/// Where the codes come from while the factor is confirmed.
enum Source {
    Person,
    Seed(Seed),
}

/// From `Apply` to `Enrolled`.
pub(super) async fn take(
    talk: &mut Talk,
    taking: &Taking,
    person: &str,
    screen: &mut Screen,
) -> Result<Enrolled, Problem> {
    let source = match talk.answer().await? {
        Answer::Totp { address } => taken(taking, person, &address, screen)?,
        Answer::ProveKnown => known(taking, person, screen)?,
        other @ (Answer::Welcome { .. } | Answer::Enrolled { .. } | Answer::Declined { .. }) => {
            return Err(refused_or_out_of_turn(&other));
        }
    };
    let mut patience = 0;
    loop {
        let code = code(&source, person, patience, screen).await?;
        talk.send(&Ask::Code { code }).await?;
        match talk.answer().await? {
            Answer::Enrolled { chain, trust, gateway, server_name } => {
                let bytes = |list: Vec<wire::Der>| list.iter().map(|der| der.as_bytes().to_vec()).collect();
                return Ok(Enrolled { chain: bytes(chain), trust: bytes(trust), gateway, server_name });
            }
            Answer::Declined { why, text, tries_left: Some(_) } => {
                screen.remark(&format!("{}; try again", declined(why, &text)));
                patience = match &source {
                    Source::Person => 0,
                    Source::Seed(seed) => seed.until_next_step(unix_seconds()),
                };
            }
            other @ (Answer::Welcome { .. }
            | Answer::Totp { .. }
            | Answer::ProveKnown
            | Answer::Declined { tries_left: None, .. }) => return Err(refused_or_out_of_turn(&other)),
        }
    }
}

/// Shows or writes a new factor.
fn taken(taking: &Taking, person: &str, address: &str, screen: &mut Screen) -> Result<Source, Problem> {
    let readable = address.bytes().all(|byte| byte.is_ascii_graphic());
    let seed = Seed::parse(address).filter(|_| readable);
    let seed = seed.ok_or_else(|| {
        Problem::Unreachable("the gateway broke the protocol: its second factor can't be read".to_owned())
    })?;
    match taking {
        Taking::Person => {
            screen.remark(&format!("scan this with your authenticator app, {person}:\n"));
            screen.remark(&picture(address));
            screen.remark(&format!("\nor type this into it: {}\n", escape(address)));
            Ok(Source::Person)
        }
        Taking::SeedFile(file) => {
            let written = new_private(file).and_then(|mut made| {
                writeln!(made, "{address}")?;
                made.sync_all()
            });
            written.map_err(|source| Problem::of_file(file, source))?;
            Ok(Source::Seed(seed))
        }
    }
}

fn known(taking: &Taking, person: &str, screen: &mut Screen) -> Result<Source, Problem> {
    match taking {
        Taking::Person => {
            screen.remark(&format!("{person} has a second factor already, and it stays: give a code of it"));
            Ok(Source::Person)
        }
        Taking::SeedFile(file) => Seed::load(file).map(Source::Seed),
    }
}

async fn code(source: &Source, person: &str, patience: u64, screen: &mut Screen) -> Result<Code, Problem> {
    match source {
        Source::Person => ask_for_code(person, patience, screen).await,
        Source::Seed(seed) => {
            tokio::time::sleep(Duration::from_secs(patience)).await;
            from_seed(seed)
        }
    }
}

fn new_private(file: &std::path::Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    platform::private_file(options.write(true).create_new(true)).open(file)
}

/// A code to scan, dark on light whatever the terminal's colours.
fn picture(text: &str) -> String {
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
