//! What is valid in a policy and yet probably not meant, as far as it takes
//! weighing the rules against each other.
//!
//! Every rule is looked for as the one that decides: at some place, for some
//! time, source, factor and value, on some target of the rule, for somebody
//! with the rule's role and nothing else. One that never is gets told why.

use crate::analysis::{Calendar, Meeting, Outcome, Reach, Space, Standing, cells, domain};
use crate::condition::{Condition, Truth};
use crate::conditions;
use crate::names::Handle;
use crate::policy::Policy;
use crate::problem::{Problem, Warning};
use crate::rows;
use crate::rules::{Rule, Ruling};
use crate::verdict::RuleId;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// So many points are weighed at most; what is left then is not told about.
const BUDGET: usize = 20_000_000;

/// So many warnings of one kind are told.
const TOLD: usize = 100;

impl Policy {
    /// All warnings, from a moment on. `people` are those who could sign in;
    /// `None` where that is not known.
    pub fn review(&self, from: Timestamp, people: Option<&BTreeSet<Handle>>) -> Vec<Warning> {
        let mut warnings = self.warnings().to_vec();
        let mut calendar = Calendar::new(from, &[self]);
        warnings.extend(self.shut_windows(&mut calendar));
        warnings.extend(self.overlaps());
        warnings.extend(self.idle_rules(calendar));
        warnings.extend(people.map(|people| self.strangers(people)).unwrap_or_default());
        warnings
    }

    fn shut_windows(&self, calendar: &mut Calendar<'_>) -> Vec<Warning> {
        let windows = self.conditions.windows.keys();
        let shut = windows.filter(|name| calendar.open(&(0, (*name).clone())).is_empty());
        shut.map(|name| {
            let told = format!("window {name} never opens again");
            Warning(Problem { line: self.conditions.line(name), ..Problem::of_file(conditions::FILE, told) })
        })
        .collect()
    }

    /// Two allows of the same kind whose addresses overlap in part.
    fn overlaps(&self) -> Vec<Warning> {
        use crate::action::ActionPlace;
        type Key<'a> = (&'a str, &'a str, String, dissect::Area);
        let mut groups: BTreeMap<Key<'_>, Vec<(dissect::Range, u32)>> = BTreeMap::new();
        for rule in self.rules.all.iter().filter(|rule| rule.ruling == Ruling::Allow) {
            if let ActionPlace::Place(dissect::Place::Range { area, range }) = rule.action.place {
                let kind =
                    format!("{:?} {:?} {:?}", rule.action.protocol, rule.action.class, rule.action.unit);
                let key = (rule.subject(), rule.object(), kind, area);
                groups.entry(key).or_default().push((range, rule.line));
            }
        }
        let mut warnings = Vec::new();
        for ((_, _, _, area), mut ranges) in groups {
            ranges.sort();
            let mut reaching: Option<(dissect::Range, u32)> = None;
            for (range, line) in ranges {
                if let Some((other, other_line)) = reaching
                    && other.overlaps(range)
                    && !other.contains(range)
                    && !range.contains(other)
                {
                    let words = |range| dissect::Place::Range { area, range };
                    let told =
                        format!("{} overlaps {} of line {other_line} in part", words(range), words(other));
                    warnings.push(Warning(Problem::at(rows::FILE, line, 1, told)));
                }
                if reaching.is_none_or(|(other, _)| other.last() < range.last()) {
                    reaching = Some((range, line));
                }
            }
        }
        warnings.truncate(TOLD);
        warnings
    }

    /// People whom the policy names and who could not sign in.
    fn strangers(&self, people: &BTreeSet<Handle>) -> Vec<Warning> {
        let links = self.rules.people.iter().map(|link| (link.member.as_str(), link.line));
        let named = links.chain(self.rules.all.iter().map(|rule| (rule.subject(), rule.line)));
        let known: BTreeSet<&str> = people.iter().map(Handle::as_str).collect();
        let mut told = BTreeSet::new();
        let strangers = named.filter_map(|(name, line)| Some((name.strip_prefix("person:")?, line)));
        let strangers = strangers.filter(|(person, _)| !known.contains(person) && told.insert(*person));
        strangers
            .map(|(person, line)| {
                Warning(Problem::at(
                    rows::FILE,
                    line,
                    1,
                    format!("{person} has no certificate at the gateway"),
                ))
            })
            .collect()
    }

