//! A verdict as it was recorded, and as it comes out when the request is judged
//! again.

use super::past::{Meant, PastRequest, Story};
use recording::Decision;
use serde::Serialize;
use session::Judgement;

/// A request that is decided in two ways.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) request: u64,
    pub(super) at: String,
    pub(super) operation: String,
    pub(super) was: Verdict,
    pub(super) would_be: Verdict,
}

/// A verdict as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) decision: &'static str,
    pub(super) rule: String,
    pub(super) reason: String,
}

impl Verdict {
    /// Whether this is what was recorded; a long reason is recorded cut.
    fn is(&self, recorded: &Self) -> bool {
        let cut = recorded.reason.strip_suffix('\u{2026}');
        let reason = self.reason == recorded.reason || cut.is_some_and(|kept| self.reason.starts_with(kept));
        self.decision == recorded.decision && self.rule == recorded.rule && reason
    }

    fn denied(reason: &str) -> Self {
        Self { decision: Decision::Deny.name(), rule: String::new(), reason: reason.to_owned() }
    }
}

impl Changed {
    pub(super) fn new(request: &PastRequest, was: Verdict, would_be: Verdict) -> Self {
        Self {
            request: request.number,
            at: request.at.to_string(),
            operation: request.text.clone(),
            was,
            would_be,
        }
    }
}

/// The recorded verdict of a request and the one that follows from its bytes
/// under the recorded terms, where these differ: another version, or not what
/// a gateway wrote.
pub(super) fn not_reproduced(story: &Story, request: &PastRequest) -> Option<Changed> {
    let was = recorded(request);
    let again = story.terms.get(request.terms).map_or_else(
        || Verdict::denied("there are no terms"),
        |terms| judge(request, |operation| Some(session::judge(terms, operation, &request.circumstances))),
    );
    (!again.is(&was)).then(|| Changed::new(request, was, again))
}

pub(super) fn recorded(request: &PastRequest) -> Verdict {
    Verdict { decision: request.decision.name(), rule: request.rule.clone(), reason: request.reason.clone() }
}

/// A request under some terms; `None` of these where no channel would open.
pub(super) fn judge(request: &PastRequest, by: impl Fn(&dissect::Operation) -> Option<Judgement>) -> Verdict {
    match &request.meant {
        Meant::Operation(operation) => by(operation).map_or_else(
            || Verdict::denied("no rule lets this person use the service"),
            |judged| Verdict { decision: word(judged.decision), rule: judged.rule, reason: judged.reason },
        ),
        // The gateway refuses it whatever the terms, in its own words.
        Meant::Malformed if request.decision == Decision::Deny => recorded(request),
        Meant::Malformed => Verdict::denied("its inside is broken, which no terms allow"),
        Meant::Lost => Verdict::denied("its bytes are not in the recording"),
    }
}

fn word(decision: session::Decision) -> &'static str {
    match decision {
        session::Decision::Allow => Decision::Allow.name(),
        session::Decision::Deny => Decision::Deny.name(),
        session::Decision::Needs => Decision::Needs.name(),
    }
}

/// A verdict in one line.
pub(super) fn line(verdict: &Verdict) -> String {
    let rule = if verdict.rule.is_empty() { String::new() } else { format!(" by {}", verdict.rule) };
    let reason = if verdict.reason.is_empty() { String::new() } else { format!(": {}", verdict.reason) };
    format!("{}{rule}{reason}", verdict.decision)
}
