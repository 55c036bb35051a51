//! The ways to a second factor. Each asks until it has seen the factor work,
//! and stores nothing itself; a further way is one more arm of [`confirm`].

use super::passkey;
use super::talk::{Broken, Talk};
use super::visit::Invited;
use crate::ca::RequestedKey;
use crate::factor::{self, Judgement, Rejection, Seed, Verified};
use crate::office::Office;
use crate::passkey::RelyingParty;
use crate::state::{ConfirmedFactor, FactorPresence, HeldFactors, KnownInvitee};
use std::sync::Arc;
use wire::Code;
use wire::enrolment::{Answer, Ask, Declined, FactorChoice};

/// Codes that one connection may try.
const TRIES: u32 = 3;

/// Who issues the codes, as authenticator apps show it.
const ISSUER: &str = "Gatehouse";

/// The ways that are open to whoever is invited; `here` is this gateway's
/// relying party.
///
/// Who has nothing chooses. Who has a factor shows the strongest one that can
/// be shown here, as whoever adds a passkey does: a code does not stand in for
/// a passkey of this gateway. Who has passkeys of another relying party alone
/// has no way: a token must not give them a weaker factor instead.
pub(super) fn open_to(known: Option<&KnownInvitee>, here: Option<&str>) -> Vec<FactorChoice> {
    let held = known.map(|known| &known.held);
    match held {
        Some(held) if held.has_passkey_of(here) => vec![FactorChoice::KnownPasskey],
        Some(HeldFactors { seed: FactorPresence::Totp, .. }) => vec![FactorChoice::KnownTotp],
        Some(held) if !held.are_none() => Vec::new(),
        None | Some(_) if here.is_some() => vec![FactorChoice::NewPasskey, FactorChoice::NewTotp],
        None | Some(_) => vec![FactorChoice::NewTotp],
    }
}

/// The id of this gateway's relying party, if it is one.
pub(super) fn relying_party(office: &Office) -> Option<&str> {
    office.relying_party.as_ref().map(RelyingParty::id)
}

/// Sees the chosen factor work.
pub(super) async fn confirm(
    office: &Arc<Office>,
    talk: &mut Talk,
    invited: &Invited,
    key: &RequestedKey,
    choice: FactorChoice,
) -> Result<ConfirmedFactor, Broken> {
    let known = invited.invitation.known.as_ref();
    if !open_to(known, relying_party(office)).contains(&choice) {
        return Err(invited.refused(office, Declined::FactorChoice));
    }
    match (choice, known) {
        (FactorChoice::NewTotp, _) => new_totp(office, talk, invited).await,
        (FactorChoice::NewPasskey, _) => passkey::new(office, talk, invited).await,
        (FactorChoice::KnownTotp, Some(known)) => known_totp(office, talk, invited, known).await,
        (FactorChoice::KnownPasskey, Some(known)) => passkey::known(office, talk, invited, known, key).await,
        (FactorChoice::KnownTotp | FactorChoice::KnownPasskey, None) => {
            Err(invited.refused(office, Declined::FactorChoice))
        }
    }
}

/// A new seed, shown once; a code that fits it shows that it was taken.
async fn new_totp(office: &Office, talk: &mut Talk, invited: &Invited) -> Result<ConfirmedFactor, Broken> {
    let seed = Seed::generate();
    let address = seed.address(invited.invitation.handle.as_str(), ISSUER).map_err(|error| {
        office.audit.alarm().raise(&format!("a second factor can't be made: {error}"));
        Broken::Declined(Declined::Internal)
    })?;
    talk.say(&Answer::Totp { address }).await?;
    for tries_left in (0..TRIES).rev() {
        let code = code(talk).await?;
        let judged = factor::Code::parse(code.as_str())
            .map_or(Judgement::Wrong, |code| factor::judge(&seed, &code, office.clock.wall()));
        let why = match judged {
            Judgement::Fits { step } => return Ok(ConfirmedFactor::NewTotp { seed, step }),
            Judgement::OtherStep { .. } => "it belongs to another time: check the clocks of both machines",
            Judgement::Wrong => "it is not the code of the factor that was just shown",
        };
        again(talk, tries_left, why).await?;
    }
    Err(invited.refused(office, Declined::Factor))
}

/// One more key for a person who has a factor: a token alone does not give it.
/// These attempts count as those of a sign-in do.
async fn known_totp(
    office: &Arc<Office>,
    talk: &mut Talk,
    invited: &Invited,
    known: &KnownInvitee,
) -> Result<ConfirmedFactor, Broken> {
    talk.say(&Answer::ProveKnown).await?;
    for tries_left in (0..TRIES).rev() {
        let (code, person, now) = (code(talk).await?, known.id, office.clock.wall());
        let judged =
            office.blocking(move |office| factor::verify(&*office.state, person, code.as_str(), now));
        match judged.await {
            Ok(Verified::Accepted { .. }) => {
                let relying_party = relying_party(office).map(str::to_owned);
                return Ok(ConfirmedFactor::KnownTotp { factors: known.factors, relying_party });
            }
            Ok(Verified::Refused { why, lock }) => {
                if why != Rejection::Locked {
                    invited.tell_of_a_lock(office, &why.to_string(), lock);
                }
                invited.note(office, &format!("{why}; {lock}"))?;
            }
            Err(error) => {
                office.audit.alarm().raise(&format!("an enrolment failed here: {error}"));
                return Err(Broken::Declined(Declined::Internal));
            }
        }
        again(talk, tries_left, "").await?;
    }
    Err(invited.refused(office, Declined::Factor))
}

async fn code(talk: &mut Talk) -> Result<Code, Broken> {
    match talk.hear_invited().await? {
        Ask::Code { code } => Ok(code),
        Ask::Hello { .. }
        | Ask::Apply { .. }
        | Ask::BeginRegistration { .. }
        | Ask::Registration { .. }
        | Ask::BeginPasskey { .. }
        | Ask::Assertion { .. } => Err(Broken::Malformed),
    }
}

/// Tells that another code may follow, if it may.
async fn again(talk: &mut Talk, tries_left: u32, text: &str) -> Result<(), Broken> {
    if tries_left == 0 {
        return Ok(());
    }
    let declined =
        Answer::Declined { why: Declined::Factor, text: text.to_owned(), tries_left: Some(tries_left) };
    talk.say(&declined).await
}
