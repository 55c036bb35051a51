//! Carries one session: its sockets on both sides, the core between them.
//!
//! One task does all of it. It waits for whatever comes next (bytes, a sync, an
//! order, a policy), hands it to the pure core and executes the core's actions
//! in their order. Bytes that came together are dealt with together: all their
//! entries are written at once, and only then the bytes that these cover go to
//! a queue; after a failed write nothing goes anywhere any more. Nothing is
//! decided here.
//!
//! `dial` is the only function of the workspace that opens a socket towards
//! a device.

mod actions;
mod bell;
mod calls;
mod denials;
mod line;
mod timer;
mod words;

use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::authorize::again;
use crate::cutter::Cutter;
use crate::desk::Speaker;
use crate::hall::ToSession;
use crate::office::Office;
use crate::policy::Applied;
use crate::presence::Asking;
use crate::quic::{ReceiveStream, SendStream};
use crate::record::{OpenRecording, RecordFailure, Tape};
use crate::sessions::{EndOrder, SessionPlace};
use crate::site_log::HandedOut;
use authz::{Grant, Policy, Service};
use bell::Bells;
use calls::{Call, Callers, Calls, Gone};
use denials::Denials;
use dissect::Direction;
use line::{Dialling, Line, Ready, Wire};
use session::{Action, Core, Counts, EndCause, Input, Setup};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use timer::Timer;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
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
/// recorded; both are proof, and the address comes from nowhere else. One that
/// can't be cut from outside the session's task is not used.
fn dial(grant: &Grant, _recording: &OpenRecording, service: &Service, cutter: Arc<Cutter>) -> Dialling {
    let address = SocketAddr::new(grant.target().address, service.port);
    Box::pin(async move {
        let stream = timeout(DIALLED_WITHIN, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let held = cutter.hold(&stream)?;
        Ok(Wire { stream, _held: held })
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
    from_hall: mpsc::Receiver<ToSession>,
) -> (Ended, OpenRecording) {
    let mut carrier = Carrier::new(office, who, grant, recording, place, speaker, from_hall);
    while carrier.ending.is_none() {
        let event = carrier.next().await;
        carrier.take(event).await;
    }
    carrier.finish().await
}

/// What a session's task wakes up for.
enum Event {
    Call(Call),
    Timer,
    /// Lines have something to tell: it is in `heard`.
    Heard,
}

struct Carrier {
    office: Arc<Office>,
    who: Arc<Authenticated>,
    grant: Grant,
    /// The policy that the grant is of, where it is still at hand.
    under: Option<Arc<Policy>>,
    /// What the latest policy changed, for the technician.
    news: String,
    core: Core,
    tape: Tape,
    place: SessionPlace,
    speaker: Speaker,
    bells: Bells,
    calls: Calls,
    timer: Timer,
    lines: BTreeMap<u32, Line>,
    arriving: BTreeMap<u32, (ReceiveStream, SendStream)>,
    draining: Vec<Line>,
    source: IpAddr,
    told: Counts,
    told_at: Duration,
    denials: Denials,
    log_heads: HandedOut,
    ordered_by: Option<String>,
    ending: Option<EndCause>,
    heard: Vec<Input>,
    actions: Vec<Action>,
    /// What the tape gave back to be done; empty between two actions.
    due: Vec<Action>,
}

impl Carrier {
    fn new(
        office: &Arc<Office>,
        who: &Arc<Authenticated>,
        grant: Grant,
        recording: OpenRecording,
        place: SessionPlace,
        speaker: &Speaker,
        from_hall: mpsc::Receiver<ToSession>,
    ) -> Self {
        let now = office.clock.wall();
        let source = who.source().ip();
        let (expires, expires_by) = who.expires_with_cause();
        let left = expires.duration_since(now);
        let setup = Setup {
            terms: Arc::clone(grant.terms()),
            limits: grant.target().limits.clone(),
            mode: office.config.recording.mode_for(grant.target().mode),
            source,
            assurance: who.assurance(),
            started: recording.began(),
            expires: recording.now().saturating_add(left.try_into().unwrap_or_default()),
            expires_by,
        };
        let (policy, under) = office.policy.subscribe_since(grant.policy());
        place.watch(recording.pulse());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let callers = Callers {
            order: place.order.clone(),
            policy,
            asking: who.presence().subscribe(),
            syncs: recording.syncs(),
            ticks,
            from_hall,
            gone: Gone::default(),
        };
        let bells = Bells::default();
        Self {
            office: Arc::clone(office),
            who: Arc::clone(who),
            grant,
            under,
            news: String::new(),
            core: Core::new(setup),
            tape: Tape::new(recording),
            place,
            speaker: speaker.clone(),
            calls: Calls::new(callers, &bells),
            timer: Timer::new(&bells),
            bells,
            lines: BTreeMap::new(),
            arriving: BTreeMap::new(),
            draining: Vec::new(),
            source,
            told: Counts::default(),
            told_at: Duration::ZERO,
            denials: Denials::default(),
            log_heads: HandedOut::default(),
            ordered_by: None,
            ending: None,
            heard: Vec::new(),
            actions: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Waits for what comes next. Calls go before bytes.
    async fn next(&mut self) -> Event {
        poll_fn(|context| {
            self.bells.answer(context);
            if let Poll::Ready(call) = self.calls.poll() {
                return Poll::Ready(Event::Call(call));
            }
            if self.timer.poll(self.core.next_timer(), || self.tape.now()).is_ready() {
                return Poll::Ready(Event::Timer);
            }
            self.listen(context).map(|()| Event::Heard)
        })
        .await
    }

    /// Lets each line do its work and say one thing, so that a busy one can't
    /// starve the others.
    fn listen(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.draining.retain_mut(|line| line.poll_drained(context).is_pending());
        for (channel, line) in &mut self.lines {
            let ready = Ready {
                client: self.core.ready(*channel, Direction::FromClient),
                device: self.core.ready(*channel, Direction::FromDevice),
            };
            if let Poll::Ready(heard) = line.poll(ready) {
                self.heard.push(input(*channel, heard));
            }
        }
        if self.heard.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Deals with one event to its end: whatever it brought is written and
    /// sent on before the next is waited for.
    async fn take(&mut self, event: Event) {
        match event {
            Event::Call(call) => self.answer(call).await,
            Event::Timer => self.handle(Input::Timer),
            Event::Heard => {
                let mut heard = std::mem::take(&mut self.heard);
                heard.drain(..).for_each(|input| self.handle(input));
                self.heard = heard;
            }
        }
        self.write();
        self.count();
    }

    async fn answer(&mut self, call: Call) {
        match call {
            Call::Ordered(order) => self.obey(&order),
            Call::PolicyApplied(applied) => self.ask_again(applied).await,
            Call::Asking(Asking::Factor(due)) => self.handle(Input::Pause(due)),
            Call::Asking(Asking::Nothing) => self.handle(Input::Resume),
            Call::Synced => match self.tape.durable() {
                Ok(ticket) => ticket.into_iter().for_each(|ticket| self.handle(Input::Durable { ticket })),
                Err(failure) => self.recorder_failed(&failure),
            },
            Call::Tick => self.tick(),
            Call::Channel(channel) => self.arrive(channel),
            Call::Ended(cause) => self.handle(Input::End(cause)),
        }
    }

    /// Hands one input to the core and executes what it orders.
    fn handle(&mut self, input: Input) {
        let mut actions = std::mem::take(&mut self.actions);
        self.core.handle(self.tape.now(), input, &mut actions);
        actions.drain(..).for_each(|action| self.execute(action));
        self.actions = actions;
    }

    /// Takes one action to the tape and does what it gives back.
    fn execute(&mut self, action: Action) {
        if let Action::Record(entry) = &action {
            self.denials.see(entry, &self.office, &self.who, &self.place);
        }
        self.with_tape(|tape, due| tape.take(action, due));
    }

    /// Writes what waits and sends what it covers.
    fn write(&mut self) {
        self.with_tape(Tape::write);
    }

    fn with_tape(&mut self, work: impl FnOnce(&mut Tape, &mut Vec<Action>) -> Result<(), RecordFailure>) {
        let mut due = std::mem::take(&mut self.due);
        let worked = work(&mut self.tape, &mut due);
        due.drain(..).for_each(|action| self.act(action));
        self.due = due;
        if let Err(failure) = worked {
            self.recorder_failed(&failure);
        }
    }

    fn obey(&mut self, order: &EndOrder) {
        let cause = match order {
            EndOrder::Killed { by } => {
                self.ordered_by = Some(by.clone());
                EndCause::Killed
            }
            EndOrder::CertificateRevoked => EndCause::CertificateRevoked,
            EndOrder::PersonDisabled => EndCause::PersonDisabled,
            EndOrder::FactorRemoved => EndCause::FactorRemoved,
            EndOrder::FactorMissing => EndCause::FactorMissing,
            EndOrder::StoodStill => EndCause::Internal,
            EndOrder::SpaceRanOut => EndCause::SpaceRanOut,
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
    async fn ask_again(&mut self, applied: Arc<Applied>) {
        let (who, target) = (Arc::clone(&self.who), self.grant.target().id.clone());
        let under = self.under.replace(Arc::clone(&applied.policy));
        let asked = self.office.blocking(move |office| {
            let asked = again(office, &who, &target, &applied.policy);
            let (person, now) = (who.person(), office.clock.wall());
            let news = under.map(|under| under.compare_one(&applied.policy, now, person, &target).brief());
            Ok::<_, std::convert::Infallible>(asked.map(|grant| (grant, news)))
        });
        match asked.await {
            Ok(Ok((grant, news))) if grant.target().address == self.grant.target().address => {
                self.grant = grant;
                self.news = news.unwrap_or_else(|| "what you may do is judged anew".to_owned());
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
        if let Err(failure) = self.tape.tick() {
            return self.recorder_failed(&failure);
        }
        if let Some(note) = self.tape.receipt() {
            self.speaker.say(&ToClient::Checkpoint { session: self.place.id, note });
        }
        if let Some(note) = self.log_heads.due(self.tape.now(), &self.office.log) {
            self.speaker.say(&ToClient::LogCheckpoint { note });
        }
        let source = self.who.connection().remote_address().ip();
        if source != self.source {
            self.source = source;
            self.handle(Input::PathChanged(source));
        }
        if self.tape.now() >= self.told_at.saturating_add(TOLD_EVERY) {
            self.tell_activity();
        }
    }

    /// What the client's status line shows.
    fn tell_activity(&mut self) {
        let counts = self.core.counts();
        if counts != self.told {
            self.told = counts;
            self.told_at = self.tape.now();
            let notice = Notice::Activity { operations: counts.operations, denied: counts.denied };
            self.speaker.say(&ToClient::Notice { session: self.place.id, notice });
        }
    }

    /// Fail closed: from here on no byte goes to device or client, all sockets
    /// are reset, and people are told by a way that needs no disk. The event
    /// comes last: its disk may be the one that failed.
    fn recorder_failed(&mut self, failure: &RecordFailure) {
        if !self.tape.runs() {
            return;
        }
        self.tape.fail(failure);
        let mut actions = Vec::new();
        self.core.handle(self.tape.now(), Input::End(EndCause::RecorderFailed), &mut actions);
        for action in actions {
            self.act(action);
        }
        self.ending = Some(EndCause::RecorderFailed);
        let id = self.place.id;
        self.office.audit.alarm().raise(&format!("session {id} is cut, its recording failed: {failure}"));
        let event = self.office.audit.event(Kind::RecorderFailed).person(self.who.person()).session(id);
        self.office.audit.tell(&event.why(&failure.to_string()));
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
        (Ended { reason: reason(cause), text, counts: self.core.counts() }, self.tape.into_recording())
    }
}
