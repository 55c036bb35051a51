//! `check`: everything is validated, nothing is bound, nothing is written.

use super::exit::{Exit, Failure};
use super::print::{Form, answer};
use crate::admin::EndReport;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::policy::read_folder;
use crate::site_log::{self, Inspection};
use jiff::Timestamp;
use std::path::Path;

#[derive(Debug, serde::Serialize)]
struct Report {
    valid: bool,
    problems: Vec<String>,
    warnings: Vec<String>,
    /// What checks the recordings that this gateway makes, a C2SP verifier key.
    #[serde(skip_serializing_if = "Option::is_none")]
    recordings_verify_with: Option<String>,
    /// Who issues the certificates of people.
    issuers: Vec<&'static str>,
    ends: Vec<EndReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site_log: Option<SiteLog>,
}

/// The site log that a start would go on with.
#[derive(Debug, serde::Serialize)]
struct SiteLog {
    entries: u64,
    signed_until: Option<Timestamp>,
    /// Behind the last signed head; a start drops them and says so.
    torn_bytes: u64,
}

/// Checks the configuration, all files that it names, the policy folder and the
/// site log.
pub(super) fn configuration(path: &Path, form: Form) -> Result<Exit, Failure> {
    let report = report(path);
    let exit = if report.valid { Exit::Done } else { Exit::Invalid };
    match (form, exit) {
        (Form::Text, Exit::Invalid) => Err(Failure::new(exit, report.problems.join("\n"))),
        (Form::Text | Form::Json, _) => {
            answer(form, &report, text)?;
            Ok(exit)
        }
    }
}

fn report(path: &Path) -> Report {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(problems) => return Report::of(problems.iter().map(ToString::to_string).collect()),
    };
    let (mut problems, mut report) = (Vec::new(), Report::of(Vec::new()));
    report.recordings_verify_with = Some(config.recording.signing_key.public().to_string());
    report.look_at_certificates(&config, SystemClock::new().wall());
    match read_folder(&config.policy) {
        Ok(policy) => {
            report.warnings.extend(policy.warnings().iter().map(ToString::to_string));
            report.policy = Some(policy.hash().to_string());
        }
        Err(error) => problems.extend(error.to_string().lines().map(str::to_owned)),
    }
    match site_log::inspect(&config.log, config.recording.signing_key.public()) {
        Ok(found) => report.take(found),
        Err(problem) => problems.push(problem.to_string()),
    }
    if problems.is_empty() { report } else { Report::of(problems) }
}

impl Report {
    fn of(problems: Vec<String>) -> Self {
        let (warnings, issuers, ends) = Default::default();
        let valid = problems.is_empty();
        Self {
            valid,
            problems,
            warnings,
            recordings_verify_with: None,
            issuers,
            ends,
            policy: None,
            site_log: None,
        }
    }

    fn look_at_certificates(&mut self, config: &Config, now: Timestamp) {
        self.issuers.extend(config.tls.external.as_ref().map(|_| "the CA in [tls] ca"));
        self.issuers.extend(config.ca.as_ref().map(|_| "the gateway itself ([ca])"));
        self.warnings.extend(config.ends.iter().filter_map(|end| Some(end.reminder(now)?.text())));
        self.ends.extend(config.ends.iter().map(|end| EndReport { what: end.what, ends: end.ends }));
    }

    fn take(&mut self, found: Option<Inspection>) {
        let Some(found) = found else { return };
        let Inspection { entries, signed_until, torn_bytes, warning } = found;
        self.warnings.extend(warning);
        if torn_bytes > 0 {
            self.warnings.push(format!(
                "the site log has {torn_bytes} bytes at its end that no head covers: a write was torn, or a \
                 gateway writes just now; the next start drops what was torn and enters that it did"
            ));
        }
        self.site_log = Some(SiteLog { entries, signed_until, torn_bytes });
    }
}

fn text(report: &Report) -> String {
    let mut text =
        String::from("valid: configuration, certificates, lists, keys, policy folder and site log\n");
    if let Some(key) = &report.recordings_verify_with {
        text.push_str(&format!("recordings verify with {key}\n"));
    }
    text.push_str(&format!("certificates of people are issued by {}\n", report.issuers.join(" and ")));
    for EndReport { what, ends } in &report.ends {
        text.push_str(&format!("{}: until {ends}\n", what.name()));
    }
    match &report.site_log {
        None => text.push_str("site log: none yet, the first start begins one\n"),
        Some(SiteLog { entries, signed_until: Some(until), .. }) => {
            text.push_str(&format!("site log: {entries} entries, signed until {until}\n"));
        }
        Some(SiteLog { signed_until: None, .. }) => {
            text.push_str("site log: nothing in it is signed, the next start begins one\n");
        }
    }
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}
