//! The rules that can apply to one subject on one target.

use crate::grant::scope_on;
use crate::inventory::Target;
use crate::names::TargetId;
use crate::policy::Policy;
use crate::rules::{Rule, Ruling};
use crate::scope::Scope;
use dissect::Protocol;
use std::collections::{BTreeMap, BTreeSet};

/// All rules of one subject, by what they are about.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    policy: &'a Policy,
    by_object: BTreeMap<&'a str, Vec<&'a Rule>>,
}

/// The rules that can apply to one subject on one target, in their order,
/// with what they mean there.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) target: &'a Target,
    pub(crate) rules: Vec<(&'a Rule, Scope)>,
    /// Protocols of the services on which some rule allows anything: a
    /// channel to any other can't be opened.
    pub(crate) protocols: BTreeSet<Protocol>,
}

impl<'a> Reach<'a> {
    /// The rules of a subject: `person:HANDLE`, `role:NAME`, or `*` for
    /// somebody without any role.
    pub(crate) fn new(policy: &'a Policy, subject: &str) -> Self {
        let above = policy.rules.people.above(subject);
        let own: BTreeSet<&str> =
            above.iter().map(|link| link.group.as_str()).chain([subject, "*"]).collect();
        let mut by_object: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
        for rule in policy.rules.all.iter().filter(|rule| own.contains(rule.subject())) {
            by_object.entry(rule.object()).or_default().push(rule);
        }
        Self { policy, by_object }
    }

    /// What they are on a target of the same policy.
    pub(crate) fn on(&self, target: &'a Target) -> Standing<'a> {
        let id = target.id.as_str();
        let above = self.policy.rules.targets.above(id);
        let objects: BTreeSet<&str> = above.iter().map(|link| link.group.as_str()).chain([id, "*"]).collect();
        let found = objects.iter().filter_map(|object| self.by_object.get(object)).flatten();
        let mut rules: Vec<(&Rule, Scope)> =
            found.filter_map(|rule| Some((*rule, scope_on(target, rule)?))).collect();
        rules.sort_by_key(|(rule, _)| rule.line);
        let allows: Vec<&Scope> =
            rules.iter().filter(|(rule, _)| rule.ruling == Ruling::Allow).map(|(_, scope)| scope).collect();
        let offered = target.services.values().map(|service| service.protocol);
        let open = |protocol: &Protocol| {
            allows.iter().any(|scope| scope.protocol.is_none_or(|own| own == *protocol))
        };
        let protocols = offered.filter(open).collect();
        Standing { policy: self.policy, target, rules, protocols }
    }
}

impl<'a> Reach<'a> {
    /// The same by the target's id; `None` if there is no such target.
    pub(crate) fn on_id(&self, id: &TargetId) -> Option<Standing<'a>> {
        Some(self.on(self.policy.inventory().target(id)?))
    }

    /// The rules by what they are about, each in the order of the file.
    pub(crate) fn by_object(&self) -> &BTreeMap<&'a str, Vec<&'a Rule>> {
        &self.by_object
    }
}

impl Standing<'_> {
    /// Whether two standings say the same without looking any closer.
    pub(crate) fn is_plainly(&self, other: &Self) -> bool {
        let rows = |one: &Self| -> Vec<[String; 3]> {
            one.rules
                .iter()
                .map(|(rule, _)| [rule.row[2].clone(), rule.row[3].clone(), rule.row[4].clone()])
                .collect()
        };
        self.target.services == other.target.services
            && self.target.tags == other.target.tags
            && self.rules.len() == other.rules.len()
            && rows(self) == rows(other)
            && self.policy.conditions.windows == other.policy.conditions.windows
    }
}
