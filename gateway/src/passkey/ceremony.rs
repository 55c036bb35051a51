//! The two ceremonies: using a passkey and registering one.
//!
//! A ceremony lives in the task of the connection that asked for it and is
//! taken by value when an answer comes: whatever the answer was worth, there is
//! no second one. It was asked for [`Through`] the page or by the client itself,
//! and only an answer that came the same way counts ([`super::reach`]).

use super::reach::{Reach, Through};
use super::shown::{Purpose, Shown};
use super::{Code, LASTS, RelyingParty, random};
use crate::names::Handle;
use crate::office::Office;
use crate::state::{
    Count, CredentialId, KeyHash, Lock, PasskeyAcceptance, PasskeyRecord, PasskeyUse, PersonId,
    RegisteredPasskey, State, StateError,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use webauthn_rs::prelude::{
    Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Uuid, WebauthnError,
};
use wire::Loopback;

/// Whose ceremony it is and where it is to be handed over, as the page tells.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What for.
    pub purpose: Purpose,
    /// The name that the page greets with.
    pub person: String,
    /// Where the client is.
    pub source: IpAddr,
    /// Where the page hands over.
    pub loopback: Loopback,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum BadOptions {
    /// The library refuses.
    #[error("WebAuthn: {0}")]
    Library(#[from] WebauthnError),
    /// A stored passkey can't be read.
    #[error("a stored passkey can't be read: {0}")]
    Stored(#[from] serde_json::Error),
    /// No randomness.
    #[error("no randomness")]
    Random(#[from] aws_lc_rs::error::Unspecified),
}

/// Why an answer was refused, for the audit event only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No page was asked for on this connection, or it was answered already.
    NoPage,
    /// It came after the page's time.
    TooLate,
    /// It can't be read.
    Malformed,
    /// This key has no passkey: the page showed invented ones.
    NoPasskey,
    /// Challenge, origin, user verification or signature is wrong.
    Wrong(String),
    /// A page was asked for, and this did not come from one.
    NotFromThePage,
    /// It was signed for another connection, or for a page.
    NotForThisConnection,
    /// The counter did not grow.
    CounterBack {
        /// What the passkey is called.
        name: String,
        /// The counter that was accepted before.
        stored: u32,
    },
    /// The passkey was removed while the page was open.
    Gone,
    /// Not judged: the person is locked.
    Locked,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPage => formatter.write_str("no page was waiting for an answer"),
            Self::TooLate => {
                write!(formatter, "the answer came more than {} s after the page", LASTS.as_secs())
            }
            Self::Malformed => formatter.write_str("the answer can't be read"),
            Self::NoPasskey => formatter.write_str("no passkey is stored"),
            Self::Wrong(why) => write!(formatter, "the passkey's answer is wrong: {why}"),
            Self::NotFromThePage => formatter.write_str("the passkey's answer does not come from the page"),
            Self::NotForThisConnection => {
                formatter.write_str("the passkey's answer was not made for this connection")
            }
            Self::CounterBack { name, stored } => {
                write!(
                    formatter,
                    "the counter of passkey {name} did not grow beyond {stored}: it may be a copy"
                )
            }
            Self::Gone => formatter.write_str("the passkey was removed meanwhile"),
            Self::Locked => formatter.write_str("locked after too many failures"),
        }
    }
}

/// The use of a passkey, asked for by one connection.
#[derive(Debug)]
pub struct SignInCeremony {
    /// `None`: the page shows invented ids, and no answer can be right.
    known: Option<Known>,
    expires: Duration,
    reach: Reach,
    #[cfg(test)]
    pub(crate) options: String,
}

#[derive(Debug)]
struct Known {
    state: PasskeyAuthentication,
    passkeys: Vec<(PasskeyRecord, Passkey)>,
}

/// The registration of a passkey, asked for by one connection.
#[derive(Debug)]
pub struct RegistrationCeremony {
    state: PasskeyRegistration,
    name: String,
    expires: Duration,
    reach: Reach,
    #[cfg(test)]
    pub(crate) options: String,
}

/// An assertion that holds; the state has still to take its counter.
#[derive(Debug)]
struct Assertion {
    credential: CredentialId,
    counter: u32,
    public: String,
}

impl RelyingParty {
    /// Begins the use of one of `passkeys`, or of an invented one if there is
    /// none here.
    ///
    /// # Errors
    /// [`BadOptions`].
    pub fn begin_sign_in(
        &self,
        passkeys: Vec<PasskeyRecord>,
        key: &KeyHash,
        through: impl Into<Through>,
    ) -> Result<SignInCeremony, BadOptions> {
        let here = passkeys.into_iter().filter(|passkey| passkey.relying_party == self.id);
        let read = |record: PasskeyRecord| {
            serde_json::from_str::<Passkey>(&record.public).map(|passkey| (record, passkey))
        };
        let passkeys = here.map(read).collect::<Result<Vec<_>, _>>()?;
        let (challenge, ids, known) = if passkeys.is_empty() {
            (random::<32>()?.to_vec(), self.decoys.for_key(key), None)
        } else {
            let bare: Vec<Passkey> = passkeys.iter().map(|(_, passkey)| passkey.clone()).collect();
            let (options, state) = self.webauthn.start_passkey_authentication(&bare)?;
            let ids = passkeys.iter().map(|(record, _)| record.credential.clone()).collect();
            (options.public_key.challenge, ids, Some(Known { state, passkeys }))
        };
        let options = self.request_options(&challenge, &ids)?;
        let expires = self.clock.monotonic().saturating_add(LASTS);
        let reach = self.reach(through.into(), &options, expires)?;
        Ok(SignInCeremony {
            known,
            expires,
            reach,
            #[cfg(test)]
            options,
        })
    }

    /// Begins a registration for a person who is known to authenticators by
    /// `user_handle` and has `passkeys` already.
    ///
    /// # Errors
    /// [`BadOptions`].
    pub fn begin_registration(
        &self,
        passkeys: &[PasskeyRecord],
        user_handle: [u8; 16],
        name: &str,
        through: impl Into<Through>,
    ) -> Result<RegistrationCeremony, BadOptions> {
        let here = passkeys.iter().filter(|passkey| passkey.relying_party == self.id);
        let read = |record: &PasskeyRecord| {
            serde_json::from_str::<Passkey>(&record.public).map(|passkey| passkey.cred_id().clone())
        };
        let there = here.map(read).collect::<Result<Vec<_>, _>>()?;
        let through = through.into();
        let person = through.person();
        let (options, state) = self.webauthn.start_passkey_registration(
            Uuid::from_bytes(user_handle),
            person,
            person,
            Some(there),
        )?;
        let options = serde_json::to_string(&options.public_key)?;
        let expires = self.clock.monotonic().saturating_add(LASTS);
        let reach = self.reach(through, &options, expires)?;
        Ok(RegistrationCeremony {
            state,
            name: name.to_owned(),
            expires,
            reach,
            #[cfg(test)]
            options,
        })
    }

    /// Gives the options their way to the authenticator.
    fn reach(&self, through: Through, options: &str, expires: Duration) -> Result<Reach, BadOptions> {
        match through {
            Through::Page(asked) => {
                let code = Code::draw()?;
                let place = self.pages.enter(self.shown(asked, &code, options), expires)?;
                Ok(Reach::Page { place, code })
            }
            Through::Client { exporter, person: _ } => {
                let caller = wire::passkey::caller(&self.origin, &exporter);
                Ok(Reach::Client { caller, options: options.to_owned() })
            }
        }
    }

    /// One form for real and invented ids, so that nothing in it tells them
    /// apart: no transports, no extensions.
    fn request_options(&self, challenge: &[u8], ids: &[CredentialId]) -> Result<String, BadOptions> {
        let allowed: Vec<Value> =
            ids.iter().map(|id| json!({ "type": "public-key", "id": base64url(&id.0) })).collect();
        Ok(serde_json::to_string(&json!({
            "challenge": base64url(challenge),
            "timeout": u32::try_from(LASTS.as_millis()).unwrap_or(u32::MAX),
            "rpId": self.id,
            "allowCredentials": allowed,
            "userVerification": "required",
        }))?)
    }

    fn shown(&self, asked: Asked, code: &Code, options: &str) -> Shown {
        let Asked { purpose, person, source, loopback } = asked;
        let (gateway, code, options) = (self.origin.clone(), code.clone(), options.to_owned());
        Shown { purpose, person, gateway, source, code, options, loopback }
    }
}

impl SignInCeremony {
    /// How the authenticator is reached.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether there is anything that could be judged.
    fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// Judges the one answer: signature, challenge, origin, user verification.
    ///
    /// # Errors
    /// [`Refused`].
    fn judge(self, party: &RelyingParty, json: &str) -> Result<Assertion, Refused> {
        if party.clock.monotonic() >= self.expires {
            return Err(Refused::TooLate);
        }
        let Known { state, passkeys } = self.known.ok_or(Refused::NoPasskey)?;
        let answer: PublicKeyCredential = read(json)?;
        self.reach.check(&answer.response.client_data_json)?;
        let result = party.webauthn.finish_passkey_authentication(&answer, &state);
        let used = passkeys.into_iter().find(|(record, _)| record.credential.0 == answer.raw_id.as_slice());
        let (result, (record, mut passkey)) = match (result, used) {
            (Ok(result), Some(used)) if result.user_verified() => (result, used),
            (Ok(_), Some(_)) => return Err(Refused::Wrong("the user was not verified".to_owned())),
            (Err(WebauthnError::CredentialPossibleCompromise), Some((record, _))) => {
                return Err(Refused::CounterBack { name: record.name, stored: record.counter });
            }
            (Ok(_), None) => return Err(Refused::Wrong("another credential".to_owned())),
            (Err(error), _) => return Err(Refused::Wrong(error.to_string())),
        };
        passkey.update_credential(&result);
        let public = serde_json::to_string(&passkey).map_err(|error| Refused::Wrong(error.to_string()))?;
        Ok(Assertion { credential: record.credential, counter: result.counter(), public })
    }
}

impl RegistrationCeremony {
    /// How the authenticator is reached.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Judges the one answer.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge(self, party: &RelyingParty, json: &str) -> Result<RegisteredPasskey, Refused> {
        if party.clock.monotonic() >= self.expires {
            return Err(Refused::TooLate);
        }
        let answer: RegisterPublicKeyCredential = read(json)?;
        self.reach.check(&answer.response.client_data_json)?;
        let passkey = party
            .webauthn
            .finish_passkey_registration(&answer, &self.state)
            .map_err(|error| Refused::Wrong(error.to_string()))?;
        let public = serde_json::to_value(&passkey).map_err(|error| Refused::Wrong(error.to_string()))?;
        // The library shows the counter in this form alone.
        let counter = public.pointer("/cred/counter").and_then(Value::as_u64);
        let counter = counter.and_then(|counter| u32::try_from(counter).ok());
        Ok(RegisteredPasskey {
            credential: CredentialId(passkey.cred_id().to_vec()),
            name: self.name,
            relying_party: party.id.clone(),
            public: public.to_string(),
            counter: counter.ok_or_else(|| Refused::Wrong("no counter".to_owned()))?,
        })
    }
}

