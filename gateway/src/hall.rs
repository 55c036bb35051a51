//! What a signed-in connection talks about: targets, sessions, channels.
//!
//! The hall reads the control stream, starts a task for each wish and leads
//! each channel's stream to its session. It knows only the sessions of its own
//! connection, so another person's session id leads nowhere. It decides
//! nothing: wishes go through [`crate::session::pass`].
//!
//! Order: `receive` -> wishes and channels until the client leaves, an order
//! arrives or the sign-in expires -> sessions end -> the connection closes.

use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::authorize::{NotOpened, Wish};
use crate::desk::{Desk, DeskError, Speaker};
use crate::office::Office;
use crate::passkey::{Delivery, Registrar};
use crate::presence::{Answer, Asking, Given, Look};
use crate::proxy::Ended;
use crate::quic::{ReceiveStream, SendStream};
use crate::record::Tally;
use crate::renewal;
use crate::session;
use crate::sessions::{EndOrder, SessionInfo, SessionPlace};
use crate::state::{SessionEnd, SessionRow};
use authz::{Assurance, Grant};
use bytes::BytesMut;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::{
    ChannelHeader, ChannelReply, CloseCode, Der, Factor, Limits, Notice, Refusal, Renewal, ServiceInfo,
    SessionId, TargetInfo, ToClient, ToGateway, Transport,
};

/// Channels that may wait for their session to look at them.
const WAITING: usize = 16;

/// How long a stream may take to say which channel it is.
const HEADER_WITHIN: Duration = Duration::from_secs(10);

/// How long sessions may take to seal their recordings before the connection
/// closes over them; they go on sealing after that.
const SEALED_WITHIN: Duration = Duration::from_secs(10);

/// What a session hears from its hall. The end of the queue means that the
/// line to the technician is gone.
#[derive(Debug)]
pub enum ToSession {
    /// The technician's tool opened a connection.
    Channel(NewChannel),
    /// The technician ends the session.
    Close,
}

/// A stream that said which channel of which session it is.
#[derive(Debug)]
pub struct NewChannel {
    /// The client's number for it.
    pub number: u32,
    /// The service's name as the client wrote it.
    pub service: String,
    /// What the tool sends.
    pub from_client: ReceiveStream,
    /// What the tool receives.
    pub to_client: SendStream,
}

struct Hall {
    office: Arc<Office>,
    who: Arc<Authenticated>,
    speaker: Speaker,
    sessions: HashMap<SessionId, mpsc::Sender<ToSession>>,
    passes: JoinSet<SessionId>,
    headers: JoinSet<Option<(ChannelHeader, ReceiveStream, SendStream)>>,
    /// Codes that are being judged, since the factor was asked for again.
    proofs: JoinSet<Answer>,
    /// The certificate that is being issued.
    renewals: JoinSet<Renewal>,
    registrar: Registrar,
}

/// Serves one signed-in connection until it is over.
pub async fn receive(office: Arc<Office>, who: Arc<Authenticated>, mut desk: Desk) {
    let speaker = desk.speaker();
    let (sessions, passes, headers) = (HashMap::new(), JoinSet::new(), JoinSet::new());
    let (proofs, renewals) = (JoinSet::new(), JoinSet::new());
    let registrar = Registrar::new(Arc::clone(&office), Arc::clone(&who), speaker.clone());
    let mut hall = Hall { office, who, speaker, sessions, passes, headers, proofs, renewals, registrar };
    let why = hall.serve(&mut desk).await;
    hall.leave(why).await;
    desk.leave(why.code()).await;
}

/// Why a hall is left.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// By an order or an expiry that each session has heard of itself.
    SessionsKnow(CloseCode),
    /// There is nobody to speak to any more, and only the hall knows.
    LineLost(CloseCode),
}

impl Leaving {
    fn code(self) -> CloseCode {
        match self {
            Self::SessionsKnow(code) | Self::LineLost(code) => code,
        }
    }
}

