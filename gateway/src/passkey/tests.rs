//! Ceremonies against a software authenticator, with the real state.

mod direct;

use super::soft::{PAGE, register_with, sign_with, token};
use super::{
    Asked, LASTS, Purpose, Refused, RegistrationCeremony, RelyingParty, SignInCeremony, Verified, verify,
};
use crate::factor::Seed;
use crate::fixture::Plant;
use crate::names::Handle;
use crate::office::Office;
use crate::state::{
    Behind, Import, KeyHash, Lock, MOST_PASSKEYS, NewPasskey, PasskeyAcceptance, PasskeyUse, Person,
    PersonId, RegisteredPasskey, Standing, StateError,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use webauthn_authenticator_rs::AuthenticatorBackend;
use webauthn_authenticator_rs::softtoken::SoftToken;
use wire::Loopback;

/// A gateway with one person, and an authenticator in software.
struct Desk {
    plant: Plant,
    office: Arc<Office>,
    person: PersonId,
    key: KeyHash,
}

fn asked(purpose: Purpose) -> Asked {
    Asked {
        purpose,
        person: "tech-1@vendor-a".to_owned(),
        source: [192, 0, 2, 7].into(),
        loopback: Loopback { port: 40123, nonce: [1; 16] },
    }
}

/// The same options, asking for less.
fn without_verification(options: &str) -> String {
    let mut options: Value = serde_json::from_str(options).unwrap();
    for place in ["/userVerification", "/authenticatorSelection/userVerification"] {
        if let Some(wish) = options.pointer_mut(place) {
            *wish = json!("discouraged");
        }
    }
    options.to_string()
}

impl Desk {
    fn new() -> Self {
        let plant = Plant::new().with_passkeys();
        let office = plant.office();
        let key = KeyHash([7; 32]);
        let import =
            Import { handle: Handle::parse("tech-1@vendor-a").unwrap(), key, seed: Seed::generate() };
        office.state.import_person(&import, office.clock.wall()).unwrap();
        let person = office.state.person_by_key(&key).unwrap().unwrap().id;
        Self { plant, office, person, key }
    }

    fn party(&self) -> &RelyingParty {
        self.office.relying_party.as_ref().unwrap()
    }

    fn begin_registration(&self, name: &str) -> RegistrationCeremony {
        let there = self.office.state.passkeys(self.person).unwrap();
        let handle = self.office.state.user_handle(self.person, [3; 16]).unwrap();
        let asked = asked(Purpose::Register { name: name.to_owned() });
        self.party().begin_registration(&there, handle, name, asked).unwrap()
    }

    fn register(&self, token: &mut impl AuthenticatorBackend, name: &str) {
        let ceremony = self.begin_registration(name);
        let answer = register_with(token, PAGE, &ceremony.options);
        let new = self.owned(ceremony.judge(self.party(), &answer).unwrap());
        self.office.state.add_passkey(&new, self.office.clock.wall()).unwrap();
    }

    fn owned(&self, passkey: RegisteredPasskey) -> NewPasskey {
        let owner = self.record();
        NewPasskey { person: owner.id, factors: owner.factors, behind: Behind::Passkey, passkey }
    }

    fn begin(&self) -> SignInCeremony {
        let passkeys = self.office.state.passkeys(self.person).unwrap();
        let asked = asked(Purpose::SignIn { wanted: Vec::new() });
        self.party().begin_sign_in(passkeys, &self.key, asked).unwrap()
    }

    fn verify(&self, ceremony: Option<SignInCeremony>, answer: &str) -> Verified {
        let now = self.office.clock.wall();
        verify(&*self.office.state, self.party(), self.person, ceremony, answer, now).unwrap()
    }

    /// Why the answer was refused.
    fn refusal(&self, ceremony: Option<SignInCeremony>, answer: &str) -> Refused {
        match self.verify(ceremony, answer) {
            Verified::Refused { why, .. } => why,
            Verified::Accepted { name } => panic!("{name} was accepted"),
        }
    }

    fn record(&self) -> Person {
        self.office.state.person_by_key(&self.key).unwrap().unwrap()
    }

    fn failures(&self) -> u32 {
        self.office.state.person(&Handle::parse("tech-1@vendor-a").unwrap()).unwrap().unwrap().failures
    }
}

fn wrong(refused: &Refused) -> bool {
    matches!(refused, Refused::Wrong(_))
}

#[test]
fn a_registered_passkey_signs_in_again_and_again_and_its_counter_is_kept() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    let mut counters = vec![desk.office.state.passkeys(desk.person).unwrap().remove(0).counter];
    for _ in 0..3 {
        let ceremony = desk.begin();
        let answer = sign_with(&mut token, PAGE, &ceremony.options);
        assert_eq!(desk.verify(Some(ceremony), &answer), Verified::Accepted { name: "laptop".to_owned() });
        let kept = desk.office.state.passkeys(desk.person).unwrap().remove(0);
        assert_eq!(kept.last_used, Some(desk.office.clock.wall()));
        counters.push(kept.counter);
    }
    assert!(counters.is_sorted_by(|one, next| one < next), "{counters:?}");
    assert_eq!(desk.failures(), 0);
    let Desk { plant, office, person, .. } = desk;
    drop(office);
    let after = plant.office();
    assert_eq!(after.state.passkeys(person).unwrap().remove(0).counter, *counters.last().unwrap());
}

