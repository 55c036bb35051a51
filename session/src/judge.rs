//! Has requests judged, and puts the verdict into the words of a record.

use crate::record::Decision;
use authz::{Assurance, Circumstances, Obligation, RuleId, Terms, Verdict};
use dissect::{Carriage, Denial, Operation};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;
use std::num::NonZeroU32;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of the request.
    pub decision: Decision,
    /// The deciding rule; empty where none applied.
    pub rule: String,
    /// Why; empty for an allowed one.
    pub reason: String,
    /// The nearest of the protocol's refusals, where it is one.
    pub denial: Denial,
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
        judge(&self.terms, operation, &self.circumstances(now))
    }

    /// Whether it would be allowed now.
    pub(crate) fn decision(&self, now: Duration, operation: &Operation) -> Decision {
        self.judge(now, operation).decision
    }

    /// The pace at which a request may go, if the rule that allows it demands
    /// one, with that rule.
    pub(crate) fn rate(&self, now: Duration, operation: &Operation) -> Option<(RuleId, NonZeroU32)> {
        // Most terms have no rate at all: then nothing is judged twice.
        self.terms.rate()?;
        match self.terms.judge(operation, &self.circumstances(now)) {
            Verdict::Needs { rule, obligations } => Some((rule, rate(operation, &obligations)?)),
            Verdict::Allow { .. } | Verdict::Deny(_) => None,
        }
    }

    /// Whether any rule of the terms demands a pace.
    pub(crate) fn has_rates(&self) -> bool {
        self.terms.rate().is_some()
    }

    fn circumstances(&self, now: Duration) -> Circumstances {
        let since = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        // Past the end of the calendar no grant holds any more.
        let now = self.started.checked_add(since).unwrap_or(Timestamp::MAX);
        Circumstances { now, source: self.source, assurance: self.assurance }
    }
}

/// The slowest rate, if nothing but rates is owed and the operation is one
/// that can be made to wait: bytes of an opaque service are no requests.
fn rate(operation: &Operation, obligations: &[Obligation]) -> Option<NonZeroU32> {
    match operation.protocol.carriage() {
        Carriage::Decoded => {}
        Carriage::Opaque => return None,
    }
    let rates = obligations.iter().map(|obligation| match obligation {
        Obligation::Rate(rate) => Some(*rate),
        Obligation::Approval(_) | Obligation::Hold(_) | Obligation::Supervised(_) => None,
    });
    rates.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// What the core makes of the terms' verdict on a request: the same for live
/// sessions and for recorded ones that are judged again.
pub fn judge(terms: &Terms, operation: &Operation, circumstances: &Circumstances) -> Judgement {
    match terms.judge(operation, circumstances) {
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
        // The core meets a rate itself, by making requests wait.
        Verdict::Needs { rule, obligations } if rate(operation, &obligations).is_some() => Judgement {
            decision: Decision::Allow,
            rule: rule.to_string(),
            reason: String::new(),
            denial: Denial::Function,
        },
        Verdict::Needs { rule, obligations } => Judgement {
            decision: Decision::Needs,
            rule: rule.to_string(),
            reason: obligations.iter().map(Obligation::unmet).collect::<Vec<_>>().join("; "),
            denial: Denial::Function,
        },
    }
}
