//! From a question to a grant.
//!
//! Order of events: whose rules and which target's rules can apply, by
//! Casbin's role manager; these are compiled into terms; a small enforcer
//! with the same rules is asked about what stands at the edges of each rule,
//! and any difference between the two answers refuses the grant.

use crate::action::ActionPlace;
use crate::condition::Predicate;
use crate::crosscheck::crosscheck;
use crate::enforcer::Judge;
use crate::files::PolicyHash;
use crate::inventory::Target;
use crate::names::{Handle, ServiceName, TargetId};
use crate::policy::Policy;
use crate::rules::{Rule, Ruling};
use crate::scope::Scope;
use crate::terms::{Content, OpenTimes, TermRule, Terms};
use crate::verdict::{Assurance, Circumstances, RuleId};
use dissect::{Class, Protocol};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks for which target, when, from where.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The person, known by certificate and factor.
    pub person: &'a Handle,
    /// The target.
    pub target: &'a TargetId,
    /// The gateway's time.
    pub at: Timestamp,
    /// Where the connection comes from.
    pub source: IpAddr,
    /// How the person signed in.
    pub assurance: Assurance,
}

/// A permission with its terms. Only [`Policy::grant`] makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    target: Target,
    terms: Arc<Terms>,
}

impl Grant {
    /// Who may.
    pub fn person(&self) -> &Handle {
        self.terms.person()
    }

    /// Where.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What.
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// Under which policy.
    pub fn policy(&self) -> PolicyHash {
        self.terms.policy()
    }

    /// Until when, excluded.
    pub fn expires(&self) -> Timestamp {
        self.terms.expires()
    }
}

/// Why there is no grant. `Display` is the same for every kind that could
/// tell a stranger what exists; [`Refusal::audit`] tells all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such target.
    #[error("not permitted")]
    UnknownTarget,
    /// No rule lets the person do anything there.
    #[error("not permitted")]
    NotPermitted,
    /// The compiled grant and Casbin differ: nothing is granted.
    #[error("the policy could not be judged")]
    Disagreement {
        /// On what, and how.
        detail: String,
    },
    /// More than a grant can hold, or an end beyond all time.
    #[error("the policy could not be judged")]
    TooComplex {
        /// What is over which bound.
        detail: String,
    },
}

impl Refusal {
    /// The whole reason, for the audit event only.
    pub fn audit(&self) -> String {
        match self {
            Self::UnknownTarget => "unknown target".to_owned(),
            Self::NotPermitted => "no rule allows this person anything on this target".to_owned(),
            Self::Disagreement { detail } => format!("compiled grant and Casbin disagree: {detail}"),
            Self::TooComplex { detail } => format!("too complex: {detail}"),
        }
    }
}

/// What comes with every grant, in front of all rules. Denies still win.
pub(crate) const WITH_THE_GRANT: [(Class, [&str; 5]); 2] = [
    (Class::Housekeeping, ["*", "*", "*:housekeeping", "", "allow"]),
    (Class::Identify, ["*", "*", "*:identify", "", "allow"]),
];

impl Policy {
    /// Asks for a grant.
    ///
    /// # Errors
    /// [`Refusal`], for whatever is not permitted or not certain.
    pub fn grant(&self, ask: &Ask<'_>) -> Result<Grant, Refusal> {
        let person = format!("person:{}", ask.person);
        let of_person = self.rules_of(&person);
        let target = self.inventory().target(ask.target).ok_or(Refusal::UnknownTarget)?;
        let rules = self.rules_on(target, of_person);
        let services = services(target, &rules);
        if services.is_empty() {
            return Err(Refusal::NotPermitted);
        }
        let terms = self.compile(ask, target, &rules, services)?;
        let mut judge = self.small_judge(&person, target, &rules)?;
        let circumstances = Circumstances { now: ask.at, source: ask.source, assurance: ask.assurance };
        crosscheck(&terms, &mut judge, &circumstances).map_err(|detail| Refusal::Disagreement { detail })?;
        Ok(Grant { target: target.clone(), terms: Arc::new(terms) })
    }

    /// Whether a person may do anything at all on a target.
    pub fn lets_in(&self, person: &Handle, target: &TargetId) -> bool {
        let of_person = self.rules_of(&format!("person:{person}"));
        let target = self.inventory().target(target);
        target.is_some_and(|target| !services(target, &self.rules_on(target, of_person)).is_empty())
    }

    /// The targets on which a person may do anything at all.
    pub fn targets_for(&self, person: &Handle) -> Vec<&Target> {
        let of_person = self.rules_of(&format!("person:{person}"));
        let may = |target: &&Target| {
            !services(target, &self.rules_on(target, of_person.iter().copied())).is_empty()
        };
        self.inventory().targets().filter(may).collect()
    }

    fn rules_of(&self, person: &str) -> Vec<&Rule> {
        let mut known: BTreeMap<&str, bool> = BTreeMap::from([("*", true)]);
        let all = self.rules.all.iter();
        all.filter(|rule| {
            *known.entry(rule.subject()).or_insert_with(|| self.judge.belongs(person, rule.subject()))
        })
        .collect()
    }

