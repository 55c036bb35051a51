//! Carries one session: its sockets on both sides, the core between them.
//!
//! One task does all of it. It waits for whatever comes next (bytes, a sync, an
//! order, a policy), hands it to the pure core and executes the core's actions
//! in their order. Entries are written before the bytes that they cover go to
//! a queue; after a failed write nothing goes anywhere any more. Nothing is
//! decided here.
//!
//! [`dial`] is the only function of the workspace that opens a socket towards
//! a device.

mod denials;
mod line;

use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::authorize::again;
use crate::desk::Speaker;
use crate::hall::{NewChannel, ToSession, turn_away};
use crate::office::Office;
use crate::policy::Applied;
use crate::record::{OpenRecording, RecordFailure};
use crate::sessions::{EndOrder, SessionPlace};
use authz::{Grant, Service, ServiceName};
use bytes::Bytes;
use denials::Denials;
use dissect::Direction;
use line::{Dialling, Heard, Line, Ready};
use quinn::{RecvStream, SendStream};
use session::{Action, By, Core, Counts, EndCause, Entry, How, Input, Setup};
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
use wire::{ChannelReply, EndReason, Notice, Refusal, ToClient};

/// How long a device may take to accept a connection.
const DIALLED_WITHIN: Duration = Duration::from_secs(5);

