//! What all channels of a session share: the moment, the judge, the numbers
//! of requests, and the tickets for stable storage.

use crate::action::{Action, Counts};
use crate::input::Setup;
use crate::judge::Judge;
use crate::pace::Pace;
use crate::record::{Body, Entry, Event};
use authz::{Mode, RuleId};
use dissect::{Content, Effect};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// The session's shared state.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) now: Duration,
    pub(crate) judge: Judge,
    /// What the target is spared.
    pace: Pace,
    /// What rules with a rate demand, each of its own requests.
    paces: BTreeMap<(RuleId, NonZeroU32), Pace>,
    pub(crate) counts: Counts,
    pub(crate) answer_timeout: Duration,
    /// Requests that may be owed an answer at once, per channel.
    pub(crate) outstanding: usize,
    /// Counts the inputs, to know what was judged within the present one.
    pub(crate) turn: u64,
    mode: Mode,
    storage: Storage,
}

/// What is on stable storage, by tickets. A ticket stands for all that was
/// recorded up to the end of the input in which it was taken.
#[derive(Debug, Default)]
struct Storage {
    /// The ticket that the present input would take.
    next: u64,
    /// Whether the present input took it.
    taken: bool,
    /// Tickets below this one have come back.
    durable_below: u64,
}

impl Desk {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            now: Duration::ZERO,
            judge: Judge::new(setup.terms, setup.source, setup.assurance, setup.started),
            pace: Pace::new(setup.limits.requests_per_second),
            paces: BTreeMap::new(),
            counts: Counts::default(),
            answer_timeout: setup.limits.answer_timeout,
            outstanding: usize::from(setup.limits.outstanding).max(1),
            turn: 0,
            mode: setup.mode,
            storage: Storage::default(),
        }
    }

    /// A new input. The time never goes back.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.turn = self.turn.saturating_add(1);
    }

    /// Whether requests may have to wait for their pace.
    pub(crate) fn is_paced(&self) -> bool {
        self.pace.is_set() || self.judge.has_rates()
    }

    /// When a request may go: now, or later.
    pub(crate) fn due(&self, content: &Content) -> Duration {
        let own = match content {
            Content::Operation(operation) => self.judge.rate(self.now, operation),
            Content::Malformed { .. } => None,
        };
        let of_rule = own.and_then(|rate| self.paces.get(&rate)).map(|pace| pace.next(self.now));
        self.pace.next(self.now).max(of_rule.unwrap_or_default())
    }

    /// Takes note of a request that is dealt with now.
    pub(crate) fn take_turn(&mut self, content: &Content) {
        self.pace.take(self.now);
        if let Content::Operation(operation) = content
            && let Some((rule, rate)) = self.judge.rate(self.now, operation)
        {
            let pace = self.paces.entry((rule, rate)).or_insert_with(|| Pace::new(Some(rate.get())));
            pace.take(self.now);
        }
    }

    /// The next request's number.
    pub(crate) fn number(&mut self) -> u64 {
        self.counts.operations = self.counts.operations.saturating_add(1);
        self.counts.operations
    }

    /// The ticket that has to come back before an operation of this effect
    /// may go, `None` if it need not wait.
    pub(crate) fn ticket(&mut self, effect: Effect) -> Option<u64> {
        match (self.mode, effect) {
            (Mode::Ordered, Effect::Observes | Effect::Changes) | (Mode::Default, Effect::Observes) => None,
            (Mode::Default, Effect::Changes) | (Mode::Durable, Effect::Observes | Effect::Changes) => {
                self.storage.taken = true;
                Some(self.storage.next)
            }
        }
    }

    /// Ends an input: asks for storage if anything waits for it.
    pub(crate) fn sync(&mut self, actions: &mut Vec<Action>) {
        if std::mem::take(&mut self.storage.taken) {
            actions.push(Action::Sync { ticket: self.storage.next });
            self.storage.next = self.storage.next.saturating_add(1);
        }
    }

    /// A ticket came back. One that was never given out means nothing.
    pub(crate) fn durable(&mut self, ticket: u64) {
        if ticket < self.storage.next {
            self.storage.durable_below = self.storage.durable_below.max(ticket.saturating_add(1));
        }
    }

    pub(crate) fn is_durable(&self, ticket: Option<u64>) -> bool {
        ticket.is_none_or(|ticket| ticket < self.storage.durable_below)
    }

    pub(crate) fn event(&self, event: Event) -> Action {
        Action::Record(Entry { at: self.now, body: Body::Event(event) })
    }

    pub(crate) fn note(&self, text: String) -> Action {
        self.event(Event::Note { text })
    }
}
