//! The least rules that would have allowed exactly what was recorded.

use super::arguments::Suggest;
use super::past::{self, Meant, NotTold, Story};
use crate::escape::safe;
use crate::exit::Exit;
use crate::run::Output;
use crate::trouble::Trouble;
use authz::{Ask, Files, Lessons, Policy, Proposal};
use recording::{Decision, Identity};
use serde::Serialize;

/// All that is told.
#[derive(Debug, Serialize)]
struct Told {
    person: String,
    /// Recordings of that person that were read.
    recordings: usize,
    /// Requests that went to a device, and those that did not and are left
    /// out.
    allowed: usize,
    denied: usize,
    #[serde(flatten)]
    proposal: Proposal,
    /// Requests that the proposal would not allow as they were.
    missed: usize,
}

pub(super) fn run(arguments: &Suggest, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let identity = Identity::read(&arguments.identity).map_err(Trouble::key(&arguments.identity))?;
    let invalid = |problems: authz::Problems| Trouble::Policy(problems.to_string());
    let policy = Policy::load(&arguments.policies).map_err(invalid)?;
    let (mut stories, mut worst): (Vec<Story>, Exit) = (Vec::new(), Exit::Done);
    for path in &arguments.files {
        match past::read(path, &identity) {
            Ok(story) if story.past.person == arguments.person => stories.push(story),
            Ok(_) => {}
            Err(NotTold::Trouble(trouble)) => worst = worst.max(output.complain(&trouble)),
            Err(NotTold::Content(why)) => {
                worst = worst.max(output.complain(&Trouble::Content { path: path.clone(), why }));
            }
        }
    }
    let mut lessons = Lessons::new(arguments.person.clone(), policy.inventory());
    let (mut allowed, mut denied) = (0_usize, 0_usize);
    for story in &stories {
        for request in &story.past.requests {
            match (request.decision, &request.meant) {
                (Decision::Allow, Meant::Operation(operation)) => {
                    allowed = allowed.saturating_add(1);
                    lessons.take(&story.past.target, operation);
                }
                (Decision::Allow, Meant::Malformed | Meant::Lost) | (Decision::Deny | Decision::Needs, _) => {
                    denied = denied.saturating_add(1);
                }
            }
        }
    }
    let proposal = lessons.propose();
    let missed = missed(&policy, &proposal, &stories).map_err(invalid)?;
    let told = Told {
        person: arguments.person.to_string(),
        recordings: stories.len(),
        allowed,
        denied,
        proposal,
        missed,
    };
    if arguments.json {
        output.json(&told)?;
    } else {
        output.line(format_args!(
            "# Proposed for {} from {} recordings: {} requests that were allowed; {} that were not are left out.",
            told.person, told.recordings, told.allowed, told.denied
        ))?;
        for line in told.proposal.to_string().lines() {
            output.line(safe(line))?;
        }
        if told.missed > 0 {
            output.line(format_args!("# {} requests would not be allowed by these rules.", told.missed))?;
        }
    }
    let whole = told.missed == 0 && told.proposal.left_out.is_empty();
    Ok(if whole { worst } else { worst.max(Exit::No) })
}

/// Tries the proposal on what it was learnt from: a policy of nothing else
/// must pass the check and allow every request.
fn missed(policy: &Policy, proposal: &Proposal, stories: &[Story]) -> Result<usize, authz::Problems> {
    let rules = proposal.to_string();
    let kept = policy.files().iter().filter(|(name, _)| *name != "policy.csv");
    let files = Files::from_contents(kept.chain([("policy.csv", rules.as_bytes())]))?;
    let proposed = Policy::from_files(&files)?;
    let mut missed = 0_usize;
    for story in stories {
        for request in &story.past.requests {
            let (Decision::Allow, Meant::Operation(operation)) = (request.decision, &request.meant) else {
                continue;
            };
            let granted = proposed.grant(&Ask {
                person: &story.past.person,
                target: &story.past.target,
                at: request.at,
                source: request.circumstances.source,
                assurance: request.circumstances.assurance,
            });
            let allowed = granted.is_ok_and(|grant| {
                session::judge(grant.terms(), operation, &request.circumstances).decision
                    == session::Decision::Allow
            });
            missed = missed.saturating_add(usize::from(!allowed));
        }
    }
    Ok(missed)
}
