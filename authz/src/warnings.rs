//! What is valid in a policy and yet probably not meant.

use crate::files::Files;
use crate::inventory::{self, Inventory, Target};
use crate::model;
use crate::problem::{Problem, Warning};
use crate::rows;
use crate::rules::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Finds what is cheap to find.
pub(crate) fn find(files: &Files, rules: &Rules, inventory: &Inventory) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if files.get(model::FILE).is_none() {
        let told = "is missing; the shipped one holds, and Casbin's own tools can't read the folder";
        warnings.push(Warning(Problem::of_file(model::FILE, told)));
    }
    warnings.extend(inventory.targets().filter(|target| target.zone.is_none()).map(no_zone));
    warnings.extend(shared_ports(inventory));
    warnings.extend(idle_roles(rules));
    warnings
}

fn no_zone(target: &Target) -> Warning {
    Warning(Problem::of_file(inventory::FILE, format!("target {} is in no zone", target.id)))
}

/// What is denied under one id could be allowed under the other.
fn shared_ports(inventory: &Inventory) -> Vec<Warning> {
    let mut seen: BTreeMap<(IpAddr, u16), &Target> = BTreeMap::new();
    let mut warnings = Vec::new();
    for target in inventory.targets() {
        for service in target.services.values() {
            if let Some(other) = seen.insert((target.address, service.port), target) {
                let told = format!(
                    "targets {} and {} are both {} port {}: the rules of one do not bind the other",
                    other.id, target.id, target.address, service.port
                );
                warnings.push(Warning(Problem::of_file(inventory::FILE, told)));
            }
        }
    }
    warnings
}

fn idle_roles(rules: &Rules) -> Vec<Warning> {
    let people =
        rules.people.iter().map(|link| link.member.as_str()).filter(|name| name.starts_with("person:"));
    let people: BTreeSet<&str> = people.collect();
    let had: BTreeSet<&str> = people
        .into_iter()
        .flat_map(|person| rules.people.above(person))
        .map(|link| link.group.as_str())
        .collect();
    let mut told = BTreeSet::new();
    let idle = rules.all.iter().filter(|rule| {
        let role = rule.subject();
        role.starts_with("role:") && !had.contains(role) && told.insert(role)
    });
    let warning = |line, role: &str| Warning(Problem::at(rows::FILE, line, 1, format!("nobody has {role}")));
    idle.map(|rule| warning(rule.line, rule.subject())).collect()
}
