//! The policy: status and apply.

use super::messages::{Applied, PolicyReport};
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::office::Office;
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

pub(super) async fn apply(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
) -> Result<Json<Applied>, Refusal> {
    blocking(&office, move |office| Ok(Json(office.policy.apply(&administrator.name)?))).await
}