/// How long queued bytes may take to leave when a channel or session ends
/// softly.
const DRAINED_WITHIN: Duration = Duration::from_secs(2);

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
    arriving: BTreeMap<u32, (RecvStream, SendStream)>,
    draining: Vec<Line>,
    turn: u32,
    source: IpAddr,
    told: Counts,
    denials: Denials,
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
            denials: Denials::default(),
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

    /// Executes an action whose entries are written. Once the tape has failed
    /// no byte goes anywhere.
    fn act(&mut self, action: Action) {
        match action {
            Action::Record(_) | Action::Sync { .. } => {}
            Action::ToDevice { channel, bytes } => self.to_device(channel, bytes),
            Action::ToClient { channel, bytes } => self.to_client(channel, bytes),
            Action::Dial { channel, service } => self.dial(channel, &service),
            Action::ConfirmChannel { channel } => self.confirm(channel),
            Action::RefuseChannel { channel, refusal, text } => self.refuse(channel, refusal, &text),
            Action::FinishDevice { channel } => self.on_line(channel, Line::finish_device),
            Action::FinishClient { channel } => self.on_line(channel, Line::finish_client),
            Action::CloseChannel { channel, how, why } => self.close(channel, how, &why),
            Action::Notice(notice) => self.tell(notice),
            Action::End { how: _, cause } => self.ending = Some(cause),
        }
    }

    fn to_device(&mut self, channel: u32, bytes: Bytes) {
        if let (Tape::Running, Some(line)) = (self.tape, self.lines.get_mut(&channel)) {
            add(&self.place.counters.to_device, bytes.len());
            line.queue_to_device(bytes);
        }
    }

    fn to_client(&mut self, channel: u32, bytes: Bytes) {
        if let (Tape::Running, Some(line)) = (self.tape, self.lines.get_mut(&channel)) {
            add(&self.place.counters.to_client, bytes.len());
            line.queue_to_client(bytes);
        }
    }

    fn on_line(&mut self, channel: u32, work: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&channel) {
            work(line);
        }
    }

    /// A stream that wants to be a channel.
    fn arrive(&mut self, new: NewChannel) {
        let service = self.service(&new.service).cloned();
        let taken = self.lines.contains_key(&new.number) || self.arriving.contains_key(&new.number);
        match service {
            None => {
                self.note_refused(&new.service, Refusal::NoSuchService.sentence());
                turn_away(new.to_client, Refusal::NoSuchService, "");
            }
            Some(_) if taken => turn_away(new.to_client, Refusal::Malformed, "the channel's number is taken"),
            Some(service) => {
                self.arriving.insert(new.number, (new.from_client, new.to_client));
                self.handle(Input::OpenChannel {
                    channel: new.number,
                    service: service.name.to_string(),
                    port: service.port,
                    protocol: service.protocol,
                });
            }
        }
    }

    fn service(&self, name: &str) -> Option<&Service> {
        let name = ServiceName::parse(name).ok()?;
        self.grant.target().services.get(&name)
    }

    fn dial(&mut self, channel: u32, service: &str) {
        let Some((from_client, to_client)) = self.arriving.remove(&channel) else { return };
        let Some(service) = self.service(service) else {
            return turn_away(to_client, Refusal::NoSuchService, "");
        };
        let dialling = dial(&self.grant, &self.recording, service);
        self.lines.insert(channel, Line::new(from_client, to_client, dialling));
    }

    fn confirm(&mut self, channel: u32) {
        match wire::encode(&ChannelReply::Open) {
            Ok(reply) => self.on_line(channel, |line| line.queue_to_client(reply.into())),
            Err(error) => tracing::error!("a reply can't be written: {error}"),
        }
    }

    fn refuse(&mut self, channel: u32, refusal: session::Refusal, text: &str) {
        let code = match refusal {
            session::Refusal::NotPermitted => Refusal::NotPermitted,
            session::Refusal::Busy => Refusal::Limit,
            session::Refusal::Unreachable => Refusal::Unreachable,
            session::Refusal::Ended => Refusal::Ended,
            session::Refusal::Malformed => Refusal::Malformed,
        };
        self.note_refused(&format!("channel {channel}"), text);
        if let Some((_, to_client)) = self.arriving.remove(&channel) {
            turn_away(to_client, code, text);
        } else if let Some(line) = self.lines.remove(&channel) {
            turn_away(line.into_client(), code, text);
        }
    }

    fn note_refused(&self, what: &str, why: &str) {
        let event = self.office.audit.event(Kind::ChannelRefused).person(self.who.person());
        let event = event.target(&self.grant.target().id).session(self.place.id).what(what).why(why);
        if let Err(error) = self.office.audit.write(&event) {
            tracing::error!("{error}");
        }
    }

    fn close(&mut self, channel: u32, how: How, why: &str) {
        tracing::debug!(session = %self.place.id, channel, "channel closed: {why}");
        self.arriving.remove(&channel);
        let Some(line) = self.lines.remove(&channel) else { return };
        match (how, self.tape) {
            (How::Soft, Tape::Running) => self.draining.push(line),
            (How::Hard, _) | (How::Soft, Tape::Failed) => line.reset(),
        }
    }

    fn tell(&mut self, notice: session::Notice) {
        let now = self.recording.now();
        let notice = match notice {
            session::Notice::Denied { channel, operation, reason, rule } => {
                Notice::Denied { channel, operation, reason, rule }
            }
            session::Notice::Ending { cause, in_s } => Notice::Ending { reason: reason(cause), in_s },
            // The farewell says it once the recording is sealed.
            session::Notice::Ended { cause: _ } => return,
            session::Notice::GrantChanged { expires } => {
                let left = expires.saturating_sub(now).try_into().unwrap_or_default();
                let expires_ms = self.office.clock.wall().saturating_add::<jiff::SignedDuration>(left);
                let expires_ms = expires_ms.unwrap_or(jiff::Timestamp::MAX).as_millisecond();
                Notice::GrantChanged { expires_ms, text: "the plant applied a new policy".to_owned() }
            }
        };
        self.speaker.say(&ToClient::Notice { session: self.place.id, notice });
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
        let source = self.who.connection().remote_address().ip();
        if source != self.source {
            self.source = source;
            self.handle(Input::PathChanged(source));
        }
        let counts = self.core.counts();
        if counts != self.told {
            self.told = counts;
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

fn input(channel: u32, heard: Heard) -> Input {
    match heard {
        Heard::Connected => Input::DeviceConnected { channel },
        Heard::Unreachable(error) => Input::DeviceUnreachable { channel, text: error.to_string() },
        Heard::FromClient(bytes) => Input::FromClient { channel, bytes },
        Heard::ClientFinished => Input::ClientFinished { channel },
        Heard::ClientBroken => {
            let text = "the tool's stream was cut".to_owned();
            Input::ChannelBroken { channel, by: By::Client, text }
        }
        Heard::FromDevice(bytes) => Input::FromDevice { channel, bytes },
        Heard::DeviceFinished => Input::DeviceFinished { channel },
        Heard::DeviceBroken(error) => {
            Input::ChannelBroken { channel, by: By::Device, text: error.to_string() }
        }
    }
}

fn reason(cause: EndCause) -> EndReason {
    match cause {
        EndCause::ClientClosed => EndReason::ClientClosed,
        EndCause::Killed => EndReason::Killed,
        EndCause::CertificateRevoked => EndReason::CertificateRevoked,
        EndCause::CertificateExpired => EndReason::CertificateExpired,
        EndCause::PersonDisabled => EndReason::PersonDisabled,
        EndCause::RecorderFailed => EndReason::RecorderFailed,
        EndCause::GrantExpired => EndReason::GrantExpired,
        EndCause::WindowClosed => EndReason::WindowClosed,
        EndCause::PolicyNarrowed => EndReason::PolicyNarrowed,
        EndCause::PolicyFailed => EndReason::PolicyFailed,
        EndCause::Shutdown => EndReason::Shutdown,
        EndCause::Idle => EndReason::Idle,
        EndCause::SignInLost => EndReason::SignInLost,
        EndCause::PathForbidden => EndReason::PathForbidden,
        EndCause::Misbehaved => EndReason::Misbehaved,
        EndCause::Internal => EndReason::Internal,
    }
}

fn add(counter: &std::sync::atomic::AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}
