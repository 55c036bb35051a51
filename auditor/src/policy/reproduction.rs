//! `replay --check`: every recorded request is decoded again from its bytes
//! and judged again under the recorded terms; the verdicts must come out as
//! they were recorded.
//!
//! It proves that the recorded verdicts follow from the recorded bytes and
//! grant, not that these are what passed: `verify` tells whether they were
//! changed since.

use super::past::{self, NotTold, Story};
use super::verdict::{Changed, line, not_reproduced};
use crate::escape::safe;
use crate::exit::Exit;
use crate::run::Output;
use crate::trouble::Trouble;
use recording::Identity;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One recording.
#[derive(Debug, Serialize)]
struct Session {
    file: String,
    session: String,
    person: String,
    target: String,
    began: String,
    requests: usize,
    not_reproduced: Vec<Changed>,
}

/// How the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Sentences.
    Text,
    /// One JSON object a recording and line.
    Json,
}

/// Judges the requests of recordings again.
///
/// # Errors
/// Where the answer can't be printed; a recording that can't be read is
/// complained of and the others are judged.
pub(crate) fn check(
    files: &[PathBuf],
    identity: &Identity,
    form: Form,
    output: &mut Output<'_>,
) -> Result<Exit, Trouble> {
    let mut worst = Exit::Done;
    for path in files {
        let exit = match past::read(path, identity) {
            Ok(story) => Session::of(path, &story).tell(form, output)?,
            Err(NotTold::Trouble(trouble)) => output.complain(&trouble),
            Err(NotTold::Content(why)) => output.complain(&Trouble::Content { path: path.clone(), why }),
        };
        worst = worst.max(exit);
    }
    Ok(worst)
}

impl Session {
    fn of(path: &Path, story: &Story) -> Self {
        let past = &story.past;
        Self {
            file: path.display().to_string(),
            session: past.session.clone(),
            person: past.person.to_string(),
            target: past.target.to_string(),
            began: past.began.to_string(),
            requests: past.requests.len(),
            not_reproduced: past.requests.iter().filter_map(|one| not_reproduced(story, one)).collect(),
        }
    }

    fn tell(&self, form: Form, output: &mut Output<'_>) -> Result<Exit, Trouble> {
        match form {
            Form::Json => output.json_line(self)?,
            Form::Text => self.print(output)?,
        }
        Ok(if self.not_reproduced.is_empty() { Exit::Done } else { Exit::No })
    }

    fn print(&self, output: &mut Output<'_>) -> Result<(), Trouble> {
        let outcome = match self.not_reproduced.len() {
            0 => "every verdict comes out the same again".to_owned(),
            count => format!("{count} verdicts DO NOT come out again"),
        };
        output.line(safe(&format!(
            "{}: {} on {} from {}: {} requests, {outcome}",
            self.file, self.person, self.target, self.began, self.requests
        )))?;
        for changed in &self.not_reproduced {
            let (request, at, operation) = (changed.request, &changed.at, &changed.operation);
            output.line(safe(&format!("  request {request} at {at}: {operation}")))?;
            output.line(safe(&format!("    recorded {}", line(&changed.was))))?;
            output.line(safe(&format!("    judged   {}", line(&changed.would_be))))?;
        }
        Ok(())
    }
}