#[test]
fn an_answer_fits_its_own_ceremony_alone_and_once() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    let (victim, attacker) = (desk.begin(), desk.begin());
    let answer = sign_with(&mut token, PAGE, &victim.options);
    let refused = desk.refusal(Some(attacker), &answer);
    assert!(wrong(&refused), "the answer of another connection: {refused}");
    assert_eq!(desk.refusal(None, &answer), Refused::NoPage);
    assert!(matches!(desk.verify(Some(victim), &answer), Verified::Accepted { .. }));
    // The ceremony is gone with its answer; another one wants another answer.
    assert_eq!(desk.refusal(None, &answer), Refused::NoPage);
    let refused = desk.refusal(Some(desk.begin()), &answer);
    assert!(wrong(&refused), "the same answer again: {refused}");
}

#[test]
fn an_answer_counts_for_two_minutes() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    let (in_time, late) = (desk.begin(), desk.begin());
    let answer = sign_with(&mut token, PAGE, &in_time.options);
    let answer_late = sign_with(&mut token, PAGE, &late.options);
    desk.plant.clock.advance(LASTS - Duration::from_millis(1));
    assert!(matches!(desk.verify(Some(in_time), &answer), Verified::Accepted { .. }));
    desk.plant.clock.advance(Duration::from_millis(1));
    assert_eq!(desk.refusal(Some(late), &answer_late), Refused::TooLate);
    let registration = desk.begin_registration("late");
    let answer = register_with(&mut token_of_another(), PAGE, &registration.options);
    desk.plant.clock.advance(LASTS);
    let refused = registration.judge(desk.party(), &answer).unwrap_err();
    assert_eq!(refused, Refused::TooLate);
}

fn token_of_another() -> SoftToken {
    token()
}

#[test]
fn an_answer_from_another_origin_is_refused() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    for origin in [
        "https://localhost",
        "https://localhost:8444",
        "https://evil.localhost:8443",
        "http://localhost:8443",
    ] {
        let ceremony = desk.begin();
        let answer = sign_with(&mut token, origin, &ceremony.options);
        let refused = desk.refusal(Some(ceremony), &answer);
        assert!(wrong(&refused), "{origin}: {refused}");
        let registration = desk.begin_registration("other");
        let answer = register_with(&mut token_of_another(), origin, &registration.options);
        let refused = registration.judge(desk.party(), &answer).unwrap_err();
        assert!(wrong(&refused), "{origin}: {refused}");
    }
}

