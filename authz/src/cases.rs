//! `tests.toml`: what an admin expects of the policy, as cases.
//!
//! ```toml
//! [[case]]
//! name = "the press technician writes recipes"
//! person = "tech-1@vendor-a"
//! target = "press-line/plc7"
//! action = "modbus:write:holding[100-199]"
//! value = "731"                       # optional, as are at, from and mfa
//! at = "2026-06-02T23:00:00+02:00[Europe/Berlin]"
//! expect = "allow"                    # or "deny", or "needs hold:shift-lead"
//! ```

use crate::condition::{Condition, term};
use crate::document::Document;
use crate::explain::{Question, Ruled};
use crate::files::Files;
use crate::names::{Handle, TargetId};
use crate::policy::Policy;
use crate::problem::{Collector, Problem, Problems};
use crate::verdict::Assurance;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use toml::Spanned;

/// The name under which positions are told.
pub(crate) const FILE: &str = "tests.toml";

/// The most cases of one file.
const MOST: usize = 10_000;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    case: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    person: Spanned<String>,
    target: Spanned<String>,
    action: Spanned<String>,
    at: Option<Spanned<String>>,
    from: Option<Spanned<String>>,
    mfa: Option<Spanned<String>>,
    value: Option<Spanned<String>>,
    expect: Spanned<String>,
}

/// One case and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Its line in `tests.toml`.
    pub line: u32,
    /// What it expects.
    pub expected: String,
    /// What the policy says.
    pub found: String,
    /// Whether the two are the same.
    pub passed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Allow,
    Deny,
    Needs(BTreeSet<String>),
}

impl Policy {
    /// Runs the folder's cases; `now` is the time of those that name none.
    ///
    /// # Errors
    /// A file that can't be read as cases, or a case that can't be asked.
    pub fn run_cases(&self, now: Timestamp) -> Result<Vec<CaseResult>, Problems> {
        run(self, self.files(), now)
    }
}

fn run(policy: &Policy, files: &Files, now: Timestamp) -> Result<Vec<CaseResult>, Problems> {
    let document = Document::of(files, FILE)?;
    let file: File = document.parse()?;
    if file.case.len() > MOST {
        return Err(Problem::of_file(FILE, format!("more than {MOST} cases")).into());
    }
    let mut problems = Collector::default();
    let results = file.case.iter().filter_map(|case| problems.take(run_one(policy, &document, case, now)));
    let results = results.collect();
    problems.finish(results)
}

fn run_one(
    policy: &Policy,
    document: &Document<'_>,
    case: &Entry,
    now: Timestamp,
) -> Result<CaseResult, Problem> {
    let expected = take(document, &case.expect, parse_expected)?;
    let at = case.at.as_ref().map(|at| take(document, at, parse_time)).transpose()?;
    let from = case.from.as_ref().map(|from| {
        take(document, from, |text| text.parse::<IpAddr>().map_err(|_| format!("{text:?} is no address")))
    });
    let assurance = case.mfa.as_ref().map(|mfa| take(document, mfa, parse_factor)).transpose()?;
    let question = Question {
        person: take(document, &case.person, Handle::parse)?,
        target: take(document, &case.target, TargetId::parse)?,
        action: case.action.get_ref().clone(),
        at: at.unwrap_or(now),
        source: from.transpose()?,
        assurance: assurance.unwrap_or(Assurance::CertificateAndTotp),
        value: case.value.as_ref().map(|value| value.get_ref().clone()),
    };
    let explanation = policy
        .explain(&question)
        .map_err(|problem| document.problem(&case.action.span(), problem.message).with_hint(problem.hint))?;
    let needs: BTreeSet<String> =
        explanation.parts.iter().flat_map(|part| part.owes.iter().cloned()).collect();
    let found = match explanation.ruled {
        Ruled::Allowed => Expected::Allow,
        Ruled::Denied => Expected::Deny,
        Ruled::Needs => Expected::Needs(needs),
    };
    let place = document.problem(&case.name.span(), "");
    Ok(CaseResult {
        name: case.name.get_ref().clone(),
        line: place.line.unwrap_or_default(),
        passed: found == expected,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

fn take<T, E: std::fmt::Display>(
    document: &Document<'_>,
    text: &Spanned<String>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Problem> {
    parse(text.get_ref()).map_err(|error| document.problem(&text.span(), error.to_string()))
}

/// A time with zone: `2026-06-02T23:00:00+02:00`, with or without `[ZONE]`.
///
/// # Errors
/// A sentence for whoever wrote it.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    let refuse = || format!("{text:?} is no time with a zone, such as 2026-06-02T23:00:00+02:00");
    text.parse::<Zoned>().map(|zoned| zoned.timestamp()).or_else(|_| text.parse()).map_err(|_| refuse())
}

fn parse_factor(text: &str) -> Result<Assurance, String> {
    match text {
        "webauthn" => Ok(Assurance::CertificateAndWebauthn),
        "totp" => Ok(Assurance::CertificateAndTotp),
        _ => Err(format!("expected webauthn or totp, found {text:?}")),
    }
}

fn parse_expected(text: &str) -> Result<Expected, String> {
    let refuse = || format!("expected \"allow\", \"deny\" or \"needs OBLIGATION & ...\", found {text:?}");
    match text.split_once(' ') {
        None if text == "allow" => Ok(Expected::Allow),
        None if text == "deny" => Ok(Expected::Deny),
        Some(("needs", owed)) => {
            let condition =
                Condition::parse(owed).map_err(|slip| format!("{}: {}", refuse(), slip.message))?;
            if condition.obligations.is_empty() || !condition.predicates.is_empty() {
                return Err(refuse());
            }
            Ok(Expected::Needs(condition.obligations.iter().map(term).collect()))
        }
        None | Some(_) => Err(refuse()),
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Allow => formatter.write_str("allow"),
            Self::Deny => formatter.write_str("deny"),
            Self::Needs(owed) => {
                let owed: Vec<&str> = owed.iter().map(String::as_str).collect();
                write!(formatter, "needs {}", owed.join(" & "))
            }
        }
    }
}
