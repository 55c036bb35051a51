//! Has requests judged, and puts the verdict into the words of a record.

use crate::record::Decision;
use authz::{Assurance, Circumstances, Obligation, RuleId, Terms, Verdict};
use dissect::{Denial, Operation};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The terms with what is true at the moment.
#[derive(Debug)]
pub(crate) struct Judge {
    terms: Arc<Terms>,
    source: IpAddr,
    assurance: Assurance,
    started: Timestamp,
}

/// A verdict, told.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) decision: Decision,
    pub(crate) rule: String,
    pub(crate) reason: String,
    /// The nearest of the protocol's refusals, where it is one.
    pub(crate) denial: Denial,
}

impl Judge {
    pub(crate) fn new(terms: Arc<Terms>, source: IpAddr, assurance: Assurance, started: Timestamp) -> Self {
        Self { terms, source, assurance, started }
    }

    pub(crate) fn change_terms(&mut self, terms: Arc<Terms>) {
        self.terms = terms;
    }

    pub(crate) fn change_source(&mut self, source: IpAddr) {
        self.source = source;
    }

    /// When the terms end, since the session's start.
    pub(crate) fn expires(&self) -> Duration {
        self.terms.expires().duration_since(self.started).try_into().unwrap_or_default()
    }

    pub(crate) fn judge(&self, now: Duration, operation: &Operation) -> Judgement {
        match self.verdict(now, operation) {
            Verdict::Allow { rule } => Judgement {
                decision: Decision::Allow,
                rule: rule.to_string(),
                reason: String::new(),
                denial: Denial::Function,
            },
            Verdict::Deny(refused) => Judgement {
                decision: Decision::Deny,
                rule: refused.rule.as_ref().map_or_else(String::new, RuleId::to_string),
                reason: refused.reason.to_string(),
                denial: refused.denial,
            },
            Verdict::Needs { rule, obligations } => Judgement {
                decision: Decision::Needs,
                rule: rule.to_string(),
                reason: obligations.iter().map(Obligation::unmet).collect::<Vec<_>>().join("; "),
                denial: Denial::Function,
            },
        }
    }

    /// Whether it would be allowed now.
    pub(crate) fn decision(&self, now: Duration, operation: &Operation) -> Decision {
        match self.verdict(now, operation) {
            Verdict::Allow { .. } => Decision::Allow,
            Verdict::Deny(_) => Decision::Deny,
            Verdict::Needs { .. } => Decision::Needs,
        }
    }

    fn verdict(&self, now: Duration, operation: &Operation) -> Verdict {
        let since = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        // Past the end of the calendar no grant holds any more.
        let now = self.started.checked_add(since).unwrap_or(Timestamp::MAX);
        let circumstances = Circumstances { now, source: self.source, assurance: self.assurance };
        self.terms.judge(operation, &circumstances)
    }
}
