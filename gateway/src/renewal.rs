//! A new certificate for somebody who is signed in.
//!
//! Only a certificate of the gateway's own authority is renewed here: one of
//! another authority is that authority's to renew, or its revocation would be
//! worth nothing. The old certificate stays good until its own end, so that a
//! client that could not store the new one is not locked out; it can be revoked
//! by its serial number as any other.

use crate::audit::{AuditError, Event, Kind};
use crate::authenticate::Authenticated;
use crate::ca::{CaError, Issued, RequestedKey};
use crate::office::Office;
use crate::state::{Renewal as Row, StateError};
use std::sync::Arc;
use wire::{Der, Refusal, Renewal};

/// Issues a certificate for the key in the request, or tells why not.
pub async fn renew(office: &Arc<Office>, who: &Authenticated, request: &Der) -> Renewal {
    match issue(office, who, request).await {
        Ok(issued) => match Der::new(issued.der.to_vec()) {
            Ok(certificate) => Renewal::Issued { chain: vec![certificate] },
            Err(error) => refuse(&internal(office, &error)),
        },
        Err(refused) => {
            let event = office.audit.event(Kind::RenewalRefused).person(who.person());
            office.audit.tell(&event.source(who.source().ip()).why(&refused.audit));
            refuse(&refused)
        }
    }
}

/// What the client hears and what is written down.
struct NotRenewed {
    code: Refusal,
    text: String,
    audit: String,
}

impl NotRenewed {
    fn plain(code: Refusal, text: impl std::fmt::Display) -> Self {
        Self { code, text: text.to_string(), audit: text.to_string() }
    }
}

fn refuse(refused: &NotRenewed) -> Renewal {
    Renewal::Refused { code: refused.code, text: refused.text.clone() }
}

async fn issue(office: &Arc<Office>, who: &Authenticated, request: &Der) -> Result<Issued, NotRenewed> {
    let missing = || NotRenewed::plain(Refusal::Unsupported, "this gateway issues no certificates");
    let ca = office.ca.as_ref().ok_or_else(missing)?;
    let foreign = || NotRenewed::plain(Refusal::NotPermitted, StateError::ForeignCertificate);
    let shown = who.certificate();
    let serial = shown.serial.ok_or_else(foreign)?;
    let key = RequestedKey::read(request.as_bytes())
        .map_err(|error| NotRenewed::plain(Refusal::Malformed, error))?;
    let issued = ca.renew(&key, who.person(), shown.expires).map_err(|error| match error {
        // Told to the technician as it is: only the plant can do something.
        CaError::Ends(at) => NotRenewed::plain(
            Refusal::NotPermitted,
            format!(
                "the plant's issuing authority ends on {at}, and nothing lasts longer than that: the plant has \
                 to make a new one (`ca rotate`)"
            ),
        ),
        CaError::Folder(_) | CaError::State(_) | CaError::Signing(_) => internal(office, &error),
    })?;
    let event = office.audit.event(Kind::CertificateRenewed).person(who.person());
    let what =
        format!("key {}, certificate {} until {}", issued.row.key, issued.row.serial, issued.row.expires);
    let event = event.source(who.source().ip()).what(&what);
    let row = Row { person: who.person().clone(), serial, key: shown.key, certificate: issued.row };
    let stored = office.blocking(move |office| Ok::<_, String>(account(office, &event, &row))).await;
    match stored.map_err(|error| internal(office, &error))? {
        Ok(()) => Ok(issued),
        Err(NotStored::State(error @ (StateError::ForeignCertificate | StateError::Disabled(_)))) => {
            Err(NotRenewed::plain(Refusal::NotPermitted, error))
        }
        Err(NotStored::State(error @ StateError::TooManyCertificates)) => {
            Err(NotRenewed::plain(Refusal::Limit, error))
        }
        // Whose it is nobody is told.
        Err(NotStored::State(error @ StateError::KeyTaken { .. })) => Err(NotRenewed {
            code: Refusal::NotPermitted,
            text: "this key belongs to somebody already".to_owned(),
            audit: error.to_string(),
        }),
        Err(error @ (NotStored::State(_) | NotStored::Unaccounted(_))) => Err(internal(office, &error)),
    }
}

/// Why a certificate was not stored.
#[derive(Debug, thiserror::Error)]
enum NotStored {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Unaccounted(#[from] AuditError),
}

/// What gives rights: whether it can be done, then the event, then the work.
fn account(office: &Office, event: &Event, row: &Row) -> Result<(), NotStored> {
    let now = office.clock.wall();
    office.state.renewable(row, now)?;
    office.audit.write(event)?;
    Ok(office.state.renew(row, now)?)
}

/// Our own failure: nothing is issued, and people are told.
fn internal(office: &Office, why: &dyn std::fmt::Display) -> NotRenewed {
    office.audit.alarm().raise(&format!("a renewal failed here: {why}"));
    let text = Refusal::Internal.sentence().to_owned();
    NotRenewed { code: Refusal::Internal, text, audit: why.to_string() }
}
