//! From an invitation to a session with a passkey and never a code, and what
//! a page of an enrolment is not good for.

use super::browser::{Browser, Page, post};
use super::ceremonies::RULES;
use super::site::{NAME, ORIGIN, event, listening, offered, start, start_adding, start_enrolling, with_page};
use crate::enrolment::{Applicant, block_on, declined, request, token};
use std::path::Path;
use std::time::Duration;
use tests::{
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, Technician},
    plc::{Manners, Plc},
    process::{PATIENCE, Process, run},
    workshop::{OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};
use webauthn_authenticator_rs::softtoken::SoftToken;
use wire::Loopback;
use wire::enrolment::{Answer as Said, Ask, Declined, FactorChoice};

/// How long an attacker waits in vain.
const IN_VAIN: Duration = Duration::from_secs(2);

/// A plant where people enrol and use passkeys, whose press line only a
/// passkey may write to.
fn workshop(plc: &Plc) -> (Workshop, Browser) {
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    workshop.write("policies/policy.csv", RULES).unwrap();
    let page_at = with_page(&workshop);
    let browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    (workshop, browser)
}

/// Confirms what a client shows, as a person does; gives the page.
fn confirm(browser: &mut Browser, client: &Process) -> Page {
    let shown = offered(client);
    let page = browser.visit(&shown.url);
    assert!(page.html.contains(&shown.code), "the codes differ: {}", page.html);
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    page
}

/// Enrols with the browser's authenticator; gives the page that was shown.
fn enrol(browser: &mut Browser, technician: &Technician, invitation: &Path) -> Page {
    let client = start_enrolling(technician, invitation, &["--name", "laptop"]);
    let page = confirm(browser, &client);
    let enrolled = client.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    assert!(enrolled.out.starts_with("enrolled tech-1@vendor-a "), "{enrolled}");
    assert!(enrolled.err.contains("try it with your passkey"), "{enrolled}");
    page
}

/// What `user show` says of the technician; `None` if there is none.
fn shown(gateway: &Gateway<'_>) -> Option<String> {
    let shown = gateway.admin(&["user", "show", TECHNICIAN]).unwrap();
    (shown.code == Some(0)).then_some(shown.out)
}

fn refusal(process: Process) -> String {
    process.finish(PATIENCE).unwrap().expect_code(6).unwrap().err
}

#[test]
fn from_an_invitation_to_a_recorded_session_without_any_code() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let technician = Technician::new(&workshop, "mine");
    let page = enrol(&mut browser, &technician, &invitation);
    for part in ["Enrol with a passkey", "laptop", TECHNICIAN, ORIGIN, "127.0.0.1", "Enrolment"] {
        assert!(page.html.contains(part), "{part} is not in {}", page.html);
    }
    let profile = std::fs::read_to_string(&technician.profile).unwrap();
    assert!(profile.contains("factor = \"passkey\""), "{profile}");
    let enrolled = event(&gateway, &["person_enrolled", TECHNICIAN]);
    let what = enrolled["what"].as_str().unwrap();
    assert!(what.ends_with(", passkey laptop registered under the invitation"), "{what}");

    // What asks for a passkey is open at once.
    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    confirm(&mut browser, &client);
    let connection = listening(client);
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    assert_eq!(plc.holding(100), Some(731));
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    let told = auditor.show(&recording).unwrap().expect_code(0).unwrap().out;
    assert!(told.contains("certificate and security key"), "{told}");

    // A new certificate costs a passkey as well, and the profile stays what it is.
    let client = start(&technician, &["renew"]);
    confirm(&mut browser, &client);
    client.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    let profile = std::fs::read_to_string(&technician.profile).unwrap();
    assert!(profile.contains("mine-2.key") && profile.contains("factor = \"passkey\""), "{profile}");
    let client = start(&technician, &["targets"]);
    confirm(&mut browser, &client);
    assert!(client.finish(PATIENCE).unwrap().expect_code(0).unwrap().out.contains(PRESS_LINE));
}

