//! Passkeys without a browser: what is signed names the connection that asked.

use super::attacks::{IN_VAIN, asks_for_a_page, runtime, thief};
use super::browser::Browser;
use super::site::{NAME, ORIGIN, event, with_page};
use super::soft::{Silence, Soft, User};
use client::{
    authenticator::{Asker, Authenticator as _, Creation, NotForUs, NotSigned, Request},
    connect::{self, Wish},
    link::Link,
    opening::Purpose,
    passkey::{self, Through},
    profile::Profile,
    screen::{Kind, Screen},
    seed::Seed,
    sign_in::{Means, sign_in},
};
use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tests::{
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, Technician},
    plc::{Manners, Plc},
    process::{PATIENCE, Process},
    visitor::{Papers, Visit, Visitor},
    workshop::{OPERATOR, OTHER_TECHNICIAN, PRESS_LINE, TECHNICIAN, Workshop},
};
use wire::{Assurance, Loopback, Refusal, ToClient, ToGateway, passkey::EXPORTER_LABEL};

/// Reading is for everybody, writing for who came with a passkey.
const RULES: &str = "\
p, role:press-service, zone:press, modbus:read, , allow
p, role:press-service, zone:press, modbus:write:holding[100-199], mfa:webauthn, allow
g, person:tech-1@vendor-a, role:press-service
g2, press-line/plc7, zone:press
";

/// What a client within the test shows.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn screen(&self) -> Screen {
        Screen::new(Box::new(self.clone()), Box::new(self.clone()), Kind::Lines)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }

    /// Waits for what `find` finds in all that was shown.
    async fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = find(&self.text()) {
                return found;
            }
            assert!(Instant::now() < until, "{}", self.text());
            // What is shown can't be waited for; looking again is the wait.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn profile(workshop: &Workshop) -> Profile {
    Profile::load(&workshop.path("profile.toml")).unwrap()
}

/// Registers a passkey under a code, as `factor add --security-key` does.
async fn register(workshop: &Workshop, technician: &Technician, through: &Through) -> String {
    let (profile, paper) = (profile(workshop), Paper::default());
    let (link, mut screen) = (Link::open(&profile).await.unwrap(), paper.screen());
    let mut control = link.control().await.unwrap();
    let means = Means::Seed(Seed::load(&technician.seed).unwrap());
    sign_in(&mut control, &means, &[], &mut screen).await.unwrap();
    let name = passkey::register(&mut control, through, "key", &mut screen).await.unwrap();
    link.close().await;
    name
}

#[test]
fn a_key_without_a_browser_registers_signs_in_and_keeps_alive_what_it_opened() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    with_page(&workshop);
    workshop.write("policies/policy.csv", RULES).unwrap();
    workshop.edit("gateway.toml", "[admin]", "[limits]\nfactor_again_after = \"6 s\"\n\n[admin]").unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let soft = Soft::new();
    let paper = Paper::default();
    runtime().block_on(async {
        assert_eq!(register(&workshop, &technician, &soft.through(NAME)).await, "key");
        let added = event(&gateway, &["passkey_added"]);
        assert_eq!(added["what"], "passkey key, under certificate and code");
        let wish = Wish {
            asked: vec![PRESS_LINE.parse().unwrap()],
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            purpose: Purpose { reason: None, ticket: None },
            means: Means::Passkey(soft.through(NAME)),
        };
        let (profile, mut screen) = (profile(&workshop), paper.screen());
        let working = async {
            let address = paper.wait_for(|text| text.lines().find_map(address_in)).await;
            // Asked again, the key is not there at first.
            soft.fail_once(NotSigned::NoKey);
            let written = tokio::task::spawn_blocking(move || {
                let mut tool = Tool::connect(address).unwrap();
                tool.write_holding(100, 731).unwrap()
            });
            assert!(matches!(written.await.unwrap(), Answer::Data(_)));
            let accepted = "the second factor was accepted: the work goes on";
            let missing = NotSigned::NoKey.to_string();
            let after =
                |text: &str| text.split_once(&missing).filter(|(_, rest)| rest.contains(accepted)).map(drop);
            paper.wait_for(after).await;
            // As an administrator ends it, so that the client hears of it.
            let listed = gateway.admin(&["sessions", "list", "--json"]).unwrap().expect_code(0).unwrap().out;
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            let session = listed["sessions"][0]["id"].as_str().unwrap();
            gateway.admin(&["sessions", "kill", session]).unwrap().expect_code(0).unwrap();
        };
        let (connected, ()) = tokio::join!(connect::connect(&profile, &wish, &mut screen), working);
        assert_eq!(connected.unwrap_err().exit_code(), 6, "{}", paper.text());
    });
    let text = paper.text();
    for part in ["certificate and passkey (AAL2)", "use your passkey", "touch what there is in software"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(plc.holding(100), Some(731));
    let signed_in = event(&gateway, &["signed_in", "security key"]);
    assert_eq!(signed_in["what"], "certificate and security key: key");
    gateway.wait_for_event(&["factor_shown", TECHNICIAN]).unwrap();
    let recordings = workshop.recordings().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recordings[0]).unwrap().expect_code(0).unwrap();
    let shown = auditor.show(&recordings[0]).unwrap().expect_code(0).unwrap().out;
    assert!(shown.contains("certificate and security key"), "{shown}");
}

