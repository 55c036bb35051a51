//! `gatehouse connect`: one sign-in, a session per target, a local address per service, until it ends.
//!
//! Order of events: connect and sign in; open the sessions; listen; then wait for whatever comes first: a tool's
//! connection, a message of the gateway, the technician's Ctrl-C. At the end the sessions are closed softly and the
//! gateway's confirmation is awaited for a moment, so that their recordings end cleanly.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wire::{SessionId, ToClient, ToGateway};

use crate::Problem;
use crate::again::{Again, Next};
use crate::asked::Asked;
use crate::direct::Options;
use crate::escape::escape;
use crate::intake::{ChannelEvent, Door, Porter};
use crate::link::{Control, Link};
use crate::listen::{self, Bound};
use crate::opening::{self, Purpose, Way};
use crate::platform::Interrupt;
use crate::profile::Profile;
use crate::receipts::Receipts;
use crate::running::{self, Running, ServiceState, SessionState, State};
use crate::screen::Screen;
use crate::sessions::Ledger;
use crate::sign_in::{Means, SignedIn, out_of_turn, refusal, sign_in};
use crate::status::{self, Connected};

/// How often the status line is brought up to date.
const REFRESH: Duration = Duration::from_secs(1);
/// How long the gateway may take to confirm that the sessions are closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// How many events of channels may wait.
const MOST_EVENTS: usize = 64;

/// What the technician wants.
#[derive(Debug)]
pub struct Wish {
    /// Targets and services, as typed.
    pub asked: Vec<Asked>,
    /// Other local addresses: the first for the first service, and so on. The rest listens where it usually does.
    pub listen: Vec<SocketAddr>,
    /// Reason and ticket.
    pub purpose: Purpose,
    /// The second factor.
    pub means: Means,
}

/// Connects and stays until the technician or the gateway ends it.
///
/// # Errors
/// [`Problem::Refused`] if the gateway refuses or ends what it had allowed, [`Problem::Unreachable`] if the line
/// can't be had or is lost. Ended by the technician it is no error.
pub async fn connect(profile: &Profile, wish: &Wish, screen: &mut Screen) -> Result<(), Problem> {
    let link = Link::open(profile).await?;
    let mut control = link.control().await?;
    let wanted: Vec<String> = wish.asked.iter().map(|asked| asked.target.clone()).collect();
    let signed_in = sign_in(&mut control, &wish.means, &wanted, screen).await?;
    let interrupt =
        Interrupt::catch().map_err(|source| Problem::Io { what: "signals".to_owned(), source })?;
    let mut stay = Stay::new(profile, signed_in, interrupt, Again::new(&wish.means, wanted));
    let result = stay.run(&link, &mut control, wish, screen).await;
    screen.end_status();
    stay.leave(&mut control, screen).await;
    link.close().await;
    result
}

/// Everything that lasts from the sign-in to the end.
struct Stay<'a> {
    connected: Connected,
    /// The second factor, when it is asked for again.
    again: Again<'a>,
    ledger: Ledger,
    interrupt: Interrupt,
    running: Option<Running>,
    receipts: Receipts,
    /// What was said about receipts that could not be kept.
    told_of_receipts: BTreeSet<String>,
    /// The state file's parts that do not change.
    state: State,
    /// One per service: shut when its session has ended.
    doors: Vec<(SessionId, watch::Sender<Door>)>,
    /// The tasks that take connections.
    porters: JoinSet<()>,
}

impl<'a> Stay<'a> {
    fn new(profile: &Profile, signed_in: SignedIn, interrupt: Interrupt, again: Again<'a>) -> Self {
        let since = Timestamp::now();
        let state = State {
            process: std::process::id(),
            profile: profile.file.display().to_string(),
            gateway: profile.gateway.to_string(),
            person: signed_in.person.clone(),
            since,
            services: Vec::new(),
            sessions: Vec::new(),
        };
        Self {
            connected: Connected { person: signed_in.person, since, until: signed_in.until },
            again,
            ledger: Ledger::default(),
            interrupt,
            running: None,
            receipts: Receipts::at(&profile.receipts),
            told_of_receipts: BTreeSet::new(),
            state,
            doors: Vec::new(),
            porters: JoinSet::new(),
        }
    }