impl Hall {
    async fn serve(&mut self, desk: &mut Desk) -> Leaving {
        let mut order = self.who.sign_in().order.clone();
        let connection = self.who.connection().clone();
        let presence = Arc::clone(&self.who);
        let left = self.who.expires().duration_since(self.office.clock.wall());
        let expiry = tokio::time::sleep(Duration::try_from(left).unwrap_or(Duration::ZERO));
        tokio::pin!(expiry);
        loop {
            tokio::select! {
                ordered = order.wait_for(Option::is_some) => {
                    let code = ordered.ok().and_then(|order| order.as_ref().map(code_of));
                    return code.map_or(Leaving::LineLost(CloseCode::Internal), Leaving::SessionsKnow);
                }
                () = presence.presence().wait() => self.look_for_the_person(),
                Some(judged) = self.proofs.join_next() => {
                    if let Ok(answer) = judged { self.tell(answer); }
                }
                Some(renewed) = self.renewals.join_next() => {
                    if let Ok(renewal) = renewed { self.speaker.say(&ToClient::Renewal(renewal)); }
                }
                () = &mut expiry => return Leaving::SessionsKnow(CloseCode::Withdrawn),
                heard = desk.hear() => match heard {
                    Ok(message) => self.answer(message),
                    Err(DeskError::Lost(_)) => return Leaving::LineLost(CloseCode::Done),
                    Err(DeskError::Malformed(error)) => {
                        tracing::warn!(person = %self.who.person(), "{error}");
                        return Leaving::LineLost(CloseCode::Malformed);
                    }
                },
                opened = connection.accept_stream() => match opened {
                    Ok((sender, receiver)) => { self.headers.spawn(header(sender, receiver)); }
                    Err(_) => return Leaving::LineLost(CloseCode::Done),
                },
                Some(read) = self.headers.join_next() => {
                    if let Ok(Some((header, receiver, sender))) = read {
                        self.lead(header, receiver, sender);
                    }
                }
                Some(ended) = self.passes.join_next() => {
                    if let Ok(id) = ended { self.sessions.remove(&id); }
                }
            }
        }
    }

    fn answer(&mut self, message: ToGateway) {
        match message {
            ToGateway::Targets => self.speaker.say(&ToClient::Targets(self.targets())),
            ToGateway::Open { request, target, reason, ticket } => {
                self.open(Wish { request, target, reason, ticket });
            }
            ToGateway::Close { session } => {
                // A session that is gone already has said so itself.
                if let Some(queue) = self.sessions.get(&session) {
                    let _ = queue.try_send(ToSession::Close);
                }
            }
            ToGateway::Ping => self.speaker.say(&ToClient::Pong),
            ToGateway::Totp { code } => self.judge(Given::Code(code.as_str().to_owned())),
            ToGateway::BeginPasskey { loopback, wanted } => {
                self.registrar.begin_again(Delivery::Page(loopback), &wanted);
            }
            ToGateway::BeginDirectPasskey => self.registrar.begin_again(Delivery::Client, &[]),
            ToGateway::Assertion { json } => {
                self.judge(Given::Passkey { ceremony: self.registrar.take_again(), json });
            }
            ToGateway::Renew { request } => self.renew(request),
            ToGateway::BeginRegistration { loopback, name } => {
                self.registrar.begin(Delivery::Page(loopback), name);
            }
            ToGateway::BeginDirectRegistration { name } => self.registrar.begin(Delivery::Client, name),
            ToGateway::Registration { json } => self.registrar.finish(json),
            ToGateway::Hello { .. } => {
                tracing::debug!("a sign-in message after the sign-in changes nothing");
            }
        }
    }

    /// Judges what was given because the factor was asked for.
    fn judge(&mut self, given: Given) {
        let (office, who) = (Arc::clone(&self.office), Arc::clone(&self.who));
        // Each that is spawned ends at once unless the factor is asked for.
        if self.proofs.is_empty() {
            self.proofs.spawn(async move { who.presence().judge(&office, &who, given).await });
        }
    }

