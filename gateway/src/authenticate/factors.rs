//! The second factor: codes and passkeys, judged until one holds or the
//! attempts are over.
//!
//! A passkey's challenge lives here, in the task of its connection, and is
//! taken by the first answer. Every refusal leaves in the same bytes, no sooner
//! than [`ANSWER_AFTER`]; so do the page and the options without one, which
//! somebody unknown gets too.

use super::{ANSWER_AFTER, ATTEMPTS, NotSignedIn, Proof, Stranger, fail, note, refuse, told};
use crate::desk::Desk;
use crate::factor::{self, Rejection, Verified};
use crate::names::TargetId;
use crate::office::Office;
use crate::passkey::{self, Asked, Purpose, Refused, RelyingParty, SignInCeremony, Through};
use crate::state::{KeyHash, Person, Standing};
use authz::Assurance;
use std::sync::Arc;
use tokio::time::Instant;
use wire::{Loopback, Refusal, ToGateway};

/// Ceremonies, by a page or without one, that one connection may ask for.
const CEREMONIES: u32 = 3;

/// What one attempt came to.
enum Judged {
    Proven(Proof),
    Not(String),
}

/// Judges codes and passkeys until one fits the person or the attempts are
/// over.
pub(super) async fn ask(
    office: &Arc<Office>,
    desk: &mut Desk,
    stranger: &Stranger<'_>,
) -> Result<Proof, NotSignedIn> {
    let mut attempt = 0;
    let mut begun = 0;
    let mut ceremony: Option<SignInCeremony> = None;
    while attempt < ATTEMPTS {
        let heard = desk.hear().await?;
        let answer_at = Instant::now() + ANSWER_AFTER;
        let judged = match heard {
            ToGateway::Totp { code } => judge_code(office, stranger, code.as_str().to_owned()).await,
            ToGateway::Assertion { json } => judge_passkey(office, stranger, ceremony.take(), json).await,
            ToGateway::BeginPasskey { .. } | ToGateway::BeginDirectPasskey if begun >= CEREMONIES => {
                return Err(refuse(desk, Refusal::Factor));
            }
            ToGateway::BeginPasskey { loopback, wanted } => {
                begun += 1;
                // The one before goes first: its answer is worth nothing now.
                drop(ceremony.take());
                let through = page(desk, stranger, loopback, &wanted)?;
                ceremony = Some(begin(office, desk, stranger, through, answer_at).await?);
                continue;
            }
            ToGateway::BeginDirectPasskey => {
                begun += 1;
                drop(ceremony.take());
                let through = direct(office, desk, stranger)?;
                ceremony = Some(begin(office, desk, stranger, through, answer_at).await?);
                continue;
            }
            ToGateway::Hello { .. }
            | ToGateway::Targets
            | ToGateway::Open { .. }
            | ToGateway::Close { .. }
            | ToGateway::Ping
            | ToGateway::Renew { .. }
            | ToGateway::BeginRegistration { .. }
            | ToGateway::BeginDirectRegistration { .. }
            | ToGateway::Registration { .. } => return Err(refuse(desk, Refusal::SignInFirst)),
        };
        attempt += 1;
        let why = match judged {
            Ok(Judged::Proven(proof)) => return Ok(proof),
            Ok(Judged::Not(why)) => why,
            Err(why) => return Err(fail(office, desk, stranger.accepted, &why)),
        };
        note(office, stranger.accepted, stranger.person.as_ref(), stranger.key, &why);
        tokio::time::sleep_until(answer_at).await;
        if attempt < ATTEMPTS {
            desk.say(&told(Refusal::Factor, Some(0)));
        }
    }
    Err(refuse(desk, Refusal::Factor))
}

/// Judges one code; the state counts it before it is compared.
async fn judge_code(office: &Arc<Office>, stranger: &Stranger<'_>, code: String) -> Result<Judged, String> {
    let Some(person) = stranger.person.clone() else { return Ok(unknown()) };
    let now = office.clock.wall();
    let id = person.id;
    let verified = office.blocking(move |office| factor::verify(&*office.state, id, &code, now)).await?;
    Ok(match verified {
        Verified::Accepted { .. } => proven(person, stranger.key, Assurance::CertificateAndTotp, None),
        Verified::Refused { why, lock } => {
            if why != Rejection::Locked {
                office.audit.tell_of_a_lock(
                    &person.handle,
                    stranger.accepted.source.ip(),
                    &why.to_string(),
                    lock,
                );
            }
            if let Rejection::OtherStep { ahead } = why {
                let person = &person.handle;
                office.audit.alarm().raise(&format!(
                    "a code of {person} fits {ahead} steps of 30 s beside now: check both clocks"
                ));
            }
            Judged::Not(format!("{why}; {lock}"))
        }
    })
}

