//! `policy check|explain|table|test|diff|actions|seal`: a folder is looked at, nothing
//! runs, nothing changes (but `seal`, which writes the folder's manifest).

use super::arguments::{Connection, ExplainArguments, Factor, Folder, PolicyCommand};
use super::exit::{Exit, Failure};
use super::print::{self, Form, answer};
use super::remote;
use crate::admin::PersonReport;
use crate::audit::harmless;
use crate::policy::seal;
use authz::{
    Assurance, CaseResult, Difference, Handle, Policy, Problem, Problems, Question, Ruled, TargetId, Warning,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

pub(super) fn run(connection: &Connection, command: PolicyCommand) -> Result<Exit, Failure> {
    let form = connection.form();
    match command {
        PolicyCommand::Check { folder, deny_warnings } => check(connection, &folder, deny_warnings),
        PolicyCommand::Explain(arguments) => explain(form, &arguments),
        PolicyCommand::Table(folder) => {
            let table = load(&folder.policies)?.table();
            answer(form, &table, |table| table.to_string())?;
            Ok(Exit::Done)
        }
        PolicyCommand::Test(folder) => test(form, &folder.policies),
        PolicyCommand::Diff { old, new } => diff(form, &old, &new),
        PolicyCommand::Seal { folder, sign } => {
            let sealed = seal(&folder.policies, sign.as_deref())
                .map_err(|error| Failure::new(exit_of(&error), error))?;
            answer(form, &sealed, ToString::to_string)?;
            Ok(Exit::Done)
        }
        PolicyCommand::Apply { yes } => remote::apply(connection, yes),
        PolicyCommand::Status => remote::policy_status(connection),
        PolicyCommand::Actions => {
            answer(form, &authz::vocabulary(), |words| print::actions(words))?;
            Ok(Exit::Done)
        }
    }
}

fn exit_of(error: &crate::policy::SealError) -> Exit {
    match error {
        crate::policy::SealError::Invalid(_) => Exit::Invalid,
        crate::policy::SealError::Key(_) | crate::policy::SealError::Write(_) => Exit::Usage,
    }
}

fn load(folder: &Path) -> Result<Policy, Failure> {
    Policy::load(folder).map_err(|problems| Failure::new(Exit::Invalid, safe(problems)))
}

/// What a file says may be hostile to a terminal.
fn safe(text: impl std::fmt::Display) -> String {
    text.to_string().lines().map(harmless).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Serialize)]
struct Checked {
    valid: bool,
    policy: Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    /// Files in the folder that mean nothing.
    ignored: Vec<String>,
    /// Why it is not known who has a certificate; absent where it is.
    people_not_known: Option<String>,
}

fn check(connection: &Connection, folder: &Folder, deny_warnings: bool) -> Result<Exit, Failure> {
    let (people, not_known) = match connection.is_named().then(|| people(connection)) {
        None => (None, "no gateway was named to ask (--socket)".to_owned()),
        Some(Ok(people)) => (Some(people), String::new()),
        // The folder is checked all the same: a gateway need not run for it.
        Some(Err(failure)) => (None, failure.to_string()),
    };
    let people_not_known = people.is_none().then_some(not_known);
    let checked = match Policy::load(&folder.policies) {
        Ok(policy) => Checked {
            valid: true,
            policy: Some(policy.hash().to_string()),
            problems: Vec::new(),
            warnings: policy.review(Timestamp::now(), people.as_ref()),
            ignored: policy.files().ignored().to_vec(),
            people_not_known,
        },
        Err(problems) => Checked {
            valid: false,
            policy: None,
            problems: problems.into_vec(),
            warnings: Vec::new(),
            ignored: Vec::new(),
            people_not_known,
        },
    };
    let exit = match (checked.valid, checked.warnings.is_empty()) {
        (false, _) => Exit::Invalid,
        (true, false) if deny_warnings => Exit::No,
        (true, _) => Exit::Done,
    };
    if connection.form() == Form::Text && !checked.valid {
        let problems: Vec<String> = checked.problems.iter().map(safe).collect();
        return Err(Failure::new(exit, problems.join("\n")));
    }
    answer(connection.form(), &checked, |checked| {
        let mut text = format!("valid: {}\n", checked.policy.as_deref().unwrap_or_default());
        for warning in &checked.warnings {
            text.push_str(&format!("warning: {}\n", safe(warning)));
        }
        for name in &checked.ignored {
            text.push_str(&format!("not part of the policy: {}\n", harmless(name)));
        }
        if let Some(why) = &checked.people_not_known {
            text.push_str(&format!("not looked at: who has no certificate; {}\n", safe(why)));
        }
        text
    })?;
    Ok(exit)
}

