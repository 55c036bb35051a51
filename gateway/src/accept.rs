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
pub use crate::places::{Place, Places, Rejected};
use crate::quic::{Connection, Endpoint, Incoming};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
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

/// Counts who stands in the door and in the house.
#[derive(Debug)]
pub struct Door {
    office: Arc<Office>,
    places: Places,
}

/// Accepts until told to stop, then waits for every visit to end.
pub async fn serve(office: Arc<Office>, endpoint: Endpoint, stop: CancellationToken) {
    let limits = &office.config.limits;
    let places = Places::new(limits.connections, limits.connections_per_address);
    let door = Arc::new(Door { office: Arc::clone(&office), places });
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
        match self.places.take(incoming.remote_address().ip()) {
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