/// Judges the one answer to a page; the state counts it before it is compared.
async fn judge_passkey(
    office: &Arc<Office>,
    stranger: &Stranger<'_>,
    ceremony: Option<SignInCeremony>,
    json: String,
) -> Result<Judged, String> {
    let Some(person) = stranger.person.clone() else { return Ok(unknown()) };
    let now = office.clock.wall();
    let id = person.id;
    let verify = move |office: &Office| {
        let party = party(office)?;
        let verified = passkey::verify(&*office.state, party, id, ceremony, &json, now);
        verified.map_err(|error| error.to_string())
    };
    Ok(match office.blocking(verify).await? {
        passkey::Verified::Accepted { name } => {
            proven(person, stranger.key, Assurance::CertificateAndWebauthn, Some(name))
        }
        passkey::Verified::Refused { why, lock } => {
            if why != Refused::Locked {
                office.audit.tell_of_a_lock(
                    &person.handle,
                    stranger.accepted.source.ip(),
                    &why.to_string(),
                    lock,
                );
            }
            passkey::tell_of_a_copy(office, &person.handle, &why);
            Judged::Not(format!("{why}; {lock}"))
        }
    })
}

/// The way through the page.
fn page(
    desk: &Desk,
    stranger: &Stranger<'_>,
    loopback: Loopback,
    wanted: &[String],
) -> Result<Through, NotSignedIn> {
    if !passkey::is_free(&loopback) {
        return Err(refuse(desk, Refusal::Malformed));
    }
    // What is no target id names no target: the page shows no free text.
    let wanted = wanted.iter().filter_map(|id| TargetId::parse(id).ok()).collect();
    let asked = Asked {
        purpose: Purpose::SignIn { wanted },
        person: stranger.name.to_owned(),
        source: stranger.accepted.source.ip(),
        loopback,
    };
    Ok(asked.into())
}

/// The way without a page: what is signed names this connection.
fn direct(office: &Office, desk: &Desk, stranger: &Stranger<'_>) -> Result<Through, NotSignedIn> {
    let exporter = stranger.accepted.connection.exporter(wire::passkey::EXPORTER_LABEL);
    let exporter = exporter.map_err(|error| fail(office, desk, stranger.accepted, &error.to_string()))?;
    Ok(Through::Client { person: stranger.name.to_owned(), exporter })
}

/// A ceremony for this connection. Somebody unknown gets one as well, at the
/// same pace.
async fn begin(
    office: &Arc<Office>,
    desk: &Desk,
    stranger: &Stranger<'_>,
    through: Through,
    answer_at: Instant,
) -> Result<SignInCeremony, NotSignedIn> {
    let Some(relying_party) = &office.relying_party else {
        return Err(refuse(desk, Refusal::Unsupported));
    };
    let (id, key) = (stranger.person.as_ref().map(|person| person.id), stranger.key);
    let begun = office.blocking(move |office| {
        let passkeys = id.map_or_else(|| Ok(Vec::new()), |id| office.state.passkeys(id));
        let passkeys = passkeys.map_err(|error| error.to_string())?;
        party(office)?.begin_sign_in(passkeys, &key, through).map_err(|error| error.to_string())
    });
    let ceremony = begun.await.map_err(|why| fail(office, desk, stranger.accepted, &why))?;
    tokio::time::sleep_until(answer_at).await;
    desk.say(&relying_party.offer(ceremony.reach()));
    Ok(ceremony)
}

fn party(office: &Office) -> Result<&RelyingParty, String> {
    office.relying_party.as_ref().ok_or_else(|| "no passkeys are configured".to_owned())
}

/// Only whoever may sign in at all.
fn proven(person: Person, key: KeyHash, assurance: Assurance, with: Option<String>) -> Judged {
    match person.standing {
        Standing::Enabled => Judged::Proven(Proof { person, key, assurance, with }),
        Standing::Disabled => Judged::Not("the person is disabled".to_owned()),
    }
}

fn unknown() -> Judged {
    Judged::Not("unknown certificate".to_owned())
}
