//! One enrolment, on one page.
//!
//! Each stage takes what only the stage before it can make: a stranger's
//! connection -> [`Invited`], a token proven on this very connection -> a key
//! that somebody has -> a factor that was seen to work -> all of it stored.

use super::factor;
use super::talk::{Broken, Talk};
use crate::audit::{AuditError, Event, Kind};
use crate::ca::{Issued, RequestedKey};
use crate::clock::Standing as ClockStanding;
use crate::office::Office;
use crate::quic::Incoming;
use crate::state::{ConfirmedFactor, Enrolment, Lock, OpenInvitation, Standing, StateError};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use wire::Der;
use wire::enrolment::{Answer, Ask, Declined, EXPORTER_LABEL, InvitationId, Proof, VERSION};

/// From the handshake to the proven token: no person has to do anything in it.
const PROVEN_WITHIN: Duration = Duration::from_secs(10);

/// From there to the end: somebody looks for their telephone.
const COMPLETED_WITHIN: Duration = Duration::from_secs(600);

/// An answer to a token leaves no sooner than this after it came, so that the
/// time it takes does not tell which invitations there are.
const ANSWER_AFTER: Duration = Duration::from_millis(250);

/// Whoever proved a token, on this connection. Made by [`prove`] only.
#[derive(Debug)]
pub(super) struct Invited {
    pub(super) invitation: OpenInvitation,
    pub(super) source: SocketAddr,
}

/// Serves one connection from its first packet to its end.
pub(super) async fn visit(office: &Arc<Office>, incoming: Incoming, over: CancellationToken) {
    let handshake = timeout(office.config.limits.handshake_deadline, incoming.handshake());
    let Ok(Ok(connection)) = handshake.await else {
        return office.audit.stranger("enrolment handshake failed");
    };
    let source = connection.remote_address();
    let Ok(Ok(mut talk)) = timeout(PROVEN_WITHIN, Talk::open(connection, over)).await else {
        return office.audit.stranger("enrolment not begun");
    };
    if let Err(broken) = enrol(office, &mut talk, source).await {
        tracing::debug!("an enrolment broke off: {broken}");
        if let Some(last_word) = broken.last_word() {
            talk.say_last(&last_word).await;
        }
    }
    talk.leave().await;
}

async fn enrol(office: &Arc<Office>, talk: &mut Talk, source: SocketAddr) -> Result<(), Broken> {
    let proven = timeout(PROVEN_WITHIN, prove(office, talk, source)).await;
    let invited = match proven {
        Ok(Ok(invited)) => invited,
        Ok(Err(broken)) => {
            office.audit.stranger("no enrolment token");
            return Err(broken);
        }
        Err(_) => {
            office.audit.stranger("enrolment not begun");
            return Err(Broken::Declined(Declined::TimedOut));
        }
    };
    let completed = timeout(COMPLETED_WITHIN, complete(office, talk, &invited)).await;
    match completed {
        Ok(Err(Broken::Over)) => Err(invited.refused(office, Declined::Ended)),
        Ok(completed) => completed,
        Err(_) => Err(invited.refused(office, Declined::TimedOut)),
    }
}

/// The token's secret, proven by what the client could only make with it and
/// only for this connection.
async fn prove(office: &Arc<Office>, talk: &mut Talk, source: SocketAddr) -> Result<Invited, Broken> {
    let Ask::Hello { version, software: _, invitation, proof } = talk.hear().await? else {
        return Err(Broken::Malformed);
    };
    if version != VERSION {
        return Err(Broken::Declined(Declined::Version));
    }
    let answer_at = Instant::now() + ANSWER_AFTER;
    let exporter = talk.connection().exporter(EXPORTER_LABEL)?;
    let judged = judge(office, invitation, proof, exporter).await;
    tokio::time::sleep_until(answer_at).await;
    Ok(Invited { invitation: judged?, source })
}

/// Unknown, used, run out and wrong are one answer.
async fn judge(
    office: &Arc<Office>,
    id: InvitationId,
    proof: Proof,
    exporter: [u8; 32],
) -> Result<OpenInvitation, Broken> {
    let now = office.clock.wall();
    let found = office.blocking(move |office| office.state.invitation(id, now)).await;
    let found = found.map_err(|error| internal(office, &error))?;
    found
        .filter(|invitation| invitation.stored.accepts(&proof, &exporter))
        .ok_or(Broken::Declined(Declined::Token))
}

/// From the proven token to the stored person.
async fn complete(office: &Arc<Office>, talk: &mut Talk, invited: &Invited) -> Result<(), Broken> {
    trustworthy_clock(office, invited).await?;
    let known = invited.invitation.known.as_ref();
    if known.is_some_and(|known| known.standing == Standing::Disabled) {
        return Err(invited.refused(office, Declined::Ended));
    }
    let factors = factor::open_to(known, factor::relying_party(office));
    if factors.is_empty() {
        return Err(invited.refused(office, Declined::NoWay));
    }
    // Before anything is asked of a person: who could not know the gateway
    // afterwards would have used their token up for nothing.
    known_by(office)?;
    talk.say(&Answer::Welcome {
        version: VERSION,
        gateway_time_ms: office.clock.wall().as_millisecond(),
        person: invited.invitation.handle.to_string(),
        factors,
    })
    .await?;
    let Ask::Apply { request, factor: choice } = talk.hear_invited().await? else {
        return Err(Broken::Malformed);
    };
    let key = RequestedKey::read(request.as_bytes()).map_err(|error| {
        match invited.note(office, &error.to_string()) {
            Ok(()) => Broken::Declined(Declined::Request),
            Err(broken) => broken,
        }
    })?;
    let factor = factor::confirm(office, talk, invited, &key, choice).await?;
    let issued = store(office, invited, &key, factor).await?;
    // From here on the person is enrolled, whether or not they hear of it.
    office.reception.look_soon();
    talk.say(&enrolled(office, &issued)?).await
}

