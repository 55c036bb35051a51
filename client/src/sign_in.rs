//! The sign-in: hello, welcome, second factor.
//!
//! What it never does: it keeps no code, and it says "refused" only when the gateway does.
//!
//! Order of events: `Hello`; `Welcome` (the gateway's certificate was checked before, ours is now); a warning if the
//! two clocks differ; a code, up to [`TRIES`] times where a person types it, and a second one where a seed file gives
//! them and the first may have been used up by another sign-in in the same time step; `SignedIn`.

use std::time::Duration;

use jiff::Timestamp;
use wire::{Assurance, Code, Factor, Refusal, ToClient, ToGateway, VERSION};

use crate::Problem;
use crate::escape::escape;
use crate::link::Control;
use crate::screen::Screen;
use crate::seed::Seed;

/// How often a person may mistype.
pub const TRIES: u32 = 3;
/// The difference of the clocks, in seconds, from which on codes and windows begin to fail.
const CLOCK_TOLERANCE_S: u64 = 30;
/// The longest that is waited for the next step of a seed, or because the gateway asks for patience.
const MOST_PATIENCE_S: u64 = 90;

/// Where codes come from.
#[derive(Debug)]
pub enum Codes {
    /// A person at the terminal.
    Prompt,
    /// A seed file.
    Seed(Seed),
}

/// A completed sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The person's handle, escaped.
    pub person: String,
    /// What the sign-in is worth.
    pub assurance: Assurance,
    /// When it ends at the latest.
    pub until: Timestamp,
}

/// Signs in on a fresh control stream.
///
/// # Errors
/// [`Problem::Refused`] with the gateway's words, [`Problem::Unreachable`] if the line breaks or what answers does
/// not keep to the protocol, [`Problem::Usage`] if there is no way to get a code.
pub async fn sign_in(control: &mut Control, codes: &Codes, screen: &mut Screen) -> Result<SignedIn, Problem> {
    let software = format!("gatehouse {}", env!("CARGO_PKG_VERSION"));
    control.send(&ToGateway::Hello { version: VERSION, software }).await?;
    let person = welcome(control.answer().await?, screen)?;
    let mut tries: u32 = 0;
    let mut patience = 0;
    loop {
        tries = tries.saturating_add(1);
        let code = match codes {
            Codes::Prompt => ask(&person, patience, screen).await?,
            Codes::Seed(seed) => {
                tokio::time::sleep(Duration::from_secs(patience)).await;
                from_seed(seed)?
            }
        };
        control.send(&ToGateway::Totp { code }).await?;
        match control.answer().await? {
            ToClient::SignedIn { assurance, expires_ms } => {
                control.signed_in();
                let until = Timestamp::from_millisecond(expires_ms).unwrap_or(Timestamp::MAX);
                return Ok(SignedIn { person, assurance, until });
            }
            ToClient::Refused { code, text, retry_after_s } => {
                patience = another_try(code, &text, retry_after_s, codes, tries, screen)?;
            }
            other @ (ToClient::Welcome { .. }
            | ToClient::Targets(_)
            | ToClient::Opened { .. }
            | ToClient::NotOpened { .. }
            | ToClient::Notice { .. }
            | ToClient::Checkpoint { .. }
            | ToClient::LogCheckpoint { .. }
            | ToClient::FactorAgain { .. }
            | ToClient::Renewal(_)
            | ToClient::Pong) => return Err(out_of_turn(&other)),
        }
    }
}

/// Reads the gateway's first word and gives the person's handle, escaped.
fn welcome(first: ToClient, screen: &mut Screen) -> Result<String, Problem> {
    match first {
        ToClient::Welcome { version, gateway_time_ms, person, factors, banner } => {
            if version != VERSION {
                return Err(Problem::Refused(format!(
                    "the gateway speaks version {version} and this program version {VERSION}: use a matching program"
                )));
            }
            if let Some(banner) = banner {
                screen.remark(&escape(&banner));
            }
            if let Some(warning) = clock_warning(gateway_time_ms, Timestamp::now()) {
                screen.remark(&warning);
            }
            if !factors.contains(&Factor::Totp) {
                return Err(Problem::Refused(
                    "the gateway asks for a second factor that this program cannot give".to_owned(),
                ));
            }
            Ok(escape(&person))
        }
        ToClient::Refused { code, text, retry_after_s: _ } => Err(Problem::Refused(refusal(code, &text))),
        other @ (ToClient::SignedIn { .. }
        | ToClient::Targets(_)
        | ToClient::Opened { .. }
        | ToClient::NotOpened { .. }
        | ToClient::Notice { .. }
        | ToClient::Checkpoint { .. }
        | ToClient::LogCheckpoint { .. }
        | ToClient::FactorAgain { .. }
        | ToClient::Renewal(_)
        | ToClient::Pong) => Err(out_of_turn(&other)),
    }
}

/// A warning if the clocks differ by more than codes bear.
pub(crate) fn clock_warning(gateway_time_ms: i64, now: Timestamp) -> Option<String> {
    let ahead_ms = now.as_millisecond().saturating_sub(gateway_time_ms);
    let seconds = ahead_ms.unsigned_abs() / 1000;
    if seconds <= CLOCK_TOLERANCE_S {
        return None;
    }
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "warning: this machine's clock is {seconds} s {direction} the gateway's: codes made here may be refused"
    ))
}