/// Where a client says that it listens.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("listening ")?.split_once(' ')?.1.parse().ok()
}

/// The options that a connection was given.
struct Given {
    origin: String,
    json: String,
}

async fn arrives(visitor: &Visitor, gateway: &Gateway<'_>, papers: &Papers) -> Visit {
    let mut visit = visitor.knock(gateway.address(), papers).await.unwrap();
    assert!(matches!(visit.greet().await.unwrap(), ToClient::Welcome { .. }));
    visit
}

async fn asks(visit: &mut Visit) -> Given {
    visit.say(&ToGateway::BeginDirectPasskey).await;
    given(visit.hear().await.unwrap())
}

fn given(message: ToClient) -> Given {
    let ToClient::PasskeyOptions { origin, json, within_s: 120 } = message else { panic!("{message:?}") };
    Given { origin, json }
}

fn asker<'a>(origin: &'a str, visit: &Visit) -> Asker<'a> {
    let exporter = visit.exporter(EXPORTER_LABEL).unwrap();
    Asker { relying_party: NAME, origin, exporter, within: Duration::from_secs(120) }
}

/// What the client's library signs on the connection `visit`.
fn signs(soft: &Soft, given: &Given, visit: &Visit) -> String {
    let request = Request::read(&given.json, &asker(&given.origin, visit)).unwrap();
    soft.sign(&request, &Silence).unwrap().json()
}

/// What is signed in another caller's name.
fn signs_as(soft: &Soft, given: &Given, visit: &Visit, caller: &str) -> String {
    let mut request = Request::read(&given.json, &asker(&given.origin, visit)).unwrap();
    request.caller = caller.to_owned();
    soft.sign(&request, &Silence).unwrap().json()
}

async fn refused(visit: &mut Visit, json: &str) {
    visit.say(&ToGateway::Assertion { json: json.to_owned() }).await;
    let heard = visit.hear().await.unwrap();
    assert!(matches!(heard, ToClient::Refused { code: Refusal::Factor, .. }), "{heard:?}");
}

/// Forgets the failures of the technician, who would be locked.
fn unlock(gateway: &Gateway<'_>) {
    gateway.admin(&["user", "unlock", TECHNICIAN]).unwrap().expect_code(0).unwrap();
}

#[test]
fn what_was_signed_for_another_connection_or_another_way_opens_none() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let soft = Soft::new();
    let papers = thief(&workshop, TECHNICIAN);
    let browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
    runtime().block_on(async {
        register(&workshop, &technician, &soft.through(NAME)).await;
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        // Somebody with the key file stands between the technician and the gateway: the technician's client signs
        // for its own connection, which is another one.
        let technicians = arrives(&visitor, &gateway, &papers).await;
        let mut thiefs = arrives(&visitor, &gateway, &papers).await;
        let given = asks(&mut thiefs).await;
        refused(&mut thiefs, &signs(&soft, &given, &technicians)).await;
        let told = why(&gateway, "was not made for this connection");
        assert!(told.starts_with("the passkey's answer was not made for this connection"), "{told}");
        // What a browser would have signed.
        let given = asks(&mut thiefs).await;
        let answer = signs_as(&soft, &given, &thiefs, ORIGIN);
        refused(&mut thiefs, &answer).await;
        // The right connection under another name.
        let given = asks(&mut thiefs).await;
        let exporter = thiefs.exporter(EXPORTER_LABEL).unwrap();
        let elsewhere = wire::passkey::caller("https://gateway.plant.example", &exporter);
        let answer = signs_as(&soft, &given, &thiefs, &elsewhere);
        refused(&mut thiefs, &answer).await;
        assert!(thiefs.hear().await.is_err(), "three attempts");
        unlock(&gateway);
        // A page's challenge that a client was made to sign.
        let loopback = Loopback { port: 40123, nonce: [1; 16] };
        let (mut thiefs, url) = asks_for_a_page(&visitor, &gateway, &papers, loopback).await;
        let options = browser.visit(&url).attribute("data-options");
        let given = Given { origin: ORIGIN.to_owned(), json: options };
        let answer = signs(&soft, &given, &thiefs);
        refused(&mut thiefs, &answer).await;
        let told = why(&gateway, "does not come from the page");
        assert!(told.starts_with("the passkey's answer does not come from the page"), "{told}");
        // Nobody was verified.
        let given = asks(&mut thiefs).await;
        let answer = signs(&soft.verifying(User::Present), &given, &thiefs);
        refused(&mut thiefs, &answer).await;
        unlock(&gateway);
        // The right answer, elsewhere first; then where it belongs; then again.
        let mut ours = arrives(&visitor, &gateway, &papers).await;
        let mut other = arrives(&visitor, &gateway, &papers).await;
        asks(&mut other).await;
        let given = asks(&mut ours).await;
        let right = signs(&soft, &given, &ours);
        refused(&mut other, &right).await;
        ours.say(&ToGateway::Assertion { json: right.clone() }).await;
        let heard = ours.hear().await.unwrap();
        let worth = Assurance::CertificateAndWebauthn;
        assert!(matches!(heard, ToClient::SignedIn { assurance, .. } if assurance == worth), "{heard:?}");
        asks(&mut other).await;
        refused(&mut other, &right).await;
    });
    let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    let signed_in = events.lines().filter(|line| line.contains("\"signed_in\"")).count();
    assert_eq!(signed_in, 2, "to register, and the right answer: {events}");
}

