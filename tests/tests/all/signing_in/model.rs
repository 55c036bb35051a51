//! What a sign-in should be, as a person would explain it: who stands where,
//! which codes and answers were used, which ceremony is under way on which
//! connection, who is locked or disabled.

use super::person::{Generation, Person, Seen};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Connections that may stand at once.
pub(super) const SEATS: usize = 4;
/// Codes and answers that one connection may try, and ceremonies that it may
/// ask for.
const ATTEMPTS: u32 = 3;
const CEREMONIES: u32 = 3;

/// Two people whom the gateway knows, and one whose key is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    First,
    Second,
    Stranger,
}

pub(super) const KNOWN: [Who; 2] = [Who::First, Who::Second];

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

/// How an authenticator is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Page,
    Direct,
}

/// What somebody sends as an authenticator's answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sent {
    /// One that is made now.
    New(Recipe),
    /// One that was made so many answers ago, by whoever, for whomever.
    Again(usize),
    /// None.
    Junk(&'static str),
}

/// How an answer is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    pub(super) challenge: Challenge,
    pub(super) signer: Signer,
    pub(super) caller: Caller,
    pub(super) user: UserCheck,
}

impl Recipe {
    /// What the client of an honest person does.
    pub(super) const PROPER: Self = Self {
        challenge: Challenge::Newest,
        signer: Signer::Sitting,
        caller: Caller::Fitting,
        user: UserCheck::Done,
    };
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Challenge {
    /// Of the last ceremony that this connection asked for.
    Newest,
    /// Of the one before.
    Earlier,
    /// Of the last one at another seat.
    Of(usize),
    Invented,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Signer {
    /// The authenticator of whoever sits there.
    Sitting,
    /// A copy of it, made when it was registered.
    Copy,
    Of(Who),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    /// As the challenge's ceremony demands.
    Fitting,
    /// As the other way demands.
    OtherWay,
    /// The page's name with another port.
    OtherOrigin,
    /// The connection at another seat.
    ConnectionOf(usize),
}

/// Whether the authenticator verified its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserCheck {
    Done,
    LeftOut,
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A new connection at a seat; who sat there leaves.
    Knock(usize, Who),
    Hello(usize),
    OldHello(usize),
    Code(usize, Typed),
    /// Asks for a passkey's ceremony; the one before is worth nothing then.
    Begin(usize, Way),
    Passkey(usize, Sent),
    Ping(usize),
    Targets(usize),
    Open(usize),
    Garbage(usize),
    Leave(usize),
    Disable(Who),
    Enable(Who),
    /// All factors are removed.
    Reset(Who),
    /// Both are given anew to who has none.
    GiveNew(Who),
    /// The next code becomes due.
    Wait,
    /// What was begun is over.
    WaitLong,
}

/// What a step is worth that only real codes and keys tell.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact {
    None,
    Code(Fits),
    Answer(Option<Signed>),
}

/// What a typed text is at this moment, for one person: the step whose code it
/// is, counted from now.
pub(super) type Fits = Option<i64>;

/// What an authenticator signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed {
    /// The number of the ceremony; `None` for an invented challenge.
    pub(super) challenge: Option<usize>,
    pub(super) credential: (Who, Generation),
    pub(super) caller: CallerIs,
    pub(super) user: UserCheck,
    pub(super) counter: u32,
}

/// Who is named as the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallerIs {
    Page,
    /// By the number of its visit.
    Connection(usize),
    Nobody,
}

/// What the gateway may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    Welcome,
    SignedIn(Worth),
    /// The factor was refused and another may follow.
    Again,
    /// The factor was refused, and that was the last word.
    No,
    SignInFirst,
    OtherVersion,
    Page,
    Options,
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

/// What a sign-in is worth: the factor that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    Code,
    Passkey,
}

/// Who may open something: the first by the policy, nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rights {
    Some,
    None,
}

/// A use of a passkey that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ceremony {
    pub(super) number: usize,
    pub(super) way: Way,
    /// The passkey that there was; `None`: invented ones.
    pub(super) asks_for: Option<Generation>,
    pub(super) begun: Timestamp,
}

/// How far a connection has come.
#[derive(Debug, Clone)]
enum Stage {
    Knocked,
    Greeted {
        failed: u32,
        begun: u32,
        /// What the gateway may have seen of the person: it looks some time
        /// after the greeting.
        seen: BTreeSet<Seen>,
        ceremony: Option<Ceremony>,
    },
    SignedIn(Worth),
    Over,
}

#[derive(Debug, Clone)]
struct Seat {
    who: Who,
    visit: usize,
    stage: Stage,
    /// The ceremonies of this connection, over or not, the last one first.
    asked_for: [Option<Ceremony>; 2],
}

