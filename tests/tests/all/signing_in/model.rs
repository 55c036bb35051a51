//! What a sign-in should be, as a person would explain it: who stands where,
//! which codes were used, who is locked or disabled. It shares with the gateway
//! only the table of delays after failures.

use gateway::state::{Lock, PERMANENT_AFTER, lock_after};
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Connections that may stand at once.
pub(super) const SEATS: usize = 4;
/// Codes that one connection may try.
const ATTEMPTS: u32 = 3;
/// Steps either side whose code fits, and whose code tells a wrong clock.
const SKEW: i64 = 1;
const NEARBY: i64 = 10;

/// Two people whom the gateway knows, and one whose key is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anna,
    Ben,
    Stranger,
}

pub(super) const KNOWN: [Who; 2] = [Who::Anna, Who::Ben];

/// A code that somebody types.
#[derive(Debug, Clone, Copy)]
pub(super) enum Typed {
    /// The code of a person, so many steps from now.
    Of(Who, i64),
    /// The code of whoever sits there, so many steps from now.
    Own(i64),
    /// No code of anybody's.
    Digits(&'static str),
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A new connection at a seat; who sat there leaves.
    Knock(usize, Who),
    Hello(usize),
    OldHello(usize),
    Code(usize, Typed),
    Ping(usize),
    Targets(usize),
    Open(usize),
    Garbage(usize),
    Leave(usize),
    Disable(Who),
    Enable(Who),
    /// The next code becomes due.
    Wait,
}

/// What the gateway may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    Welcome,
    SignedIn,
    /// The code was refused and another may follow.
    Again,
    /// The code was refused, and that was the last word.
    No,
    SignInFirst,
    OtherVersion,
    Pong,
    TargetsOf(Rights),
    Opened,
    NotPermitted,
    AtTheLimit,
    /// The connection is over.
    Closed,
    /// Nothing is said to that.
    Nothing,
}

/// Who may open something: Anna by the policy, nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rights {
    Some,
    None,
}

/// How far a connection has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Knocked,
    Greeted {
        failed: u32,
        /// Whether the person was enabled when the gateway looked: what it may
        /// have seen: it looks some time after the greeting.
        enabled: BTreeSet<bool>,
    },
    SignedIn,
    Over,
}

#[derive(Debug, Clone)]
struct Seat {
    who: Who,
    stage: Stage,
}

#[derive(Debug, Clone)]
struct Person {
    enabled: bool,
    last_step: Option<i64>,
    failures: u32,
    lock: Lock,
    signed_in: usize,
}

/// The whole scene.
#[derive(Debug)]
pub(super) struct Model {
    seats: [Option<Seat>; SEATS],
    people: [Person; 2],
}

/// What a typed text is at this moment, for one person: the step whose code it
/// is, counted from now.
pub(super) type Fits = Option<i64>;

impl Model {
    pub(super) fn new() -> Self {
        let person = Person { enabled: true, last_step: None, failures: 0, lock: Lock::None, signed_in: 0 };
        Self { seats: [const { None }; SEATS], people: [person.clone(), person] }
    }

    /// Who is signed in at a seat.
    pub(super) fn signed_in(&self, seat: usize) -> Option<Who> {
        self.seats[seat].as_ref().filter(|seat| seat.stage == Stage::SignedIn).map(|seat| seat.who)
    }

    /// Who sits there, signed in or not.
    pub(super) fn sits(&self, seat: usize) -> Option<Who> {
        self.seats[seat].as_ref().map(|seat| seat.who)
    }

    /// How often a person signed in.
    pub(super) fn times(&self, who: Who) -> usize {
        self.person(who).map_or(0, |person| person.signed_in)
    }

    fn person(&self, who: Who) -> Option<&Person> {
        match who {
            Who::Anna => Some(&self.people[0]),
            Who::Ben => Some(&self.people[1]),
            Who::Stranger => None,
        }
    }

    fn person_mut(&mut self, who: Who) -> Option<&mut Person> {
        match who {
            Who::Anna => Some(&mut self.people[0]),
            Who::Ben => Some(&mut self.people[1]),
            Who::Stranger => None,
        }
    }

