//! A signed-in person adds a passkey, or shows one again when asked.
//!
//! Whoever finds an unlocked desk, or holds somebody's code for a minute, must
//! not be able to make a lasting factor of it: the sign-in has to be fresh, and
//! whoever has a passkey already must have used one (SP 800-63B-4, 4.1.2: a new
//! authenticator is bound under the strongest that there is). The first one is
//! bound under a code; an administrator sees that in the events.
//!
//! Order: `BeginRegistration` or `BeginDirectRegistration` ->
//! [`Registrar::begin`] -> the page, or the client's own authenticator ->
//! `Registration` -> [`Registrar::finish`]: event, then state, then the word to
//! the client.

use super::name::{is_free, sound_name};
use super::{Asked, Purpose, RegistrationCeremony, RelyingParty, SignInCeremony, Through, random};
use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::desk::Speaker;
use crate::names::TargetId;
use crate::office::Office;
use crate::presence::Asking;
use crate::state::{Behind, NewPasskey, PasskeyRecord};
use authz::Assurance;
use std::sync::{Arc, PoisonError};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use wire::{Loopback, Refusal, ToClient};

/// Errands of one connection at once.
const ERRANDS: usize = 2;

/// Adds passkeys for one signed-in connection; its errands end with it.
#[derive(Debug)]
pub struct Registrar {
    desk: Desk,
    errands: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Desk {
    office: Arc<Office>,
    who: Arc<Authenticated>,
    speaker: Speaker,
    /// At most one at a time; taken by the first answer.
    ceremony: Arc<Mutex<Option<RegistrationCeremony>>>,
    /// The same, for the factor that is asked for again.
    again: Arc<std::sync::Mutex<Option<SignInCeremony>>>,
}

/// How a client wants to get at an authenticator.
#[derive(Debug, Clone, Copy)]
pub enum Delivery {
    /// By a page that hands over there.
    Page(Loopback),
    /// By itself.
    Client,
}

/// Why no passkey was added: for the client, and for the event.
#[derive(Debug)]
struct NotAdded {
    code: Refusal,
    text: String,
}

impl NotAdded {
    fn new(code: Refusal, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl Registrar {
    /// For the person of this connection.
    pub fn new(office: Arc<Office>, who: Arc<Authenticated>, speaker: Speaker) -> Self {
        let desk = Desk { office, who, speaker, ceremony: Arc::default(), again: Arc::default() };
        Self { desk, errands: JoinSet::new() }
    }

    /// Gives the client a page, or the options themselves, or says why not.
    pub fn begin(&mut self, delivery: Delivery, name: String) {
        let desk = self.desk.clone();
        self.errand(async move { desk.begin(delivery, &name).await });
    }

    /// Judges what the page gave.
    pub fn finish(&mut self, json: String) {
        let desk = self.desk.clone();
        self.errand(async move { desk.finish(json).await });
    }

    /// Gives the client what it needs to show the passkey again, if it is asked
    /// for.
    pub fn begin_again(&mut self, delivery: Delivery, wanted: &[String]) {
        let wanted = wanted.iter().filter_map(|id| TargetId::parse(id).ok()).collect();
        let desk = self.desk.clone();
        while self.errands.try_join_next().is_some() {}
        if self.errands.len() < ERRANDS {
            self.errands.spawn(async move { desk.begin_again(delivery, wanted).await });
        }
    }

    /// The ceremony to which the next answer belongs; it goes with it.
    pub fn take_again(&self) -> Option<SignInCeremony> {
        self.desk.again.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn errand(&mut self, work: impl Future<Output = Result<(), NotAdded>> + Send + 'static) {
        while self.errands.try_join_next().is_some() {}
        let desk = self.desk.clone();
        if self.errands.len() >= ERRANDS {
            return desk.tell(NotAdded::new(Refusal::Busy, Refusal::Busy.sentence()));
        }
        self.errands.spawn(async move {
            if let Err(not_added) = work.await {
                desk.tell(not_added);
            }
        });
    }
}

impl Desk {
    async fn begin(&self, delivery: Delivery, name: &str) -> Result<(), NotAdded> {
        let name = sound_name(name).map_err(|why| NotAdded::new(Refusal::Malformed, why))?;
        let through = self.through(delivery, Purpose::Register { name: name.clone() })?;
        let passkeys = self.may_add().await?;
        let id = self.who.record().id;
        let fresh = random().map_err(|_| internal("no randomness"))?;
        let handle = self.office.blocking(move |office| office.state.user_handle(id, fresh)).await;
        let party = self.party()?;
        let handle = handle.map_err(|why| internal(&why))?;
        let begun = party.begin_registration(&passkeys, handle, &name, through);
        let ceremony = begun.map_err(|error| internal(&error.to_string()))?;
        let offer = party.offer(ceremony.reach());
        *self.ceremony.lock().await = Some(ceremony);
        self.speaker.say(&offer);
        Ok(())
    }

    /// The way that the client asked for.
    fn through(&self, delivery: Delivery, purpose: Purpose) -> Result<Through, NotAdded> {
        let person = self.who.person().to_string();
        match delivery {
            Delivery::Page(loopback) if !is_free(&loopback) => {
                Err(NotAdded::new(Refusal::Malformed, "the client's port is no free one"))
            }
            Delivery::Page(loopback) => {
                Ok(Asked { purpose, person, source: self.who.source().ip(), loopback }.into())
            }
            Delivery::Client => {
                let exporter = self.who.connection().exporter(wire::passkey::EXPORTER_LABEL);
                let exporter = exporter.map_err(|error| internal(&error.to_string()))?;
                Ok(Through::Client { person, exporter })
            }
        }
    }

    async fn finish(&self, json: String) -> Result<(), NotAdded> {
        let Some(ceremony) = self.ceremony.lock().await.take() else {
            return Err(NotAdded::new(Refusal::Factor, "no page was waiting for an answer"));
        };
        self.may_add().await?;
        let judged = ceremony.judge(self.party()?, &json);
        let passkey = judged.map_err(|refused| NotAdded::new(Refusal::Factor, refused.to_string()))?;
        let (name, record) = (passkey.name.clone(), self.who.record());
        let behind = match self.who.assurance() {
            Assurance::CertificateAndTotp => Behind::NoPasskey,
            Assurance::CertificateAndWebauthn => Behind::Passkey,
        };
        let new = Arc::new(NewPasskey { person: record.id, factors: record.factors, behind, passkey });
        let now = self.office.clock.wall();
        let refused = |why: String| NotAdded::new(Refusal::Factor, why);
        let wanted = Arc::clone(&new);
        let possible = self.office.blocking(move |office| office.state.may_add_passkey(&wanted, now));
        possible.await.map_err(refused)?;
        // What gives rights is accounted for first.
        let event = self.office.audit.event(Kind::PasskeyAdded).person(self.who.person());
        let event = event.source(self.who.source().ip());
        let event = event.what(&format!("passkey {name}, under {}", self.who.assurance()));
        self.office.audit.commit(&event).await.map_err(|error| internal(&error.to_string()))?;
        let stored = self.office.blocking(move |office| office.state.add_passkey(&new, now)).await;
        stored.map_err(refused)?;
        self.speaker.say(&ToClient::PasskeyAdded { name });
        Ok(())
    }

    async fn begin_again(&self, delivery: Delivery, wanted: Vec<TargetId>) {
        let asked_for = matches!(self.who.presence().asking(), Asking::Factor(_));
        let through = self.through(delivery, Purpose::SignIn { wanted });
        let (true, Ok(through)) = (asked_for, through) else {
            return tracing::debug!("what nobody asked for is not given");
        };
        let (id, key) = (self.who.record().id, self.who.key());
        let begun = self.office.blocking(move |office| {
            let passkeys = office.state.passkeys(id).map_err(|error| error.to_string())?;
            let party = office.relying_party.as_ref().ok_or("no passkeys are configured")?;
            party.begin_sign_in(passkeys, &key, through).map_err(|error| error.to_string())
        });
        match (begun.await, self.party()) {
            (Ok(ceremony), Ok(party)) => {
                let offer = party.offer(ceremony.reach());
                *self.again.lock().unwrap_or_else(PoisonError::into_inner) = Some(ceremony);
                self.speaker.say(&offer);
            }
            (Err(why), _) => self.office.audit.alarm().raise(&why),
            (_, Err(not_added)) => self.tell(not_added),
        }
    }

    /// Whether this sign-in is good enough, now; gives what is there already.
    async fn may_add(&self) -> Result<Vec<PasskeyRecord>, NotAdded> {
        if !self.who.is_fresh(self.office.clock.monotonic()) {
            let text = "the second factor was given too long ago: sign in anew";
            return Err(NotAdded::new(Refusal::Factor, text));
        }
        let id = self.who.record().id;
        let passkeys = self.office.blocking(move |office| office.state.passkeys(id)).await;
        let passkeys = passkeys.map_err(|why| internal(&why))?;
        let party = self.party()?;
        let has_one = passkeys.iter().any(|passkey| passkey.relying_party == party.id());
        if has_one && self.who.assurance() != Assurance::CertificateAndWebauthn {
            let text = "you have a passkey: sign in with it to add another";
            return Err(NotAdded::new(Refusal::Factor, text));
        }
        Ok(passkeys)
    }

    fn party(&self) -> Result<&RelyingParty, NotAdded> {
        let text = "this gateway is not set up for passkeys";
        self.office.relying_party.as_ref().ok_or_else(|| NotAdded::new(Refusal::Unsupported, text))
    }

    /// Says why not, to the events and to the client.
    fn tell(&self, not_added: NotAdded) {
        let event = self.office.audit.event(Kind::PasskeyRefused).person(self.who.person());
        let event = event.source(self.who.source().ip()).why(&not_added.text);
        self.office.audit.tell(&event);
        let NotAdded { code, text } = not_added;
        // Our own trouble is ours to read.
        let text = if code == Refusal::Internal { code.sentence().to_owned() } else { text };
        self.speaker.say(&ToClient::PasskeyNotAdded { code, text });
    }
}

fn internal(why: &str) -> NotAdded {
    NotAdded::new(Refusal::Internal, why)
}
