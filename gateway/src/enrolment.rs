//! Where people who were invited get a certificate and a second factor.
//!
//! An endpoint of its own, on a thread of its own: it asks for no client
//! certificate, so it exists only while an invitation is open, and nothing that
//! happens here can slow a sign-in down. A stranger costs one place out of a
//! few, a short time and one look into the state; strangers are counted and
//! nothing of theirs is kept. Nobody is locked by a wrong token.
//!
//! Order: [`Reception::look`] after each change of invitations -> [`receive`]
//! binds or gives up the socket -> `visit`, one task a
//! connection: token proven -> key asked for -> factor confirmed -> all stored
//! in one transaction -> certificate handed out. What breaks off before the
//! transaction stores nothing and leaves the invitation open; what breaks off
//! after it leaves a person who needs another invitation for another key.

mod factor;
mod passkey;
mod talk;
#[cfg(test)]
mod tests;
mod visit;

use crate::config::EnrolmentSettings;
use crate::office::Office;
use crate::places::Places;
use crate::quic::{Endpoint, Incoming, enrolment_config};
use crate::tls::Current;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Connections of everybody; an enrolment is a matter of minutes.
const CONNECTIONS: u32 = 128;

/// Connections of one address: a few people behind one router.
const CONNECTIONS_PER_ADDRESS: u32 = 24;

/// How often it is looked whether an invitation has run out.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long visits may take to end once no invitation is open any more. The
/// one that used it up is among them.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How long the answer to [`Reception::look`] may take.
const BOUND_WITHIN: Duration = Duration::from_secs(20);

/// What the rest of the gateway has to do with enrolments.
#[derive(Debug)]
pub struct Reception {
    /// Counts the wishes to look at the invitations anew.
    wishes: watch::Sender<u64>,
    /// What the look at the wish of that number led to.
    standing: watch::Sender<(u64, Standing)>,
    /// Where the gateway itself listens.
    gateway: OnceLock<SocketAddr>,
    /// Held from the last look at an invitation until it is used up, so that
    /// the event of an enrolment is written for the one that succeeds alone.
    completing: Mutex<()>,
}

/// Whether people can enrol now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No invitation is open, and nothing is bound.
    Closed,
    /// Bound to this address.
    Open(SocketAddr),
    /// Invitations are open and the socket can't be bound.
    Failed(String),
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            wishes: watch::Sender::new(0),
            standing: watch::Sender::new((0, Standing::Closed)),
            gateway: OnceLock::new(),
            completing: Mutex::new(()),
        }
    }
}

impl Reception {
    /// Where the gateway itself listens; told once, when it is bound.
    pub fn gateway_listens(&self, address: SocketAddr) {
        // A second telling could only be the same.
        let _ = self.gateway.set(address);
    }

    /// Looks at the invitations again and tells what came of it.
    ///
    /// # Errors
    /// In words, when nobody looks in time.
    pub async fn look(&self) -> Result<Standing, String> {
        let mut number = 0;
        self.wishes.send_modify(|wishes| {
            *wishes = wishes.saturating_add(1);
            number = *wishes;
        });
        let mut standing = self.standing.subscribe();
        let answered = standing.wait_for(|(of, _)| *of >= number);
        match tokio::time::timeout(BOUND_WITHIN, answered).await {
            Ok(Ok(answer)) => Ok(answer.1.clone()),
            Ok(Err(_)) | Err(_) => Err("the enrolment endpoint does not answer".to_owned()),
        }
    }

    /// The same without waiting for it.
    fn look_soon(&self) {
        self.wishes.send_modify(|wishes| *wishes = wishes.saturating_add(1));
    }

    /// Whether people can enrol now.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().1.clone()
    }
}

/// An endpoint that is bound.
struct Bound {
    endpoint: Endpoint,
    address: SocketAddr,
    stop: CancellationToken,
    /// No invitation is open any more: whoever still looks for a factor is told.
    over: CancellationToken,
    serving: JoinHandle<()>,
}

