//! Ceremonies without a page: what is signed has to name the connection.

use super::*;
use crate::passkey::{Reach, Through};
use wire::passkey::caller;

/// The connection that asks.
const OURS: [u8; 32] = [0x11; 32];
/// Another one, as somebody in the middle has towards the technician.
const THEIRS: [u8; 32] = [0x22; 32];

fn through(exporter: [u8; 32]) -> Through {
    Through::Client { person: "tech-1@vendor-a".to_owned(), exporter }
}

impl Desk {
    fn begin_direct(&self) -> SignInCeremony {
        let passkeys = self.office.state.passkeys(self.person).unwrap();
        self.party().begin_sign_in(passkeys, &self.key, through(OURS)).unwrap()
    }

    fn begin_direct_registration(&self, name: &str) -> RegistrationCeremony {
        let there = self.office.state.passkeys(self.person).unwrap();
        let handle = self.office.state.user_handle(self.person, [3; 16]).unwrap();
        self.party().begin_registration(&there, handle, name, through(OURS)).unwrap()
    }

    fn register_directly(&self, token: &mut impl AuthenticatorBackend, name: &str) {
        let ceremony = self.begin_direct_registration(name);
        let answer = register_with(token, &caller(PAGE, &OURS), &ceremony.options);
        let new = self.owned(ceremony.judge(self.party(), &answer).unwrap());
        self.office.state.add_passkey(&new, self.office.clock.wall()).unwrap();
    }
}

#[test]
fn a_passkey_is_the_same_one_with_and_without_a_page() {
    let desk = Desk::new();
    let mut token = token();
    desk.register_directly(&mut token, "key");
    let direct = desk.begin_direct();
    let answer = sign_with(&mut token, &caller(PAGE, &OURS), &direct.options);
    let accepted = Verified::Accepted { name: "key".to_owned() };
    assert_eq!(desk.verify(Some(direct), &answer), accepted);
    let page = desk.begin();
    let answer = sign_with(&mut token, PAGE, &page.options);
    assert_eq!(desk.verify(Some(page), &answer), accepted);
    assert_eq!(desk.failures(), 0);
}

#[test]
fn what_does_not_name_this_connection_is_refused() {
    let desk = Desk::new();
    let mut token = token();
    desk.register_directly(&mut token, "key");
    let ours = caller(PAGE, &OURS);
    for caller in [
        caller(PAGE, &THEIRS),
        PAGE.to_owned(),
        format!("{PAGE}/#"),
        format!("{PAGE}/#gatehouse-connection="),
        format!("{ours}A"),
        ours.replace("/#", "/?"),
        caller("https://localhost", &OURS),
        caller("https://evil.localhost:8443", &OURS),
    ] {
        let ceremony = desk.begin_direct();
        let answer = sign_with(&mut token, &caller, &ceremony.options);
        assert_eq!(desk.refusal(Some(ceremony), &answer), Refused::NotForThisConnection, "{caller}");
        let registration = desk.begin_direct_registration("other");
        let answer = register_with(&mut token_of_another(), &caller, &registration.options);
        let refused = registration.judge(desk.party(), &answer).unwrap_err();
        assert_eq!(refused, Refused::NotForThisConnection, "{caller}");
        desk.office.state.unlock_person(&Handle::parse("tech-1@vendor-a").unwrap()).unwrap();
    }
    let ceremony = desk.begin_direct();
    let answer = sign_with(&mut token, &caller(PAGE, &THEIRS), &ceremony.options);
    desk.refusal(Some(ceremony), &answer);
    assert_eq!(desk.failures(), 1, "it counts as a failure");
}

#[test]
fn a_name_that_was_not_signed_is_worth_nothing() {
    let desk = Desk::new();
    let mut token = token();
    desk.register_directly(&mut token, "key");
    let ceremony = desk.begin_direct();
    let answer = sign_with(&mut token, &caller(PAGE, &THEIRS), &ceremony.options);
    // Whoever stands in the middle writes our connection over theirs.
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    let data = &mut answer["response"]["clientDataJSON"];
    *data = json!(forged(data.as_str().unwrap(), &caller(PAGE, &THEIRS), &caller(PAGE, &OURS)));
    assert!(wrong(&desk.refusal(Some(ceremony), &answer.to_string())));
}

