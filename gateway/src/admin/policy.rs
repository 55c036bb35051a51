//! The policy: status, preview and apply.

use super::messages::{Applied, ApplyRequest, PolicyReport};
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::office::Office;
use crate::policy::Preview;
use axum::Json;
use axum::extract::{Extension, State};
use std::sync::Arc;

pub(super) async fn status(State(office): State<Arc<Office>>) -> Result<Json<PolicyReport>, Refusal> {
    blocking(&office, |office| {
        let applied = office.policy.applied();
        Ok(Json(PolicyReport {
            hash: applied.policy.hash().to_string(),
            applied: applied.at,
            by: applied.by.clone(),
            folder: office.policy.folder(),
        }))
    })
    .await
}

/// What applying the folder would do; changes nothing.
pub(super) async fn preview(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
) -> Result<Json<Preview>, Refusal> {
    blocking(&office, move |office| {
        let with_key = office.state.persons()?.into_iter().filter(|record| !record.keys.is_empty());
        let people = with_key.map(|record| record.person.handle).collect();
        let sessions: Vec<_> = office.registry.sessions().into_iter().map(|(info, _)| info).collect();
        Ok(Json(office.policy.preview(&administrator.name, office.clock.wall(), &people, &sessions)?))
    })
    .await
}

pub(super) async fn apply(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Json(request): Json<Option<ApplyRequest>>,
) -> Result<Json<Applied>, Refusal> {
    blocking(&office, move |office| {
        Ok(Json(match request {
            Some(ApplyRequest { hash }) => office.policy.apply_expected(&administrator.name, &hash)?,
            None => office.policy.apply(&administrator.name)?,
        }))
    })
    .await
}
