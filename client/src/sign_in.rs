//! The sign-in: hello, welcome, second factor.
//!
//! What it never does: it keeps no code, and it says "refused" only when the gateway does.
//!
//! Order of events: `Hello`; `Welcome` (the gateway's certificate was checked before, ours is now); a warning if the
//! two clocks differ; a code, up to [`TRIES`] times where a person types it, and a second one where a seed file gives
//! them and the first may have been used up by another sign-in in the same time step; or a passkey ([`crate::passkey`]);
//! `SignedIn`.

use std::time::Duration;

use jiff::Timestamp;
use wire::{Assurance, Code, Factor, Refusal, ToClient, ToGateway, VERSION};

use crate::Problem;
use crate::escape::escape;
use crate::link::Control;
use crate::passkey::{self, Answered, Through};
use crate::screen::Screen;
use crate::seed::Seed;

/// How often a person may mistype.
pub const TRIES: u32 = 3;
/// The difference of the clocks, in seconds, from which on codes and windows begin to fail.
const CLOCK_TOLERANCE_S: u64 = 30;
/// The longest that is waited for the next step of a seed, or because the gateway asks for patience.
const MOST_PATIENCE_S: u64 = 90;

/// The second factor that is to be given.
#[derive(Debug)]
pub enum Means {
    /// A person at the terminal: a code, or a passkey where the gateway takes one.
    Prompt(Through),
    /// Codes of a seed file.
    Seed(Seed),
    /// A passkey.
    Passkey(Through),
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

/// Signs in on a fresh control stream. `wanted` are the targets that the page of a passkey names.
///
/// # Errors
/// [`Problem::Refused`] with the gateway's words, [`Problem::Unreachable`] if the line breaks or what answers does
/// not keep to the protocol, [`Problem::Usage`] if there is no way to get a code.
pub async fn sign_in(
    control: &mut Control,
    means: &Means,
    wanted: &[String],
    screen: &mut Screen,
) -> Result<SignedIn, Problem> {
    let software = format!("gatehouse {}", env!("CARGO_PKG_VERSION"));
    control.send(&ToGateway::Hello { version: VERSION, software }).await?;
    let Welcomed { person, passkeys } = welcome(control.answer().await?, means, screen)?;
    let mut tries: u32 = 0;
    let mut patience = 0;
    loop {
        tries = tries.saturating_add(1);
        let given = give(control, means, &person, passkeys, patience, wanted, screen).await?;
        control.send(&given.message).await?;
        match control.answer().await? {
            ToClient::SignedIn { assurance, expires_ms } => {
                control.signed_in();
                screen.remark(&format!("signed in as {person} with {}", worth(assurance)));
                let until = Timestamp::from_millisecond(expires_ms).unwrap_or(Timestamp::MAX);
                return Ok(SignedIn { person, assurance, until });
            }
            ToClient::Refused { code, text, retry_after_s } => {
                patience = another_try(code, &text, retry_after_s, means, tries, screen)?;
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
            | ToClient::PasskeyPage { .. }
            | ToClient::PasskeyOptions { .. }
            | ToClient::PasskeyAdded { .. }
            | ToClient::PasskeyNotAdded { .. }
            | ToClient::Pong) => return Err(out_of_turn(&other)),
        }
    }
}

/// Whether the gateway takes passkeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passkeys {
    Taken,
    NotTaken,
}

/// What the gateway's first word told.
struct Welcomed {
    /// The person's handle, escaped.
    person: String,
    passkeys: Passkeys,
}

/// A second factor, ready to be sent.
struct Given {
    message: ToGateway,
    /// Lives while the gateway judges.
    _answered: Option<Answered>,
}

impl Given {
    fn code(code: Code) -> Self {
        Self { message: ToGateway::Totp { code }, _answered: None }
    }
}

/// Gets the next factor to try.
async fn give(
    control: &mut Control,
    means: &Means,
    person: &str,
    passkeys: Passkeys,
    patience: u64,
    wanted: &[String],
    screen: &mut Screen,
) -> Result<Given, Problem> {
    let through = match means {
        Means::Seed(seed) => {
            tokio::time::sleep(Duration::from_secs(patience)).await;
            return from_seed(seed).map(Given::code);
        }
        Means::Prompt(through) => match ask(person, passkeys, patience, screen).await? {
            Some(code) => return Ok(Given::code(code)),
            None => through,
        },
        Means::Passkey(through) => through,
    };
    let answered = passkey::assertion(control, through, wanted, screen).await?;
    Ok(Given { message: passkey::given(&answered)?, _answered: Some(answered) })
}

/// What a sign-in is worth, in words.
#[must_use]
pub const fn worth(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::CertificateAndTotp => "certificate and code (below AAL2: both are things owned)",
        Assurance::CertificateAndWebauthn => "certificate and passkey (AAL2)",
    }
}