/// Whether the refused code may be followed by another, and after how many seconds.
fn another_try(
    code: Refusal,
    text: &str,
    retry_after_s: Option<u32>,
    codes: &Codes,
    tries: u32,
    screen: &mut Screen,
) -> Result<u64, Problem> {
    let Some(asked) = retry_after_s.map(u64::from) else {
        return Err(Problem::Refused(refusal(code, text)));
    };
    let (most, wait) = match codes {
        Codes::Prompt => (TRIES, asked),
        Codes::Seed(seed) => (2, asked.max(seed.until_next_step(unix_seconds()))),
    };
    if tries >= most || wait > MOST_PATIENCE_S {
        return Err(Problem::Refused(refusal(code, text)));
    }
    match codes {
        Codes::Prompt if wait == 0 => screen.remark(&format!("{}; try again", refusal(code, text))),
        Codes::Prompt => screen.remark(&format!("{}; try again in {wait} s", refusal(code, text))),
        Codes::Seed(_) => screen.remark(&format!(
            "{}: perhaps this one was used already; waiting {wait} s for the next",
            refusal(code, text)
        )),
    }
    Ok(wait)
}

/// A refusal in one sentence.
#[must_use]
pub fn refusal(code: Refusal, text: &str) -> String {
    if text.is_empty() || text == code.sentence() {
        return code.sentence().to_owned();
    }
    format!("{} ({})", code.sentence(), escape(text))
}

/// A message that has no place here.
pub(crate) fn out_of_turn(message: &ToClient) -> Problem {
    let name = match message {
        ToClient::Welcome { .. } => "Welcome",
        ToClient::SignedIn { .. } => "SignedIn",
        ToClient::Refused { .. } => "Refused",
        ToClient::Targets(_) => "Targets",
        ToClient::Opened { .. } => "Opened",
        ToClient::NotOpened { .. } => "NotOpened",
        ToClient::Notice { .. } => "Notice",
        ToClient::Checkpoint { .. } => "Checkpoint",
        ToClient::LogCheckpoint { .. } => "LogCheckpoint",
        ToClient::FactorAgain { .. } => "FactorAgain",
        ToClient::Renewal(_) => "Renewal",
        ToClient::Pong => "Pong",
    };
    Problem::Unreachable(format!("the gateway broke the protocol: `{name}` came out of turn"))
}

/// Asks at the terminal, without echo, until something is typed that could be a code.
pub(crate) async fn ask(person: &str, patience: u64, screen: &mut Screen) -> Result<Code, Problem> {
    tokio::time::sleep(Duration::from_secs(patience)).await;
    loop {
        let prompt = format!("code for {person}: ");
        let typed = tokio::task::spawn_blocking(move || {
            rpassword::prompt_password(prompt).map(zeroize::Zeroizing::new)
        });
        let typed = typed
            .await
            .map_err(|error| Problem::Io { what: "the prompt".to_owned(), source: error.into() })?;
        let typed = typed.map_err(|error| not_typed(&error))?;
        match Code::parse(&typed) {
            Ok(code) => return Ok(code),
            Err(error) => screen.remark(&format!("{error}; try again")),
        }
    }
}

/// Why nothing was typed: the person gave up, or there is no one to ask.
fn not_typed(error: &std::io::Error) -> Problem {
    if matches!(error.kind(), std::io::ErrorKind::Interrupted | std::io::ErrorKind::UnexpectedEof) {
        return Problem::Usage("no code was given".to_owned());
    }
    Problem::Usage(format!("no terminal to ask for the code: use --totp-file ({error})"))
}

pub(crate) fn from_seed(seed: &Seed) -> Result<Code, Problem> {
    seed.code_at(unix_seconds())
        .ok_or_else(|| Problem::Configuration("the seed gives codes that cannot be sent".to_owned()))
}

pub(crate) fn unix_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_by_more_than_a_code_lasts_are_warned_of() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(clock_warning(1_000_000_000, now), None);
        assert_eq!(clock_warning(1_000_030_999, now), None);
        assert_eq!(
            clock_warning(1_000_031_000, now).unwrap(),
            "warning: this machine's clock is 31 s behind the gateway's: codes made here may be refused"
        );
        assert!(clock_warning(999_960_000, now).unwrap().contains("40 s ahead of"));
        assert!(clock_warning(i64::MIN, now).is_some());
    }

    #[test]
    fn a_refusal_without_a_retry_is_final() {
        let mut screen =
            Screen::new(Box::new(std::io::sink()), Box::new(std::io::sink()), crate::screen::Kind::Lines);
        let mut again = |retry, tries| {
            another_try(Refusal::Factor, "", retry, &Codes::Prompt, tries, &mut screen).is_ok()
        };
        assert!(again(Some(0), 1));
        assert!(again(Some(60), TRIES - 1));
        assert!(!again(Some(0), TRIES), "a person has three tries");
        assert!(!again(None, 1));
        assert!(!again(Some(900), 1), "nobody waits a quarter of an hour at a prompt");
    }
}
