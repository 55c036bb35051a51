//! Passkeys as the factor of an enrolment: a first one, or one that is shown.
//!
//! The ceremony lives here, in the task of the connection that proved a token,
//! and is taken by the first answer: one page a connection, and an answer of
//! another connection fits none. Nothing of it is stored before the enrolment
//! is; a page that leads to nothing leaves the invitation open.
//!
//! The ceremony without a page ([`Reach::Client`]) would be another message in
//! place of [`Ask::BeginRegistration`] or [`Ask::BeginPasskey`].

use super::talk::{Broken, Talk};
use super::visit::{Invited, internal};
use crate::ca::RequestedKey;
use crate::office::Office;
use crate::passkey::{
    self, Asked, LASTS, Purpose, Reach, Refused, RelyingParty, Verified, random, sound_name,
};
use crate::state::{ConfirmedFactor, KeyHash, KnownInvitee};
use rcgen::PublicKeyData;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wire::Loopback;
use wire::enrolment::{Answer, Ask, Declined};

/// How much longer than its page an answer is waited for: it may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// Registers a first passkey.
pub(super) async fn new(
    office: &Arc<Office>,
    talk: &mut Talk,
    invited: &Invited,
) -> Result<ConfirmedFactor, Broken> {
    let Ask::BeginRegistration { loopback, name } = talk.hear_invited().await? else {
        return Err(Broken::Malformed);
    };
    let name = sound_name(&name).map_err(|why| invited.explained(office, Declined::Passkey, &why))?;
    let party = party(office)?;
    let asked = asked(invited, loopback, Purpose::Enrol { name: name.clone() })?;
    let user_handle = match invited.invitation.known.as_ref().and_then(|known| known.user_handle) {
        Some(user_handle) => user_handle,
        None => random().map_err(|_| internal(office, "no randomness"))?,
    };
    let begun = party.begin_registration(&[], user_handle, &name, asked);
    let ceremony = begun.map_err(|error| internal(office, &error.to_string()))?;
    talk.say(&page(office, party, ceremony.reach())?).await?;
    let Ask::Registration { json } = answer(office, talk, invited).await? else {
        return Err(Broken::Malformed);
    };
    let judged = ceremony.judge(party, &json);
    let passkey =
        judged.map_err(|refused| invited.explained(office, Declined::Passkey, &refused.to_string()))?;
    Ok(ConfirmedFactor::NewPasskey { passkey, user_handle })
}

/// Has a passkey shown that the person has. It is judged as at a sign-in, and
/// counts like one.
pub(super) async fn known(
    office: &Arc<Office>,
    talk: &mut Talk,
    invited: &Invited,
    known: &KnownInvitee,
    key: &RequestedKey,
) -> Result<ConfirmedFactor, Broken> {
    let Ask::BeginPasskey { loopback } = talk.hear_invited().await? else { return Err(Broken::Malformed) };
    let party = party(office)?;
    let asked = asked(invited, loopback, Purpose::FurtherMachine)?;
    let key = KeyHash::of(&key.subject_public_key_info());
    let begun = party.begin_sign_in(known.held.passkeys.clone(), &key, asked);
    let ceremony = begun.map_err(|error| internal(office, &error.to_string()))?;
    talk.say(&page(office, party, ceremony.reach())?).await?;
    let Ask::Assertion { json } = answer(office, talk, invited).await? else { return Err(Broken::Malformed) };
    let (person, now) = (known.id, office.clock.wall());
    let verified = office.blocking(move |office| {
        let party = office.relying_party.as_ref().ok_or("no passkeys are configured")?;
        let verified = passkey::verify(&*office.state, party, person, Some(ceremony), &json, now);
        verified.map_err(|error| error.to_string())
    });
    match verified.await.map_err(|why| internal(office, &why))? {
        Verified::Accepted { name } => Ok(ConfirmedFactor::KnownPasskey { factors: known.factors, name }),
        Verified::Refused { why, lock } => {
            if why != Refused::Locked {
                invited.tell_of_a_lock(office, &why.to_string(), lock);
            }
            passkey::tell_of_a_copy(office, &invited.invitation.handle, &why);
            invited.note(office, &format!("{why}; {lock}"))?;
            Err(Broken::Declined(Declined::Passkey))
        }
    }
}

/// What the page handed over, as long as it can be worth something.
async fn answer(office: &Office, talk: &mut Talk, invited: &Invited) -> Result<Ask, Broken> {
    let answered = timeout(LASTS.saturating_add(ON_ITS_WAY), talk.hear_invited()).await;
    answered.unwrap_or_else(|_| Err(invited.refused(office, Declined::TimedOut)))
}

fn asked(invited: &Invited, loopback: Loopback, purpose: Purpose) -> Result<Asked, Broken> {
    if !passkey::is_free(&loopback) {
        return Err(Broken::Malformed);
    }
    let person = invited.invitation.handle.to_string();
    Ok(Asked { purpose, person, source: invited.source.ip(), loopback })
}

/// What the client is told of the page.
fn page(office: &Office, party: &RelyingParty, reach: &Reach) -> Result<Answer, Broken> {
    match reach {
        Reach::Page { place, code } => {
            let within_s = u32::try_from(LASTS.as_secs()).unwrap_or(u32::MAX);
            Ok(Answer::PasskeyPage { url: party.address(place), code: code.as_str().to_owned(), within_s })
        }
        Reach::Client { .. } => Err(internal(office, "a page was asked for, and there is none")),
    }
}

fn party(office: &Office) -> Result<&RelyingParty, Broken> {
    office.relying_party.as_ref().ok_or(Broken::Declined(Declined::FactorChoice))
}
