//! Passkeys as the factor of an enrolment, with an authenticator in software.

use super::super::factor::open_to;
use super::{certificate, invitation, person};
use crate::factor::Seed;
use crate::fixture::{Plant, noon};
use crate::names::Handle;
use crate::office::Office;
use crate::passkey::soft::{PAGE, register_with, sign_with, token};
use crate::passkey::{Asked, LASTS, Purpose, Refused, RegistrationCeremony, RelyingParty, Verified, verify};
use crate::state::{
    Behind, ConfirmedFactor, CredentialId, Enrolment, FactorPresence, Import, Invitation, KeyHash,
    KnownInvitee, NewPasskey, RegisteredPasskey, StateError,
};
use std::sync::Arc;
use std::time::Duration;
use webauthn_authenticator_rs::softtoken::SoftToken;
use wire::Loopback;
use wire::enrolment::FactorChoice;

/// What authenticators are told to know the new person by.
const HANDLE: [u8; 16] = [3; 16];

/// A gateway with an open invitation for somebody unknown.
struct Desk {
    plant: Plant,
    office: Arc<Office>,
    open: Invitation,
}

impl Desk {
    fn new() -> Self {
        let plant = Plant::new().with_passkeys();
        let office = plant.office();
        let open = invitation(1, noon());
        office.state.invite(&open).unwrap();
        Self { plant, office, open }
    }

    fn party(&self) -> &RelyingParty {
        self.office.relying_party.as_ref().unwrap()
    }

    fn asked(purpose: Purpose) -> Asked {
        let loopback = Loopback { port: 40123, nonce: [1; 16] };
        Asked { purpose, person: person().to_string(), source: [192, 0, 2, 7].into(), loopback }
    }

    fn begin(&self) -> RegistrationCeremony {
        let asked = Self::asked(Purpose::Enrol { name: "laptop".to_owned() });
        self.party().begin_registration(&[], HANDLE, "laptop", asked).unwrap()
    }

    /// Registers a passkey as the page of an enrolment does.
    fn registered(&self, token: &mut SoftToken) -> RegisteredPasskey {
        let ceremony = self.begin();
        let answer = register_with(token, PAGE, &ceremony.options);
        ceremony.judge(self.party(), &answer).unwrap()
    }

    fn enrolment(&self, key: u8, factor: ConfirmedFactor) -> Enrolment {
        let invitation = self.open.stored.invitation();
        Enrolment { invitation, factor, certificate: certificate(key) }
    }

    fn with_passkey(&self, key: u8, passkey: RegisteredPasskey) -> Enrolment {
        self.enrolment(key, ConfirmedFactor::NewPasskey { passkey, user_handle: HANDLE })
    }

    /// The person as the enrolment endpoint knows them.
    fn known(&self) -> Option<KnownInvitee> {
        self.office.state.invitation(self.open.stored.invitation(), noon()).unwrap().unwrap().known
    }

    fn offered(&self) -> Vec<FactorChoice> {
        open_to(self.known().as_ref(), Some(self.party().id()))
    }

    /// Makes the person known, with codes.
    fn import(&self) {
        let import = Import { handle: person(), key: KeyHash([99; 32]), seed: Seed::generate() };
        self.office.state.import_person(&import, noon()).unwrap();
    }

    fn give_passkey(&self, relying_party: &str) {
        let owner = self.office.state.person(&person()).unwrap().unwrap().person;
        let passkey = stored("laptop", relying_party);
        let behind = Behind::Passkey;
        let new = NewPasskey { person: owner.id, factors: owner.factors, behind, passkey };
        self.office.state.add_passkey(&new, noon()).unwrap();
    }
}

fn stored(name: &str, relying_party: &str) -> RegisteredPasskey {
    RegisteredPasskey {
        credential: CredentialId(vec![1; 16]),
        name: name.to_owned(),
        relying_party: relying_party.to_owned(),
        public: "{}".to_owned(),
        counter: 0,
    }
}