/// Windows and expiries need a time that can be relied on.
async fn trustworthy_clock(office: &Arc<Office>, invited: &Invited) -> Result<(), Broken> {
    match office.blocking(|office| office.warden.look()).await {
        Ok(ClockStanding::Steady { .. }) => Ok(()),
        Ok(ClockStanding::Suspended { .. }) => Err(invited.refused(office, Declined::Clock)),
        Err(error) => Err(internal(office, &error)),
    }
}

/// Signs the certificate and stores everything, or nothing.
async fn store(
    office: &Arc<Office>,
    invited: &Invited,
    key: &RequestedKey,
    factor: ConfirmedFactor,
) -> Result<Issued, Broken> {
    let ca = office.ca.as_ref().ok_or_else(|| internal(office, "there is no issuing authority"))?;
    let issued =
        ca.issue(key, &invited.invitation.handle).map_err(|error| internal(office, &error.to_string()))?;
    let event = office.audit.event(Kind::PersonEnrolled).person(&invited.invitation.handle);
    let what = format!(
        "key {}, certificate {} until {}, {factor}",
        issued.row.key, issued.row.serial, issued.row.expires
    );
    let enrolment = Enrolment { invitation: invited.invitation.id, factor, certificate: issued.row };
    let event = event.source(invited.source.ip()).what(&what);
    let one_at_a_time = office.reception.completing.lock().await;
    let stored = office.blocking(move |office| Ok::<_, String>(account(office, &event, &enrolment))).await;
    drop(one_at_a_time);
    match stored.map_err(|error| internal(office, &error))? {
        Ok(()) => Ok(issued),
        Err(NotStored::State(StateError::InvitationOver | StateError::Disabled(_))) => {
            Err(invited.refused(office, Declined::Ended))
        }
        Err(NotStored::State(StateError::KeyTaken { .. })) => {
            Err(invited.refused(office, Declined::KeyTaken))
        }
        Err(NotStored::State(StateError::PasskeyKnown)) => {
            Err(invited.refused(office, Declined::PasskeyKnown))
        }
        Err(error @ (NotStored::State(_) | NotStored::Unaccounted(_))) => {
            Err(internal(office, &error.to_string()))
        }
    }
}

/// Why an enrolment was not stored.
#[derive(Debug, thiserror::Error)]
enum NotStored {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Unaccounted(#[from] AuditError),
}

/// What gives rights: whether it can be done, then the event, then the work.
fn account(office: &Office, event: &Event, enrolment: &Enrolment) -> Result<(), NotStored> {
    let now = office.clock.wall();
    office.state.may_enrol(enrolment, now)?;
    office.audit.write(event)?;
    office.state.enrol(enrolment, now)?;
    Ok(())
}

/// What an enrolled client knows the gateway by. The certificate in use may
/// have changed since the configuration was checked.
fn known_by(office: &Office) -> Result<Vec<CertificateDer<'static>>, Broken> {
    let known_by = office.tls.current().material.papers().known_by().to_vec();
    if known_by.is_empty() {
        let why = "who issued [tls] cert is neither in [tls] ca nor at the end of that file";
        return Err(internal(office, why));
    }
    Ok(known_by)
}

fn enrolled(office: &Office, issued: &Issued) -> Result<Answer, Broken> {
    let settings = office.config.enrolment.as_ref().zip(office.reception.gateway.get());
    let (settings, bound) = settings.ok_or_else(|| internal(office, "enrolment is not configured"))?;
    let der = |bytes: &[u8]| Der::new(bytes.to_vec()).map_err(|error| internal(office, &error.to_string()));
    let trust = known_by(office)?.iter().map(|one| der(one)).collect::<Result<_, _>>()?;
    Ok(Answer::Enrolled {
        chain: vec![der(&issued.der)?],
        trust,
        gateway: settings.gateway.text(*bound),
        server_name: settings.server_name.clone(),
    })
}

impl Invited {
    /// A refusal of somebody whose token is good: an event each.
    pub(super) fn refused(&self, office: &Office, why: Declined) -> Broken {
        match self.note(office, why.sentence()) {
            Ok(()) => Broken::Declined(why),
            Err(broken) => broken,
        }
    }

    /// The same with the reason in words, for the event and for the client.
    pub(super) fn explained(&self, office: &Office, why: Declined, text: &str) -> Broken {
        match self.note(office, text) {
            Ok(()) => Broken::Explained(why, text.to_owned()),
            Err(broken) => broken,
        }
    }

    pub(super) fn tell_of_a_lock(&self, office: &Office, why: &str, lock: Lock) {
        office.audit.tell_of_a_lock(&self.invitation.handle, self.source.ip(), why, lock);
    }

    pub(super) fn note(&self, office: &Office, why: &str) -> Result<(), Broken> {
        let event = office.audit.event(Kind::EnrolmentRefused).person(&self.invitation.handle);
        let written = office.audit.write(&event.source(self.source.ip()).why(why));
        written.map_err(|_| Broken::Declined(Declined::Internal))
    }
}

/// Our own failure: nothing is stored, and people are told.
pub(super) fn internal(office: &Office, why: &str) -> Broken {
    office.audit.alarm().raise(&format!("an enrolment failed here: {why}"));
    Broken::Declined(Declined::Internal)
}