    fn idle_rules<'a>(&'a self, calendar: Calendar<'a>) -> Vec<Warning> {
        let mut search = Search { calendar, open: BTreeMap::new(), spent: 0 };
        search.open.extend(self.rules.all.iter().map(|rule| (rule.line, Idle::default())));
        let subjects: BTreeSet<&str> = self.rules.all.iter().map(Rule::subject).collect();
        for subject in subjects {
            let reach = Reach::new(self, subject);
            for target in self.inventory().targets() {
                search.look(&reach.on(target));
                if search.spent > BUDGET {
                    let told = "too many rules to weigh all of them: some that never decide may not be told";
                    return vec![Warning(Problem::of_file(rows::FILE, told))];
                }
            }
        }
        let rules: BTreeMap<u32, &Rule> = self.rules.all.iter().map(|rule| (rule.line, rule)).collect();
        let idle = search.open.iter().take(TOLD);
        idle.filter_map(|(line, idle)| {
            let rule = rules.get(line)?;
            Some(Warning(Problem::at(rows::FILE, *line, 1, idle.tell(rule, &rules))))
        })
        .collect()
    }
}

/// Looks for rules that decide.
struct Search<'a> {
    calendar: Calendar<'a>,
    /// Rules that were not seen deciding yet.
    open: BTreeMap<u32, Idle>,
    spent: usize,
}

/// What was seen of a rule that does not decide.
#[derive(Default)]
struct Idle {
    meets: Meets,
    /// Who decided where it could have.
    by: BTreeSet<RuleId>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meets {
    /// No target of its offers what it is about.
    #[default]
    Nothing,
    /// There are such operations, but its conditions are never true.
    Operations,
    /// Its conditions can be true.
    True,
}

impl Search<'_> {
    fn look(&mut self, standing: &Standing<'_>) {
        if standing.rules.iter().all(|(rule, _)| !self.open.contains_key(&rule.line)) {
            return;
        }
        for cell in cells(&[standing]) {
            let meeting = Meeting::behind_any_door(standing, &cell);
            let open: Vec<&Rule> = meeting
                .denies
                .iter()
                .chain(&meeting.allows)
                .copied()
                .filter(|rule| self.open.contains_key(&rule.line))
                .collect();
            if open.is_empty() {
                continue;
            }
            let space = Space::new(&[&meeting], domain(&cell, standing), &mut self.calendar);
            let points = space.points().unwrap_or_default();
            self.spent = self.spent.saturating_add(points.len().saturating_mul(open.len()));
            for point in points {
                let outcome = meeting.judge(|predicate| point.truth(predicate, 0, &mut self.calendar));
                for rule in &open {
                    let truth = weigh(&rule.condition, |one| point.truth(one, 0, &mut self.calendar));
                    self.note(rule, truth, &outcome);
                }
            }
        }
    }

    fn note(&mut self, rule: &Rule, truth: Truth, outcome: &Outcome) {
        if outcome.rule() == Some(RuleId { line: rule.line }) {
            self.open.remove(&rule.line);
            return;
        }
        let Some(idle) = self.open.get_mut(&rule.line) else { return };
        let meets = if truth == Truth::True { Meets::True } else { Meets::Operations };
        idle.meets = idle.meets.max(meets);
        if truth == Truth::True {
            idle.by.extend(outcome.rule());
        }
    }
}

fn weigh(condition: &Condition, truth: impl FnMut(&crate::condition::Predicate) -> Truth) -> Truth {
    condition.predicates.iter().map(truth).fold(Truth::True, Truth::and)
}

impl Idle {
    fn tell(&self, rule: &Rule, rules: &BTreeMap<u32, &Rule>) -> String {
        match self.meets {
            Meets::Nothing => {
                format!("can never match: no target of {} offers {}", rule.object(), rule.row[2])
            }
            Meets::Operations => format!("can never match: {} is never true", rule.row[3]),
            Meets::True => {
                let by: Vec<String> = self
                    .by
                    .iter()
                    .map(|id| match rules.get(&id.line) {
                        Some(other) if other.ruling == Ruling::Deny => format!("line {} denies it", id.line),
                        Some(_) => format!("line {} allows it already", id.line),
                        None => "it comes with any grant".to_owned(),
                    })
                    .collect();
                let shadowed = self
                    .by
                    .iter()
                    .any(|id| rules.get(&id.line).is_some_and(|other| other.ruling == Ruling::Deny));
                let head = if shadowed && rule.ruling == Ruling::Allow {
                    "is shadowed by a deny"
                } else {
                    "never decides"
                };
                format!("{head}: {}", by.join(", "))
            }
        }
    }
}