#[test]
fn who_has_passkeys_alone_enrols_a_further_machine_by_one_and_by_nothing_else() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = Technician::new(&workshop, "mine");
    enrol(&mut browser, &technician, &gateway.invite(TECHNICIAN).unwrap());
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    // A token and an authenticator app are not enough, and give no weaker factor.
    let codes = Technician::new(&workshop, "codes");
    let refused = run("gatehouse enroll", &mut codes.enroll(&invitation, &[])).unwrap();
    let refused = refused.expect_code(6).unwrap();
    assert!(refused.err.contains("a code does not stand in for it: use --passkey"), "{refused}");
    assert!(!codes.seed.exists() && !codes.profile.exists(), "nothing is left");
    // Nor is the passkey of somebody else.
    let laptop = Technician::new(&workshop, "second");
    let client = start_enrolling(&laptop, &invitation, &[]);
    let page = browser.visit(&offered(&client).url);
    let action = page.attribute("action");
    assert_eq!(post(&action, ORIGIN, "{\"id\":\"a\"}").status, 200);
    assert!(refusal(client).contains("the passkey was not accepted; the token is good for another try"));
    assert!(!laptop.profile.exists(), "nothing is left");
    let noted = event(&gateway, &["enrolment_refused", TECHNICIAN, "can't be read"]);
    assert_eq!(noted["why"], "the answer can't be read; not locked");
    let failures = shown(&gateway).unwrap();
    assert!(failures.contains("failures      1,"), "it counts as a failure: {failures}");
    // The right one confirms it.
    let page = enrol(&mut browser, &laptop, &invitation);
    for part in ["Confirm a further machine", TECHNICIAN, ORIGIN, "Enrolment"] {
        assert!(page.html.contains(part), "{part} is not in {}", page.html);
    }
    let enrolled = event(&gateway, &["person_enrolled", "confirmed by passkey laptop"]);
    assert_eq!(enrolled["person"], TECHNICIAN);
    let all = shown(&gateway).unwrap();
    assert!(all.contains("failures      0,"), "the success forgets it: {all}");
    assert_eq!(all.matches("laptop for gateway.plant.example").count(), 1, "no factor was added: {all}");
    for machine in [&laptop, &technician] {
        let client = start(machine, &["targets"]);
        confirm(&mut browser, &client);
        client.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    }
}

#[test]
fn who_has_both_confirms_with_the_passkey() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = Technician::new(&workshop, "mine");
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    run("gatehouse enroll", &mut technician.enroll(&invitation, &[])).unwrap().expect_code(0).unwrap();
    // With codes alone it is a code, and a token makes no passkey.
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let laptop = Technician { profile: workshop.path("laptop.toml"), seed: technician.seed.clone() };
    let refused = refusal(start_enrolling(&laptop, &invitation, &[]));
    assert!(refused.contains("add a passkey then with `gatehouse factor add`"), "{refused}");
    let adding = start_adding(&technician, "laptop");
    confirm(&mut browser, &adding);
    adding.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    // From now on a code does not do here, as for `factor add`.
    let refused = run("gatehouse enroll", &mut laptop.enroll(&invitation, &[])).unwrap();
    let refused = refused.expect_code(6).unwrap();
    assert!(refused.err.contains("a code does not stand in for it"), "{refused}");
    // Whatever a client says: the gateway decides.
    let invited = token(&invitation);
    block_on(async {
        for choice in [FactorChoice::KnownTotp, FactorChoice::NewTotp, FactorChoice::NewPasskey] {
            let (mut applicant, said) = Applicant::welcomed(&invited).await;
            let Said::Welcome { factors, .. } = said else { panic!("{said:?}") };
            assert_eq!(factors, [FactorChoice::KnownPasskey]);
            applicant.request(request(&rcgen::KeyPair::generate().unwrap(), "x"), choice).await;
            let said = applicant.talk.answer().await.unwrap();
            assert_eq!(declined(&said), Some(Declined::FactorChoice), "{choice:?}: {said:?}");
        }
    });
    enrol(&mut browser, &laptop, &invitation);
}

