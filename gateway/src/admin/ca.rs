//! The gateway's own authority: status, rotation, lists, revocation.

use super::messages::{AuthorityReport, CaReport, CertificateReport, Crl, EndReport, ListReport, Revoked};
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::audit::Kind;
use crate::ca::{AuthorityStatus, CaError, IssuingCa};
use crate::office::Office;
use crate::rounds;
use crate::state::{CertificateRecord, Serial};
use axum::Json;
use axum::extract::{Extension, Path, State};
use std::sync::Arc;

pub(super) async fn status(State(office): State<Arc<Office>>) -> Result<Json<CaReport>, Refusal> {
    blocking(&office, |office| {
        let now = office.clock.wall();
        let certificates = office.state.certificates(now)?;
        let authorities = office.ca.as_ref().map(|ca| ca.status()).unwrap_or_default();
        let ends = office.calendar.all();
        Ok(Json(CaReport {
            authorities: authorities.into_iter().map(authority).collect(),
            certificates: certificates.iter().filter(|one| one.revoked.is_none()).count(),
            warnings: ends.iter().filter_map(|end| Some(end.reminder(now)?.text())).collect(),
            ends: ends.into_iter().map(|end| EndReport { what: end.what, ends: end.ends }).collect(),
        }))
    })
    .await
}

pub(super) async fn rotate(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
) -> Result<Json<AuthorityReport>, Refusal> {
    blocking(&office, move |office| {
        let event = office.audit.event(Kind::AuthorityMade).by(&administrator.name);
        office.audit.write(&event).map_err(Refusal::failure)?;
        let made = ca(office)?.rotate().map_err(|error| {
            let told = office.audit.event(Kind::AdminFailed).by(&administrator.name);
            match office.audit.write(&told.what("a new authority").why(&error.to_string())) {
                Ok(()) => Refusal::from(error),
                Err(unwritten) => Refusal::failure(unwritten),
            }
        })?;
        taken_up(office)?;
        Ok(Json(authority(made)))
    })
    .await
}

pub(super) async fn export_crl(State(office): State<Arc<Office>>) -> Result<Json<Crl>, Refusal> {
    let ca = ca(&office)?;
    Ok(Json(Crl { crl: ca.lists_pem(), authorities: ca.authorities_pem() }))
}

pub(super) async fn certificates(
    State(office): State<Arc<Office>>,
) -> Result<Json<Vec<CertificateReport>>, Refusal> {
    blocking(&office, |office| {
        let list = office.state.certificates(office.clock.wall())?;
        Ok(Json(list.into_iter().map(certificate).collect()))
    })
    .await
}

/// What takes rights away is done first and accounted for after.
pub(super) async fn revoke(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(serial): Path<String>,
) -> Result<Json<Revoked>, Refusal> {
    let serial: Serial = serial.parse().map_err(|error| Refusal::invalid(format!("serial: {error}")))?;
    blocking(&office, move |office| {
        let revoked = ca(office)?.revoke(serial)?;
        let record = revoked.ok_or_else(|| Refusal::no_such("certificate"))?;
        let sessions_ended = taken_up(office)?;
        let event = office.audit.event(Kind::CertificateWithdrawn).person(&record.person);
        let event = event
            .by(&administrator.name)
            .what(&format!("certificate {serial}, {sessions_ended} sessions ended"));
        office.audit.write(&event).map_err(Refusal::failure)?;
        Ok(Json(Revoked { certificate: certificate(record), sessions_ended }))
    })
    .await
}

/// At once, and not at the next round; tells how many sessions were told to
/// end.
fn taken_up(office: &Office) -> Result<usize, Refusal> {
    let ended = rounds::look_at_tls(office);
    office.log.enter_anchors(&ca(office)?.anchors()).map_err(Refusal::failure)?;
    Ok(ended)
}

fn ca(office: &Office) -> Result<&IssuingCa, Refusal> {
    let missing = || Refusal::conflict("this gateway has no authority of its own: there is no [ca]");
    office.ca.as_deref().ok_or_else(missing)
}

fn authority(status: AuthorityStatus) -> AuthorityReport {
    AuthorityReport {
        number: status.number,
        name: status.name,
        fingerprint: status.id.to_string(),
        standing: status.standing,
        expires: status.expires,
        list: status.list.map(|list| ListReport {
            number: list.number,
            made: list.made,
            lapses: list.lapses,
            revoked: list.revoked,
        }),
    }
}

fn certificate(record: CertificateRecord) -> CertificateReport {
    CertificateReport {
        serial: record.row.serial.to_string(),
        person: record.person.to_string(),
        key: record.row.key.to_string(),
        issued: record.row.issued,
        expires: record.row.expires,
        revoked: record.revoked,
    }
}

impl From<CaError> for Refusal {
    fn from(error: CaError) -> Self {
        match error {
            CaError::State(error) => error.into(),
            CaError::Ends(_) => Self::conflict(error),
            CaError::Folder(_) | CaError::Signing(_) => Self::failure(error),
        }
    }
}
