//! Invitations: make, list, withdraw.

use super::messages::{InvitationReport, InviteRequest, Invited, Withdrawn};
use super::people::{accounted, parse};
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::audit::Kind;
use crate::enrolment::Standing as Endpoint;
use crate::names::Handle;
use crate::office::Office;
use crate::state::{Change, Invitation, Standing, StateError};
use axum::Json;
use axum::extract::{Extension, Path, State};
use jiff::SignedDuration;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use wire::enrolment::{Secret, Token};
use zeroize::Zeroizing;

/// How long an invitation may stand, in seconds: a minute to 30 days.
const STANDS: RangeInclusive<u64> = 60..=30 * 24 * 60 * 60;

pub(super) async fn invite(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(handle): Path<String>,
    Json(request): Json<InviteRequest>,
) -> Result<Json<Invited>, Refusal> {
    let handle = parse(&handle)?;
    if office.config.enrolment.is_none() {
        return Err(Refusal::conflict("nobody can enrol here: the configuration has no [enrolment]"));
    }
    if !STANDS.contains(&request.expires_in_s) {
        return Err(Refusal::invalid("an invitation stands for a minute to 30 days"));
    }
    let lasts = SignedDuration::from_secs(i64::try_from(request.expires_in_s).unwrap_or(0));
    let secret = secret()?;
    let invited = secret.clone();
    let (name, by) = (handle.clone(), administrator.name.clone());
    let expires = blocking(&office, move |office| store(office, &name, &by, &invited, lasts)).await?;
    // Bound before the token is handed out: a port that is taken is told here
    // and not to the person who comes with the token.
    let bound = match office.reception.look().await {
        Ok(Endpoint::Open(bound)) => bound,
        Ok(Endpoint::Failed(why)) | Err(why) => return Err(take_back(&office, handle, why).await),
        Ok(Endpoint::Closed) => {
            return Err(take_back(&office, handle, "the enrolment endpoint stays closed".to_owned()).await);
        }
    };
    token(&office, &handle, secret, bound, expires)
}

/// The event, then the invitation; tells until when it stands.
fn store(
    office: &Office,
    handle: &Handle,
    by: &str,
    secret: &Secret,
    lasts: SignedDuration,
) -> Result<jiff::Timestamp, Refusal> {
    let made = office.clock.wall();
    let expires = made.saturating_add(lasts).map_err(Refusal::failure)?;
    let event = office.audit.event(Kind::PersonInvited).person(handle).by(by);
    let invitation =
        Invitation { handle: handle.clone(), stored: secret.stored(), made, expires, by: by.to_owned() };
    let possible = invitable(office, handle);
    accounted(&office.audit, &event.what(&format!("until {expires}")), possible, || {
        office.state.invite(&invitation)
    })?;
    Ok(expires)
}

/// Whether a token may go to this person.
fn invitable(office: &Office, handle: &Handle) -> Result<(), StateError> {
    match office.state.person(handle)?.map(|record| record.person.standing) {
        Some(Standing::Disabled) => Err(StateError::Disabled(handle.clone())),
        Some(Standing::Enabled) | None => Ok(()),
    }
}

/// An invitation that nobody can use is none.
async fn take_back(office: &Arc<Office>, handle: Handle, why: String) -> Refusal {
    let taken = blocking(office, move |office| {
        office.state.withdraw_invitation(&handle, office.clock.wall())?;
        let event = office.audit.event(Kind::AdminFailed).person(&handle).why(&why);
        office.audit.write(&event).map_err(Refusal::failure)?;
        Ok(why)
    });
    match taken.await {
        Ok(why) => Refusal::conflict(format!("{why}; nobody was invited")),
        Err(refusal) => refusal,
    }
}

fn token(
    office: &Office,
    handle: &Handle,
    secret: Secret,
    bound: SocketAddr,
    expires: jiff::Timestamp,
) -> Result<Json<Invited>, Refusal> {
    let settings = office.config.enrolment.as_ref().ok_or_else(|| Refusal::no_such("page"))?;
    let (address, fingerprint) = (settings.address.text(bound), office.tls.current().material.fingerprint());
    let token = Token::new(fingerprint, secret, &address).map_err(Refusal::failure)?;
    Ok(Json(Invited {
        handle: handle.to_string(),
        token: token.to_text().to_string(),
        address,
        fingerprint: hex::encode(fingerprint),
        expires,
    }))
}

fn secret() -> Result<Secret, Refusal> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice())
        .map_err(|_| Refusal::failure("the system gives no randomness"))?;
    Ok(Secret::from_bytes(*bytes))
}

pub(super) async fn withdraw(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(handle): Path<String>,
) -> Result<Json<Withdrawn>, Refusal> {
    let handle = parse(&handle)?;
    let withdrawn = blocking(&office, move |office| {
        let change = office.state.withdraw_invitation(&handle, office.clock.wall())?;
        let event = office.audit.event(Kind::InvitationWithdrawn).person(&handle).by(&administrator.name);
        if change == Change::Made {
            office.audit.write(&event).map_err(Refusal::failure)?;
        }
        Ok(Json(Withdrawn { handle: handle.to_string(), change }))
    });
    let withdrawn = withdrawn.await?;
    // The socket goes with the last invitation.
    office.reception.look().await.map_err(Refusal::failure)?;
    Ok(withdrawn)
}

pub(super) async fn list(State(office): State<Arc<Office>>) -> Result<Json<Vec<InvitationReport>>, Refusal> {
    blocking(&office, |office| {
        let open = office.state.open_invitations(office.clock.wall())?;
        let report = |one: crate::state::InvitationRecord| InvitationReport {
            handle: one.handle.to_string(),
            made: one.made,
            expires: one.expires,
            by: one.by,
        };
        Ok(Json(open.into_iter().map(report).collect()))
    })
    .await
}