#[test]
fn without_user_verification_nothing_is_accepted() {
    let desk = Desk::new();
    let mut verifying = token();
    desk.register(&mut verifying, "laptop");
    // The same credential in an authenticator that verifies nobody.
    let mut copy = verifying.to_cbor().unwrap();
    let name = b"falsify_uv";
    let place = copy.windows(name.len()).position(|part| part == name).unwrap() + name.len();
    // CBOR's true becomes its false (RFC 8949, 3.3).
    assert_eq!(std::mem::replace(&mut copy[place], 0xf4), 0xf5);
    let mut lax = SoftToken::from_cbor(&copy).unwrap();
    let ceremony = desk.begin();
    assert!(ceremony.options.contains("\"userVerification\":\"required\""), "{}", ceremony.options);
    let answer = sign_with(&mut lax, PAGE, &without_verification(&ceremony.options));
    assert_eq!(desk.refusal(Some(ceremony), &answer), Refused::Wrong(UNVERIFIED.to_owned()));
    let registration = desk.begin_registration("lax");
    let mut other = SoftToken::new(false).unwrap().0;
    let answer = register_with(&mut other, PAGE, &without_verification(&registration.options));
    let refused = registration.judge(desk.party(), &answer).unwrap_err();
    assert_eq!(refused, Refused::Wrong(UNVERIFIED.to_owned()));
}

/// The library's words.
const UNVERIFIED: &str = "The user verified bit is not set, and required by policy";

#[test]
fn a_counter_that_does_not_grow_is_refused() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    let mut copy = SoftToken::from_cbor(&token.to_cbor().unwrap()).unwrap();
    // Two ceremonies see the same stored counter, so the library can't tell.
    let (one, other) = (desk.begin(), desk.begin());
    let first = sign_with(&mut token, PAGE, &one.options);
    let second = sign_with(&mut copy, PAGE, &other.options);
    assert!(matches!(desk.verify(Some(one), &first), Verified::Accepted { .. }));
    let stored = desk.office.state.passkeys(desk.person).unwrap().remove(0).counter;
    let back = Refused::CounterBack { name: "laptop".to_owned(), stored };
    assert_eq!(desk.refusal(Some(other), &second), back, "the state tells");
    // A later ceremony: the library tells.
    let mut older = SoftToken::from_cbor(&copy.to_cbor().unwrap()).unwrap();
    let ceremony = desk.begin();
    let answer = sign_with(&mut token, PAGE, &ceremony.options);
    assert!(matches!(desk.verify(Some(ceremony), &answer), Verified::Accepted { .. }));
    let ceremony = desk.begin();
    let answer = sign_with(&mut older, PAGE, &ceremony.options);
    let refused = desk.refusal(Some(ceremony), &answer);
    assert!(matches!(refused, Refused::CounterBack { .. }), "{refused}");
    assert_eq!(desk.failures(), 1, "it counts as a failure");
}

#[test]
fn of_two_that_were_begun_under_a_code_one_is_added() {
    let desk = Desk::new();
    let under_a_code = |ceremony: RegistrationCeremony| {
        let answer = register_with(&mut token_of_another(), PAGE, &ceremony.options);
        let new = desk.owned(ceremony.judge(desk.party(), &answer).unwrap());
        NewPasskey { behind: Behind::NoPasskey, ..new }
    };
    let (ours, theirs) = (desk.begin_registration("ours"), desk.begin_registration("theirs"));
    let (ours, theirs) = (under_a_code(ours), under_a_code(theirs));
    let now = desk.office.clock.wall();
    desk.office.state.add_passkey(&theirs, now).unwrap();
    assert!(matches!(desk.office.state.add_passkey(&ours, now), Err(StateError::PasskeyPresent)));
    let under_a_passkey = NewPasskey { behind: Behind::Passkey, ..ours };
    desk.office.state.add_passkey(&under_a_passkey, now).unwrap();
}

#[test]
fn a_passkey_counts_for_its_owner_alone() {
    let desk = Desk::new();
    desk.register(&mut token(), "laptop");
    let kept = desk.office.state.passkeys(desk.person).unwrap().remove(0);
    let (handle, key) = (Handle::parse("tech-2@vendor-b").unwrap(), KeyHash([8; 32]));
    let other = Import { handle, key, seed: Seed::generate() };
    desk.office.state.import_person(&other, desk.office.clock.wall()).unwrap();
    let other = desk.office.state.person_by_key(&key).unwrap().unwrap().id;
    let used = PasskeyUse {
        person: other,
        relying_party: kept.relying_party.clone(),
        credential: kept.credential.clone(),
        counter: 7,
        public: kept.public.clone(),
    };
    let accepted = desk.office.state.accept_passkey(&used, desk.office.clock.wall()).unwrap();
    assert_eq!(accepted, PasskeyAcceptance::Gone);
    assert_eq!(desk.office.state.passkeys(desk.person).unwrap(), [kept], "nothing of it changed");
}