/// Why an attempt of the technician was refused, with these words.
fn why(gateway: &Gateway<'_>, words: &str) -> String {
    event(gateway, &["sign_in_refused", TECHNICIAN, words])["why"].as_str().unwrap().to_owned()
}

/// The state has the last word on a passkey; what it refuses was never told as
/// added.
#[test]
fn a_passkey_that_is_refused_is_no_event_of_one_that_was_added() {
    let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
    with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let soft = Soft::new();
    runtime().block_on(async {
        register(&workshop, &technician, &soft.through(NAME)).await;
        let paper = Paper::default();
        let (link, mut screen) = (Link::open(&profile(&workshop)).await.unwrap(), paper.screen());
        let mut control = link.control().await.unwrap();
        let means = Means::Passkey(soft.through(NAME));
        sign_in(&mut control, &means, &[], &mut screen).await.unwrap();
        let another = Soft::new().through(NAME);
        let refused = passkey::register(&mut control, &another, "key", &mut screen).await.unwrap_err();
        assert!(refused.to_string().contains("there is a passkey named key already"), "{refused}");
        link.close().await;
    });
    let refused = event(&gateway, &["passkey_refused"]);
    assert_eq!(refused["why"], "there is a passkey named key already; choose another name");
    let audit = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"passkey_added\"").count(), 1, "{audit}");
}

#[test]
fn a_registration_counts_on_its_own_connection_alone() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let papers = thief(&workshop, TECHNICIAN);
    let seed = Seed::load(&technician.seed).unwrap();
    runtime().block_on(async {
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        let mut visit = arrives(&visitor, &gateway, &papers).await;
        let other = arrives(&visitor, &gateway, &papers).await;
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
        visit.say(&ToGateway::Totp { code: seed.code_at(now).unwrap() }).await;
        let heard = visit.hear().await.unwrap();
        assert!(matches!(heard, ToClient::SignedIn { .. }), "{heard:?}");
        for (signer, words) in
            [(Some(&other), "was not made for this connection"), (None, "no page was waiting")]
        {
            let mut answer = "{}".to_owned();
            if let Some(signer) = signer {
                visit.say(&ToGateway::BeginDirectRegistration { name: "key".to_owned() }).await;
                let given = given(visit.hear().await.unwrap());
                let creation = Creation::read(&given.json, &asker(&given.origin, signer)).unwrap();
                answer = Soft::new().create(&creation, &Silence).unwrap().json();
            }
            visit.say(&ToGateway::Registration { json: answer }).await;
            let heard = visit.hear().await.unwrap();
            let ToClient::PasskeyNotAdded { code: Refusal::Factor, text } = heard else {
                panic!("{heard:?}")
            };
            assert!(text.contains(words), "{text}");
        }
        // Nobody asks for the factor again, so nothing is given for that.
        visit.say(&ToGateway::BeginDirectPasskey).await;
        let heard = tokio::time::timeout(IN_VAIN, visit.hear()).await;
        assert!(heard.is_err(), "{heard:?}");
        visit.say(&ToGateway::BeginDirectRegistration { name: " ".to_owned() }).await;
        let heard = visit.hear().await.unwrap();
        assert!(matches!(heard, ToClient::PasskeyNotAdded { code: Refusal::Malformed, .. }), "{heard:?}");
    });
    let shown = gateway.admin(&["user", "show", TECHNICIAN]).unwrap().expect_code(0).unwrap().out;
    assert!(!shown.contains("passkey       key"), "{shown}");
}