/// Opens and closes the endpoint until told to stop.
pub async fn receive(office: &Arc<Office>, stop: CancellationToken) {
    let Some(settings) = &office.config.enrolment else { return stop.cancelled().await };
    let (mut wishes, mut tls) = (office.reception.wishes.subscribe(), office.tls.subscribe());
    let mut bound: Option<Bound> = None;
    loop {
        let wish = *wishes.borrow_and_update();
        let standing = follow(office, settings, &mut bound).await;
        office.reception.standing.send_replace((wish, standing));
        tokio::select! {
            () = stop.cancelled() => break,
            // It ends with the office alone.
            changed = wishes.changed() => if changed.is_err() { break },
            changed = tls.changed() => match (changed, &bound) {
                (Ok(()), Some(bound)) => bound.change(office, &tls.borrow_and_update().clone()),
                (Ok(()), None) => {}
                (Err(_), _) => break,
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    if let Some(bound) = bound.take() {
        bound.close().await;
    }
}

/// Binds or gives up the socket, as the invitations demand.
async fn follow(office: &Arc<Office>, settings: &EnrolmentSettings, bound: &mut Option<Bound>) -> Standing {
    let now = office.clock.wall();
    let open = office.blocking(move |office| office.state.open_invitations(now)).await;
    let open = open.unwrap_or_else(|error| {
        // What can't be known to be open is closed.
        tracing::error!("invitations: {error}");
        Vec::new()
    });
    if open.is_empty() {
        if let Some(bound) = bound.take() {
            bound.over.cancel();
            bound.close().await;
            tracing::info!("no invitation is open: the enrolment endpoint is closed");
        }
        return Standing::Closed;
    }
    if let Some(bound) = bound {
        return Standing::Open(bound.address);
    }
    match Bound::open(office, settings) {
        Ok(opened) => {
            let address = opened.address;
            tracing::info!("{} invitations are open: enrolling on {address}", open.len());
            *bound = Some(opened);
            Standing::Open(address)
        }
        Err(error) => Standing::Failed(format!("[enrolment] listen: {}: {error}", settings.listen)),
    }
}

impl Bound {
    fn open(office: &Arc<Office>, settings: &EnrolmentSettings) -> io::Result<Self> {
        let current = office.tls.current();
        let windows = office.config.limits.windows();
        let config = enrolment_config(&current.material, &windows, Arc::clone(&office.clock))
            .map_err(|error| io::Error::other(error.to_string()))?;
        let udp = UdpSocket::bind(settings.listen)?;
        let address = udp.local_addr()?;
        let endpoint = Endpoint::new(udp, config)?;
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let serving = serve(Arc::clone(office), endpoint.clone(), stop.clone(), over.clone());
        Ok(Self { endpoint, address, stop, over, serving: tokio::spawn(serving) })
    }

    /// Another certificate of the gateway holds from the next handshake on.
    fn change(&self, office: &Office, current: &Current) {
        let windows = office.config.limits.windows();
        match enrolment_config(&current.material, &windows, Arc::clone(&office.clock)) {
            Ok(config) => self.endpoint.change(config),
            Err(error) => tracing::error!("enrolment: {error}"),
        }
    }

    /// Lets those who are there finish, for a moment, and frees the socket.
    async fn close(self) {
        self.stop.cancel();
        let mut serving = self.serving;
        if tokio::time::timeout(END_WITHIN, &mut serving).await.is_err() {
            serving.abort();
        }
        self.endpoint.close();
        let idle = tokio::time::timeout(END_WITHIN, self.endpoint.wait_idle()).await;
        if idle.is_err() {
            tracing::debug!("somebody did not say goodbye to the enrolment endpoint");
        }
    }
}

/// Takes connections until told to stop, then waits for those that are there.
async fn serve(office: Arc<Office>, endpoint: Endpoint, stop: CancellationToken, over: CancellationToken) {
    let places = Places::new(CONNECTIONS, CONNECTIONS_PER_ADDRESS);
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = visits.join_next() => {}
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                let_in(&office, &places, incoming, &over, &mut visits);
            }
        }
    }
    endpoint.let_nobody_in();
    while visits.join_next().await.is_some() {}
}

fn let_in(
    office: &Arc<Office>,
    places: &Places,
    incoming: Incoming,
    over: &CancellationToken,
    visits: &mut JoinSet<()>,
) {
    if !incoming.is_validated() {
        // Stateless, so a forged source address costs us one datagram.
        if incoming.retry().is_err() {
            office.audit.stranger("address can't be validated");
        }
        return;
    }
    match places.take(incoming.remote_address().ip()) {
        Ok(place) => {
            let (office, over) = (Arc::clone(office), over.clone());
            visits.spawn(async move {
                visit::visit(&office, incoming, over).await;
                drop(place);
            });
        }
        Err(rejected) => {
            office.audit.stranger(rejected.word());
            incoming.refuse();
        }
    }
}