#[test]
fn an_authenticator_that_does_not_count_may_go_on_but_one_that_did_must() {
    let desk = Desk::new();
    desk.register(&mut token(), "laptop");
    let kept = desk.office.state.passkeys(desk.person).unwrap().remove(0);
    let used = |counter| PasskeyUse {
        person: desk.person,
        relying_party: kept.relying_party.clone(),
        credential: kept.credential.clone(),
        counter,
        public: kept.public.clone(),
    };
    let accept =
        |counter| desk.office.state.accept_passkey(&used(counter), desk.office.clock.wall()).unwrap();
    let accepted = PasskeyAcceptance::Accepted { name: "laptop".to_owned() };
    let back = |stored| PasskeyAcceptance::CounterBack { name: "laptop".to_owned(), stored };
    assert_eq!(kept.counter, 0);
    assert_eq!(accept(0), accepted);
    assert_eq!(accept(0), accepted);
    assert_eq!(accept(5), accepted);
    assert_eq!(accept(5), back(5));
    assert_eq!(accept(0), back(5));
    assert_eq!(accept(4), back(5));
    assert_eq!(accept(6), accepted);
}

#[test]
fn failures_lock_like_those_of_codes() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    for expected in 1..=5 {
        let (one, other) = (desk.begin(), desk.begin());
        let answer = sign_with(&mut token, PAGE, &one.options);
        assert!(wrong(&desk.refusal(Some(other), &answer)));
        assert_eq!(desk.failures(), expected);
    }
    let ceremony = desk.begin();
    let answer = sign_with(&mut token, PAGE, &ceremony.options);
    let Verified::Refused { why: Refused::Locked, lock: Lock::Until(until) } =
        desk.verify(Some(ceremony), &answer)
    else {
        panic!("a locked person got in")
    };
    assert_eq!(until, desk.office.clock.wall() + jiff::SignedDuration::from_secs(30));
    desk.plant.clock.advance(Duration::from_secs(31));
    let ceremony = desk.begin();
    let answer = sign_with(&mut token, PAGE, &ceremony.options);
    assert!(matches!(desk.verify(Some(ceremony), &answer), Verified::Accepted { .. }));
    assert_eq!(desk.failures(), 0);
}

#[test]
fn whoever_has_no_passkey_is_asked_in_the_same_form_and_can_not_be_locked() {
    let desk = Desk::new();
    let form = |options: &str| {
        let mut options: Value = serde_json::from_str(options).unwrap();
        let challenge = options["challenge"].take();
        let ids = options["allowCredentials"].take();
        let entry = ids.as_array().unwrap().first().unwrap().clone();
        let keys: Vec<String> = entry.as_object().unwrap().keys().cloned().collect();
        (options, challenge.as_str().unwrap().len(), keys)
    };
    let invented = desk.begin();
    assert_eq!(desk.refusal(Some(desk.begin()), "{}"), Refused::NoPasskey);
    assert_eq!(desk.failures(), 0);
    let ids = |options: &str| serde_json::from_str::<Value>(options).unwrap()["allowCredentials"].clone();
    assert_eq!(ids(&invented.options), ids(&desk.begin().options), "the same ids each time");
    let none = form(&invented.options);
    desk.register(&mut token(), "laptop");
    let real = desk.begin();
    assert_eq!(none, form(&real.options));
    // The passkeys of another relying party are none here.
    let mut other = desk.office.state.passkeys(desk.person).unwrap();
    other.iter_mut().for_each(|passkey| passkey.relying_party = "other.example".to_owned());
    let asked = asked(Purpose::SignIn { wanted: Vec::new() });
    let elsewhere = desk.party().begin_sign_in(other, &desk.key, asked).unwrap();
    assert_eq!(ids(&elsewhere.options), ids(&invented.options));
}