/// The same client data with one text in place of another.
fn forged(data: &str, old: &str, new: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(data).unwrap()).unwrap();
    assert!(text.contains(old), "{text}");
    URL_SAFE_NO_PAD.encode(text.replace(old, new))
}

#[test]
fn an_answer_of_one_way_is_none_of_the_other() {
    let desk = Desk::new();
    let mut token = token();
    desk.register(&mut token, "key");
    let (page, direct) = (desk.begin(), desk.begin_direct());
    // The client signs whatever challenge it is given, also one of a page.
    let answer = sign_with(&mut token, &caller(PAGE, &OURS), &page.options);
    assert_eq!(desk.refusal(Some(page), &answer), Refused::NotFromThePage);
    let answer = sign_with(&mut token, PAGE, &direct.options);
    assert_eq!(desk.refusal(Some(direct), &answer), Refused::NotForThisConnection);
    let (page, direct) = (desk.begin_registration("page"), desk.begin_direct_registration("direct"));
    let answer = register_with(&mut token_of_another(), &caller(PAGE, &OURS), &page.options);
    let refused = page.judge(desk.party(), &answer).unwrap_err();
    assert_eq!(refused, Refused::NotFromThePage);
    let answer = register_with(&mut token_of_another(), PAGE, &direct.options);
    let refused = direct.judge(desk.party(), &answer).unwrap_err();
    assert_eq!(refused, Refused::NotForThisConnection);
}

#[test]
fn a_direct_answer_counts_for_two_minutes_with_a_user_and_a_counter_that_grows() {
    let desk = Desk::new();
    let mut token = token();
    desk.register_directly(&mut token, "key");
    let ours = caller(PAGE, &OURS);
    let mut copy = SoftToken::from_cbor(&token.to_cbor().unwrap()).unwrap();
    let (in_time, late) = (desk.begin_direct(), desk.begin_direct());
    let answer = sign_with(&mut token, &ours, &in_time.options);
    let answer_late = sign_with(&mut token, &ours, &late.options);
    desk.plant.clock.advance(LASTS - Duration::from_millis(1));
    assert!(matches!(desk.verify(Some(in_time), &answer), Verified::Accepted { .. }));
    desk.plant.clock.advance(Duration::from_millis(1));
    assert_eq!(desk.refusal(Some(late), &answer_late), Refused::TooLate);
    let ceremony = desk.begin_direct();
    let answer = sign_with(&mut copy, &ours, &ceremony.options);
    let refused = desk.refusal(Some(ceremony), &answer);
    assert!(matches!(refused, Refused::CounterBack { .. }), "{refused}");
    let registration = desk.begin_direct_registration("lax");
    let mut lax = SoftToken::new(false).unwrap().0;
    let answer = register_with(&mut lax, &ours, &without_verification(&registration.options));
    let refused = registration.judge(desk.party(), &answer).unwrap_err();
    assert_eq!(refused, Refused::Wrong(UNVERIFIED.to_owned()));
}

#[test]
fn whoever_has_no_passkey_is_asked_for_the_invented_one_of_the_page() {
    let desk = Desk::new();
    let ids = |options: &str| serde_json::from_str::<Value>(options).unwrap()["allowCredentials"].clone();
    let (page, direct) = (desk.begin(), desk.begin_direct());
    assert_eq!(ids(&page.options), ids(&direct.options));
    let Reach::Client { options, .. } = direct.reach() else { panic!("{:?}", direct.reach()) };
    assert_eq!(*options, direct.options, "nothing else is offered");
    assert_eq!(desk.refusal(Some(direct), "{}"), Refused::NoPasskey);
    assert_eq!(desk.failures(), 0);
}
