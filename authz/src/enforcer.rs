//! Casbin, and the only file that names it.
//!
//! Casbin gets the shipped model, rows that were checked before, and our own
//! `covers` and `holds` instead of its match functions, of which some panic
//! on text that is not ASCII. It is never asked to load or reload anything:
//! an enforcer is built once, whole, and only read from then on, so that no
//! failed reload can leave it empty. No cached enforcer is used: its keys can
//! collide. Any error of Casbin's is a denial.
//!
//! Which rule decided is noted by an effector that hands every effect on to
//! Casbin's own; Casbin's `explain` would pull in a logger with a thread per
//! enforcer.

use crate::facts::holds;
use crate::model::SHIPPED;
use crate::scope::covers;
use casbin::function_map::OperatorFunction;
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultEffector, DefaultModel, EffectKind, Effector, EffectorStream, Enforcer};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Rows, judged by Casbin.
pub(crate) struct Judge {
    enforcer: Enforcer,
    notes: Notes,
}

/// What Casbin is asked; all four are names or texts of our own making.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) subject: &'a str,
    pub(crate) target: &'a str,
    pub(crate) atom: &'a str,
    pub(crate) facts: &'a str,
}

/// What Casbin says, with the number of the row that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// By the first row that allows.
    Allowed { row: usize },
    /// By the row that denies, or because none allows.
    Denied { row: Option<usize> },
}

/// Why Casbin could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetUpError {
    #[error("Casbin: {0}")]
    Casbin(String),
    #[error("Casbin waits for something, which it never has to here")]
    Waits,
    #[error("Casbin took {taken} of {given} rows")]
    Rows { given: usize, taken: usize },
}

impl Judge {
    /// An enforcer over rows (subject, target, action, condition, effect) and
    /// links (member, group) of people and of targets.
    pub(crate) fn new<'a>(
        rows: impl Iterator<Item = &'a [String; 5]>,
        people: impl Iterator<Item = (&'a str, &'a str)>,
        targets: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, SetUpError> {
        let failed = |error: casbin::Error| SetUpError::Casbin(error.to_string());
        let model = at_once(DefaultModel::from_str(SHIPPED))?.map_err(failed)?;
        let mut enforcer = at_once(Enforcer::new_raw(model, ()))?.map_err(failed)?;
        enforcer.add_function("covers", OperatorFunction::Arg2(covers_dynamic));
        enforcer.add_function("holds", OperatorFunction::Arg3(holds_dynamic));
        let notes = Notes::default();
        enforcer.set_effector(Box::new(NotingEffector(notes.clone())));
        let pair = |(member, group): (&str, &str)| vec![member.to_owned(), group.to_owned()];
        take(&mut enforcer, "p", "p", rows.map(|row| row.to_vec()).collect())?;
        take(&mut enforcer, "g", "g", people.map(pair).collect())?;
        take(&mut enforcer, "g", "g2", targets.map(pair).collect())?;
        enforcer.build_role_links().map_err(failed)?;
        Ok(Self { enforcer, notes })
    }

    /// Whether a name is a group, or a member of it over any way.
    pub(crate) fn belongs(&self, member: &str, group: &str) -> bool {
        self.enforcer.get_role_manager().read().has_link(member, group, None)
    }

