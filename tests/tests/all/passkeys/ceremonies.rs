//! Registration and sign-in as a technician does them, but for the browser.

use super::browser::{Browser, post};
use super::site::{NAME, ORIGIN, event, listening, offered, offered_after, start, start_adding, with_page};
use tests::{
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    process::PATIENCE,
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// Reading is for everybody, writing for who came with a passkey.
pub(crate) const RULES: &str = "\
p, role:press-service, zone:press, modbus:read, , allow
p, role:press-service, zone:press, modbus:write:holding[100-199], mfa:webauthn, allow
g, person:tech-1@vendor-a, role:press-service
g2, press-line/plc7, zone:press
";

#[test]
fn a_passkey_is_registered_under_a_code_and_gives_what_asks_for_one() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    workshop.write("policies/policy.csv", RULES).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let mut browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);

    let adding = start_adding(&technician, "laptop");
    let shown = offered(&adding);
    let page = browser.visit(&shown.url);
    assert_eq!(page.status, 200, "{page:?}");
    for part in [shown.code.as_str(), "laptop", TECHNICIAN, ORIGIN, "127.0.0.1"] {
        assert!(page.html.contains(part), "{part} is not in {}", page.html);
    }
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    let added = adding.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    assert!(added.out.contains("passkey laptop is registered"), "{added}");
    assert!(added.err.contains("certificate and code (below AAL2"), "{added}");
    let event_added = event(&gateway, &["passkey_added"]);
    assert_eq!(event_added["person"], TECHNICIAN);
    assert_eq!(event_added["what"], "passkey laptop, under certificate and code");

    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let shown = offered(&client);
    let page = browser.visit(&shown.url);
    assert!(page.html.contains(PRESS_LINE) && page.html.contains(&shown.code), "{}", page.html);
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    client.wait_for_words("certificate and passkey (AAL2)").unwrap();
    let connection = listening(client);
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    assert_eq!(plc.holding(100), Some(731));
    let signed_in = event(&gateway, &["signed_in", "security key"]);
    assert_eq!(signed_in["what"], "certificate and security key: laptop");

    // The same person with a code reads and writes nothing.
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![731]));
    assert!(matches!(tool.write_holding(100, 1).unwrap(), Answer::Exception(_)));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();

    // Nor does a code make one more passkey for whoever has one.
    let refused = start_adding(&technician, "another").finish(PATIENCE).unwrap().expect_code(6).unwrap();
    assert!(refused.err.contains("you have a passkey: sign in with it to add another"), "{refused}");
    let shown = gateway.admin(&["user", "show", TECHNICIAN]).unwrap().expect_code(0).unwrap().out;
    assert!(shown.contains("passkey       laptop for gateway.plant.example, used "), "{shown}");
    assert!(!shown.contains("another"), "{shown}");

    let mut shown: Vec<String> = Vec::new();
    for recording in workshop.recordings().unwrap() {
        let auditor = Auditor::of(&workshop);
        auditor.verify(&recording).unwrap().expect_code(0).unwrap();
        shown.push(auditor.show(&recording).unwrap().expect_code(0).unwrap().out);
    }
    for assurance in ["certificate and security key", "certificate and code"] {
        let with = shown.iter().filter(|shown| shown.contains(assurance)).count();
        assert_eq!(with, 1, "one recording is under {assurance}: {shown:#?}");
    }
}

