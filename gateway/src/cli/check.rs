//! `check`: everything is validated, nothing is bound, nothing is written.

use super::exit::{Exit, Failure};
use super::print::{Form, answer};
use crate::config::Config;
use crate::policy::read_folder;
use std::path::Path;

#[derive(Debug, serde::Serialize)]
struct Report {
    valid: bool,
    problems: Vec<String>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
}

/// Checks the configuration, all files that it names, and the policy folder.
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
        Err(problems) => {
            let problems = problems.iter().map(ToString::to_string).collect();
            return Report { valid: false, problems, warnings: Vec::new(), policy: None };
        }
    };
    match read_folder(&config.policy) {
        Ok(policy) => Report {
            valid: true,
            problems: Vec::new(),
            warnings: policy.warnings().iter().map(ToString::to_string).collect(),
            policy: Some(policy.hash().to_string()),
        },
        Err(error) => {
            let problems = error.to_string().lines().map(str::to_owned).collect();
            Report { valid: false, problems, warnings: Vec::new(), policy: None }
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = String::from("valid: configuration, certificates, CRL, keys and policy folder\n");
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}
