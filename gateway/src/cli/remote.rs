//! Commands that a running gateway answers.

use super::arguments::{ClockCommand, Connection, ImportedKeyArguments, SessionsCommand, UserCommand};
use super::enrol::{self, SecretFile};
use super::exit::{Exit, Failure};
use super::invite;
use super::print::{self, Form, answer};
use crate::admin::{
    Applied, ApplyRequest, ClientError, ClockReport, Disabled, FactorReset, ImportReply, ImportRequest,
    ImportedKey, Killed, PersonReport, PolicyReport, Replacement, ResetRequest, SessionList, Unlocked,
};
use crate::names::{Handle, SessionId};
use crate::policy::Preview;
use crate::state::Change;
use std::future::Future;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;

/// A request without content.
pub(super) const NOTHING: () = ();

/// The longest answer at a terminal, in bytes.
const ANSWER: u64 = 64;

pub(super) fn user(connection: &Connection, command: UserCommand) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    match command {
        UserCommand::Import { key, totp_file, handle } => {
            return import(connection, key, totp_file.as_deref(), &handle);
        }
        UserCommand::ResetFactor { handle, totp_file, remove_only } => {
            let replacement = if remove_only { Replacement::None } else { Replacement::Totp };
            return reset_factor(connection, &handle, totp_file.as_deref(), replacement);
        }
        UserCommand::Invite(arguments) => return invite::invite(connection, arguments),
        UserCommand::Invitations => return invite::list(connection),
        UserCommand::List => {
            let list: Vec<PersonReport> = wait(client.get("/v1/users"))?;
            answer(form, &list, |list| print::people(list))?;
        }
        UserCommand::Show { handle } => {
            let person: PersonReport = wait(client.get(&format!("/v1/users/{}", parse(&handle)?)))?;
            answer(form, &person, print::person)?;
        }
        UserCommand::Disable { handle } => {
            let done: Disabled =
                wait(client.post(&format!("/v1/users/{}/disable", parse(&handle)?), &NOTHING))?;
            answer(form, &done, |done| match done.change {
                Change::Made => {
                    format!("{} is disabled; {} sessions ended", done.handle, done.sessions_ended)
                }
                Change::None => {
                    format!("{} was disabled already; {} sessions ended", done.handle, done.sessions_ended)
                }
            })?;
        }
        UserCommand::Enable { handle } => {
            let done: Disabled =
                wait(client.post(&format!("/v1/users/{}/enable", parse(&handle)?), &NOTHING))?;
            answer(form, &done, |done| match done.change {
                Change::Made => format!("{} is enabled", done.handle),
                Change::None => format!("{} was enabled already", done.handle),
            })?;
        }
        UserCommand::Unlock { handle } => {
            let done: Unlocked =
                wait(client.post(&format!("/v1/users/{}/unlock", parse(&handle)?), &NOTHING))?;
            answer(form, &done, |done| match done.change {
                Change::Made => format!("{} is unlocked", done.handle),
                Change::None => format!("{} was not locked", done.handle),
            })?;
        }
    }
    Ok(Exit::Done)
}

fn import(
    connection: &Connection,
    key: ImportedKeyArguments,
    totp_file: Option<&Path>,
    handle: &str,
) -> Result<Exit, Failure> {
    let (client, handle) = (connection.client()?, parse(handle)?.to_string());
    let key = imported_key(key)?;
    let secret = totp_file.map(SecretFile::create).transpose()?;
    let mut reply: ImportReply = wait(client.post("/v1/users", &ImportRequest { handle, key }))?;
    if let (Some(path), Some(file), Some(address)) = (totp_file, secret, &reply.otpauth) {
        file.fill(address)?;
        reply.otpauth = None;
        let told = |reply: &ImportReply| {
            format!("{} is imported; the second factor is in {}", reply.handle, path.display())
        };
        answer(connection.form(), &reply, told)?;
        return Ok(Exit::Done);
    }
    answer(connection.form(), &reply, |reply| match &reply.otpauth {
        Some(address) => format!("{0} is imported. {1}", reply.handle, enrol::shown(&reply.handle, address)),
        None => format!("{} has one more key; the second factor stays as it is", reply.handle),
    })?;
    Ok(Exit::Done)
}

fn imported_key(arguments: ImportedKeyArguments) -> Result<ImportedKey, Failure> {
    match (arguments.cert, arguments.fingerprint) {
        (Some(cert), None) => {
            let certificate = std::fs::read_to_string(&cert)
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", cert.display())))?;
            Ok(ImportedKey::Certificate(certificate))
        }
        (None, Some(fingerprint)) => Ok(ImportedKey::Fingerprint(fingerprint.to_string())),
        (None, None) | (Some(_), Some(_)) => {
            Err(Failure::new(Exit::Usage, "give either --cert or --fingerprint".to_owned()))
        }
    }
}

