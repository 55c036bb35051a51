//! Policy files, checked and judged: from rules to a grant to a verdict.
//!
//! Order of events:
//! 1. [`Files::read`] takes the bytes of a policy folder, once.
//! 2. [`Policy::from_files`] parses and checks all of them; one problem
//!    anywhere refuses the whole folder and changes nothing else.
//! 3. [`Policy::grant`] asks which rules can apply to one person on one
//!    target, has Casbin judge them, and compiles them into [`Terms`].
//! 4. [`Terms::judge`] gives the verdict on each operation, without Casbin,
//!    without allocation on the way of an allowed one.
//!
//! This crate opens no socket, needs no runtime, reads no clock and writes no
//! file. What can't be parsed, known or agreed on is refused.

mod action;
mod analysis;
mod cases;
mod compare;
mod condition;
mod conditions;
mod crosscheck;
mod document;
mod enforcer;
mod explain;
mod facts;
mod files;
mod grant;
mod hint;
mod index;
mod inventory;
mod judge;
mod learn;
mod links;
mod model;
mod names;
mod policy;
mod problem;
mod review;
mod rows;
mod rules;
mod scope;
mod table;
mod tag;
mod terms;
mod value;
mod verdict;
mod vocabulary;
mod warnings;
mod window;

#[cfg(test)]
mod equal;
#[cfg(test)]
mod reference;

pub use action::{NotAPlace, place};
pub use cases::{CaseResult, parse_time};
pub use compare::{Change, Difference, Entry, Note};
pub use explain::{Explanation, Part, Question, Ruled, Way};
pub use files::{Files, PolicyHash};
pub use grant::{Ask, Grant, Refusal};
pub use inventory::{Inventory, Limits, Mode, Service, Target};
pub use learn::{Learnt, Lessons, Proposal};
pub use names::{
    GroupName, Handle, NameError, RoleName, ServiceName, TagName, TargetId, WindowName, ZoneName,
};
pub use policy::Policy;
pub use problem::{Problem, Problems, Warning};
pub use table::{Row, Table};
pub use tag::{ByteOrder, Tag, ValueType};
pub use terms::{Terms, TermsError};
pub use verdict::{Assurance, Circumstances, Obligation, Reason, Refused, RuleId, Unknown, Verdict};
pub use vocabulary::{Word, vocabulary};