#[test]
fn a_first_passkey_is_stored_with_the_person_and_not_before() {
    let desk = Desk::new();
    let mut token = token();
    let enrolment = desk.with_passkey(1, desk.registered(&mut token));
    desk.office.state.may_enrol(&enrolment, noon()).unwrap();
    assert!(
        desk.office.state.person(&person()).unwrap().is_none(),
        "to ask whether it may be stores nothing"
    );
    desk.office.state.enrol(&enrolment, noon()).unwrap();
    let record = desk.office.state.person(&person()).unwrap().unwrap();
    assert_eq!((record.factor, record.keys), (FactorPresence::None, vec![KeyHash([1; 32])]));
    assert_eq!(record.passkeys[0].name, "laptop");
    let id = record.person.id;
    assert_eq!(desk.office.state.user_handle(id, [4; 16]).unwrap(), HANDLE, "the one of the page");
    // And it signs in.
    let asked = Desk::asked(Purpose::SignIn { wanted: Vec::new() });
    let ceremony = desk.party().begin_sign_in(record.passkeys, &KeyHash([1; 32]), asked).unwrap();
    let answer = sign_with(&mut token, PAGE, &ceremony.options);
    let verified = verify(&*desk.office.state, desk.party(), id, Some(ceremony), &answer, noon()).unwrap();
    assert_eq!(verified, Verified::Accepted { name: "laptop".to_owned() });
}

#[test]
fn each_is_offered_what_is_open_to_them_and_the_strongest_that_they_have() {
    let desk = Desk::new();
    let offered = |choices: &[FactorChoice]| assert_eq!(desk.offered(), choices);
    offered(&[FactorChoice::NewPasskey, FactorChoice::NewTotp]);
    assert_eq!(open_to(None, None), [FactorChoice::NewTotp], "without [webauthn]");
    desk.import();
    offered(&[FactorChoice::KnownTotp]);
    desk.give_passkey("other.example");
    offered(&[FactorChoice::KnownTotp]);
    // As for `factor add`: whoever has one here shows it.
    desk.office.state.remove_factors(&person()).unwrap();
    desk.office.state.give_seed(&person(), &Seed::generate(), noon()).unwrap();
    desk.give_passkey("localhost");
    offered(&[FactorChoice::KnownPasskey]);
    assert_eq!(open_to(desk.known().as_ref(), None), [FactorChoice::KnownTotp], "[webauthn] was taken away");
    desk.office.state.remove_factors(&person()).unwrap();
    offered(&[FactorChoice::NewPasskey, FactorChoice::NewTotp]);
    desk.give_passkey("localhost");
    offered(&[FactorChoice::KnownPasskey]);
    assert!(open_to(desk.known().as_ref(), None).is_empty(), "no code in place of a passkey");
    assert!(open_to(desk.known().as_ref(), Some("other.example")).is_empty(), "of another relying party");
}

#[test]
fn a_token_gives_no_new_factor_to_a_person_who_has_one() {
    let desk = Desk::new();
    let new_code = || ConfirmedFactor::NewTotp { seed: Seed::generate(), step: 7 };
    let refused = |factor| {
        let refused = desk.office.state.enrol(&desk.enrolment(6, factor), noon());
        assert!(matches!(refused, Err(StateError::InvitationOver)), "{refused:?}");
    };
    let new_passkey =
        || ConfirmedFactor::NewPasskey { passkey: stored("key", "localhost"), user_handle: HANDLE };
    desk.import();
    refused(new_passkey());
    desk.office.state.remove_factors(&person()).unwrap();
    desk.give_passkey("other.example");
    refused(new_code());
    refused(new_passkey());
    // Nor is it opened by a factor that is not there.
    let factors = desk.office.state.person(&person()).unwrap().unwrap().person.factors;
    refused(ConfirmedFactor::KnownTotp { factors, relying_party: None });
    assert_eq!(desk.office.state.person(&person()).unwrap().unwrap().keys.len(), 1);
}

#[test]
fn a_code_does_not_stand_in_for_a_passkey_that_was_added_meanwhile() {
    let desk = Desk::new();
    desk.import();
    let factors = desk.known().unwrap().factors;
    let here = Some(desk.party().id().to_owned());
    let shown =
        |key| desk.enrolment(key, ConfirmedFactor::KnownTotp { factors, relying_party: here.clone() });
    desk.office.state.may_enrol(&shown(6), noon()).unwrap();
    desk.give_passkey("other.example");
    desk.office.state.may_enrol(&shown(6), noon()).unwrap();
    desk.office.state.remove_factors(&person()).unwrap();
    let factors = desk.known().unwrap().factors;
    let gone = ConfirmedFactor::KnownPasskey { factors, name: "laptop".to_owned() };
    assert!(desk.office.state.may_enrol(&desk.enrolment(6, gone), noon()).is_err(), "there is none");
    desk.office.state.give_seed(&person(), &Seed::generate(), noon()).unwrap();
    desk.give_passkey("localhost");
    let shown = ConfirmedFactor::KnownTotp { factors, relying_party: here };
    let refused = desk.office.state.enrol(&desk.enrolment(6, shown), noon());
    assert!(matches!(refused, Err(StateError::InvitationOver)), "{refused:?}");
    let passkey = ConfirmedFactor::KnownPasskey { factors, name: "laptop".to_owned() };
    desk.office.state.enrol(&desk.enrolment(6, passkey), noon()).unwrap();
}

