//! Taking the second factor: a new one into an authenticator, or the one that is there already.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use wire::Code;
use wire::enrolment::{Answer, Ask};

use super::choice::{Codes, Way};
use super::{Enrolled, Talk, declined, passkey, refused_or_out_of_turn};
use crate::escape::escape;
use crate::screen::Screen;
use crate::seed::Seed;
use crate::sign_in::{ask_for_code, from_seed, unix_seconds};
use crate::{Problem, platform};

/// Where the codes come from while the factor is confirmed.
enum Source {
    Person,
    Seed(Seed),
}

/// From `Apply` to `Enrolled`.
pub(super) async fn take(
    talk: &mut Talk,
    way: &Way<'_>,
    person: &str,
    screen: &mut Screen,
) -> Result<Enrolled, Problem> {
    match way {
        Way::NewTotp(codes) | Way::KnownTotp(codes) => by_codes(talk, *codes, person, screen).await,
        Way::NewPasskey(wish) => passkey::new(talk, wish, person, screen).await,
        Way::KnownPasskey(wish) => passkey::known(talk, wish, person, screen).await,
    }
}

async fn by_codes(
    talk: &mut Talk,
    codes: Codes<'_>,
    person: &str,
    screen: &mut Screen,
) -> Result<Enrolled, Problem> {
    let source = match talk.answer().await? {
        Answer::Totp { address } => taken(codes, person, &address, screen)?,
        Answer::ProveKnown => known(codes, person, screen)?,
        other @ (Answer::Welcome { .. }
        | Answer::Enrolled { .. }
        | Answer::PasskeyPage { .. }
        | Answer::Declined { .. }) => return Err(refused_or_out_of_turn(&other)),
    };
    let mut patience = 0;
    loop {
        let code = code(&source, person, patience, screen).await?;
        talk.send(&Ask::Code { code }).await?;
        let answer = talk.answer().await?;
        let Answer::Declined { why, text, tries_left: Some(_) } = answer else {
            return Enrolled::of(answer);
        };
        screen.remark(&format!("{}; try again", declined(why, &text)));
        patience = match &source {
            Source::Person => 0,
            Source::Seed(seed) => seed.until_next_step(unix_seconds()),
        };
    }
}

/// Shows or writes a new factor.
fn taken(codes: Codes<'_>, person: &str, address: &str, screen: &mut Screen) -> Result<Source, Problem> {
    let readable = address.bytes().all(|byte| byte.is_ascii_graphic());
    let seed = Seed::parse(address).filter(|_| readable);
    let seed = seed.ok_or_else(|| {
        Problem::Unreachable("the gateway broke the protocol: its second factor can't be read".to_owned())
    })?;
    match codes {
        Codes::Person => {
            screen.remark(&format!("scan this with your authenticator app, {person}:\n"));
            screen.remark(&picture(address));
            screen.remark(&format!("\nor type this into it: {}\n", escape(address)));
            Ok(Source::Person)
        }
        Codes::SeedFile(file) => {
            let written = new_private(file).and_then(|mut made| {
                writeln!(made, "{address}")?;
                made.sync_all()
            });
            written.map_err(|source| Problem::of_file(file, source))?;
            Ok(Source::Seed(seed))
        }
    }
}

fn known(codes: Codes<'_>, person: &str, screen: &mut Screen) -> Result<Source, Problem> {
    match codes {
        Codes::Person => {
            screen.remark(&format!("{person} has a second factor already, and it stays: give a code of it"));
            Ok(Source::Person)
        }
        Codes::SeedFile(file) => Seed::load(file).map(Source::Seed),
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
