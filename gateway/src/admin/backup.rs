//! A backup for who asks: encrypted before it leaves the gateway.

use super::messages::BackupRequest;
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::audit::Kind;
use crate::backup::gather;
use crate::office::Office;
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use recording::Recipient;
use std::sync::Arc;

pub(super) async fn backup(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Json(request): Json<BackupRequest>,
) -> Result<impl IntoResponse, Refusal> {
    let parsed = request.recipients.iter().map(|text| text.parse::<Recipient>());
    let recipients: Vec<Recipient> = parsed.collect::<Result<_, _>>().map_err(Refusal::invalid)?;
    if recipients.is_empty() {
        return Err(Refusal::invalid("a backup needs a recipient"));
    }
    blocking(&office, move |office| {
        let names: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        let event = office.audit.event(Kind::BackedUp).by(&administrator.name);
        // It hands out every secret: accounted for before it does.
        office.audit.write(&event.what(&format!("for {}", names.join(", ")))).map_err(Refusal::failure)?;
        let closed = gather(office).and_then(|archive| archive.close(&recipients));
        Ok(([(CONTENT_TYPE, "application/octet-stream")], closed.map_err(Refusal::failure)?))
    })
    .await
}
