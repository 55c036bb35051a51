//! Running sessions: list and kill.

use super::messages::{Killed, SessionList, SessionReport};
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::audit::Kind;
use crate::names::{PolicyHash, SessionId};
use crate::office::Office;
use crate::sessions::EndOrder;
use axum::Json;
use axum::extract::{Extension, Path, State};
use std::sync::Arc;

pub(super) async fn list(State(office): State<Arc<Office>>) -> Json<SessionList> {
    let report = |(info, counted): (crate::sessions::SessionInfo, _)| SessionReport {
        id: info.id.to_string(),
        person: info.person.to_string(),
        target: info.target.to_string(),
        source: info.source,
        started: info.started,
        expires: info.expires,
        policy: PolicyHash(info.policy).to_string(),
        mode: info.mode,
        counted,
    };
    Json(SessionList { sessions: office.registry.sessions().into_iter().map(report).collect() })
}

pub(super) async fn kill(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(id): Path<String>,
) -> Result<Json<Killed>, Refusal> {
    let id: SessionId = id.parse().map_err(|_| Refusal::no_such("session"))?;
    // Here, not beside others' blocking work: a kill waits for no disk.
    let order = EndOrder::Killed { by: administrator.name.clone() };
    let info = office.registry.end_session(id, order).ok_or_else(|| Refusal::no_such("session"))?;
    blocking(&office, move |office| {
        let event = office.audit.event(Kind::SessionKilled).person(&info.person).target(&info.target);
        let event = event.session(id).by(&administrator.name);
        office.audit.write(&event).map_err(Refusal::failure)?;
        Ok(Json(Killed {
            id: id.to_string(),
            person: info.person.to_string(),
            target: info.target.to_string(),
        }))
    })
    .await
}
