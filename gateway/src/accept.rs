//! The door: QUIC connections come in here, and nothing is trusted yet.
//!
//! A stranger costs one address validation (a Retry, RFC 9000, 8.1), one place
//! out of a bounded number, and at most the handshake's deadline. What leaves
//! this module is [`Accepted`]: a finished TLS 1.3 handshake with a client
//! certificate that the CA signed and the CRL does not list. It has no secrets,
//! no person and no rights; [`crate::authenticate`] is the only way on.
//!
//! Order: `serve` -> Retry -> a place -> handshake within its deadline ->
//! [`crate::session::visit`], one owned task a connection.

use crate::office::Office;
use crate::quic::{Connection, Endpoint, Incoming};
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A connection whose certificate verified. Made by [`Door::accept`] only.
#[derive(Debug)]
pub struct Accepted {
    pub(crate) connection: Connection,
    pub(crate) source: SocketAddr,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) place: Place,
}

/// Why a connection did not get through the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The gateway's bound on connections is reached.
    #[error("too many connections")]
    Full,
    /// The bound on connections of one address is reached.
    #[error("too many connections from one address")]
    AddressFull,
    /// The handshake did not finish in time.
    #[error("the handshake took too long")]
    TooSlow,
    /// The handshake failed: no certificate, a wrong one, a lapsed CRL.
    #[error("the handshake failed")]
    Handshake,
}

/// Counts who stands in the door and in the house.
#[derive(Debug)]
pub struct Door {
    office: Arc<Office>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    address: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// Accepts until told to stop, then waits for every visit to end.
pub async fn serve(office: Arc<Office>, endpoint: Endpoint, stop: CancellationToken) {
    let door = Arc::new(Door { office: Arc::clone(&office), counts: Arc::default() });
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = visits.join_next() => {}
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                door.let_in(incoming, &mut visits);
            }
        }
    }
    // From here on nobody new is let in; the visits see the same order and
    // say goodbye to their technicians themselves.
    endpoint.let_nobody_in();
    while visits.join_next().await.is_some() {}
    endpoint.wait_idle().await;
}

impl Door {
    /// Decides from the outside only; the handshake itself is the visit's task,
    /// so that a slow peer never delays the next one.
    fn let_in(self: &Arc<Self>, incoming: Incoming, visits: &mut JoinSet<()>) {
        if !incoming.is_validated() {
            // Stateless, so a forged source address costs us one datagram.
            if incoming.retry().is_err() {
                self.office.audit.stranger("address can't be validated");
            }
            return;
        }
        match self.place(incoming.remote_address().ip()) {
            Ok(place) => {
                let office = Arc::clone(&self.office);
                let door = Arc::clone(self);
                visits.spawn(async move { crate::session::visit(office, door, incoming, place).await });
            }
            Err(rejected) => {
                self.office.audit.stranger(rejected.word());
                incoming.refuse();
            }
        }
    }

    fn place(&self, address: IpAddr) -> Result<Place, Rejected> {
        let limits = &self.office.config.limits;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= limits.connections {
            return Err(Rejected::Full);
        }
        let own = counts.by_address.get(&address).copied().unwrap_or(0);
        if own >= limits.connections_per_address {
            return Err(Rejected::AddressFull);
        }
        counts.all = counts.all.saturating_add(1);
        counts.by_address.insert(address, own.saturating_add(1));
        Ok(Place { address, counts: Arc::clone(&self.counts) })
    }

    /// Finishes the handshake: certificate, CA and CRL are judged in it.
    pub async fn accept(&self, incoming: Incoming, place: Place) -> Result<Accepted, Rejected> {
        let deadline = self.office.config.limits.handshake_deadline;
        let connection = tokio::time::timeout(deadline, incoming.handshake())
            .await
            .map_err(|_| Rejected::TooSlow)?
            .map_err(|_| Rejected::Handshake)?;
        let chain = connection.certificates().ok_or(Rejected::Handshake)?;
        Ok(Accepted { source: connection.remote_address(), connection, chain, place })
    }

    /// Counts a refusal of somebody whose certificate did not verify.
    pub fn note(&self, rejected: Rejected) {
        self.office.audit.stranger(rejected.word());
    }
}

impl Rejected {
    fn word(self) -> &'static str {
        match self {
            Self::Full => "too many connections",
            Self::AddressFull => "too many connections from one address",
            Self::TooSlow => "handshake too slow",
            Self::Handshake => "handshake failed",
        }
    }
}