#[test]
fn a_passkey_that_was_reset_while_it_was_shown_does_not_count() {
    let desk = Desk::new();
    desk.import();
    desk.give_passkey("localhost");
    let factors = desk.known().unwrap().factors;
    desk.office.state.remove_factors(&person()).unwrap();
    desk.give_passkey("localhost");
    let shown = ConfirmedFactor::KnownPasskey { factors, name: "laptop".to_owned() };
    let refused = desk.office.state.enrol(&desk.enrolment(6, shown), noon());
    assert!(matches!(refused, Err(StateError::InvitationOver)), "{refused:?}");
}

#[test]
fn a_passkey_that_somebody_has_already_enrols_nobody() {
    let desk = Desk::new();
    let mut token = token();
    let passkey = desk.registered(&mut token);
    let handle = Handle::parse("tech-2@vendor-b").unwrap();
    let import = Import { handle: handle.clone(), key: KeyHash([50; 32]), seed: Seed::generate() };
    desk.office.state.import_person(&import, noon()).unwrap();
    let owner = desk.office.state.person(&handle).unwrap().unwrap().person;
    let (factors, behind) = (owner.factors, Behind::NoPasskey);
    let theirs = NewPasskey { person: owner.id, factors, behind, passkey: passkey.clone() };
    desk.office.state.add_passkey(&theirs, noon()).unwrap();
    let enrolment = desk.with_passkey(1, passkey);
    for refused in [
        desk.office.state.may_enrol(&enrolment, noon()),
        desk.office.state.enrol(&enrolment, noon()).map(drop),
    ] {
        assert!(matches!(refused, Err(StateError::PasskeyKnown)), "{refused:?}");
    }
    assert!(desk.office.state.person(&person()).unwrap().is_none(), "nobody was made");
    let other = desk.with_passkey(1, desk.registered(&mut crate::passkey::soft::token()));
    desk.office.state.enrol(&other, noon()).unwrap();
}

#[test]
fn an_invitation_that_was_withdrawn_while_the_page_was_open_stores_nothing() {
    let desk = Desk::new();
    let enrolment = desk.with_passkey(1, desk.registered(&mut token()));
    desk.office.state.withdraw_invitation(&person(), noon()).unwrap();
    for refused in [
        desk.office.state.may_enrol(&enrolment, noon()),
        desk.office.state.enrol(&enrolment, noon()).map(drop),
    ] {
        assert!(matches!(refused, Err(StateError::InvitationOver)), "{refused:?}");
    }
    assert!(desk.office.state.person(&person()).unwrap().is_none());
}

#[test]
fn an_answer_to_an_enrolments_page_fits_it_alone_for_two_minutes_and_verifies_its_user() {
    let desk = Desk::new();
    let (one, other) = (desk.begin(), desk.begin());
    let answer = register_with(&mut token(), PAGE, &one.options);
    let refused = other.judge(desk.party(), &answer).unwrap_err();
    assert!(matches!(refused, Refused::Wrong(_)), "of another connection: {refused}");
    assert!(one.options.contains("\"userVerification\":\"required\""), "{}", one.options);
    desk.plant.clock.advance(LASTS - Duration::from_millis(1));
    one.judge(desk.party(), &answer).unwrap();
    let late = desk.begin();
    let answer = register_with(&mut token(), PAGE, &late.options);
    desk.plant.clock.advance(LASTS);
    assert_eq!(late.judge(desk.party(), &answer).unwrap_err(), Refused::TooLate);
}

#[test]
fn whoever_had_passkeys_before_a_reset_stays_the_same_to_authenticators() {
    let desk = Desk::new();
    desk.import();
    let id = desk.known().unwrap().id;
    assert_eq!(desk.known().unwrap().user_handle, None);
    assert_eq!(desk.office.state.user_handle(id, [8; 16]).unwrap(), [8; 16]);
    desk.office.state.remove_factors(&person()).unwrap();
    assert_eq!(desk.known().unwrap().user_handle, Some([8; 16]));
    let passkey = || stored("laptop", "localhost");
    let strange = ConfirmedFactor::NewPasskey { passkey: passkey(), user_handle: HANDLE };
    assert!(desk.office.state.enrol(&desk.enrolment(6, strange), noon()).is_err());
    let same = ConfirmedFactor::NewPasskey { passkey: passkey(), user_handle: [8; 16] };
    desk.office.state.enrol(&desk.enrolment(6, same), noon()).unwrap();
}