#[test]
fn the_page_forbids_all_but_its_form_and_is_there_once() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let shown = offered(&client);
    let path = shown.url.strip_prefix(ORIGIN).unwrap();
    // Under another name nothing is shown, and the visit is not used up.
    let elsewhere =
        browser.request(&format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"));
    assert_eq!(elsewhere.status, 421, "{elsewhere:?}");
    let page = browser.visit(&shown.url);
    let port = page.attribute("action").rsplit_once(':').unwrap().1.split_once('/').unwrap().0.to_owned();
    assert_eq!(
        page.header("content-security-policy").unwrap(),
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'none'; base-uri 'none'; \
             frame-ancestors 'none'; form-action http://127.0.0.1:{port}"
        )
    );
    for (name, value) in [
        ("referrer-policy", "origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let again = browser.visit(&shown.url);
    assert_eq!(again.status, 404, "one visit");
    assert!(again.html.contains("good for one visit"), "{again:?}");
    assert!(again.header("content-security-policy").unwrap().contains("form-action 'none'"));
    for other in ["/", "/a", "/a/", "/a/00", "/../etc/passwd", "/admin", "/v1/users"] {
        assert_eq!(browser.visit(&format!("{ORIGIN}{other}")).status, 404, "{other}");
    }
    for (file, kind) in [("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        let fetched = browser.visit(&format!("{ORIGIN}{file}"));
        assert_eq!(fetched.status, 200);
        assert!(fetched.header("content-type").unwrap().starts_with(kind));
    }
    let posted = browser.request(&format!(
        "POST {path} HTTP/1.1\r\nHost: {NAME}:8443\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(posted.status, 405, "the gateway takes no answer by this way: {posted:?}");
    // What comes from elsewhere is turned away by the client and it goes on waiting.
    let action = page.attribute("action");
    assert_eq!(post(&action, "https://evil.example", "{}").status, 403);
    assert_eq!(post(&action, ORIGIN, "{}").status, 200);
    let refused = client.finish(PATIENCE).unwrap().expect_code(6).unwrap();
    assert!(refused.err.contains("the second factor was not accepted"), "{refused}");
    let refusal = event(&gateway, &["sign_in_refused", TECHNICIAN]);
    assert_eq!(refusal["why"], "no passkey is stored; not locked");
}

#[test]
fn a_passkey_keeps_alive_what_it_opened() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    workshop.edit("gateway.toml", "[admin]", "[limits]\nfactor_again_after = \"4 s\"\n\n[admin]").unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let mut browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    let adding = start_adding(&technician, "laptop");
    let page = browser.visit(&offered(&adding).url);
    let answer = browser.use_authenticator(&page, ORIGIN);
    browser.send_form(&page, ORIGIN, &answer);
    adding.finish(PATIENCE).unwrap().expect_code(0).unwrap();

    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let first = offered(&client);
    let page = browser.visit(&first.url);
    let answer = browser.use_authenticator(&page, ORIGIN);
    browser.send_form(&page, ORIGIN, &answer);
    let second = offered_after(&client, &[&first]);
    let page = browser.visit(&second.url);
    assert!(page.html.contains(&second.code) && page.html.contains(PRESS_LINE), "{}", page.html);
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    client.wait_for_words("the second factor was accepted: the work goes on").unwrap();
    gateway.wait_for_event(&["factor_shown", TECHNICIAN]).unwrap();
    // An answer of another ceremony is refused, and so is the same one again.
    let third = offered_after(&client, &[&first, &second]);
    let page = browser.visit(&third.url);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    let refused = event(&gateway, &["sign_in_refused", "asked again"]);
    assert!(refused["why"].as_str().unwrap().contains("the passkey's answer is wrong"), "{refused}");
    let fourth = offered_after(&client, &[&first, &second, &third]);
    let page = browser.visit(&fourth.url);
    let answer = browser.use_authenticator(&page, ORIGIN);
    assert_eq!(browser.send_form(&page, ORIGIN, &answer).status, 200);
    // No request is sent: it might just be held back for the next time.
    let shown = |events: &str| events.lines().filter(|line| line.contains("\"factor_shown\"")).count();
    let deadline = std::time::Instant::now() + PATIENCE;
    while shown(&std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap()) < 2 {
        assert!(std::time::Instant::now() < deadline, "the fourth answer was not taken");
        // A file can't be waited for; asking again is the wait.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    listening(client).end().unwrap().expect_code(0).unwrap();
}