/// Somebody who asks for a page with a token; gives the page's address.
pub(crate) async fn asks_for_an_enrolment(
    applicant: &mut Applicant,
    choice: FactorChoice,
    loopback: Loopback,
) -> String {
    applicant.request(request(&rcgen::KeyPair::generate().unwrap(), "x"), choice).await;
    let begin = match choice {
        FactorChoice::NewPasskey => Ask::BeginRegistration { loopback, name: "laptop".to_owned() },
        FactorChoice::KnownPasskey => Ask::BeginPasskey { loopback },
        FactorChoice::NewTotp | FactorChoice::KnownTotp => panic!("no page for {choice:?}"),
    };
    applicant.talk.send(&begin).await.unwrap();
    let said = applicant.talk.answer().await.unwrap();
    let Said::PasskeyPage { url, within_s: 120, .. } = said else { panic!("no page: {said:?}") };
    url
}

/// What a page handed over, for the gateway.
fn answer_to(choice: FactorChoice, json: String) -> Ask {
    match choice {
        FactorChoice::NewPasskey | FactorChoice::NewTotp => Ask::Registration { json },
        FactorChoice::KnownPasskey | FactorChoice::KnownTotp => Ask::Assertion { json },
    }
}

#[test]
fn a_page_of_somebody_elses_enrolment_gives_its_sender_nothing() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = Technician::new(&workshop, "mine");
    enrol(&mut browser, &technician, &gateway.invite(TECHNICIAN).unwrap());
    // A thief read the token of the technician's next machine, and has one of their own.
    let stolen = token(&gateway.invite(TECHNICIAN).unwrap());
    let own = token(&gateway.invite(OTHER_TECHNICIAN).unwrap());
    // The victim is about to sign in, which is when a link is believed.
    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let victims = offered(&client);
    let page = browser.visit(&victims.url);
    let port = super::attacks::port_of(&page.attribute("action"));
    for (token, choice) in [(&stolen, FactorChoice::KnownPasskey), (&own, FactorChoice::NewPasskey)] {
        block_on(async {
            let (mut waiting, _) = Applicant::welcomed(token).await;
            let (mut other, _) = Applicant::welcomed(token).await;
            let loopback = Loopback { port, nonce: [0x66; 16] };
            let link = asks_for_an_enrolment(&mut waiting, choice, loopback).await;
            asks_for_an_enrolment(&mut other, choice, loopback).await;
            let lure = browser.visit(&link);
            assert!(lure.html.contains("Enrolment") && !lure.html.contains(&victims.code), "{}", lure.html);
            // The victim confirms it, whatever it says.
            let answer = browser.use_authenticator(&lure, ORIGIN);
            assert_eq!(browser.send_form(&lure, ORIGIN, &answer).status, 404, "their client knows it not");
            let heard = tokio::time::timeout(IN_VAIN, waiting.talk.receive()).await;
            assert!(heard.is_err(), "the thief heard {heard:?}");
            // Even in the thief's hands it would fit no other connection.
            other.talk.send(&answer_to(choice, answer)).await.unwrap();
            let said = other.talk.answer().await.unwrap();
            assert_eq!(declined(&said), Some(Declined::Passkey), "{said:?}");
        });
    }
    let list = gateway.admin(&["ca", "list", "--json"]).unwrap().expect_code(0).unwrap().out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "nobody was enrolled: {list}");
    // The victim's own page goes on as if nothing had been.
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    listening(client).end().unwrap().expect_code(0).unwrap();
}