    /// Asks for the factor when it is due; ends the sign-in when it did not
    /// come. The sessions hear of both by themselves.
    fn look_for_the_person(&self) {
        match self.who.presence().look() {
            Look::Nothing => {}
            Look::Ask { due, within } => {
                let event = self.office.audit.event(Kind::FactorAsked).person(self.who.person());
                let event = event.source(self.who.source().ip()).why(&due.to_string());
                self.office.audit.tell(&event);
                self.speaker.say(&ToClient::FactorAgain {
                    text: due.to_string(),
                    within_s: u32::try_from(within.as_secs()).unwrap_or(u32::MAX),
                    // The one of the sign-in, so that it stays worth the same.
                    factors: vec![match self.who.assurance() {
                        Assurance::CertificateAndTotp => Factor::Totp,
                        Assurance::CertificateAndWebauthn => Factor::Webauthn,
                    }],
                });
            }
            Look::GiveUp => self.give_up(),
        }
    }

    fn give_up(&self) {
        self.office.registry.end_sign_in(self.who.sign_in().id, EndOrder::FactorMissing);
    }

    /// Answers a code that was asked for.
    fn tell(&self, answer: Answer) {
        let refused = |retry_after_s| ToClient::Refused {
            code: Refusal::Factor,
            text: Refusal::Factor.sentence().to_owned(),
            retry_after_s,
        };
        match answer {
            Answer::Proven => self.speaker.say(&ToClient::SignedIn {
                assurance: crate::authenticate::on_the_wire(self.who.assurance()),
                expires_ms: self.who.expires().as_millisecond(),
            }),
            Answer::Again => self.speaker.say(&refused(Some(0))),
            Answer::Last => self.give_up(),
            Answer::OutOfTurn => tracing::debug!("a code that nobody asked for changes nothing"),
        }
    }

    /// One at a time, and by somebody who is there.
    fn renew(&mut self, request: Der) {
        let refused = |code: Refusal, text: String| ToClient::Renewal(Renewal::Refused { code, text });
        if let Asking::Factor(due) = self.who.presence().asking() {
            return self.speaker.say(&refused(Refusal::FactorAgain, due.to_string()));
        }
        if !self.renewals.is_empty() {
            return self.speaker.say(&refused(Refusal::Busy, String::new()));
        }
        let (office, who) = (Arc::clone(&self.office), Arc::clone(&self.who));
        self.renewals.spawn(async move { renewal::renew(&office, &who, &request).await });
    }

    fn open(&mut self, wish: Wish) {
        let request = wish.request;
        if let Asking::Factor(due) = self.who.presence().asking() {
            let refused = NotOpened::plain(Refusal::FactorAgain, due.to_string());
            return self.speaker.say(&not_opened(request, &refused));
        }
        // Somebody asked for it.
        self.who.presence().sign();
        let Ok(id) = random_id() else {
            return self
                .speaker
                .say(&not_opened(request, &NotOpened::plain(Refusal::Internal, "no randomness")));
        };
        let (queue, from_hall) = mpsc::channel(WAITING);
        self.sessions.insert(id, queue);
        let (office, who, speaker) = (Arc::clone(&self.office), Arc::clone(&self.who), self.speaker.clone());
        self.passes.spawn(async move {
            let passed = session::pass(&office, &who, wish, id, speaker.clone(), from_hall).await;
            if let Err(refused) = passed {
                speaker.say(&not_opened(request, &refused));
            }
            id
        });
    }

    fn targets(&self) -> Vec<TargetInfo> {
        let policy = self.office.policy.current();
        let targets = policy.targets_for(self.who.person());
        targets.into_iter().take(wire::MOST_ITEMS).map(target_info).collect()
    }

    /// Leads a channel to its session, or turns it away.
    fn lead(&mut self, header: ChannelHeader, from_client: ReceiveStream, to_client: SendStream) {
        let Some(queue) = self.sessions.get(&header.session) else {
            return turn_away(to_client, Refusal::NoSuchSession, "");
        };
        let Transport::Tcp = header.transport;
        let channel = NewChannel { number: header.channel, service: header.service, from_client, to_client };
        if let Err(error) = queue.try_send(ToSession::Channel(channel)) {
            let code = match &error {
                mpsc::error::TrySendError::Full(_) => Refusal::Busy,
                mpsc::error::TrySendError::Closed(_) => Refusal::Ended,
            };
            if let ToSession::Channel(channel) = error.into_inner() {
                turn_away(channel.to_client, code, "");
            }
        }
    }