/// The whole scene.
#[derive(Debug)]
pub(super) struct Model {
    seats: [Option<Seat>; SEATS],
    people: [Person; 2],
    visits: usize,
    ceremonies: usize,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            seats: [const { None }; SEATS],
            people: [Person::new(), Person::new()],
            visits: 0,
            ceremonies: 0,
        }
    }

    /// Who is signed in at a seat, and by what.
    pub(super) fn signed_in(&self, seat: usize) -> Option<(Who, Worth)> {
        match self.seats[seat].as_ref()? {
            Seat { who, stage: Stage::SignedIn(worth), .. } => Some((*who, *worth)),
            Seat { stage: Stage::Knocked | Stage::Greeted { .. } | Stage::Over, .. } => None,
        }
    }

    /// Who sits there, signed in or not.
    pub(super) fn sits(&self, seat: usize) -> Option<Who> {
        self.seats[seat].as_ref().map(|seat| seat.who)
    }

    /// Where and by whom a factor is shown, if this step shows one.
    pub(super) fn sits_at(&self, step: Step) -> Option<(usize, Who)> {
        match step {
            Step::Code(seat, _) | Step::Passkey(seat, _) => Some((seat, self.sits(seat)?)),
            Step::Knock(..)
            | Step::Hello(_)
            | Step::OldHello(_)
            | Step::Begin(..)
            | Step::Ping(_)
            | Step::Targets(_)
            | Step::Open(_)
            | Step::Garbage(_)
            | Step::Leave(_)
            | Step::Disable(_)
            | Step::Enable(_)
            | Step::Reset(_)
            | Step::GiveNew(_)
            | Step::Wait
            | Step::WaitLong => None,
        }
    }

    /// The number of the connection at a seat.
    pub(super) fn visit(&self, seat: usize) -> Option<usize> {
        self.seats[seat].as_ref().map(|seat| seat.visit)
    }

    /// The last ceremony that the connection at a seat asked for, or the one
    /// before that.
    pub(super) fn asked_for(&self, seat: usize, back: usize) -> Option<Ceremony> {
        self.seats[seat].as_ref()?.asked_for[back]
    }

    /// How often a person signed in by that factor.
    pub(super) fn times(&self, who: Who, worth: Worth) -> usize {
        self.person(who).map_or(0, |person| match worth {
            Worth::Code => person.by_code,
            Worth::Passkey => person.by_passkey,
        })
    }

    /// Whether new factors can be given.
    pub(super) fn can_have_new(&self, who: Who) -> bool {
        self.person(who).is_some_and(Person::can_have_new)
    }

    /// How many passkeys a person had so far.
    pub(super) fn passkeys(&self, who: Who) -> Generation {
        self.person(who).map_or(0, |person| person.passkeys)
    }

    fn person(&self, who: Who) -> Option<&Person> {
        match who {
            Who::First => Some(&self.people[0]),
            Who::Second => Some(&self.people[1]),
            Who::Stranger => None,
        }
    }

    fn person_mut(&mut self, who: Who) -> Option<&mut Person> {
        match who {
            Who::First => Some(&mut self.people[0]),
            Who::Second => Some(&mut self.people[1]),
            Who::Stranger => None,
        }
    }

    /// All answers that are right; the scene as it is after that is fixed by
    /// [`Model::heard`].
    pub(super) fn expect(&mut self, step: Step, fact: Fact, now: Timestamp) -> BTreeSet<Answer> {
        match step {
            Step::Knock(seat, who) => {
                self.visits += 1;
                let visit = self.visits;
                self.seats[seat] = Some(Seat { who, visit, stage: Stage::Knocked, asked_for: [None; 2] });
                [Answer::Nothing].into()
            }
            Step::Leave(seat) => {
                self.seats[seat] = None;
                [Answer::Nothing].into()
            }
            Step::Disable(who) => self.change(who, |person| person.seen.enabled = false),
            Step::Enable(who) => self.change(who, |person| person.seen.enabled = true),
            Step::Reset(who) => {
                let answers = self.change(who, Person::reset);
                self.end_all(who);
                answers
            }
            Step::GiveNew(who) => {
                if self.can_have_new(who) {
                    self.change(who, Person::give_new);
                }
                [Answer::Nothing].into()
            }
            Step::Wait | Step::WaitLong => [Answer::Nothing].into(),
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
            Step::Begin(seat, way) => self.begin(seat, way, now),
            Step::Code(seat, _) | Step::Passkey(seat, _) => self.factor(seat, fact, now),
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
            Some((Who::First, _)) => Rights::Some,
            Some((Who::Second | Who::Stranger, _)) | None => Rights::None,
        }
    }

    /// A message that is no factor; `asked` is the answer after the sign-in,
    /// or before it for those two that belong there.
    fn say(&mut self, seat: usize, asked: Answer) -> BTreeSet<Answer> {
        let belongs_before = matches!(asked, Answer::Welcome | Answer::OtherVersion);
        match self.stage(seat) {
            Stage::Over => [Answer::Closed].into(),
            Stage::SignedIn(_) if belongs_before => [Answer::Nothing].into(),
            Stage::SignedIn(_) => [asked].into(),
            Stage::Knocked if asked == Answer::Welcome => {
                let person = self.sits(seat).and_then(|who| self.person(who));
                let seen = person.map(|person| person.seen).into_iter().collect();
                if let Some(seat) = &mut self.seats[seat] {
                    seat.stage = Stage::Greeted { failed: 0, begun: 0, seen, ceremony: None };
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

    /// An administrator's order. Whoever is not good enough any more is out.
    fn change(&mut self, who: Who, order: impl FnOnce(&mut Person)) -> BTreeSet<Answer> {
        let Some(person) = self.person_mut(who) else { return [Answer::Nothing].into() };
        order(person);
        let now = person.seen;
        for seat in self.seats.iter_mut().flatten().filter(|seat| seat.who == who) {
            match &mut seat.stage {
                Stage::Greeted { seen, .. } => {
                    seen.insert(now);
                }
                Stage::SignedIn(_) if !now.enabled => seat.stage = Stage::Over,
                Stage::SignedIn(_) | Stage::Knocked | Stage::Over => {}
            }
        }
        [Answer::Nothing].into()
    }

    fn end_all(&mut self, who: Who) {
        for seat in self.seats.iter_mut().flatten().filter(|seat| seat.who == who) {
            if matches!(seat.stage, Stage::SignedIn(_)) {
                seat.stage = Stage::Over;
            }
        }
    }

    fn begin(&mut self, seat: usize, way: Way, now: Timestamp) -> BTreeSet<Answer> {
        let so_far = match self.stage(seat) {
            Stage::Over => return [Answer::Closed].into(),
            // Nobody had asked for the factor again.
            Stage::SignedIn(_) => return [Answer::Nothing].into(),
            Stage::Knocked => {
                self.end(seat);
                return [Answer::SignInFirst].into();
            }
            Stage::Greeted { begun, .. } => begun,
        };
        if so_far >= CEREMONIES {
            self.end(seat);
            return [Answer::No].into();
        }
        self.ceremonies += 1;
        let asks_for = self.sits(seat).and_then(|who| self.person(who)).and_then(Person::generation);
        let new = Ceremony { number: self.ceremonies, way, asks_for, begun: now };
        if let Some(Seat { stage: Stage::Greeted { begun, ceremony, .. }, asked_for, .. }) =
            &mut self.seats[seat]
        {
            (*begun, *ceremony) = (*begun + 1, Some(new));
            *asked_for = [Some(new), asked_for[0]];
        }
        match way {
            Way::Page => [Answer::Page].into(),
            Way::Direct => [Answer::Options].into(),
        }
    }

    fn factor(&mut self, seat: usize, fact: Fact, now: Timestamp) -> BTreeSet<Answer> {
        let (Some(who), Some(visit)) = (self.sits(seat), self.visit(seat)) else {
            return [Answer::Closed].into();
        };
        let (failed, seen) = match self.stage(seat) {
            Stage::Over => return [Answer::Closed].into(),
            Stage::SignedIn(_) => return [Answer::Nothing].into(),
            Stage::Knocked => {
                self.end(seat);
                return [Answer::SignInFirst].into();
            }
            Stage::Greeted { failed, seen, .. } => (failed, seen),
        };
        let refused = if failed + 1 < ATTEMPTS { Answer::Again } else { Answer::No };
        let (proven, worth) = match fact {
            Fact::None => (false, Worth::Code),
            Fact::Code(fits) => {
                (self.person_mut(who).is_some_and(|person| person.judge_code(fits, now)), Worth::Code)
            }
            Fact::Answer(signed) => {
                let ceremony = self.take_ceremony(seat);
                let right = self
                    .person_mut(who)
                    .is_some_and(|person| person.judge_passkey(who, ceremony, signed, visit, now));
                (right, Worth::Passkey)
            }
        };
        let Some(present) = self.person(who).filter(|_| proven).map(|person| person.seen) else {
            return [refused].into();
        };
        // Who was disabled when the gateway looked stays refused; who was
        // disabled or lost the factors after that is found at the last look.
        let answer = |seen: &Seen| match seen {
            Seen { enabled: false, .. } => refused,
            seen if *seen == present => Answer::SignedIn(worth),
            Seen { .. } => Answer::No,
        };
        seen.iter().map(answer).collect()
    }

    fn take_ceremony(&mut self, seat: usize) -> Option<Ceremony> {
        match &mut self.seats[seat].as_mut()?.stage {
            Stage::Greeted { ceremony, .. } => ceremony.take(),
            Stage::Knocked | Stage::SignedIn(_) | Stage::Over => None,
        }
    }

    /// Takes note of what was said to a factor.
    pub(super) fn heard(&mut self, seat: usize, answer: Answer) {
        let Some(who) = self.sits(seat) else { return };
        let Some(sitting) = &mut self.seats[seat] else { return };
        match answer {
            Answer::SignedIn(worth) => {
                sitting.stage = Stage::SignedIn(worth);
                match (self.person_mut(who), worth) {
                    (Some(person), Worth::Code) => person.by_code += 1,
                    (Some(person), Worth::Passkey) => person.by_passkey += 1,
                    (None, _) => {}
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
            | Answer::Page
            | Answer::Options
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
