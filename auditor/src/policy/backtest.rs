//! Every recorded request judged again, under the policy of its day and under
//! another one.

use super::arguments::Backtest;
use super::past::{self, NotTold, PastRequest, Story};
use super::verdict::{self, Changed, Verdict, line};
use crate::escape::safe;
use crate::exit::Exit;
use crate::run::Output;
use crate::trouble::Trouble;
use authz::{Ask, Grant, Policy};
use dissect::Protocol;
use recording::{Decision, Identity};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// All that is told.
#[derive(Debug, Serialize)]
struct Told {
    /// SHA-256 of the policy that was tried, as hex.
    policy: String,
    sessions: Vec<Session>,
}

/// One recording.
#[derive(Debug, Serialize)]
struct Session {
    file: String,
    session: String,
    person: String,
    target: String,
    began: String,
    /// Whether the person would be let in at all.
    admitted: bool,
    requests: usize,
    /// Requests that would now be decided otherwise.
    changed: Vec<Changed>,
    /// Requests whose recorded verdict does not follow from the recorded
    /// terms: another version, or not what a gateway wrote.
    not_reproduced: Vec<Changed>,
}

pub(super) fn run(arguments: &Backtest, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let identity = Identity::read(&arguments.identity).map_err(Trouble::key(&arguments.identity))?;
    let policy =
        Policy::load(&arguments.policies).map_err(|problems| Trouble::Policy(problems.to_string()))?;
    let (mut sessions, mut worst) = (Vec::new(), Exit::Done);
    for path in &arguments.files {
        match past::read(path, &identity) {
            Ok(story) => sessions.push(Session::judge(path, &story, &policy)),
            Err(NotTold::Trouble(trouble)) => worst = worst.max(output.complain(&trouble)),
            Err(NotTold::Content(why)) => {
                worst = worst.max(output.complain(&Trouble::Content { path: path.clone(), why }));
            }
        }
    }
    let differs =
        sessions.iter().any(|session| !session.changed.is_empty() || !session.not_reproduced.is_empty());
    let told = Told { policy: policy.hash().to_string(), sessions };
    if arguments.json {
        output.json(&told)?;
    } else {
        print(&told, output)?;
    }
    Ok(if differs { worst.max(Exit::No) } else { worst })
}

impl Session {
    fn judge(path: &Path, story: &Story, policy: &Policy) -> Self {
        let past = &story.past;
        let mut tried = Tried { policy, granted: Vec::new() };
        let (mut changed, mut not_reproduced) = (Vec::new(), Vec::new());
        for request in &past.requests {
            let was = verdict::recorded(request);
            not_reproduced.extend(verdict::not_reproduced(story, request));
            let now = tried.judge(story, request);
            if now.decision != was.decision {
                changed.push(Changed::new(request, was, now));
            }
        }
        Self {
            file: path.display().to_string(),
            session: past.session.clone(),
            person: past.person.to_string(),
            target: past.target.to_string(),
            began: past.began.to_string(),
            admitted: policy.lets_in(&past.person, &past.target),
            requests: past.requests.len(),
            changed,
            not_reproduced,
        }
    }
}

/// The policy that is tried, with its grants for one session.
struct Tried<'a> {
    policy: &'a Policy,
    /// One per source: a grant is compiled for the circumstances of its time.
    granted: Vec<(usize, Result<Grant, String>)>,
}

impl Tried<'_> {
    fn judge(&mut self, story: &Story, request: &PastRequest) -> Verdict {
        let policy = self.policy;
        let terms = request.terms;
        if self.granted.iter().all(|(own, _)| *own != terms) {
            let at = story.terms.get(terms).map_or(request.at, authz::Terms::granted);
            let asked = policy.grant(&Ask {
                person: &story.past.person,
                target: &story.past.target,
                at,
                source: request.circumstances.source,
                assurance: request.circumstances.assurance,
            });
            self.granted.push((terms, asked.map_err(|refusal| refusal.audit())));
        }
        let granted = self.granted.iter().find(|(own, _)| *own == terms).map(|(_, granted)| granted);
        match granted {
            Some(Ok(grant)) => verdict::judge(request, |operation| {
                let open: BTreeSet<Protocol> =
                    grant.terms().services().map(|(_, protocol)| protocol).collect();
                open.contains(&operation.protocol)
                    .then(|| session::judge(grant.terms(), operation, &request.circumstances))
            }),
            Some(Err(why)) => {
                Verdict { decision: Decision::Deny.name(), rule: String::new(), reason: why.clone() }
            }
            None => Verdict { decision: Decision::Deny.name(), rule: String::new(), reason: String::new() },
        }
    }
}

fn print(told: &Told, output: &mut Output<'_>) -> Result<(), Trouble> {
    for session in &told.sessions {
        let entry = if session.admitted { "" } else { "; would not be let in at all" };
        output.line(safe(&format!(
            "{}: {} on {} from {}: {} requests, {} would be decided otherwise{entry}",
            session.file,
            session.person,
            session.target,
            session.began,
            session.requests,
            session.changed.len()
        )))?;
        for (head, list) in [("", &session.changed), ("NOT REPRODUCED ", &session.not_reproduced)] {
            for changed in list {
                output.line(safe(&format!(
                    "  {head}{} at {}: {}",
                    changed.request, changed.at, changed.operation
                )))?;
                output.line(safe(&format!("    was      {}", line(&changed.was))))?;
                output.line(safe(&format!("    would be {}", line(&changed.would_be))))?;
            }
        }
    }
    Ok(())
}