    /// Casbin's decision.
    pub(crate) fn decide(&mut self, request: &Request<'_>) -> Decision {
        self.notes.clear();
        let Request { subject, target, atom, facts } = *request;
        let allowed = self.enforcer.enforce((subject, target, atom, facts)).unwrap_or(false);
        let (first_allow, deny) = self.notes.get();
        match (allowed, first_allow) {
            (true, Some(row)) => Decision::Allowed { row },
            (true, None) | (false, _) => Decision::Denied { row: deny },
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Judge")
    }
}

fn take(
    enforcer: &mut Enforcer,
    section: &str,
    kind: &str,
    rows: Vec<Vec<String>>,
) -> Result<(), SetUpError> {
    let given = rows.len();
    let model = enforcer.get_mut_model();
    let accepted = model.add_policies(section, kind, rows);
    let taken =
        model.get_model().get(section).and_then(|kinds| kinds.get(kind)).map_or(0, |kind| kind.policy.len());
    // Fewer would mean that row numbers no longer say which rule decided.
    if accepted && taken == given { Ok(()) } else { Err(SetUpError::Rows { given, taken }) }
}

/// Casbin's set-up is async for the sake of adapters that load from afar.
/// Ours has none, so the first poll gives the result; no runtime is needed
/// and none that may be running is disturbed.
fn at_once<F: Future>(future: F) -> Result<F::Output, SetUpError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(SetUpError::Waits),
    }
}

fn covers_dynamic(atom: Dynamic, action: Dynamic) -> Dynamic {
    match (atom.into_immutable_string(), action.into_immutable_string()) {
        (Ok(atom), Ok(action)) => covers(&atom, &action).into(),
        (Ok(_) | Err(_), _) => false.into(),
    }
}

fn holds_dynamic(facts: Dynamic, condition: Dynamic, effect: Dynamic) -> Dynamic {
    let texts =
        (facts.into_immutable_string(), condition.into_immutable_string(), effect.into_immutable_string());
    match texts {
        (Ok(facts), Ok(condition), Ok(effect)) => holds(&facts, &condition, &effect).into(),
        (_, _, Ok(effect)) => (effect != "allow").into(),
        (_, _, Err(_)) => false.into(),
    }
}

/// The rows whose effects counted in the latest decision.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Clone, Copy, Default)]
struct Noted {
    row: usize,
    first_allow: Option<usize>,
    deny: Option<usize>,
}

impl Notes {
    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Noted::default();
    }

    fn get(&self) -> (Option<usize>, Option<usize>) {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (noted.first_allow, noted.deny)
    }

    fn note(&self, effect: EffectKind) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = noted.row;
        match effect {
            EffectKind::Allow => {
                noted.first_allow.get_or_insert(row);
            }
            EffectKind::Deny => {
                noted.deny.get_or_insert(row);
            }
            EffectKind::Indeterminate => {}
        }
        noted.row = row.saturating_add(1);
    }
}

/// Casbin's effector, with notes taken of what passes.
struct NotingEffector(Notes);

struct NotingStream {
    inner: Box<dyn EffectorStream>,
    notes: Notes,
}

impl Effector for NotingEffector {
    fn new_stream(&self, expression: &str, capacity: usize) -> Box<dyn EffectorStream> {
        Box::new(NotingStream {
            inner: DefaultEffector.new_stream(expression, capacity),
            notes: self.0.clone(),
        })
    }
}

impl EffectorStream for NotingStream {
    fn next(&self) -> bool {
        self.inner.next()
    }