fn reset_factor(
    connection: &Connection,
    handle: &str,
    totp_file: Option<&Path>,
    replacement: Replacement,
) -> Result<Exit, Failure> {
    let (client, handle) = (connection.client()?, parse(handle)?);
    let secret = totp_file.map(SecretFile::create).transpose()?;
    let page = format!("/v1/users/{handle}/reset-factor");
    let mut reply: FactorReset = wait(client.post(&page, &ResetRequest { replacement }))?;
    let mut told = match reply.change {
        Change::Made => format!(
            "the second factor of {} is removed; {} sessions ended",
            reply.handle, reply.sessions_ended
        ),
        Change::None => format!("{} had no second factor", reply.handle),
    };
    match (totp_file, secret, &reply.otpauth) {
        (Some(path), Some(file), Some(address)) => {
            file.fill(address)?;
            reply.otpauth = None;
            told.push_str(&format!("\nthe new one is in {}", path.display()));
        }
        (_, _, Some(address)) => told.push_str(&format!("\n{}", enrol::shown(&reply.handle, address))),
        (_, _, None) => told.push_str("\nwithout one this person can't sign in"),
    }
    answer(connection.form(), &reply, |_| told)?;
    Ok(Exit::Done)
}

pub(super) fn sessions(connection: &Connection, command: SessionsCommand) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    match command {
        SessionsCommand::List => {
            let list: SessionList = wait(client.get("/v1/sessions"))?;
            answer(form, &list, |list| print::sessions(&list.sessions))?;
        }
        SessionsCommand::Kill { id } => {
            let parsed: Result<SessionId, _> = id.parse();
            let id = parsed.map_err(|error| Failure::new(Exit::Usage, format!("{id:?}: {error}")))?;
            let done: Killed = wait(client.post(&format!("/v1/sessions/{id}/kill"), &NOTHING))?;
            answer(form, &done, |done| format!("ended: {} of {} to {}", done.id, done.person, done.target))?;
        }
    }
    Ok(Exit::Done)
}

/// Everybody whom the gateway knows.
pub(super) fn people(connection: &Connection) -> Result<Vec<PersonReport>, Failure> {
    wait(connection.client()?.get("/v1/users"))
}

/// Shows what the folder would change, asks, and applies exactly that.
pub(super) fn apply(connection: &Connection, yes: bool) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    let preview: Preview = wait(client.get("/v1/policy/preview"))?;
    if form == Form::Text {
        answer(form, &preview, print::preview)?;
    }
    if !yes && !agreed()? {
        return Err(Failure::new(Exit::No, "nothing was applied"));
    }
    let applied: Applied =
        wait(client.post("/v1/policy/apply", &ApplyRequest { hash: preview.hash.clone() }))?;
    match form {
        Form::Text => answer(form, &applied, print::changes)?,
        Form::Json => answer(form, &AppliedWithEffect { applied, preview }, |_| String::new())?,
    }
    Ok(Exit::Done)
}

#[derive(Debug, serde::Serialize)]
struct AppliedWithEffect {
    #[serde(flatten)]
    applied: Applied,
    /// What it did, as it was worked out before.
    preview: Preview,
}

/// Asks at a terminal; without one nobody can agree.
fn agreed() -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        let text = "nobody is at a terminal to agree: look at the effect, then say --yes";
        return Err(Failure::new(Exit::Usage, text));
    }
    let mut error = std::io::stderr().lock();
    write!(error, "apply this? [y/N] ")?;
    error.flush()?;
    let mut line = String::new();
    input.lock().take(ANSWER).read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

pub(super) fn policy_status(connection: &Connection) -> Result<Exit, Failure> {
    let report: PolicyReport = wait(connection.client()?.get("/v1/policy"))?;
    answer(connection.form(), &report, print::policy)?;
    Ok(Exit::Done)
}

pub(super) fn clock(connection: &Connection, command: ClockCommand) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    let report: ClockReport = match command {
        ClockCommand::Status => wait(client.get("/v1/clock"))?,
        ClockCommand::Accept => wait(client.post("/v1/clock/accept", &NOTHING))?,
    };
    answer(form, &report, print::clock)?;
    Ok(Exit::Done)
}

pub(super) fn parse(handle: &str) -> Result<Handle, Failure> {
    Handle::parse(handle).map_err(|error| Failure::new(Exit::Usage, format!("{handle:?}: {error}")))
}

/// One request needs one small runtime.
pub(super) fn wait<T>(asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(asked)?)
}