#[test]
fn an_answer_counts_once() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let loopback = Loopback { port: 40123, nonce: [1; 16] };
    let mut used = String::new();
    for choice in [FactorChoice::NewPasskey, FactorChoice::KnownPasskey] {
        let invited = token(&gateway.invite(TECHNICIAN).unwrap());
        block_on(async {
            let (mut applicant, _) = Applicant::welcomed(&invited).await;
            let page = asks_for_an_enrolment(&mut applicant, choice, loopback).await;
            let json = browser.use_authenticator(&browser.visit(&page), ORIGIN);
            assert_eq!(browser.visit(&page).status, 404, "the page is there once");
            used.clone_from(&json);
            let answer = answer_to(choice, json);
            // The second one comes while the first is judged, and is nobody's.
            applicant.talk.send(&answer).await.unwrap();
            let _ = applicant.talk.send(&answer).await;
            let said = applicant.talk.answer().await.unwrap();
            assert!(matches!(said, Said::Enrolled { .. }), "{said:?}");
            let more = applicant.talk.answer().await;
            assert!(more.is_err(), "one answer, one enrolment: {more:?}");
        });
    }
    let invited = token(&gateway.invite(TECHNICIAN).unwrap());
    block_on(async {
        let (mut applicant, _) = Applicant::welcomed(&invited).await;
        asks_for_an_enrolment(&mut applicant, FactorChoice::KnownPasskey, loopback).await;
        applicant.talk.send(&Ask::Assertion { json: used }).await.unwrap();
        let said = applicant.talk.answer().await.unwrap();
        assert_eq!(declined(&said), Some(Declined::Passkey), "played again: {said:?}");
    });
    let list = gateway.admin(&["ca", "list", "--json"]).unwrap().expect_code(0).unwrap().out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[test]
#[ignore = "it takes more than two minutes"]
fn a_page_and_its_answer_are_worth_nothing_after_two_minutes() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invited = token(&gateway.invite(TECHNICIAN).unwrap());
    let runtime = super::attacks::runtime();
    runtime.block_on(async {
        let loopback = Loopback { port: 40123, nonce: [1; 16] };
        let (mut late, _) = Applicant::welcomed(&invited).await;
        let (mut silent, _) = Applicant::welcomed(&invited).await;
        let page = asks_for_an_enrolment(&mut late, FactorChoice::NewPasskey, loopback).await;
        let unseen = asks_for_an_enrolment(&mut silent, FactorChoice::NewPasskey, loopback).await;
        let json = browser.use_authenticator(&browser.visit(&page), ORIGIN);
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert_eq!(browser.visit(&unseen).status, 404);
        late.talk.send(&Ask::Registration { json }).await.unwrap();
        let said = late.talk.answer().await.unwrap();
        assert_eq!(declined(&said), Some(Declined::Passkey), "{said:?}");
        assert!(format!("{said:?}").contains("the answer came more than 120 s after the page"), "{said:?}");
        let said = tokio::time::timeout(PATIENCE, silent.talk.receive()).await.unwrap().unwrap();
        assert_eq!(declined(&said), Some(Declined::TimedOut), "{said:?}");
    });
    assert_eq!(shown(&gateway), None);
    enrol(&mut browser, &Technician::new(&workshop, "mine"), &gateway.invite(TECHNICIAN).unwrap());
}

