//! What somebody gains who has a technician's key file and sends them a link:
//! nothing. And what a page tells of a person: nothing.

use super::browser::Browser;
use super::site::{NAME, ORIGIN, event, listening, offered, start, start_adding, with_page};
use std::time::Duration;
use tests::{
    plant::{Gateway, Technician},
    plc::{Manners, Plc},
    process::PATIENCE,
    visitor::{Papers, Visit, Visitor},
    workshop::{OPERATOR, OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};
use wire::{Assurance, Code, Factor, Loopback, Refusal, ToClient, ToGateway};

/// How long something is waited for in vain.
pub(crate) const IN_VAIN: Duration = Duration::from_secs(2);

/// Registers a passkey under a code.
pub(crate) fn register(technician: &Technician, browser: &mut Browser) {
    let adding = start_adding(technician, "laptop");
    let page = browser.visit(&offered(&adding).url);
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    adding.finish(PATIENCE).unwrap().expect_code(0).unwrap();
}

/// Somebody with the certificate and the key of `person`.
pub(crate) fn thief(workshop: &Workshop, person: &str) -> Papers {
    let file = |ending: &str| {
        std::fs::read_to_string(workshop.path(&format!("pki/people/{person}.{ending}"))).unwrap()
    };
    Papers::from_pem(&file("pem"), &file("key")).unwrap()
}

/// Connects and asks for a page that hands over to `loopback`; gives its address.
pub(crate) async fn asks_for_a_page(
    visitor: &Visitor,
    gateway: &Gateway<'_>,
    papers: &Papers,
    loopback: Loopback,
) -> (Visit, String) {
    let mut visit = visitor.knock(gateway.address(), papers).await.unwrap();
    assert!(matches!(visit.greet().await.unwrap(), ToClient::Welcome { .. }));
    visit.say(&ToGateway::BeginPasskey { loopback, wanted: vec![PRESS_LINE.to_owned()] }).await;
    let ToClient::PasskeyPage { url, .. } = visit.hear().await.unwrap() else { panic!("no page") };
    (visit, url)
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The port at which a client waits for its page.
pub(crate) fn port_of(action: &str) -> u16 {
    url::Url::parse(action).unwrap().port().unwrap()
}

#[test]
fn a_link_that_a_thief_of_the_key_file_sends_gives_the_thief_nothing() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let mut browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    register(&technician, &mut browser);

    // The victim is about to sign in, which is when a link is believed.
    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let own = browser.visit(&offered(&client).url);
    let port = port_of(&own.attribute("action"));
    let papers = thief(&workshop, TECHNICIAN);
    let runtime = runtime();
    runtime.block_on(async {
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        let loopback = Loopback { port, nonce: [0x66; 16] };
        let (mut waiting, link) = asks_for_a_page(&visitor, &gateway, &papers, loopback).await;
        let (mut other, _) = asks_for_a_page(&visitor, &gateway, &papers, loopback).await;
        // The victim confirms the thief's page, whatever it says.
        let page = browser.visit(&link);
        let answer = browser.use_authenticator(&page, ORIGIN);
        assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 404, "the victim's client knows it not");
        let heard = tokio::time::timeout(IN_VAIN, waiting.hear()).await;
        assert!(heard.is_err(), "the thief heard {heard:?}");
        // Even in the thief's hands it would be worth nothing elsewhere, and
        // nothing more is to be had from a sign-in that is not complete.
        other.say(&ToGateway::Assertion { json: answer.clone() }).await;
        let refused = other.hear().await.unwrap();
        assert!(matches!(refused, ToClient::Refused { code: Refusal::Factor, .. }), "{refused:?}");
        waiting.say(&ToGateway::Targets).await;
        let refused = waiting.hear().await.unwrap();
        assert!(matches!(refused, ToClient::Refused { code: Refusal::SignInFirst, .. }), "{refused:?}");
    });
    // The victim's own page goes on as if nothing had been.
    let answer = browser.use_authenticator(&own, ORIGIN);
    assert_eq!(browser.send_form(&own, ORIGIN, &answer).status, 200);
    listening(client).end().unwrap().expect_code(0).unwrap();
    let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    let signed_in = events.lines().filter(|line| line.contains("\"signed_in\"")).count();
    assert_eq!(signed_in, 2, "to register, and the victim's own: {events}");
}