    async fn run(
        &mut self,
        link: &Link,
        control: &mut Control,
        wish: &Wish,
        screen: &mut Screen,
    ) -> Result<(), Problem> {
        let ways = opening::open(control, &wish.asked, &wish.purpose, &mut self.ledger).await?;
        self.keep(screen);
        let places = places(&ways, &wish.listen)?;
        let (events, mut told) = mpsc::channel(MOST_EVENTS);
        let numbers = Arc::new(AtomicU32::new(1));
        let mut bound = Vec::new();
        for place in places {
            bound.push(listen::bind(place).await?);
        }
        for (way, bound) in ways.into_iter().zip(bound) {
            let porter = Porter {
                opener: link.opener(),
                session: way.session,
                service: way.service.name.clone(),
                numbers: Arc::clone(&numbers),
                events: events.clone(),
            };
            self.listen(way, bound, porter, screen)?;
        }
        self.announce(screen);
        self.watch(control, &mut told, screen).await
    }

    /// Says where a service is and lets it be used.
    fn listen(&mut self, way: Way, bound: Bound, porter: Porter, screen: &mut Screen) -> Result<(), Problem> {
        if let Some(instead) = &bound.instead {
            screen.remark(instead);
        }
        let (target, service) = (escape(&way.target), escape(&way.service.name));
        screen.answer(&format!("listening {target}:{service} {}", bound.address))?;
        self.state.services.push(ServiceState { target, service, listen: bound.address.to_string() });
        let (door, shut) = watch::channel(Door::Open);
        self.doors.push((way.session, door));
        self.porters.spawn(porter.serve(bound.listener, shut));
        Ok(())
    }

    /// An entry for `status`. Without one everything else works.
    fn announce(&mut self, screen: &mut Screen) {
        let folder = running::folder(std::path::Path::new(&self.state.profile));
        match Running::announce(&folder, self.connected.since) {
            Ok(running) => self.running = Some(running),
            Err(problem) => screen.remark(&format!("`gatehouse status` will not show this: {problem}")),
        }
    }

    async fn watch(
        &mut self,
        control: &mut Control,
        told: &mut mpsc::Receiver<ChannelEvent>,
        screen: &mut Screen,
    ) -> Result<(), Problem> {
        let mut refresh = tokio::time::interval(REFRESH);
        loop {
            self.show(screen);
            tokio::select! {
                message = control.receive() => self.take(message?, control, screen)?,
                Some(event) = told.recv() => self.channel(event, screen),
                answer = self.again.next() => match answer {
                    Ok(Next::Send(answer)) => control.send(&answer).await?,
                    Ok(Next::Say(line)) => screen.remark(&escape(&line)),
                    Err(problem) => screen.remark(&problem.to_string()),
                },
                () = self.interrupt.wait() => return Ok(()),
                _ = refresh.tick() => self.record_state(screen),
            }
            self.shut_doors();
            if let Some(ended) = self.ledger.all_ended() {
                let reasons: Vec<String> =
                    ended.iter().map(|(target, ended)| format!("{target}: ended: {ended}")).collect();
                return Err(Problem::Refused(reasons.join("; ")));
            }
        }
    }

    fn show(&self, screen: &mut Screen) {
        // It would be drawn over what is being typed.
        if self.again.is_asked() {
            return screen.end_status();
        }
        screen.status(&status::line(&self.connected, &self.ledger, Timestamp::now()));
    }

    fn record_state(&mut self, screen: &mut Screen) {
        let Some(running) = &mut self.running else { return };
        self.state.sessions = SessionState::of(&self.ledger);
        if let Err(problem) = running.update(self.state.clone()) {
            screen.remark(&format!("`gatehouse status` no longer shows this: {problem}"));
            self.running = None;
        }
    }