#[test]
fn what_breaks_off_at_the_page_stores_nothing_and_leaves_the_invitation_open() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let technician = Technician::new(&workshop, "mine");
    let nothing = |why: &str| {
        assert_eq!(shown(&gateway), None, "{why}");
        assert!(!technician.profile.exists(), "{why}");
    };
    // The codes differ, and the person gives up.
    let client = start_enrolling(&technician, &invitation, &[]);
    let gone = browser.visit(&offered(&client).url);
    let given_up = client.interrupt().unwrap().expect_code(4).unwrap();
    assert!(given_up.err.contains("the token is good for another try"), "{given_up}");
    nothing("given up");
    let late = browser.use_authenticator(&gone, ORIGIN);
    // An answer to a page that went, on a connection with a page of its own.
    let client = start_enrolling(&technician, &invitation, &[]);
    let page = browser.visit(&offered(&client).url);
    assert_eq!(browser.send_form(&page, "https://evil.example", &late).status, 403, "of another page");
    assert_eq!(browser.send_form(&page, ORIGIN, &late).status, 200);
    assert!(refusal(client).contains("the passkey's answer is wrong"));
    nothing("an answer of another connection");
    // An authenticator that verifies nobody.
    let client = start_enrolling(&technician, &invitation, &[]);
    let page = browser.visit(&offered(&client).url);
    let action = page.attribute("action");
    let lax = page.html.replace("&quot;required&quot;", "&quot;discouraged&quot;");
    assert_ne!(lax, page.html, "it is demanded of the browser as well");
    let verifying = std::mem::replace(&mut browser.token, SoftToken::new(false).unwrap().0);
    let answer = browser.use_authenticator(&Page { html: lax, ..page }, ORIGIN);
    browser.token = verifying;
    assert_eq!(post(&action, ORIGIN, &answer).status, 200);
    assert!(refusal(client).contains("user verified bit is not set"));
    nothing("without user verification");
    // The plant takes the only invitation back while the page is open: that is told at once.
    let client = start_enrolling(&technician, &invitation, &[]);
    offered(&client);
    gateway.admin(&["user", "invite", TECHNICIAN, "--withdraw"]).unwrap().expect_code(0).unwrap();
    assert!(refusal(client).contains("the invitation was used or withdrawn meanwhile"));
    nothing("withdrawn, and nobody else is invited");
    event(&gateway, &["enrolment_refused", TECHNICIAN, "withdrawn meanwhile"]);
    // Where others are invited, it turns out when the answer comes.
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    gateway.invite(OTHER_TECHNICIAN).unwrap();
    let client = start_enrolling(&technician, &invitation, &[]);
    let page = browser.visit(&offered(&client).url);
    gateway.admin(&["user", "invite", TECHNICIAN, "--withdraw"]).unwrap().expect_code(0).unwrap();
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    assert!(refusal(client).contains("the invitation was used or withdrawn meanwhile"));
    nothing("withdrawn");
    let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    assert!(!events.contains("\"person_enrolled\""), "an event for whoever got in alone: {events}");
}

#[test]
fn a_gateway_without_a_page_and_passkeys_of_another_name_are_told_plainly() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, mut browser) = workshop(&plc);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = Technician::new(&workshop, "mine");
    enrol(&mut browser, &technician, &gateway.invite(TECHNICIAN).unwrap());
    gateway.terminate().unwrap();
    // The plant gives its page another name: passkeys of the old one are none here.
    let configuration = std::fs::read_to_string(workshop.path("gateway.toml")).unwrap();
    let elsewhere = configuration.replace("rp_id = \"gateway.plant.example\"", "rp_id = \"plant.example\"");
    assert_ne!(elsewhere, configuration);
    workshop.write("gateway.toml", &elsewhere).unwrap();
    let gateway = Gateway::start(&workshop).unwrap();
    let refused = refusal(start_enrolling(
        &Technician::new(&workshop, "second"),
        &gateway.invite(TECHNICIAN).unwrap(),
        &[],
    ));
    assert!(refused.contains("you have passkeys alone and none can be used here"), "{refused}");
    event(&gateway, &["enrolment_refused", TECHNICIAN, "none can be used here"]);
    gateway.terminate().unwrap();
    // Without a page there are codes alone.
    let (before, section) = configuration.split_once("[webauthn]").unwrap();
    let (_, after) = section.split_once("[admin]").unwrap();
    workshop.write("gateway.toml", &format!("{before}[admin]{after}")).unwrap();
    let gateway = Gateway::start(&workshop).unwrap();
    let invitation = gateway.invite(OTHER_TECHNICIAN).unwrap();
    let other = Technician::new(&workshop, "other");
    let refused = refusal(start_enrolling(&other, &invitation, &[]));
    assert!(refused.contains("not set up for passkeys: enrol without --passkey"), "{refused}");
    run("gatehouse enroll", &mut other.enroll(&invitation, &[])).unwrap().expect_code(0).unwrap();
}