    /// All answers that are right; the scene as it is after that is fixed by
    /// [`Model::heard`].
    pub(super) fn expect(&mut self, step: Step, fits: Fits, now: Timestamp) -> BTreeSet<Answer> {
        match step {
            Step::Knock(seat, who) => {
                self.seats[seat] = Some(Seat { who, stage: Stage::Knocked });
                [Answer::Nothing].into()
            }
            Step::Leave(seat) => {
                self.seats[seat] = None;
                [Answer::Nothing].into()
            }
            Step::Disable(who) => self.set(who, false),
            Step::Enable(who) => self.set(who, true),
            Step::Wait => [Answer::Nothing].into(),
            Step::Hello(seat) => self.say(seat, Answer::Welcome),
            Step::OldHello(seat) => self.say(seat, Answer::OtherVersion),
            Step::Ping(seat) => self.say(seat, Answer::Pong),
            Step::Targets(seat) => {
                let rights = self.rights(seat);
                self.say(seat, Answer::TargetsOf(rights))
            }
            Step::Open(seat) => {
                let permitted = self.rights(seat) == Rights::Some;
                let mut answers = self.say(seat, Answer::Opened);
                if answers.remove(&Answer::Opened) {
                    let right: &[_] = if permitted {
                        &[Answer::Opened, Answer::AtTheLimit]
                    } else {
                        &[Answer::NotPermitted]
                    };
                    answers.extend(right);
                }
                answers
            }
            Step::Garbage(seat) => {
                self.end(seat);
                [Answer::Closed].into()
            }
            Step::Code(seat, _) => self.code(seat, fits, now),
        }
    }

    fn stage(&self, seat: usize) -> Stage {
        self.seats[seat].as_ref().map_or(Stage::Over, |seat| seat.stage.clone())
    }

    fn end(&mut self, seat: usize) {
        if let Some(seat) = &mut self.seats[seat] {
            seat.stage = Stage::Over;
        }
    }

    fn rights(&self, seat: usize) -> Rights {
        match self.signed_in(seat) {
            Some(Who::Anna) => Rights::Some,
            Some(Who::Ben | Who::Stranger) | None => Rights::None,
        }
    }

    /// A message that is no code; `signed_in` is the answer after the sign-in,
    /// or before it for those two that belong there.
    fn say(&mut self, seat: usize, asked: Answer) -> BTreeSet<Answer> {
        let belongs_before = matches!(asked, Answer::Welcome | Answer::OtherVersion);
        match self.stage(seat) {
            Stage::Over => [Answer::Closed].into(),
            Stage::SignedIn if belongs_before => [Answer::Nothing].into(),
            Stage::SignedIn => [asked].into(),
            Stage::Knocked if asked == Answer::Welcome => {
                let enabled = self.seen(seat);
                if let Some(seat) = &mut self.seats[seat] {
                    seat.stage = Stage::Greeted { failed: 0, enabled };
                }
                [asked].into()
            }
            Stage::Knocked if asked == Answer::OtherVersion => {
                self.end(seat);
                [asked].into()
            }
            Stage::Knocked | Stage::Greeted { .. } => {
                self.end(seat);
                [Answer::SignInFirst].into()
            }
        }
    }

    fn seen(&self, seat: usize) -> BTreeSet<bool> {
        let person = self.sits(seat).and_then(|who| self.person(who));
        person.map(|person| person.enabled).into_iter().collect()
    }

    fn set(&mut self, who: Who, enabled: bool) -> BTreeSet<Answer> {
        if let Some(person) = self.person_mut(who) {
            person.enabled = enabled;
        }
        for seat in self.seats.iter_mut().flatten().filter(|seat| seat.who == who) {
            match &mut seat.stage {
                Stage::Greeted { enabled: seen, .. } => {
                    seen.insert(enabled);
                }
                Stage::SignedIn if !enabled => seat.stage = Stage::Over,
                Stage::SignedIn | Stage::Knocked | Stage::Over => {}
            }
        }
        [Answer::Nothing].into()
    }

    fn code(&mut self, seat: usize, fits: Fits, now: Timestamp) -> BTreeSet<Answer> {
        let (failed, enabled) = match self.stage(seat) {
            Stage::Over => return [Answer::Closed].into(),
            Stage::SignedIn => return [Answer::Nothing].into(),
            Stage::Knocked => {
                self.end(seat);
                return [Answer::SignInFirst].into();
            }
            Stage::Greeted { failed, enabled } => (failed, enabled),
        };
        let refused = if failed + 1 < ATTEMPTS { Answer::Again } else { Answer::No };
        let proven = self.sits(seat).is_some_and(|who| self.judge(who, fits, now));
        if !proven {
            return [refused].into();
        }
        let is_enabled = self.sits(seat).and_then(|who| self.person(who)).is_some_and(|one| one.enabled);
        // Who was disabled when the gateway looked stays refused; who was
        // disabled after that is found at the last look.
        let mut answers = BTreeSet::new();
        if enabled.contains(&false) {
            answers.insert(refused);
        }
        if enabled.contains(&true) {
            answers.insert(if is_enabled { Answer::SignedIn } else { Answer::No });
        }
        answers
    }

