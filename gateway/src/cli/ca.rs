//! `ca`: the gateway's own authority.

use super::arguments::{CaCommand, Connection};
use super::exit::{Exit, Failure};
use super::print::{answer, harmless_cell, moment, table};
use super::remote::{NOTHING, wait};
use crate::admin::{AuthorityReport, CaReport, CertificateReport, Crl, Revoked};
use crate::ca::AuthorityStanding;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

pub(super) fn run(connection: &Connection, command: CaCommand) -> Result<Exit, Failure> {
    let (client, form) = (connection.client()?, connection.form());
    match command {
        CaCommand::Status => {
            let report: CaReport = wait(client.get("/v1/ca"))?;
            answer(form, &report, status)?;
        }
        CaCommand::Rotate => {
            let made: AuthorityReport = wait(client.post("/v1/ca/rotate", &NOTHING))?;
            answer(form, &made, |made| {
                format!(
                    "{} issues from now on; what was issued before stays good until it runs out",
                    harmless_cell(&made.name)
                )
            })?;
        }
        CaCommand::ExportCrl { out } => {
            let lists: Crl = wait(client.get("/v1/ca/crl"))?;
            match out {
                Some(out) => write_new(&out, &lists.crl)?,
                None => answer(form, &lists, |lists| lists.crl.clone())?,
            }
        }
        CaCommand::List => {
            let list: Vec<CertificateReport> = wait(client.get("/v1/ca/certificates"))?;
            answer(form, &list, |list| certificates(list))?;
        }
        CaCommand::Revoke { serial } => {
            let serial: crate::state::Serial =
                serial.parse().map_err(|error| Failure::new(Exit::Usage, format!("{serial:?}: {error}")))?;
            let done: Revoked = wait(client.post(&format!("/v1/ca/certificates/{serial}/revoke"), &NOTHING))?;
            answer(form, &done, |done| {
                format!("{} of {} is revoked", done.certificate.serial, done.certificate.person)
            })?;
        }
    }
    Ok(Exit::Done)
}

fn status(report: &CaReport) -> String {
    let heads = ["AUTHORITY", "NAME", "STANDING", "UNTIL", "LIST", "LIST UNTIL", "REVOKED"];
    let row = |one: &AuthorityReport| {
        let list = |figure: fn(&crate::admin::ListReport) -> String| {
            one.list.as_ref().map_or_else(|| "-".to_owned(), figure)
        };
        let standing = match one.standing {
            AuthorityStanding::Issuing => "issues",
            AuthorityStanding::Retired => "retired, trusted",
            AuthorityStanding::Over => "over: its files may be removed",
        };
        [
            one.number.to_string(),
            one.name.clone(),
            standing.to_owned(),
            moment(one.expires),
            list(|list| list.number.to_string()),
            list(|list| moment(list.lapses)),
            list(|list| list.revoked.to_string()),
        ]
    };
    let mut text = match report.authorities.as_slice() {
        [] => "no authority of the gateway's own: there is no [ca]\n".to_owned(),
        authorities => format!(
            "{}\n{} certificates are good now; `ca list` shows them\n",
            table(heads, authorities.iter().map(row)),
            report.certificates
        ),
    };
    let row = |end: &crate::admin::EndReport| [end.what.name().to_owned(), moment(end.ends)];
    text.push_str(&format!("\n{}", table(["WHAT ENDS", "UNTIL"], report.ends.iter().map(row))));
    for warning in &report.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text
}

fn certificates(list: &[CertificateReport]) -> String {
    if list.is_empty() {
        return "no certificate is good now; see `user invite --help`".to_owned();
    }
    let row = |one: &CertificateReport| {
        [
            one.serial.clone(),
            one.person.clone(),
            moment(one.issued),
            moment(one.expires),
            one.revoked.map_or_else(|| "-".to_owned(), moment),
        ]
    };
    table(["SERIAL", "PERSON", "ISSUED", "UNTIL", "REVOKED"], list.iter().map(row))
}

/// Replaced as a whole: whoever reads the list elsewhere must not find half.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Usage, format!("{}: {error}", path.display()));
    let beside = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