    fn push_effect(&mut self, effect: EffectKind) -> bool {
        self.notes.note(effect);
        self.inner.push_effect(effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: [&str; 5]) -> [String; 5] {
        fields.map(str::to_owned)
    }

    fn judge(rows: &[[String; 5]], people: &[(&str, &str)]) -> Result<Judge, SetUpError> {
        Judge::new(rows.iter(), people.iter().copied(), std::iter::once(("plc", "zone:press")))
    }

    fn decide(judge: &mut Judge, subject: &str, atom: &str, facts: &str) -> Decision {
        judge.decide(&Request { subject, target: "plc", atom, facts })
    }

    #[test]
    fn an_empty_policy_denies_all() {
        let mut judge = judge(&[], &[]).unwrap();
        for subject in ["person:a", "*", ""] {
            for atom in ["modbus:read:unit[1]:holding[1]", "tcp:use", "*", ""] {
                assert_eq!(decide(&mut judge, subject, atom, ""), Decision::Denied { row: None });
            }
        }
    }

    #[test]
    fn a_policy_of_denies_only_denies_all() {
        let mut judge = judge(&[row(["*", "*", "modbus:write", "", "deny"])], &[]).unwrap();
        let read = decide(&mut judge, "person:a", "modbus:read:unit[1]:holding[1]", "");
        assert_eq!(read, Decision::Denied { row: None });
        let write = decide(&mut judge, "person:a", "modbus:write:unit[1]:holding[1]", "");
        assert_eq!(write, Decision::Denied { row: Some(0) });
    }

    #[test]
    fn deny_wins_and_the_deciding_row_is_told() {
        let rows = [
            row(["role:r", "zone:press", "modbus:write:holding[0-9]", "value:0..5", "allow"]),
            row(["role:r", "zone:press", "modbus:write", "", "allow"]),
            row(["*", "*", "modbus:write:holding[7]", "", "deny"]),
        ];
        let mut judge = judge(&rows, &[("person:a", "role:r")]).unwrap();
        let mut asked = |subject: &str, address: u32, facts: &str| {
            decide(&mut judge, subject, &format!("modbus:write:unit[1]:holding[{address}]"), facts)
        };
        assert_eq!(asked("person:a", 3, "value=5"), Decision::Allowed { row: 0 });
        assert_eq!(asked("person:a", 3, "value=6"), Decision::Allowed { row: 1 });
        assert_eq!(asked("person:a", 7, "value=5"), Decision::Denied { row: Some(2) });
        assert_eq!(asked("person:b", 3, "value=5"), Decision::Denied { row: None });
    }

    #[test]
    fn no_text_makes_a_match_function_panic() {
        let rows = [row(["*", "*", "modbus:read:tag[k\u{fc}hler]", "fr\u{f6}m:x", "allow"])];
        let mut judge = judge(&rows, &[]).unwrap();
        for text in ["\u{fc}\u{fc}*", "(", "[", "modbus:read:holding[\u{fc}]", "\0", "\"", "*"] {
            assert_eq!(decide(&mut judge, text, text, text), Decision::Denied { row: None });
        }
    }

    #[test]
    fn casbin_follows_as_many_links_as_are_let_in_and_no_more() {
        use crate::links::DEEPEST;
        let names: Vec<String> = (0..=DEEPEST + 1).map(|level| format!("role:r{level}")).collect();
        let pairs: Vec<(&str, &str)> =
            names.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        let judge = judge(&[], &pairs).unwrap();
        assert!(judge.belongs("role:r0", &names[DEEPEST as usize]));
        assert!(!judge.belongs("role:r0", &names[DEEPEST as usize + 1]));
    }

    #[test]
    fn rows_that_casbin_would_merge_are_noticed() {
        let same = row(["*", "*", "modbus", "", "allow"]);
        let refused = judge(&[same.clone(), same], &[]).unwrap_err();
        assert_eq!(refused, SetUpError::Rows { given: 2, taken: 1 });
    }

    #[test]
    fn it_can_be_made_and_asked_within_a_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let decision = runtime.block_on(async {
            let mut judge = judge(&[row(["*", "*", "modbus:read", "", "allow"])], &[]).unwrap();
            decide(&mut judge, "person:a", "modbus:read:unit[1]:holding[1]", "")
        });
        assert_eq!(decision, Decision::Allowed { row: 0 });
    }

    /// One name must never be a member of another because of what it is
    /// called: no pattern, no prefix, no expression.
    #[test]
    fn names_match_whole_or_not_at_all() {
        let rows = [row(["person:a", "plc4000", "modbus", "", "allow"])];
        let mut judge = judge(&rows, &[]).unwrap();
        for (subject, target) in [
            ("person:ab", "plc4000"),
            ("person:a", "plc40001"),
            ("person:.", "plc4000"),
            ("person:a", "plc4/000"),
        ] {
            let request = Request { subject, target, atom: "modbus:read:unit[1]:holding[1]", facts: "" };
            assert_eq!(judge.decide(&request), Decision::Denied { row: None }, "{subject} {target}");
        }
    }
}