/// Reads the gateway's first word.
fn welcome(first: ToClient, means: &Means, screen: &mut Screen) -> Result<Welcomed, Problem> {
    let ToClient::Welcome { version, gateway_time_ms, person, factors, banner } = first else {
        return Err(instead(&first));
    };
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
    let takes = |factor| factors.contains(&factor);
    let (possible, what) = match means {
        Means::Prompt(_) => (takes(Factor::Totp) || takes(Factor::Webauthn), "codes"),
        Means::Seed(_) => (takes(Factor::Totp), "codes"),
        Means::Passkey(_) => (takes(Factor::Webauthn), "passkeys"),
    };
    if !possible {
        return Err(Problem::Refused(format!("this gateway takes no {what} as second factor")));
    }
    let passkeys = if takes(Factor::Webauthn) { Passkeys::Taken } else { Passkeys::NotTaken };
    Ok(Welcomed { person: escape(&person), passkeys })
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
    means: &Means,
    tries: u32,
    screen: &mut Screen,
) -> Result<u64, Problem> {
    let Some(asked) = retry_after_s.map(u64::from) else {
        return Err(Problem::Refused(refusal(code, text)));
    };
    let (most, wait) = match means {
        Means::Prompt(_) => (TRIES, asked),
        Means::Seed(seed) => (2, asked.max(seed.until_next_step(unix_seconds()))),
        // What a browser was asked for once is not asked for again unbidden.
        Means::Passkey(_) => (1, asked),
    };
    if tries >= most || wait > MOST_PATIENCE_S {
        return Err(Problem::Refused(refusal(code, text)));
    }
    match means {
        Means::Prompt(_) | Means::Passkey(_) if wait == 0 => {
            screen.remark(&format!("{}; try again", refusal(code, text)))
        }
        Means::Prompt(_) | Means::Passkey(_) => {
            screen.remark(&format!("{}; try again in {wait} s", refusal(code, text)))
        }
        Means::Seed(_) => screen.remark(&format!(
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

/// What came instead of what was asked for: the gateway's refusal, or a message that has no place here.
pub(crate) fn instead(message: &ToClient) -> Problem {
    if let ToClient::Refused { code, text, retry_after_s: _ } = message {
        return Problem::Refused(refusal(*code, text));
    }
    out_of_turn(message)
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
        ToClient::PasskeyPage { .. } => "PasskeyPage",
        ToClient::PasskeyOptions { .. } => "PasskeyOptions",
        ToClient::PasskeyAdded { .. } => "PasskeyAdded",
        ToClient::PasskeyNotAdded { .. } => "PasskeyNotAdded",
        ToClient::Pong => "Pong",
    };
    Problem::Unreachable(format!("the gateway broke the protocol: `{name}` came out of turn"))
}

/// Asks at the terminal, without echo, until something is typed that could be a code.
pub(crate) async fn ask_for_code(person: &str, patience: u64, screen: &mut Screen) -> Result<Code, Problem> {
    loop {
        // Nobody is offered a passkey here, so there is no other answer.
        if let Some(code) = ask(person, Passkeys::NotTaken, patience, screen).await? {
            return Ok(code);
        }
    }
}

/// The same, and `None` for a passkey instead.
async fn ask(
    person: &str,
    passkeys: Passkeys,
    patience: u64,
    screen: &mut Screen,
) -> Result<Option<Code>, Problem> {
    tokio::time::sleep(Duration::from_secs(patience)).await;
    loop {
        let prompt = match passkeys {
            Passkeys::Taken => format!("code for {person} (empty for a passkey): "),
            Passkeys::NotTaken => format!("code for {person}: "),
        };
        let typed = tokio::task::spawn_blocking(move || {
            rpassword::prompt_password(prompt).map(zeroize::Zeroizing::new)
        });
        let typed = typed
            .await
            .map_err(|error| Problem::Io { what: "the prompt".to_owned(), source: error.into() })?;
        let typed = typed.map_err(|error| not_typed(&error))?;
        if passkeys == Passkeys::Taken && typed.trim().is_empty() {
            return Ok(None);
        }
        match Code::parse(&typed) {
            Ok(code) => return Ok(Some(code)),
            Err(error) => screen.remark(&format!("{error}; try again")),
        }
    }
}

/// Why nothing was typed: the person gave up, or there is no one to ask.
fn not_typed(error: &std::io::Error) -> Problem {
    if matches!(error.kind(), std::io::ErrorKind::Interrupted | std::io::ErrorKind::UnexpectedEof) {
        return Problem::Usage("no code was given".to_owned());
    }
    Problem::Usage(format!("no terminal to ask for the code: use --passkey or --totp-file ({error})"))
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
        let means = Means::Prompt(Through::Page(passkey::Browser::Print));
        let mut again =
            |retry, tries| another_try(Refusal::Factor, "", retry, &means, tries, &mut screen).is_ok();
        assert!(again(Some(0), 1));
        assert!(again(Some(60), TRIES - 1));
        assert!(!again(Some(0), TRIES), "a person has three tries");
        assert!(!again(None, 1));
        assert!(!again(Some(900), 1), "nobody waits a quarter of an hour at a prompt");
    }
}