#[test]
fn the_options_and_a_refusal_tell_nobody_who_is_known() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    gateway.import(OTHER_TECHNICIAN).unwrap();
    let runtime = runtime();
    runtime.block_on(register(&workshop, &technician, &Soft::new().through(NAME)));
    let look = |person: &str| {
        let papers = thief(&workshop, person);
        runtime.block_on(async {
            let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
            let mut visit = arrives(&visitor, &gateway, &papers).await;
            let Given { origin, json } = asks(&mut visit).await;
            let mut options: serde_json::Value = serde_json::from_str(&json).unwrap();
            let challenge = options["challenge"].take().as_str().unwrap().len();
            let ids = options["allowCredentials"].take();
            let keys: Vec<String> = ids[0].as_object().unwrap().keys().cloned().collect();
            let again = asks(&mut visit).await;
            let again: serde_json::Value = serde_json::from_str(&again.json).unwrap();
            assert_eq!(again["allowCredentials"], ids, "the same ids each time");
            let mut seen = vec![format!("{origin} {options} {challenge} {keys:?}")];
            for _ in 0..3 {
                visit.say(&ToGateway::Assertion { json: "{\"id\":\"a\"}".to_owned() }).await;
                seen.push(format!("{:?}", visit.hear().await));
            }
            seen.push(format!("{:?}", visit.hear().await));
            seen
        })
    };
    let known = look(TECHNICIAN);
    assert_eq!(known, look(OTHER_TECHNICIAN), "without a passkey");
    assert_eq!(known, look(OPERATOR), "unknown");
    gateway.admin(&["user", "disable", TECHNICIAN]).unwrap().expect_code(0).unwrap();
    assert_eq!(known, look(TECHNICIAN), "disabled");
}

#[test]
fn a_connection_asks_three_times_whichever_way() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let papers = thief(&workshop, OPERATOR);
    runtime().block_on(async {
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        let loopback = Loopback { port: 40123, nonce: [1; 16] };
        let (mut visit, _) = asks_for_a_page(&visitor, &gateway, &papers, loopback).await;
        asks(&mut visit).await;
        asks(&mut visit).await;
        visit.say(&ToGateway::BeginDirectPasskey).await;
        let heard = visit.hear().await.unwrap();
        assert!(matches!(heard, ToClient::Refused { retry_after_s: None, .. }), "{heard:?}");
    });
}

#[test]
fn a_gateway_gets_no_signature_for_another_name_than_the_profiles() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let soft = Soft::new();
    runtime().block_on(async {
        register(&workshop, &technician, &soft.through(NAME)).await;
        // The profile of another plant.
        let (profile, paper) = (profile(&workshop), Paper::default());
        let link = Link::open(&profile).await.unwrap();
        let mut control = link.control().await.unwrap();
        let means = Means::Passkey(soft.through("gw.other-plant.example"));
        let problem = sign_in(&mut control, &means, &[], &mut paper.screen()).await.unwrap_err();
        let expected =
            NotForUs::OtherParty { asked: NAME.to_owned(), expected: "gw.other-plant.example".to_owned() };
        assert_eq!(problem.to_string(), expected.to_string());
        assert!(!paper.text().contains("touch"), "it was not even asked: {}", paper.text());
    });
}

#[test]
fn a_program_without_security_keys_says_so() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let run = |words: &[&str]| {
        let process = Process::start("gatehouse", &mut technician.client(words)).unwrap();
        process.finish(PATIENCE).unwrap().expect_code(4).unwrap().err
    };
    for words in [
        &["connect", PRESS_LINE, "--security-key"][..],
        &["targets", "--passkey", "--security-key"],
        &["factor", "add", "--name", "key", "--security-key"],
    ] {
        let err = run(words);
        assert!(err.contains("built without security keys: build it with"), "{words:?}: {err}");
    }
    workshop.edit("profile.toml", "server_name", "factor = \"security-key\"\nserver_name").unwrap();
    assert!(run(&["targets"]).contains("built without security keys"));
    let seed = technician.seed.to_str().unwrap();
    let both = run(&["connect", PRESS_LINE, "--security-key", "--totp-file", seed]);
    assert!(both.contains("--totp-file or with --security-key, not both"), "{both}");
    assert!(run(&["targets", "--security-key", "--no-browser"]).contains("cannot be used with"));
}
