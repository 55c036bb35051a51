//! Every role, target and class with what is decided there, as a table that
//! changes only when a decision does.
//!
//! The text is committed beside the policy as `decisions.golden`, so that a
//! change of rules is reviewed as the difference of its effect. Line numbers
//! are left out of it: moving a rule is no decision.

use crate::analysis::{Meeting, Places, Reach, cells};
use crate::files::Files;
use crate::policy::Policy;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The file beside the policy.
pub(crate) const FILE: &str = "decisions.golden";

/// All decisions of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// In the order of subjects, targets, protocols and classes.
    pub rows: Vec<Row>,
}

/// What one subject may do of one class on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `role:NAME`, `person:HANDLE` where rules name one, or `*`.
    pub subject: String,
    /// The target.
    pub target: String,
    /// `protocol:class`.
    pub class: String,
    /// Where; empty where it is the same everywhere.
    pub places: Vec<String>,
    /// What: `allow`, `deny`, `allow if ...`.
    pub decision: String,
}

impl Policy {
    /// All decisions.
    pub fn table(&self) -> Table {
        let mut rows = Vec::new();
        for subject in self.subjects() {
            let reach = Reach::new(self, subject);
            for target in self.inventory().targets() {
                let standing = reach.on(target);
                let mut told: BTreeMap<(dissect::Protocol, dissect::Class), Vec<(String, Places)>> =
                    BTreeMap::new();
                let cells = cells(&[&standing]);
                let all = Places::of(&cells);
                for cell in cells {
                    let decision = Meeting::at(&standing, &cell).describe();
                    let of_class = told.entry((cell.protocol, cell.class)).or_default();
                    match of_class.iter_mut().find(|(known, _)| *known == decision) {
                        Some((_, places)) => places.add(&cell),
                        None => {
                            let mut places = Places::default();
                            places.add(&cell);
                            of_class.push((decision, places));
                        }
                    }
                }
                for ((protocol, class), decisions) in told {
                    let everywhere = decisions.len() == 1;
                    let mut decisions = decisions;
                    decisions.sort_by_key(|(decision, _)| decision == "deny");
                    for (decision, places) in decisions {
                        rows.push(Row {
                            subject: subject.to_owned(),
                            target: target.id.to_string(),
                            class: format!("{protocol}:{class}"),
                            places: if everywhere { Vec::new() } else { places.actions(target, &all) },
                            decision,
                        });
                    }
                }
            }
        }
        Table { rows }
    }

    /// Whose decisions are told: `*`, every role, and persons whom rules
    /// name.
    fn subjects(&self) -> BTreeSet<&str> {
        let links = self.rules.people.iter().flat_map(|link| [link.member.as_str(), link.group.as_str()]);
        let roles = links.filter(|name| name.starts_with("role:"));
        let named = self.rules.all.iter().map(|rule| rule.subject());
        roles.chain(named).chain(["*"]).collect()
    }

    /// How the folder's `decisions.golden` differs from the decisions; `None`
    /// where there is no such file.
    pub fn golden(&self) -> Option<Vec<String>> {
        golden(self.files(), &self.table().to_string())
    }
}

/// Lines that the file has too many (`-`) or too few (`+`).
fn golden(files: &Files, table: &str) -> Option<Vec<String>> {
    let file = files.get(FILE)?;
    let text = String::from_utf8_lossy(file);
    if text == table {
        return Some(Vec::new());
    }
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (text.lines().collect(), table.lines().collect());
    let gone = text.lines().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let come = table.lines().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    let mut lines: Vec<String> = gone.chain(come).collect();
    if lines.is_empty() {
        lines.push("- the same lines in another order or with other ends".to_owned());
    }
    Some(lines)
}

const HEAD: &str = "\
# What the policy decides: every role on every target, class by class.
# Written by: gatehouse-gateway policy table --policies D > D/decisions.golden
# A change of this file is the effect of a change of the policy.
";

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEAD)?;
        let mut rows = self.rows.as_slice();
        while let Some(first) = rows.first() {
            let same = |row: &Row| row.subject == first.subject && row.target == first.target;
            let count = rows.iter().take_while(|row| same(row)).count();
            let (block, rest) = rows.split_at_checked(count).unwrap_or((rows, &[]));
            rows = rest;
            write_block(formatter, first, block)?;
        }
        Ok(())
    }
}

fn write_block(formatter: &mut fmt::Formatter<'_>, first: &Row, block: &[Row]) -> fmt::Result {
    writeln!(formatter, "\n{} on {}", first.subject, first.target)?;
    let nothing = |row: &&Row| row.places.is_empty() && row.decision == "deny";
    for row in block.iter().filter(|row| !nothing(row)) {
        if row.decision == "deny" {
            writeln!(formatter, "  {} elsewhere: deny", row.class)?;
            continue;
        }
        if row.places.is_empty() {
            writeln!(formatter, "  {}: {}", row.class, row.decision)?;
        }
        for place in &row.places {
            writeln!(formatter, "  {place}: {}", row.decision)?;
        }
    }
    let denied: Vec<&str> = block.iter().filter(nothing).map(|row| row.class.as_str()).collect();
    if denied.is_empty() { Ok(()) } else { writeln!(formatter, "  deny: {}", denied.join(", ")) }
}