    /// Waits for the sessions and accounts for the end; the last speaker goes
    /// with the hall.
    async fn leave(mut self, why: Leaving) {
        let code = match why {
            // They end by the same order, or by the same hour, and say so
            // themselves. Were the line taken from them first, its loss would
            // stand in the recording as the reason.
            Leaving::SessionsKnow(code) => code,
            Leaving::LineLost(code) => {
                self.sessions.clear();
                code
            }
        };
        self.headers.abort_all();
        self.proofs.abort_all();
        self.renewals.abort_all();
        let passes = &mut self.passes;
        let all = async { while passes.join_next().await.is_some() {} };
        if tokio::time::timeout(SEALED_WITHIN, all).await.is_err() {
            self.office.audit.alarm().raise("a session takes too long to seal its recording");
        }
        self.sessions.clear();
        self.passes.detach_all();
        let event = self.office.audit.event(Kind::SignedOut).person(self.who.person());
        let event = event.source(self.who.source().ip()).why(code.sentence());
        self.office.audit.tell(&event);
    }
}

/// Finds the session its place.
///
/// # Errors
/// When a bound on sessions is reached.
pub fn enter(
    office: &Office,
    who: &Authenticated,
    grant: &Grant,
    id: SessionId,
) -> Result<SessionPlace, NotOpened> {
    let info = SessionInfo {
        id,
        person: who.person().clone(),
        target: grant.target().id.clone(),
        source: who.source().ip(),
        started: office.clock.wall(),
        expires: grant.expires().min(who.expires()),
        policy: grant.policy().0,
        mode: office.config.recording.mode_for(grant.target().mode).to_string(),
    };
    office
        .registry
        .register(who.sign_in().id, info)
        .map_err(|full| NotOpened::plain(Refusal::Limit, full.to_string()))
}

/// Enters the session into the index, writes the event of its beginning and
/// tells the client that it may come.
///
/// # Errors
/// When either can't be written: what can't be accounted for doesn't happen.
pub async fn announce(
    office: &Arc<Office>,
    who: &Authenticated,
    grant: &Grant,
    wish: &Wish,
    id: SessionId,
    speaker: &Speaker,
) -> Result<(), NotOpened> {
    let target = grant.target();
    let row = SessionRow {
        id,
        person: who.person().clone(),
        target: target.id.clone(),
        source: who.source().ip(),
        started: office.clock.wall(),
        policy: grant.policy().0,
        recording: crate::record::file_name(id),
    };
    let stored = office.blocking(move |office| office.state.session_started(&row)).await;
    stored.map_err(|error| internal(office, &error))?;
    let event = office.audit.event(Kind::SessionStarted).person(who.person()).source(who.source().ip());
    let mut event = event.target(&target.id).session(id).what(&format!("policy {}", grant.policy()));
    if let Some(reason) = &wish.reason {
        event = event.why(reason);
    }
    office.audit.commit(&event).await.map_err(|error| internal(office, &error.to_string()))?;
    let mode = office.config.recording.mode_for(target.mode);
    speaker.say(&opened(who, grant, wish, id, mode));
    Ok(())
}

fn opened(who: &Authenticated, grant: &Grant, wish: &Wish, id: SessionId, mode: authz::Mode) -> ToClient {
    let target = grant.target();
    ToClient::Opened {
        request: wish.request,
        session: id,
        target: target.id.to_string(),
        services: services(target),
        expires_ms: grant.expires().min(who.expires()).as_millisecond(),
        recording_mode: mode.to_string(),
        limits: Limits {
            channels: target.limits.channels,
            requests_per_second: target.limits.requests_per_second,
            outstanding: target.limits.outstanding,
        },
    }
}

