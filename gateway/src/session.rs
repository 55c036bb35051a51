//! The security path, on one page.
//!
//! [`visit`] takes a stranger's connection to a person who is signed in;
//! [`pass`] takes a person's wish to a sealed recording. Each stage takes the
//! type that only the stage before it can make: `Accepted` -> `Authenticated`
//! -> `Grant` -> `OpenRecording` -> a device's socket (`dial`, in `proxy`).
//! Nothing here is decided by a flag, and no stage is hidden in a callback.

use crate::accept::{Door, Place};
use crate::authenticate::{Authenticated, authenticate};
use crate::authorize::{NotOpened, Wish, authorize};
use crate::desk::Speaker;
use crate::hall::{self, ToSession};
use crate::office::Office;
use crate::proxy::{self, Ended};
use crate::quic::Incoming;
use crate::record;
use crate::site_log;
use std::sync::Arc;
use tokio::sync::mpsc;
use wire::SessionId;

/// One connection, from the door to the good-bye.
pub async fn visit(office: Arc<Office>, door: Arc<Door>, incoming: Incoming, place: Place) {
    // A finished handshake with a certificate that the CA signed and the CRL
    // does not list; nothing is known about the person yet.
    let accepted = match door.accept(incoming, place).await {
        Ok(accepted) => accepted,
        Err(rejected) => return door.note(rejected),
    };
    // The person whose key this is, proven by a second factor right here.
    let (authenticated, desk) = match authenticate(&office, accepted).await {
        Ok(proven) => proven,
        Err(refused) => return tracing::debug!("nobody signed in: {refused}"),
    };
    // One sign-in carries many sessions: each wish goes through `pass`.
    hall::receive(office, Arc::new(authenticated), desk).await;
}

/// One session, from the wish to the sealed recording. Its order is what a
/// recovery rests on: header synced, start logged, dialled; sealed, end
/// logged, receipt given.
///
/// # Errors
/// [`NotOpened`] if it never began; what began always ends with a recording.
pub async fn pass(
    office: &Arc<Office>,
    who: &Arc<Authenticated>,
    wish: Wish,
    id: SessionId,
    speaker: Speaker,
    from_hall: mpsc::Receiver<ToSession>,
) -> Result<(), NotOpened> {
    // The policy's answer for this person, this target, now.
    let grant = authorize(office, who, &wish)?;
    // A place among the sessions, with the order to end it.
    let place = hall::enter(office, who, &grant, id)?;
    // No tape, no session: header, key block and grant are on stable storage
    // before anything is dialled.
    let recording = record::open(office, who, &grant, &wish, id).await?;
    // Nor without the site log's word: from here on its deletion is found.
    let recording = match site_log::enter(office, id, recording).await {
        Ok(recording) => recording,
        Err((recording, failed)) => return Err(record::give_up(office, recording, &failed).await),
    };
    if let Err(refused) = hall::announce(office, who, &grant, &wish, id, &speaker).await {
        let tally = record::seal(office, recording, &Ended::never_began(&refused.audit)).await;
        site_log::account(office, id, tally).await;
        return Err(refused);
    }
    // Frame -> operation -> verdict -> record, THEN forward or deny.
    let (ended, recording) = proxy::carry(office, who, grant, recording, place, &speaker, from_hall).await;
    // The end is sealed and accounted for, whatever it was.
    let tally = record::seal(office, recording, &ended).await;
    let tally = site_log::account(office, id, tally).await;
    hall::farewell(office, who, id, &ended, &tally, &speaker).await;
    Ok(())
}
