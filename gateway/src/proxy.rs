//! Carries one session: its sockets on both sides, the core between them.
//!
//! One task does all of it. It waits for whatever comes next (bytes, a sync, an
//! order, a policy), hands it to the pure core and executes the core's actions
//! in their order. Entries are written before the bytes that they cover go to
//! a queue; after a failed write nothing goes anywhere any more. Nothing is
//! decided here.
//!
//! `dial` is the only function of the workspace that opens a socket towards
//! a device.

mod actions;
mod denials;
mod line;
mod words;

use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::authorize::again;
use crate::desk::Speaker;
use crate::hall::{NewChannel, ToSession};
use crate::office::Office;
use crate::policy::Applied;
use crate::quic::{ReceiveStream, SendStream};
use crate::record::{OpenRecording, RecordFailure};
use crate::sessions::{EndOrder, SessionPlace};
use crate::site_log::HandedOut;
use authz::{Grant, Service};
use denials::Denials;
use dissect::Direction;
use line::{Dialling, Heard, Line, Ready};
use session::{Action, Core, Counts, EndCause, Entry, Input, Setup};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use wire::{EndReason, Notice, ToClient};
use words::{input, reason};

/// How long a device may take to accept a connection.
const DIALLED_WITHIN: Duration = Duration::from_secs(5);

/// How long queued bytes may take to leave when a channel or session ends
/// softly.
const DRAINED_WITHIN: Duration = Duration::from_secs(2);

/// How often the client's counts are renewed, at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The recording's tick; syncs happen at least this often (promise 1).
const TICK: Duration = Duration::from_millis(250);

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// For the client.
    pub reason: EndReason,
    /// In words, with who ordered it.
    pub text: String,
    /// What was decided until then.
    pub counts: Counts,
}

impl Ended {
    /// The end of a session of which nothing was ever carried.
    pub fn never_began(why: &str) -> Self {
        Self { reason: EndReason::Internal, text: why.to_owned(), counts: Counts::default() }
    }
}

/// Opens a connection to the device of a grant, for a session that is being
/// recorded; both are proof, and the address comes from nowhere else.
fn dial(grant: &Grant, _recording: &OpenRecording, service: &Service) -> Dialling {
    let address = SocketAddr::new(grant.target().address, service.port);
    Box::pin(async move {
        let stream = timeout(DIALLED_WITHIN, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    })
}

/// Carries the session until it ends; gives the recording back to be sealed.
pub async fn carry(
    office: &Arc<Office>,
    who: &Arc<Authenticated>,
    grant: Grant,
    recording: OpenRecording,
    place: SessionPlace,
    speaker: &Speaker,
    mut from_hall: mpsc::Receiver<ToSession>,
) -> (Ended, OpenRecording) {
    let mut carrier = Carrier::new(office, who, grant, recording, place, speaker);
    while carrier.ending.is_none() {
        let event = carrier.next(&mut from_hall).await;
        carrier.take(event).await;
    }
    carrier.finish().await
}

/// What a session's task wakes up for.
enum Event {
    Input(Input),
    Channel(NewChannel),
    Ordered(EndOrder),
    PolicyApplied,
    Tick,
    RecorderFailed(RecordFailure),
}

struct Carrier {
    office: Arc<Office>,
    who: Arc<Authenticated>,
    grant: Grant,
    core: Core,
    tape: Tape,
    recording: OpenRecording,
    place: SessionPlace,
    speaker: Speaker,
    policy: watch::Receiver<Arc<Applied>>,
    ticks: Interval,
    lines: BTreeMap<u32, Line>,
    arriving: BTreeMap<u32, (ReceiveStream, SendStream)>,
    draining: Vec<Line>,
    turn: u32,
    source: IpAddr,
    told: Counts,
    told_at: Duration,
    denials: Denials,
    log_heads: HandedOut,
    ordered_by: Option<String>,
    ending: Option<EndCause>,
    actions: Vec<Action>,
    entries: Vec<Entry>,
}

/// Whether the recording still takes entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tape {
    Running,
    Failed,
}