#[test]
fn what_is_no_answer_is_refused() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    let ceremony = desk.begin();
    let good: Value = serde_json::from_str(&sign_with(&mut token, PAGE, &ceremony.options)).unwrap();
    let with = |place: &str, value: Value| {
        let mut changed = good.clone();
        changed[place] = value;
        changed.to_string()
    };
    let nested = format!("{}1{}", "[".repeat(3000), "]".repeat(3000));
    for broken in [
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        nested,
        with("id", json!("AAAA")),
        with("rawId", json!("AAAA")),
        with("type", json!("password")),
        with("response", json!({})),
    ] {
        assert_eq!(desk.refusal(Some(desk.begin()), &broken), Refused::Malformed, "{broken}");
        desk.office.state.unlock_person(&Handle::parse("tech-1@vendor-a").unwrap()).unwrap();
    }
    let forged = good.to_string().replace(good["response"]["signature"].as_str().unwrap(), "MEUCIQDx");
    assert!(wrong(&desk.refusal(Some(ceremony), &forged)));
}

#[test]
fn a_passkey_is_registered_once_under_one_name_and_nobody_has_many() {
    let desk = Desk::new();
    let mut first = token();
    desk.register(&mut first, "laptop");
    let now = desk.office.clock.wall();
    let ceremony = desk.begin_registration("again");
    assert!(ceremony.options.contains("excludeCredentials"), "{}", ceremony.options);
    let answer = register_with(&mut token(), PAGE, &ceremony.options);
    let mut new = desk.owned(ceremony.judge(desk.party(), &answer).unwrap());
    let kept = desk.office.state.passkeys(desk.person).unwrap().remove(0);
    new.passkey.name = "laptop".to_owned();
    let taken = desk.office.state.add_passkey(&new, now).unwrap_err();
    assert!(matches!(taken, StateError::PasskeyNameTaken(_)), "{taken}");
    // Somebody else can't have it either.
    let key = KeyHash([8; 32]);
    let import = Import { handle: Handle::parse("tech-2@vendor-b").unwrap(), key, seed: Seed::generate() };
    desk.office.state.import_person(&import, now).unwrap();
    let other = desk.office.state.person_by_key(&key).unwrap().unwrap().id;
    let mut stolen = new.clone();
    (stolen.person, stolen.passkey.credential) = (other, kept.credential);
    assert!(matches!(desk.office.state.add_passkey(&stolen, now), Err(StateError::PasskeyKnown)));
    for number in 1..MOST_PASSKEYS {
        desk.register(&mut token(), &format!("key {number}"));
    }
    new.passkey.name = "one too many".to_owned();
    assert!(matches!(desk.office.state.add_passkey(&new, now), Err(StateError::TooManyPasskeys)));
    assert_ne!(
        desk.office.state.user_handle(desk.person, [4; 16]).unwrap(),
        desk.office.state.user_handle(other, [5; 16]).unwrap()
    );
    assert_eq!(desk.office.state.user_handle(desk.person, [6; 16]).unwrap(), [3; 16], "it stays");
}

#[test]
fn a_reset_takes_passkeys_too_and_what_was_begun_before_it_adds_none() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "laptop");
    let sign_in = desk.begin();
    let answer = sign_with(&mut token, PAGE, &sign_in.options);
    let registration = desk.begin_registration("late");
    let late = register_with(&mut token_of_another(), PAGE, &registration.options);
    let new = desk.owned(registration.judge(desk.party(), &late).unwrap());
    let handle = desk.record().handle;
    desk.office.state.remove_factors(&handle).unwrap();
    assert!(desk.office.state.passkeys(desk.person).unwrap().is_empty());
    assert_eq!(desk.refusal(Some(sign_in), &answer), Refused::Gone);
    let now = desk.office.clock.wall();
    assert!(matches!(desk.office.state.add_passkey(&new, now), Err(StateError::FactorsReset)));
    assert!(desk.office.state.passkeys(desk.person).unwrap().is_empty());
    desk.office.state.set_standing(&handle, Standing::Disabled).unwrap();
    assert!(matches!(desk.office.state.add_passkey(&new, now), Err(StateError::Disabled(_))));
}