    /// One message of the gateway.
    fn take(&mut self, message: ToClient, control: &Control, screen: &mut Screen) -> Result<(), Problem> {
        match message {
            ToClient::Notice { session, notice } => {
                if let Some(line) = self.ledger.notice(session, notice, Timestamp::now()) {
                    screen.remark(&line);
                }
                Ok(())
            }
            ToClient::Checkpoint { session, note } => {
                self.ledger.checkpoint(session, note);
                self.keep(screen);
                Ok(())
            }
            ToClient::LogCheckpoint { note } => {
                self.ledger.log_checkpoint(note);
                self.keep(screen);
                Ok(())
            }
            ToClient::Pong => Ok(()),
            ToClient::FactorAgain { text, within_s, factors } => {
                screen.end_status();
                let how = self.again.ask(&factors);
                screen.remark(&format!("{}; within {within_s} s: {how}", escape(&text)));
                Ok(())
            }
            ToClient::PasskeyPage { url, code, within_s: _ } => self.again.page(&url, &code, screen),
            ToClient::PasskeyOptions { origin, json, within_s } => {
                let within = Duration::from_secs(within_s.into());
                self.again.options(control, &Options { origin, json, within })
            }
            ToClient::SignedIn { assurance: _, expires_ms } if self.again.is_asked() => {
                self.again.over();
                self.connected.until = Timestamp::from_millisecond(expires_ms).unwrap_or(Timestamp::MAX);
                screen.remark("the second factor was accepted: the work goes on");
                Ok(())
            }
            ToClient::Refused { code, text, retry_after_s: Some(after_s) } if self.again.is_asked() => {
                let how = self.again.another(after_s);
                screen.remark(&format!("{}; {how}", refusal(code, &text)));
                Ok(())
            }
            ToClient::Refused { code, text, retry_after_s: _ } => Err(Problem::Refused(refusal(code, &text))),
            other @ (ToClient::Welcome { .. }
            | ToClient::SignedIn { .. }
            | ToClient::Targets(_)
            | ToClient::Opened { .. }
            | ToClient::Renewal(_)
            | ToClient::PasskeyAdded { .. }
            | ToClient::PasskeyNotAdded { .. }
            | ToClient::NotOpened { .. }) => Err(out_of_turn(&other)),
        }
    }

    /// Writes the newest receipts. Where that fails the technician hears of it once and the work goes on.
    fn keep(&mut self, screen: &mut Screen) {
        for (session, receipt) in self.ledger.receipts() {
            if let Err(problem) = self.receipts.keep(session, &receipt)
                && self.told_of_receipts.insert(problem.to_string())
            {
                screen.remark(&format!("a receipt could not be kept: {problem}"));
            }
        }
    }

    fn channel(&mut self, event: ChannelEvent, screen: &mut Screen) {
        match event {
            ChannelEvent::Opened(session) => self.ledger.channel_opened(session),
            ChannelEvent::Closed(session) => self.ledger.channel_closed(session),
            ChannelEvent::Refused(session, service, code, text) => {
                screen.remark(&format!("{}: {}", self.name_of(session, &service), refusal(code, &text)));
            }
            ChannelEvent::Failed(session, service, why) => {
                screen.remark(&format!("{}: {}", self.name_of(session, &service), escape(&why)));
            }
        }
    }

    fn name_of(&self, session: SessionId, service: &str) -> String {
        let target =
            self.ledger.sessions().find(|(id, _)| **id == session).map(|(_, session)| &session.target);
        format!("{}:{}", target.map_or("", String::as_str), escape(service))
    }

    /// A session that has ended takes no more connections.
    fn shut_doors(&mut self) {
        let ledger = &self.ledger;
        self.doors.retain(|(session, door)| {
            let live = ledger.live().any(|(id, _)| id == session);
            if !live {
                door.send_replace(Door::Shut);
            }
            live
        });
    }

    /// Ends what still stands and waits a moment for the gateway's word. A line that is gone needs no farewell.
    async fn leave(&mut self, control: &mut Control, screen: &mut Screen) {
        let open: Vec<SessionId> = self.ledger.live().map(|(id, _)| *id).collect();
        for session in open {
            if control.send(&ToGateway::Close { session }).await.is_err() {
                return;
            }
        }
        let confirmed = async {
            while self.ledger.live().next().is_some() {
                let Ok(message) = control.receive().await else { return };
                if self.take(message, control, screen).is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(CLOSE_WITHIN, confirmed).await.is_err() {
            screen.remark("the gateway did not confirm the end in time");
        }
        self.porters.abort_all();
    }
}

/// Where each way is to listen.
fn places(ways: &[Way], listen: &[SocketAddr]) -> Result<Vec<SocketAddr>, Problem> {
    if listen.len() > ways.len() {
        return Err(Problem::Usage(format!(
            "--listen was given {} times for {} services: once for each at most, in their order",
            listen.len(),
            ways.len()
        )));
    }
    let wanted = listen.iter().copied().map(Some).chain(std::iter::repeat(None));
    let place =
        |(way, wanted): (&Way, Option<SocketAddr>)| wanted.unwrap_or_else(|| listen::usual(way.service.port));
    Ok(ways.iter().zip(wanted).map(place).collect())
}