/// Who could sign in, asked of the running gateway.
fn people(connection: &Connection) -> Result<BTreeSet<Handle>, Failure> {
    let list: Vec<PersonReport> = remote::people(connection)?;
    let with_key = list.iter().filter(|person| !person.keys.is_empty());
    Ok(with_key.filter_map(|person| Handle::parse(&person.handle).ok()).collect())
}

fn explain(form: Form, arguments: &ExplainArguments) -> Result<Exit, Failure> {
    let policy = load(&arguments.folder.policies)?;
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, safe(error));
    let at = match &arguments.at {
        Some(at) => authz::parse_time(at).map_err(|error| wrong(&error))?,
        None => Timestamp::now(),
    };
    let question = Question {
        person: Handle::parse(&arguments.person).map_err(|error| wrong(&error))?,
        target: TargetId::parse(&arguments.target).map_err(|error| wrong(&error))?,
        action: arguments.action.clone(),
        at,
        source: arguments.from,
        assurance: match arguments.mfa {
            Factor::Totp => Assurance::CertificateAndTotp,
            Factor::Webauthn => Assurance::CertificateAndWebauthn,
        },
        value: arguments.value.clone(),
    };
    let explanation = policy.explain(&question).map_err(|problem| wrong(&problem))?;
    answer(form, &explanation, |explanation| safe(explanation))?;
    Ok(match explanation.ruled {
        Ruled::Allowed => Exit::Done,
        Ruled::Needs | Ruled::Denied => Exit::No,
    })
}

#[derive(Debug, Serialize)]
struct Tested {
    cases: Vec<CaseResult>,
    /// How decisions.golden differs; absent where there is none.
    golden: Option<Vec<String>>,
}

fn test(form: Form, folder: &Path) -> Result<Exit, Failure> {
    let policy = load(folder)?;
    let cases = policy.run_cases(Timestamp::now());
    let cases = cases.map_err(|problems: Problems| Failure::new(Exit::Invalid, safe(problems)))?;
    let tested = Tested { cases, golden: policy.golden() };
    let failed = tested.cases.iter().filter(|case| !case.passed).count();
    let differs = tested.golden.as_ref().is_some_and(|lines| !lines.is_empty());
    answer(form, &tested, |tested| {
        let mut text = String::new();
        for case in tested.cases.iter().filter(|case| !case.passed) {
            text.push_str(&format!(
                "tests.toml:{}: {}: expected {}, the policy says {}\n",
                case.line,
                harmless(&case.name),
                harmless(&case.expected),
                harmless(&case.found)
            ));
        }
        text.push_str(&format!(
            "{} of {} cases passed\n",
            tested.cases.len().saturating_sub(failed),
            tested.cases.len()
        ));
        match &tested.golden {
            None => text.push_str("there is no decisions.golden to compare with\n"),
            Some(lines) if lines.is_empty() => text.push_str("the decisions are those of decisions.golden\n"),
            Some(lines) => {
                text.push_str("the decisions differ from decisions.golden:\n");
                text.extend(lines.iter().map(|line| format!("  {}\n", harmless(line))));
            }
        }
        text
    })?;
    Ok(if failed > 0 || differs { Exit::No } else { Exit::Done })
}

#[derive(Debug, Serialize)]
struct Compared {
    old: String,
    new: String,
    widened: bool,
    narrowed: bool,
    #[serde(flatten)]
    difference: Difference,
}

fn diff(form: Form, old: &Path, new: &Path) -> Result<Exit, Failure> {
    let (old, new) = (load(old)?, load(new)?);
    let difference = old.compare(&new, Timestamp::now());
    let compared = Compared {
        old: old.hash().to_string(),
        new: new.hash().to_string(),
        widened: difference.has_widened(),
        narrowed: difference.has_narrowed(),
        difference,
    };
    answer(form, &compared, |compared| safe(&compared.difference))?;
    Ok(if compared.widened { Exit::No } else { Exit::Done })
}