    /// Those of the rules that are about a target, with what they mean there.
    fn rules_on<'a>(
        &self,
        target: &Target,
        rules: impl IntoIterator<Item = &'a Rule>,
    ) -> Vec<(&'a Rule, Scope)> {
        let mut known: BTreeMap<&str, bool> = BTreeMap::from([("*", true)]);
        let rules = rules.into_iter().filter(|rule: &&'a Rule| {
            let object = rule.object();
            *known.entry(object).or_insert_with(|| self.judge.belongs(target.id.as_str(), object))
        });
        rules.filter_map(|rule| Some((rule, scope_on(target, rule)?))).collect()
    }

    fn compile(
        &self,
        ask: &Ask<'_>,
        target: &Target,
        rules: &[(&Rule, Scope)],
        services: Vec<(ServiceName, Protocol)>,
    ) -> Result<Terms, Refusal> {
        let expires = SignedDuration::try_from(target.limits.session)
            .ok()
            .and_then(|session| ask.at.checked_add(session).ok())
            .ok_or_else(|| Refusal::TooComplex {
                detail: "the grant would end beyond all time".to_owned(),
            })?;
        let with_the_grant = WITH_THE_GRANT.map(|(class, _)| term_with_the_grant(class));
        let own = rules.iter().map(|(rule, scope)| TermRule {
            id: RuleId { line: rule.line },
            ruling: rule.ruling,
            scope: scope.clone(),
            predicates: rule.condition.predicates.clone(),
            obligations: rule.condition.obligations.clone(),
        });
        let content = Content {
            person: ask.person.clone(),
            target: target.id.clone(),
            zone: target.zone.clone(),
            policy: self.hash(),
            granted: ask.at,
            expires,
            services,
            tags: target.tags.clone(),
            windows: self.open_times(rules, ask.at, expires),
            rules: with_the_grant.into_iter().chain(own).collect(),
        };
        let terms = Terms::compile(content).map_err(|detail| Refusal::TooComplex { detail })?;
        // What can't be read back could not be replayed.
        let size = terms.to_bytes().len();
        if size == 0 || size > Terms::LARGEST {
            return Err(Refusal::TooComplex { detail: format!("terms of {size} bytes") });
        }
        Ok(terms)
    }

    fn open_times(&self, rules: &[(&Rule, Scope)], from: Timestamp, until: Timestamp) -> Vec<OpenTimes> {
        let predicates = rules.iter().flat_map(|(rule, _)| &rule.condition.predicates);
        let names: BTreeSet<_> = predicates
            .filter_map(|predicate| match predicate {
                Predicate::Window(window) => Some(window),
                Predicate::From(_) | Predicate::Webauthn | Predicate::Value(_) => None,
            })
            .collect();
        let defined = names.into_iter().filter_map(|name| Some((name, self.conditions.windows.get(name)?)));
        defined
            .map(|(name, window)| OpenTimes { window: name.clone(), open: window.open(from, until) })
            .collect()
    }

    fn small_judge(&self, person: &str, target: &Target, rules: &[(&Rule, Scope)]) -> Result<Judge, Refusal> {
        let with_the_grant = WITH_THE_GRANT.map(|(_, row)| row.map(str::to_owned));
        let rows = with_the_grant.iter().chain(rules.iter().map(|(rule, _)| &rule.row));
        let people = self.rules.people.above(person);
        let targets = self.rules.targets.above(target.id.as_str());
        let people = people.iter().map(|link| (link.member.as_str(), link.group.as_str()));
        let targets = targets.iter().map(|link| (link.member.as_str(), link.group.as_str()));
        Judge::new(rows, people, targets).map_err(|error| Refusal::Disagreement { detail: error.to_string() })
    }
}

fn term_with_the_grant(class: Class) -> TermRule {
    TermRule {
        id: RuleId::GRANT,
        ruling: Ruling::Allow,
        scope: Scope { protocol: None, class: Some(class), unit: None, place: None, tag: None },
        predicates: Vec::new(),
        obligations: Vec::new(),
    }
}

/// What a rule means on a target; `None` if it can't apply there.
pub(crate) fn scope_on(target: &Target, rule: &Rule) -> Option<Scope> {
    let action = &rule.action;
    let mut protocols = target.services.values().map(|service| service.protocol);
    if !protocols.any(|protocol| action.protocol.is_none_or(|own| own == protocol)) {
        return None;
    }
    let scope =
        Scope { protocol: action.protocol, class: action.class, unit: action.unit, place: None, tag: None };
    match &action.place {
        ActionPlace::Anywhere => Some(scope),
        ActionPlace::Place(place) => Some(Scope { place: Some(place.clone()), ..scope }),
        ActionPlace::Tag(name) => {
            let tag = target.tags.iter().find(|tag| tag.name == *name)?;
            if action.protocol.is_some_and(|protocol| protocol != tag.protocol) {
                return None;
            }
            let place = Some(tag.place.clone());
            Some(Scope { unit: tag.unit, place, tag: Some(name.clone()), ..scope })
        }
    }
}

/// The services on which one of the rules could allow something.
fn services(target: &Target, rules: &[(&Rule, Scope)]) -> Vec<(ServiceName, Protocol)> {
    let allows: Vec<&Scope> =
        rules.iter().filter(|(rule, _)| rule.ruling == Ruling::Allow).map(|(_, scope)| scope).collect();
    let services = target.services.values();
    services
        .filter(|service| {
            allows.iter().any(|scope| scope.protocol.is_none_or(|protocol| protocol == service.protocol))
        })
        .map(|service| (service.name.clone(), service.protocol))
        .collect()
}
