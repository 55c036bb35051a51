//! Commands that a running gateway answers.

use super::arguments::{ClockCommand, Connection, PolicyCommand, SessionsCommand, UserCommand};
use super::enrol::{self, SecretFile};
use super::exit::{Exit, Failure};
use super::print::{self, answer};
use crate::admin::{
    Applied, ClientError, ClockReport, Disabled, ImportReply, ImportRequest, Killed, PersonReport,
    PolicyReport, SessionList, Unlocked,
};
use crate::names::{Handle, SessionId};
use crate::state::Change;
use std::future::Future;
use std::path::Path;

/// A request without content.
const NOTHING: () = ();

pub(super) fn user(connection: &Connection, command: UserCommand) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    match command {
        UserCommand::Import { cert, totp_file, handle } => {
            return import(connection, &cert, totp_file.as_deref(), &handle);
        }
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
    cert: &Path,
    totp_file: Option<&Path>,
    handle: &str,
) -> Result<Exit, Failure> {
    let (client, handle) = (connection.client()?, parse(handle)?.to_string());
    let certificate = std::fs::read_to_string(cert)
        .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", cert.display())))?;
    let secret = totp_file.map(SecretFile::create).transpose()?;
    let mut reply: ImportReply = wait(client.post("/v1/users", &ImportRequest { handle, certificate }))?;
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
        Some(address) => enrol::shown(&reply.handle, address),
        None => format!("{} has one more key; the second factor stays as it is", reply.handle),
    })?;
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

pub(super) fn policy(connection: &Connection, command: PolicyCommand) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    match command {
        PolicyCommand::Apply => {
            let done: Applied = wait(client.post("/v1/policy/apply", &NOTHING))?;
            answer(form, &done, print::changes)?;
        }
        PolicyCommand::Status => {
            let report: PolicyReport = wait(client.get("/v1/policy"))?;
            answer(form, &report, print::policy)?;
        }
        PolicyCommand::Actions => return super::actions(form),
    }
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

fn parse(handle: &str) -> Result<Handle, Failure> {
    Handle::parse(handle).map_err(|error| Failure::new(Exit::Usage, format!("{handle:?}: {error}")))
}

/// One request needs one small runtime.
fn wait<T>(asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(asked)?)
}
