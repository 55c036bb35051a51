//! Answers as they are told.

use super::Question;
use crate::files::PolicyHash;
use serde::Serialize;
use std::fmt;

/// What became of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whose right.
    pub person: String,
    /// Where.
    pub target: String,
    /// For what.
    pub action: String,
    /// When.
    pub at: String,
    /// SHA-256 of the policy, as hex.
    pub policy: String,
    /// For the action as a whole: denied if any part is.
    pub ruled: Ruled,
    /// Whether any rule or link names the person.
    pub known: bool,
    /// The answer by addresses.
    pub parts: Vec<Part>,
}

/// A verdict without its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruled {
    /// It may go.
    Allowed,
    /// It may go once somebody has done something.
    Needs,
    /// It must not go.
    Denied,
}

/// The answer for some addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which, as actions.
    pub actions: Vec<String>,
    /// The verdict.
    pub ruled: Ruled,
    /// The deciding line of `policy.csv`, if one decided.
    pub line: Option<u32>,
    /// That rule.
    pub rule: Option<String>,
    /// Why.
    pub reason: String,
    /// What is owed, as a condition has it, where the verdict is `needs`.
    pub owes: Vec<String>,
    /// What would have to be true for it to be allowed, by each rule that
    /// could allow it.
    pub ways: Vec<Way>,
}

/// What one rule would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The rule's line.
    pub line: u32,
    /// All of these.
    pub takes: Vec<String>,
}

impl Explanation {
    pub(super) fn new(question: &Question, policy: PolicyHash, parts: Vec<Part>, known: bool) -> Self {
        Self {
            person: question.person.to_string(),
            target: question.target.to_string(),
            action: question.action.clone(),
            at: question.at.to_string(),
            policy: policy.to_string(),
            ruled: parts.iter().map(|part| part.ruled).max().unwrap_or(Ruled::Denied),
            known,
            parts,
        }
    }
}

impl fmt::Display for Ruled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Allowed => "allowed",
            Self::Needs => "needs",
            Self::Denied => "denied",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for action in &self.actions {
            writeln!(formatter, "{action}")?;
        }
        write!(formatter, "  {}: {}", self.ruled, self.reason)?;
        if let (Some(line), Some(rule)) = (self.line, &self.rule) {
            write!(formatter, "\n  by policy.csv:{line}: {rule}")?;
        }
        if self.ruled == Ruled::Denied && self.ways.is_empty() {
            write!(formatter, "\n  no rule could allow it, whatever else were true")?;
        }
        for way in &self.ways {
            write!(formatter, "\n  policy.csv:{} would allow it with {}", way.line, way.takes.join("; "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}: {} {} on {} at {}",
            self.ruled, self.person, self.action, self.target, self.at
        )?;
        if !self.known {
            writeln!(formatter, "(no line of policy.csv names {}: only rules for * apply)", self.person)?;
        }
        for part in &self.parts {
            writeln!(formatter, "{part}")?;
        }
        Ok(())
    }
}
