//! Differences as they are told.

use super::Finding;
use super::subjects::Subject;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which way somebody's rights change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// More is allowed, or less is demanded for it.
    Gains,
    /// Less is allowed, or more is demanded for it.
    Loses,
    /// Some of both.
    Changes,
}

/// All that differs between two policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Rights that differ.
    pub entries: Vec<Entry>,
    /// What else differs and says how far a right reaches.
    pub notes: Vec<Note>,
}

/// Rights that differ in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub who: Vec<String>,
    /// On which targets.
    pub targets: Vec<String>,
    /// Which way.
    pub change: Change,
    /// For what.
    pub actions: Vec<String>,
    /// What held before.
    pub before: String,
    /// What holds now.
    pub after: String,
    /// The values for which it differs, where not for all.
    pub values: Option<String>,
    /// A moment, source, factor and value at which it differs, as far as
    /// these matter.
    pub example: Option<String>,
    /// The line that decided the example before.
    pub line_before: Option<u32>,
    /// The line that decides it now.
    pub line_after: Option<u32>,
}

/// A difference that is no right of one person on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which way.
    pub change: Change,
    /// What.
    pub text: String,
}

/// So many actions of a kind are named in a short sentence.
const BRIEFLY: usize = 4;

impl Difference {
    pub(super) fn add(&mut self, subject: &Subject, target: &str, found: Vec<(Finding, Vec<String>)>) {
        for (finding, actions) in found {
            let entry = Entry {
                who: subject.labels.clone(),
                targets: vec![target.to_owned()],
                change: finding.change,
                actions,
                before: finding.before.text,
                after: finding.after.text,
                values: finding.values,
                example: finding.example,
                line_before: finding.before.rule,
                line_after: finding.after.rule,
            };
            let same = |known: &&mut Entry| known.who == entry.who && known.is_like(&entry);
            match self.entries.iter_mut().find(same) {
                Some(known) => known.targets.extend(entry.targets),
                None => self.entries.push(entry),
            }
        }
    }

    /// Joins people for whom the same differs on the same targets.
    pub(super) fn settle(&mut self) {
        let mut settled: Vec<Entry> = Vec::new();
        for entry in self.entries.drain(..) {
            let same = |known: &&mut Entry| known.targets == entry.targets && known.is_like(&entry);
            match settled.iter_mut().find(same) {
                Some(known) => known.who.extend(entry.who),
                None => settled.push(entry),
            }
        }
        self.entries = settled;
    }

    /// Whether nothing differs in effect.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.notes.is_empty()
    }

    /// Whether anybody may do more than before, or reaches something else.
    pub fn has_widened(&self) -> bool {
        self.changes().any(|change| change != Change::Loses)
    }

    /// Whether anybody may do less than before.
    pub fn has_narrowed(&self) -> bool {
        self.changes().any(|change| change != Change::Gains)
    }

    /// The difference for one person on one target in a short sentence.
    pub fn brief(&self) -> String {
        let actions = |change| -> Vec<&str> {
            let entries = self.entries.iter().filter(|entry| entry.change == change);
            entries.flat_map(|entry| &entry.actions).map(String::as_str).collect()
        };
        let part = |change, words: &str| {
            let actions = actions(change);
            let told = actions.iter().take(BRIEFLY).copied().collect::<Vec<_>>().join(", ");
            match actions.len().checked_sub(BRIEFLY) {
                _ if actions.is_empty() => None,
                None | Some(0) => Some(format!("{words} {told}")),
                Some(more) => Some(format!("{words} {told} and {more} more")),
            }
        };
        let parts = [
            part(Change::Loses, "less is allowed of"),
            part(Change::Gains, "more is allowed of"),
            part(Change::Changes, "other conditions hold for"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "nothing changes for this session".to_owned() } else { parts.join("; ") }
    }

    fn changes(&self) -> impl Iterator<Item = Change> {
        let entries = self.entries.iter().map(|entry| entry.change);
        entries.chain(self.notes.iter().map(|note| note.change))
    }
}

impl Entry {
    fn is_like(&self, other: &Self) -> bool {
        (self.change, &self.actions, &self.before, &self.after, &self.values)
            == (other.change, &other.actions, &other.before, &other.after, &other.values)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Gains => "gains",
            Self::Loses => "loses",
            Self::Changes => "changes",
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} on {} {}", self.who.join(", "), self.targets.join(", "), self.change)?;
        for action in &self.actions {
            writeln!(formatter, "  {action}")?;
        }
        let line = |line: Option<u32>| match line {
            Some(line) if line > 0 => format!("  [policy.csv:{line}]"),
            Some(_) | None => String::new(),
        };
        writeln!(formatter, "    before  {}{}", self.before, line(self.line_before))?;
        write!(formatter, "    after   {}{}", self.after, line(self.line_after))?;
        if self.before == self.after {
            write!(
                formatter,
                "\n    (the same words, of which one means something else now: see the example)"
            )?;
        }
        if let Some(values) = &self.values {
            write!(formatter, "\n    values  {values}")?;
        }
        match &self.example {
            Some(example) => write!(formatter, "\n    such as {example}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("no difference in effect");
        }
        for entry in &self.entries {
            writeln!(formatter, "{entry}")?;
        }
        for note in &self.notes {
            writeln!(formatter, "{}: {}", note.change, note.text)?;
        }
        let count = |change| self.changes().filter(|own| *own == change).count();
        write!(
            formatter,
            "{} gained, {} lost, {} both ways",
            count(Change::Gains),
            count(Change::Loses),
            count(Change::Changes)
        )
    }
}