impl Carrier {
    fn new(
        office: &Arc<Office>,
        who: &Arc<Authenticated>,
        grant: Grant,
        recording: OpenRecording,
        place: SessionPlace,
        speaker: &Speaker,
    ) -> Self {
        let now = office.clock.wall();
        let source = who.source().ip();
        let left = grant.expires().min(who.expires()).duration_since(now);
        let setup = Setup {
            terms: Arc::clone(grant.terms()),
            limits: grant.target().limits.clone(),
            mode: office.config.recording.mode_for(grant.target().mode),
            source,
            assurance: who.assurance(),
            started: now,
            expires: recording.now().saturating_add(left.try_into().unwrap_or_default()),
        };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            office: Arc::clone(office),
            who: Arc::clone(who),
            grant,
            core: Core::new(setup),
            tape: Tape::Running,
            recording,
            place,
            speaker: speaker.clone(),
            policy: office.policy.subscribe(),
            ticks,
            lines: BTreeMap::new(),
            arriving: BTreeMap::new(),
            draining: Vec::new(),
            turn: 0,
            source,
            told: Counts::default(),
            told_at: Duration::ZERO,
            denials: Denials::default(),
            log_heads: HandedOut::default(),
            ordered_by: None,
            ending: None,
            actions: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Waits for what comes next. Orders go before bytes.
    async fn next(&mut self, from_hall: &mut mpsc::Receiver<ToSession>) -> Event {
        let due = self.core.next_timer().map(|at| at.saturating_sub(self.recording.now()));
        let Self { core, recording, place, policy, ticks, lines, draining, turn, .. } = self;
        tokio::select! {
            biased;
            order = place.order.wait_for(Option::is_some) => {
                // A registry that is gone can't be asked whether to go on.
                Event::Ordered(order.ok().and_then(|order| order.clone()).unwrap_or(EndOrder::Shutdown))
            }
            Ok(()) = policy.changed() => Event::PolicyApplied,
            durable = recording.durable() => match durable {
                Ok(ticket) => Event::Input(Input::Durable { ticket }),
                Err(failure) => Event::RecorderFailed(failure),
            },
            _ = ticks.tick() => Event::Tick,
            () = sleep(due.unwrap_or_default()), if due.is_some() => Event::Input(Input::Timer),
            message = from_hall.recv() => match message {
                Some(ToSession::Channel(channel)) => Event::Channel(channel),
                Some(ToSession::Close) => Event::Input(Input::End(EndCause::ClientClosed)),
                None => Event::Input(Input::End(EndCause::SignInLost)),
            },
            (channel, heard) = poll_fn(|context| poll_lines(lines, draining, turn, core, context)) => {
                Event::Input(input(channel, heard))
            }
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Input(input) => self.handle(input),
            Event::Channel(channel) => self.arrive(channel),
            Event::Ordered(order) => self.obey(&order),
            Event::PolicyApplied => self.ask_again().await,
            Event::Tick => self.tick(),
            Event::RecorderFailed(failure) => self.recorder_failed(&failure),
        }
    }

    /// Hands one input to the core and executes what it orders.
    fn handle(&mut self, input: Input) {
        let mut actions = std::mem::take(&mut self.actions);
        self.core.handle(self.recording.now(), input, &mut actions);
        for action in actions.drain(..) {
            if let Err(failure) = self.execute(action) {
                self.recorder_failed(&failure);
            }
        }
        if let Err(failure) = self.write_entries() {
            self.recorder_failed(&failure);
        }
        self.actions = actions;
        self.count();
    }

    /// Executes one action. Entries are gathered until something else comes,
    /// and written before it: one write for a request with its verdict.
    fn execute(&mut self, action: Action) -> Result<(), RecordFailure> {
        match action {
            Action::Record(entry) => {
                self.denials.see(&entry, &self.office, &self.who, &self.place);
                self.entries.push(entry);
                return Ok(());
            }
            Action::Sync { ticket } => return self.sync_entries(ticket),
            Action::ToDevice { .. }
            | Action::ToClient { .. }
            | Action::Dial { .. }
            | Action::ConfirmChannel { .. }
            | Action::RefuseChannel { .. }
            | Action::FinishDevice { .. }
            | Action::FinishClient { .. }
            | Action::CloseChannel { .. }
            | Action::Notice(_)
            | Action::End { .. } => self.write_entries()?,
        }
        self.act(action);
        Ok(())
    }

    fn write_entries(&mut self) -> Result<(), RecordFailure> {
        if self.tape == Tape::Running && !self.entries.is_empty() {
            self.recording.append(&self.entries)?;
        }
        self.entries.clear();
        Ok(())
    }

    fn sync_entries(&mut self, ticket: u64) -> Result<(), RecordFailure> {
        if self.tape == Tape::Running {
            self.recording.sync(&self.entries, ticket)?;
        }
        self.entries.clear();
        Ok(())
    }

    fn obey(&mut self, order: &EndOrder) {
        let cause = match order {
            EndOrder::Killed { by } => {
                self.ordered_by = Some(by.clone());
                EndCause::Killed
            }
            EndOrder::CertificateRevoked => EndCause::CertificateRevoked,
            EndOrder::PersonDisabled => EndCause::PersonDisabled,
            EndOrder::Shutdown => EndCause::Shutdown,
            EndOrder::LogFailed => {
                self.ordered_by = Some("its site log can't be written".to_owned());
                EndCause::Shutdown
            }
        };
        self.handle(Input::End(cause));
    }

    /// Another policy is in force: the same question again. While it is
    /// answered nothing of this session moves.
    async fn ask_again(&mut self) {
        let applied = Arc::clone(&self.policy.borrow_and_update());
        let (who, target) = (Arc::clone(&self.who), self.grant.target().id.clone());
        let asked = self.office.blocking(move |office| {
            Ok::<_, std::convert::Infallible>(again(office, &who, &target, &applied.policy))
        });
        match asked.await {
            Ok(Ok(grant)) if grant.target().address == self.grant.target().address => {
                self.grant = grant;
                self.handle(Input::NewTerms(Arc::clone(self.grant.terms())));
            }
            Ok(Ok(_) | Err(authz::Refusal::NotPermitted | authz::Refusal::UnknownTarget)) => {
                self.handle(Input::End(EndCause::PolicyNarrowed));
            }
            Ok(Err(refusal)) => {
                self.office.audit.alarm().raise(&refusal.audit());
                self.handle(Input::End(EndCause::PolicyFailed));
            }
            Err(panic) => {
                self.office.audit.alarm().raise(&panic);
                self.handle(Input::End(EndCause::PolicyFailed));
            }
        }
    }

    /// Four times a second: the recording's duties, the client's address, news.
    fn tick(&mut self) {
        if self.tape == Tape::Running
            && let Err(failure) = self.recording.tick()
        {
            return self.recorder_failed(&failure);
        }
        if let Some(note) = self.recording.receipt() {
            self.speaker.say(&ToClient::Checkpoint { session: self.place.id, note });
        }
        if let Some(note) = self.log_heads.due(self.recording.now(), &self.office.log) {
            self.speaker.say(&ToClient::LogCheckpoint { note });
        }
        let source = self.who.connection().remote_address().ip();
        if source != self.source {
            self.source = source;
            self.handle(Input::PathChanged(source));
        }
        if self.recording.now() >= self.told_at.saturating_add(TOLD_EVERY) {
            self.tell_activity();
        }
    }

    /// What the client's status line shows.
    fn tell_activity(&mut self) {
        let counts = self.core.counts();
        if counts != self.told {
            self.told = counts;
            self.told_at = self.recording.now();
            let notice = Notice::Activity { operations: counts.operations, denied: counts.denied };
            self.speaker.say(&ToClient::Notice { session: self.place.id, notice });
        }
    }

    /// Fail closed: from here on no byte goes to device or client, all sockets
    /// are reset, and people are told by a way that needs no disk.
    fn recorder_failed(&mut self, failure: &RecordFailure) {
        if self.tape == Tape::Failed {
            return;
        }
        self.tape = Tape::Failed;
        self.entries.clear();
        let id = self.place.id;
        self.office.audit.alarm().raise(&format!("session {id} is cut, its recording failed: {failure}"));
        let event = self.office.audit.event(Kind::RecorderFailed).person(self.who.person()).session(id);
        if let Err(error) = self.office.audit.write(&event.why(&failure.to_string())) {
            tracing::error!("{error}");
        }
        let mut actions = Vec::new();
        self.core.handle(self.recording.now(), Input::End(EndCause::RecorderFailed), &mut actions);
        for action in actions {
            self.act(action);
        }
        self.ending = Some(EndCause::RecorderFailed);
    }

    fn count(&self) {
        let counts = self.core.counts();
        let counters = &self.place.counters;
        counters.operations.store(counts.operations, Ordering::Relaxed);
        counters.denied.store(counts.denied, Ordering::Relaxed);
        counters.channels.store(u32::try_from(self.lines.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Lets soft closings drain, cuts what is left, and gives the recording
    /// back. The place is freed only now: a listing never forgets a session
    /// whose sockets still live.
    async fn finish(mut self) -> (Ended, OpenRecording) {
        let cause = self.ending.unwrap_or(EndCause::Internal);
        for (_, line) in std::mem::take(&mut self.lines) {
            line.reset();
        }
        let draining = &mut self.draining;
        let drained = poll_fn(|context| {
            draining.retain_mut(|line| line.poll_drained(context).is_pending());
            if draining.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        if timeout(DRAINED_WITHIN, drained).await.is_err() {
            self.draining.drain(..).for_each(|line| line.reset());
        }
        self.denials.close(&self.office, &self.who, &self.place);
        self.tell_activity();
        let text = match &self.ordered_by {
            Some(by) => format!("{cause} ({by})"),
            None => cause.to_string(),
        };
        (Ended { reason: reason(cause), text, counts: self.core.counts() }, self.recording)
    }
}

/// Polls the lines in turn, so that a busy one can't starve the others.
fn poll_lines(
    lines: &mut BTreeMap<u32, Line>,
    draining: &mut Vec<Line>,
    turn: &mut u32,
    core: &Core,
    context: &mut Context<'_>,
) -> Poll<(u32, Heard)> {
    draining.retain_mut(|line| line.poll_drained(context).is_pending());
    let last = *turn;
    for part in [(Bound::Excluded(last), Bound::Unbounded), (Bound::Unbounded, Bound::Included(last))] {
        for (channel, line) in lines.range_mut(part) {
            let ready = Ready {
                client: core.ready(*channel, Direction::FromClient),
                device: core.ready(*channel, Direction::FromDevice),
            };
            if let Poll::Ready(heard) = line.poll(ready, context) {
                *turn = *channel;
                return Poll::Ready((*channel, heard));
            }
        }
    }
    Poll::Pending
}