/// Accounts for the end and tells the client.
pub async fn farewell(
    office: &Arc<Office>,
    who: &Authenticated,
    id: SessionId,
    ended: &Ended,
    tally: &Tally,
    speaker: &Speaker,
) {
    let why = format!("{}; recording {}", ended.text, tally.outcome);
    let event = office.audit.event(Kind::SessionEnded).person(who.person()).session(id).why(&why);
    let event = event.what(&format!("{} operations, {} denied", tally.operations, tally.denied));
    office.audit.tell(&event);
    // Before the index has its end: a receipt that was not given is found by
    // a session whose end is in the log and not in the index.
    if let Some(note) = &tally.receipt {
        speaker.say(&ToClient::Checkpoint { session: id, note: note.clone() });
    }
    if let Some(note) = &tally.log_head {
        speaker.say(&ToClient::LogCheckpoint { note: note.clone() });
    }
    let end = SessionEnd {
        ended: office.clock.wall(),
        reason: ended.text.clone(),
        operations: tally.operations,
        denied: tally.denied,
    };
    if let Err(error) = office.blocking(move |office| office.state.session_ended(id, &end)).await {
        office.audit.alarm().raise(&format!("the end of session {id} can't be stored: {error}"));
    }
    let notice = Notice::Ended { reason: ended.reason, text: ended.text.clone() };
    speaker.say(&ToClient::Notice { session: id, notice });
}

/// Answers a channel with a refusal and ends its stream.
pub fn turn_away(mut to_client: SendStream, code: Refusal, why: &str) {
    let text = if why.is_empty() { code.sentence() } else { why };
    let reply = ChannelReply::Refused { code, text: text.to_owned() };
    tokio::spawn(async move {
        if let Ok(bytes) = wire::encode(&reply) {
            // A client that is gone needs no answer.
            let _ = to_client.write_all(&bytes).await;
            let _ = to_client.finish();
        }
    });
}

fn code_of(order: &EndOrder) -> CloseCode {
    match order {
        EndOrder::Killed { .. }
        | EndOrder::CertificateRevoked
        | EndOrder::PersonDisabled
        | EndOrder::FactorRemoved
        | EndOrder::FactorMissing => CloseCode::Withdrawn,
        EndOrder::StoodStill => CloseCode::Internal,
        EndOrder::SpaceRanOut | EndOrder::Shutdown | EndOrder::LogFailed => CloseCode::Shutdown,
    }
}

fn not_opened(request: u32, refused: &NotOpened) -> ToClient {
    ToClient::NotOpened { request, code: refused.code, text: refused.text.clone() }
}

fn internal(office: &Office, why: &str) -> NotOpened {
    office.audit.alarm().raise(why);
    NotOpened {
        code: Refusal::Internal,
        text: Refusal::Internal.sentence().to_owned(),
        audit: why.to_owned(),
    }
}

fn target_info(target: &authz::Target) -> TargetInfo {
    let zone = target.zone.as_ref().map_or_else(String::new, ToString::to_string);
    TargetInfo { id: target.id.to_string(), zone, services: services(target) }
}

fn services(target: &authz::Target) -> Vec<ServiceInfo> {
    let info = |service: &authz::Service| ServiceInfo {
        name: service.name.to_string(),
        port: service.port,
        protocol: service.protocol.name().to_owned(),
        transport: Transport::Tcp,
    };
    target.services.values().take(wire::MOST_ITEMS).map(info).collect()
}

fn random_id() -> Result<SessionId, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(SessionId::from_bytes(bytes))
}

/// Reads the one message with which a stream begins. Bytes of the tool that
/// came along with it are not read: a header is read byte-exactly.
async fn header(
    sender: SendStream,
    mut receiver: ReceiveStream,
) -> Option<(ChannelHeader, ReceiveStream, SendStream)> {
    let read = async {
        let mut prefix = [0_u8; wire::PREFIX];
        receiver.read_exact(&mut prefix).await.ok()?;
        let length =
            usize::try_from(u32::from_le_bytes(prefix)).ok().filter(|n| *n <= wire::BEFORE_SIGN_IN)?;
        let mut framed = BytesMut::from(&prefix[..]);
        framed.resize(wire::PREFIX.saturating_add(length), 0);
        receiver.read_exact(framed.get_mut(wire::PREFIX..)?).await.ok()?;
        wire::decode::<ChannelHeader>(&mut framed, wire::BEFORE_SIGN_IN).ok()?
    };
    let header = tokio::time::timeout(HEADER_WITHIN, read).await.ok()??;
    Some((header, receiver, sender))
}