/// The outcome of one attempt with a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The second factor holds; its counter and the success are stored.
    Accepted {
        /// What the passkey is called.
        name: String,
    },
    /// Not accepted. On the wire all reasons look alike.
    Refused {
        /// For the audit event.
        why: Refused,
        /// The lock now in force.
        lock: Lock,
    },
}

/// Counts the attempt, judges the answer, stores the counter with the success.
/// Blocks on the disk.
///
/// # Errors
/// When the state fails: the caller refuses the sign-in.
pub fn verify(
    state: &dyn State,
    party: &RelyingParty,
    person: PersonId,
    ceremony: Option<SignInCeremony>,
    json: &str,
    now: Timestamp,
) -> Result<Verified, StateError> {
    let refused = |why, lock| Ok(Verified::Refused { why, lock });
    let Some(ceremony) = ceremony else { return refused(Refused::NoPage, Lock::None) };
    // Nobody is locked for a factor that does not exist.
    if !ceremony.is_known() {
        return refused(Refused::NoPasskey, Lock::None);
    }
    if let Count::Locked(lock) = state.count_attempt(person, now)? {
        return refused(Refused::Locked, lock);
    }
    let lock = |state: &dyn State| state.record_failure(person, crate::state::Failure::Wrong, now);
    let Assertion { credential, counter, public } = match ceremony.judge(party, json) {
        Ok(assertion) => assertion,
        Err(why) => return refused(why, lock(state)?),
    };
    let used = PasskeyUse { person, relying_party: party.id.clone(), credential, counter, public };
    match state.accept_passkey(&used, now)? {
        PasskeyAcceptance::Accepted { name } => Ok(Verified::Accepted { name }),
        PasskeyAcceptance::CounterBack { name, stored } => {
            refused(Refused::CounterBack { name, stored }, lock(state)?)
        }
        PasskeyAcceptance::Gone => refused(Refused::Gone, lock(state)?),
    }
}

/// Raises an alarm for a passkey whose counter did not grow.
pub fn tell_of_a_copy(office: &Office, person: &Handle, why: &Refused) {
    if let Refused::CounterBack { .. } = why {
        let what = "reset the person's factors unless it is explained";
        office.audit.alarm().raise(&format!("{person}: {why}; {what}"));
    }
}

/// Reads an answer whose two ids are the same one (WebAuthn level 3, 5.1).
fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Refused> {
    let value: Value = serde_json::from_str(json).map_err(|_| Refused::Malformed)?;
    let id = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
    if id.is_none() || id != value.get("rawId").and_then(Value::as_str) {
        return Err(Refused::Malformed);
    }
    if value.get("type").and_then(Value::as_str) != Some("public-key") {
        return Err(Refused::Malformed);
    }
    serde_json::from_value(value).map_err(|_| Refused::Malformed)
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
