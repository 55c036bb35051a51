//! The clock: status and accept.

use super::messages::ClockReport;
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::audit::Kind;
use crate::clock::Standing;
use crate::office::Office;
use axum::Json;
use axum::extract::{Extension, State};
use std::sync::Arc;

pub(super) async fn status(State(office): State<Arc<Office>>) -> Result<Json<ClockReport>, Refusal> {
    blocking(&office, |office| Ok(Json(ClockReport { standing: office.warden.look()? }))).await
}

pub(super) async fn accept(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
) -> Result<Json<ClockReport>, Refusal> {
    blocking(&office, move |office| {
        let before = match office.warden.look()? {
            Standing::Steady { .. } => "nothing was suspended".to_owned(),
            Standing::Suspended { step, .. } => format!("a step of {} s", step.step_seconds),
        };
        let event = office.audit.event(Kind::ClockAccepted).by(&administrator.name).what(&before);
        office.audit.write(&event).map_err(Refusal::failure)?;
        Ok(Json(ClockReport { standing: office.warden.accept()? }))
    })
    .await
}
