//! The ways to a second factor. Each asks until it has seen the factor work,
//! and stores nothing itself; a further way is one more arm of [`confirm`].

use super::talk::{Broken, Talk};
use super::visit::Invited;
use crate::factor::{self, Judgement, Rejection, Seed, Verified};
use crate::office::Office;
use crate::state::{ConfirmedFactor, HeldFactors, KnownInvitee};
use std::sync::Arc;
use wire::Code;
use wire::enrolment::{Answer, Ask, Declined, FactorChoice};

/// Codes that one connection may try.
const TRIES: u32 = 3;

/// Who issues the codes, as authenticator apps show it.
const ISSUER: &str = "Gatehouse";

/// The ways that are open to whoever is invited. Who has passkeys alone could
/// show one only by a ceremony that this endpoint does not have; a token must
/// not give them a weaker factor instead.
pub(super) fn open_to(known: Option<&KnownInvitee>) -> Vec<FactorChoice> {
    match known.map(|known| known.held) {
        None | Some(HeldFactors::None) => vec![FactorChoice::NewTotp],
        Some(HeldFactors::Totp) => vec![FactorChoice::KnownTotp],
        Some(HeldFactors::PasskeysAlone) => Vec::new(),
    }
}

/// Sees the chosen factor work.
pub(super) async fn confirm(
    office: &Arc<Office>,
    talk: &mut Talk,
    invited: &Invited,
    choice: FactorChoice,
) -> Result<ConfirmedFactor, Broken> {
    if !open_to(invited.invitation.known.as_ref()).contains(&choice) {
        return Err(invited.refused(office, Declined::FactorChoice));
    }
    match (choice, &invited.invitation.known) {
        (FactorChoice::NewTotp, _) => new_totp(office, talk, invited).await,
        (FactorChoice::KnownTotp, Some(known)) => known_totp(office, talk, invited, known).await,
        (FactorChoice::KnownTotp, None) => Err(invited.refused(office, Declined::FactorChoice)),
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
            Ok(Verified::Accepted { .. }) => return Ok(ConfirmedFactor::Known { factors: known.factors }),
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
    match talk.hear().await? {
        Ask::Code { code } => Ok(code),
        Ask::Hello { .. } | Ask::Apply { .. } => Err(Broken::Malformed),
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