/// What a stranger to the second factor gets to see, without what is random.
#[derive(Debug, PartialEq)]
struct Seen {
    messages: Vec<String>,
    page: Vec<String>,
}

#[test]
fn a_page_and_a_refusal_tell_nobody_who_is_known() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let mut browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    // One with a passkey, one without, and one whom the gateway does not know.
    register(&gateway.import(TECHNICIAN).unwrap(), &mut browser);
    gateway.import(OTHER_TECHNICIAN).unwrap();
    let runtime = runtime();
    let look = |person: &str| {
        let papers = thief(&workshop, person);
        runtime.block_on(async {
            let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
            let loopback = Loopback { port: 40123, nonce: [1; 16] };
            let (mut visit, url) = asks_for_a_page(&visitor, &gateway, &papers, loopback).await;
            let page = browser.visit(&url);
            let options: serde_json::Value = serde_json::from_str(&page.attribute("data-options")).unwrap();
            let entries = options["allowCredentials"].as_array().unwrap().clone();
            let mut keys: Vec<String> = options.as_object().unwrap().keys().cloned().collect();
            keys.extend(entries[0].as_object().unwrap().keys().cloned());
            let mut messages = vec![format!("an address of {} bytes", url.len())];
            for _ in 0..3 {
                visit.say(&ToGateway::Assertion { json: "{\"id\":\"a\"}".to_owned() }).await;
                messages.push(format!("{:?}", visit.hear().await));
            }
            messages.push(format!("{:?}", visit.hear().await));
            Seen { messages, page: keys }
        })
    };
    let known = look(TECHNICIAN);
    assert_eq!(known, look(OTHER_TECHNICIAN), "without a passkey");
    assert_eq!(known, look(OPERATOR), "unknown");
    gateway.admin(&["user", "disable", TECHNICIAN]).unwrap().expect_code(0).unwrap();
    assert_eq!(known, look(TECHNICIAN), "disabled");
    // The events tell all.
    let why = |words: &[&str]| event(&gateway, words)["why"].as_str().unwrap().to_owned();
    assert!(why(&["sign_in_refused", TECHNICIAN]).starts_with("the answer can't be read"));
    assert!(why(&["sign_in_refused", OTHER_TECHNICIAN]).starts_with("no passkey is stored"));
    assert!(why(&["sign_in_refused", "\"what\":\"key "]).starts_with("unknown certificate"));
}

#[test]
fn what_a_passkey_opened_is_not_kept_alive_by_a_code() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    workshop.edit("gateway.toml", "[admin]", "[limits]\nfactor_again_after = \"2 s\"\n\n[admin]").unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let mut browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    register(&gateway.import(TECHNICIAN).unwrap(), &mut browser);
    runtime().block_on(async {
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        let papers = thief(&workshop, TECHNICIAN);
        let loopback = Loopback { port: 40123, nonce: [1; 16] };
        let (mut visit, url) = asks_for_a_page(&visitor, &gateway, &papers, loopback).await;
        let json = browser.use_authenticator(&browser.visit(&url), ORIGIN);
        visit.say(&ToGateway::Assertion { json }).await;
        let signed_in = visit.hear().await.unwrap();
        let worth = Assurance::CertificateAndWebauthn;
        assert!(
            matches!(signed_in, ToClient::SignedIn { assurance, .. } if assurance == worth),
            "{signed_in:?}"
        );
        let again = visit.hear().await.unwrap();
        let ToClient::FactorAgain { factors, .. } = again else { panic!("{again:?}") };
        assert_eq!(factors, [Factor::Webauthn]);
        visit.say(&ToGateway::Totp { code: Code::parse("123456").unwrap() }).await;
        let refused = visit.hear().await.unwrap();
        assert!(matches!(refused, ToClient::Refused { code: Refusal::Factor, .. }), "{refused:?}");
    });
    let refused = event(&gateway, &["sign_in_refused", "asked again"]);
    assert_eq!(refused["why"], "asked again: another factor than at the sign-in");
}
