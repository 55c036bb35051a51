//! `user invite`: a token for one person, shown once.

use super::arguments::{Connection, InviteArguments};
use super::enrol::{SecretFile, scan};
use super::exit::{Exit, Failure};
use super::print::{answer, moment, table};
use super::remote::{NOTHING, parse, wait};
use crate::admin::{InvitationReport, InviteRequest, Invited, Withdrawn};
use crate::state::Change;

pub(super) fn invite(connection: &Connection, arguments: InviteArguments) -> Result<Exit, Failure> {
    let (client, form, handle) = (connection.client()?, connection.form(), parse(&arguments.handle)?);
    if arguments.withdraw {
        let done: Withdrawn =
            wait(client.post(&format!("/v1/users/{handle}/withdraw-invitation"), &NOTHING))?;
        answer(form, &done, |done| match done.change {
            Change::Made => format!("the invitation of {} is withdrawn", done.handle),
            Change::None => format!("no invitation of {} was open", done.handle),
        })?;
        return Ok(Exit::Done);
    }
    let file = arguments.token_file.as_deref().map(SecretFile::create).transpose()?;
    let request = InviteRequest { expires_in_s: arguments.expires.as_secs() };
    let mut invited: Invited = wait(client.post(&format!("/v1/users/{handle}/invite"), &request))?;
    match (file, arguments.token_file) {
        (Some(file), Some(path)) => {
            file.fill(&invited.token)?;
            invited.token.clear();
            answer(form, &invited, |invited| {
                format!(
                    "{} is invited until {}; the token is in {}",
                    invited.handle,
                    moment(invited.expires),
                    path.display()
                )
            })?;
        }
        (None, _) | (Some(_), None) => answer(form, &invited, shown)?,
    }
    Ok(Exit::Done)
}

fn shown(invited: &Invited) -> String {
    format!(
        "{} is invited until {}. The token, shown this once, is good for one enrolment:\n\n{}\n\n{}\n\n\
         Give it to that person only. They run this, and paste it where it asks:\n\n  gatehouse enroll\n\n\
         The gateway's key is sha256:{} and it enrols at {}.",
        invited.handle,
        moment(invited.expires),
        scan(&invited.token),
        invited.token,
        invited.fingerprint,
        invited.address,
    )
}

pub(super) fn list(connection: &Connection) -> Result<Exit, Failure> {
    let list: Vec<InvitationReport> = wait(connection.client()?.get("/v1/invitations"))?;
    answer(connection.form(), &list, |list| {
        if list.is_empty() {
            return "no invitation is open".to_owned();
        }
        let row = |one: &InvitationReport| {
            [one.handle.clone(), moment(one.made), moment(one.expires), one.by.clone()]
        };
        table(["PERSON", "INVITED", "UNTIL", "BY"], list.iter().map(row))
    })?;
    Ok(Exit::Done)
}