    /// Whether the code is the person's own, not used, and the person not
    /// locked; remembers the attempt.
    fn judge(&mut self, who: Who, fits: Fits, now: Timestamp) -> bool {
        let step_now = now.as_second() / 30;
        let Some(person) = self.person_mut(who) else { return false };
        if person.lock.at(now) != Lock::None {
            return false;
        }
        person.failures += 1;
        assert!(person.failures < PERMANENT_AFTER, "a scene is too long");
        person.lock = lock_after(person.failures, now);
        match fits {
            Some(ahead) if ahead.abs() <= SKEW => {
                let step = step_now + ahead;
                let fresh = person.last_step.is_none_or(|last| step > last);
                if fresh {
                    (person.last_step, person.failures, person.lock) = (Some(step), 0, Lock::None);
                }
                fresh
            }
            Some(ahead) if ahead.abs() <= NEARBY => {
                (person.failures, person.lock) = (person.failures - 1, Lock::None);
                false
            }
            Some(_) | None => false,
        }
    }

    /// Takes note of what was said to a code.
    pub(super) fn heard(&mut self, seat: usize, answer: Answer) {
        let Some(who) = self.sits(seat) else { return };
        let Some(sitting) = &mut self.seats[seat] else { return };
        match answer {
            Answer::SignedIn => {
                sitting.stage = Stage::SignedIn;
                if let Some(person) = self.person_mut(who) {
                    person.signed_in += 1;
                }
            }
            Answer::Again => {
                if let Stage::Greeted { failed, .. } = &mut sitting.stage {
                    *failed += 1;
                }
            }
            Answer::No => sitting.stage = Stage::Over,
            Answer::Welcome
            | Answer::SignInFirst
            | Answer::OtherVersion
            | Answer::Pong
            | Answer::TargetsOf(_)
            | Answer::Opened
            | Answer::NotPermitted
            | Answer::AtTheLimit
            | Answer::Closed
            | Answer::Nothing => {}
        }
    }
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![4 => Just(Who::Anna), 3 => Just(Who::Ben), 1 => Just(Who::Stranger)]
}

fn typed() -> impl Strategy<Value = Typed> {
    prop_oneof![
        8 => Just(Typed::Own(0)),
        2 => (-1..=1_i64).prop_map(Typed::Own),
        2 => who().prop_map(|who| Typed::Of(who, 0)),
        1 => (who(), -12..=12_i64).prop_map(|(who, ahead)| Typed::Of(who, ahead)),
        1 => prop_oneof![Just("000000"), Just("7"), Just("1234567890123456")].prop_map(Typed::Digits),
    ]
}

/// One step, or two that are likely to follow each other.
fn phrase() -> impl Strategy<Value = Vec<Step>> {
    let seat = || 0..SEATS;
    let one = prop_oneof![
        2 => (seat(), who()).prop_map(|(seat, who)| Step::Knock(seat, who)),
        2 => seat().prop_map(Step::Hello),
        12 => (seat(), typed()).prop_map(|(seat, typed)| Step::Code(seat, typed)),
        1 => seat().prop_map(Step::OldHello),
        1 => seat().prop_map(Step::Ping),
        1 => seat().prop_map(Step::Targets),
        1 => seat().prop_map(Step::Open),
        1 => seat().prop_map(Step::Garbage),
        1 => seat().prop_map(Step::Leave),
        1 => prop_oneof![Just(Who::Anna), Just(Who::Ben)].prop_map(Step::Disable),
        2 => prop_oneof![Just(Who::Anna), Just(Who::Ben)].prop_map(Step::Enable),
        5 => Just(Step::Wait),
    ];
    let entering = (seat(), who()).prop_map(|(seat, who)| vec![Step::Knock(seat, who), Step::Hello(seat)]);
    prop_oneof![4 => one.prop_map(|step| vec![step]), 1 => entering]
}

/// Scenes in which all seats are taken, and then anything happens.
pub(super) fn scenes() -> impl Strategy<Value = Vec<Step>> {
    let seated = prop::collection::vec(who(), SEATS).prop_map(|people| {
        let knocks = people.into_iter().enumerate().map(|(seat, who)| Step::Knock(seat, who));
        knocks.chain((0..SEATS).map(Step::Hello)).collect::<Vec<_>>()
    });
    let rest = prop::collection::vec(phrase(), 8..32).prop_map(|phrases| phrases.concat());
    (seated, rest).prop_map(|(seated, rest)| [seated, rest].concat())
}
