//! The whole ceremony in a real Chromium, without a window.
//!
//! The browser trusts the plant's CA by a certificate store of its own, as a
//! technician's would: the switches with which a browser ignores errors would
//! hide just what is looked at here. A virtual authenticator hides it too, so
//! the test of a page that is not trusted goes without one.

use super::attacks::{asks_for_a_page, port_of, runtime, thief};
use super::ceremonies::RULES;
use super::enrolling::asks_for_an_enrolment;
use super::site::{ORIGIN, event, listening, offered, start, start_adding, start_enrolling, with_page};
use crate::enrolment::{Applicant, token};
use anyhow::Context;
use serde_json::json;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tests::{
    binaries::target,
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, Technician},
    plc::{Manners, Plc},
    process::{PATIENCE, Process},
    visitor::Visitor,
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};
use thirtyfour::error::{WebDriverError, WebDriverErrorInner};
use thirtyfour::{By, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};
use tokio::runtime::Runtime;
use wire::Loopback;
use wire::enrolment::FactorChoice;

/// How often a page is asked for what is awaited.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A Chromium of one test: its own home, temporary folder and driver.
struct Chromium {
    driver: Option<WebDriver>,
    runtime: Runtime,
    /// Killed when dropped, and the browser with it.
    _chromedriver: Process,
    /// Home, certificate store and temporary files.
    _folder: tempfile::TempDir,
}

/// Which certificates the browser trusts.
#[derive(Debug, Clone, Copy)]
enum Trusts<'a> {
    /// Those of this CA, and the world's.
    Plant(&'a Path),
    /// The world's alone.
    World,
}

/// Whether the programs are there. With CI=true they have to be.
#[expect(clippy::print_stdout, reason = "a test that does nothing says why")]
fn installed() -> bool {
    let there = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let missing: Vec<&str> =
        ["chromium", "chromedriver", "certutil"].into_iter().filter(|program| !there(program)).collect();
    if missing.is_empty() {
        return true;
    }
    let what =
        format!("{} missing: apt-get install chromium chromium-driver libnss3-tools", missing.join(", "));
    assert!(std::env::var_os("CI").is_none(), "{what}");
    println!("skipped, {what}");
    false
}

impl Chromium {
    fn start(trusts: Trusts<'_>, page_at: SocketAddr) -> Self {
        match Self::try_start(trusts, page_at) {
            Ok(chromium) => chromium,
            Err(error) => panic!("no Chromium: {error:#}"),
        }
    }

    fn try_start(trusts: Trusts<'_>, page_at: SocketAddr) -> anyhow::Result<Self> {
        let parent = target().join("tmp");
        std::fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("c").tempdir_in(parent)?;
        let store = folder.path().join(".pki/nssdb");
        let temporary = folder.path().join("tmp");
        std::fs::create_dir_all(&store)?;
        std::fs::create_dir_all(&temporary)?;
        let store = format!("sql:{}", store.display());
        certutil(&["-N", "--empty-password", "-d", &store])?;
        if let Trusts::Plant(ca) = trusts {
            let ca = ca.to_str().context("a path in UTF-8")?;
            certutil(&["-A", "-n", "plant", "-t", "C,,", "-i", ca, "-d", &store])?;
        }
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", folder.path()).env("TMPDIR", &temporary);
        for variable in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
            command.env_remove(variable);
        }
        let chromedriver = Process::start("chromedriver", &mut command)?;
        let port: u16 = chromedriver.wait_for(PATIENCE, |line| {
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        })?;
        let mut wishes = DesiredCapabilities::chrome();
        let names = format!(
            "--host-resolver-rules=MAP *.plant.example {}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            page_at.ip()
        );
        for argument in [
            "--headless=new",
            // Tests may run as root, where its own sandbox can't be had.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=900,820",
            &names,
        ] {
            wishes.add_arg(argument)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let session = WebDriver::new(format!("http://127.0.0.1:{port}"), wishes);
        let driver = runtime.block_on(async { tokio::time::timeout(PATIENCE, session).await })??;
        Ok(Self { driver: Some(driver), runtime, _chromedriver: chromedriver, _folder: folder })
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().unwrap()
    }

    /// An authenticator that verifies its user and confirms at once, as DevTools
    /// lends one to this tab.
    fn with_authenticator(self) -> Self {
        let options = json!({ "options": {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "automaticPresenceSimulation": true,
        }});
        self.runtime.block_on(async {
            let devtools = self.driver().cdp();
            devtools.send_raw("WebAuthn.enable", json!({})).await.unwrap();
            devtools.send_raw("WebAuthn.addVirtualAuthenticator", options).await.unwrap();
        });
        self
    }

    fn open(&self, url: &str) {
        self.runtime.block_on(self.driver().goto(url)).unwrap();
    }

    /// The text of an element. A page that changes between the finding and the
    /// reading, as it does while an answer is handed over, is read again.
    fn text(&self, selector: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = async { self.driver().find(By::Css(selector)).await?.text().await };
            match self.runtime.block_on(read) {
                Ok(text) => return text,
                Err(error) => assert!(is_of_a_page_that_went(&error), "{selector}: {error}"),
            }
            assert!(Instant::now() < deadline, "{selector} does not stay on any page");
            std::thread::sleep(ASK_EVERY);
        }
    }

    fn attribute(&self, selector: &str, name: &str) -> String {
        let read = async { self.driver().find(By::Css(selector)).await.unwrap().attr(name).await };
        self.runtime.block_on(read).unwrap().unwrap()
    }

    fn click(&self, selector: &str) {
        self.runtime
            .block_on(async { self.driver().find(By::Css(selector)).await.unwrap().click().await })
            .unwrap();
    }

    fn title(&self) -> String {
        self.runtime.block_on(self.driver().title()).unwrap()
    }

    fn address(&self) -> String {
        self.runtime.block_on(self.driver().current_url()).unwrap().to_string()
    }

    /// Asks again and again until `found` is true; gives what was asked last.
    fn until(&self, what: &str, ask: impl Fn(&Self) -> String, found: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = ask(self);
            if found(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{what}: it is still {answer:?}");
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Keeps a picture for people to look at, `target/NAME`.
    fn picture(&self, name: &str) {
        let path: PathBuf = target().join(name);
        self.runtime.block_on(self.driver().screenshot(&path)).unwrap();
    }

    /// Compares the codes as a person does, and uses the authenticator.
    fn confirm(&self, code: &str) {
        assert_eq!(self.text("#code"), code);
        self.click("#use");
        self.until("the hand-over", Self::title, |title| title == "Gatehouse");
        assert_eq!(self.text("h1"), "Handed over");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            // A browser that does not answer any more goes with its driver.
            let _ = self
                .runtime
                .block_on(async { tokio::time::timeout(Duration::from_secs(20), driver.quit()).await });
        }
    }
}

/// Whether an element was there no more, or not yet.
fn is_of_a_page_that_went(error: &WebDriverError) -> bool {
    matches!(
        error.as_inner(),
        WebDriverErrorInner::StaleElementReference(_) | WebDriverErrorInner::NoSuchElement(_)
    )
}

fn certutil(words: &[&str]) -> anyhow::Result<()> {
    tests::process::run("certutil", Command::new("certutil").args(words))?.expect_code(0).map(drop)
}

#[test]
fn a_technician_registers_and_signs_in_with_a_real_browser() {
    if !installed() {
        return;
    }
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let ca = workshop.path("pki/ca.pem");
    let chromium = Chromium::start(Trusts::Plant(&ca), page_at).with_authenticator();

    let adding = start_adding(&technician, "laptop");
    let shown = offered(&adding);
    chromium.open(&shown.url);
    chromium.picture("passkey-page-register.png");
    chromium.confirm(&shown.code);
    adding.finish(PATIENCE).unwrap().expect_code(0).unwrap();

    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0", "--reason", "leak"]);
    let shown = offered(&client);
    chromium.open(&shown.url);
    assert_eq!(chromium.text("h1"), "Confirm your sign-in");
    let told = chromium.text("dl");
    for part in [ORIGIN, TECHNICIAN, PRESS_LINE, "127.0.0.1"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    chromium.picture("passkey-page-sign-in.png");
    chromium.confirm(&shown.code);
    let connection = listening(client);
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    assert_eq!(event(&gateway, &["signed_in", "laptop"])["person"], TECHNICIAN);
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    let told = auditor.show(&recording).unwrap().expect_code(0).unwrap().out;
    assert!(told.contains("certificate and security key"), "{told}");

    // The page is gone with its one visit, and says so.
    chromium.open(&shown.url);
    assert!(chromium.text("body").contains("good for one visit"));
}

#[test]
fn a_technician_enrols_two_machines_with_a_real_browser_and_never_types_a_code() {
    if !installed() {
        return;
    }
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    workshop.write("policies/policy.csv", RULES).unwrap();
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let ca = workshop.path("pki/ca.pem");
    let chromium = Chromium::start(Trusts::Plant(&ca), page_at).with_authenticator();

    let machines = [Technician::new(&workshop, "mine"), Technician::new(&workshop, "second")];
    let pages = [("Enrol with a passkey", "enrol"), ("Confirm a further machine", "further-machine")];
    for (machine, (title, picture)) in machines.iter().zip(pages) {
        let invitation = gateway.invite(TECHNICIAN).unwrap();
        let enrolling = start_enrolling(machine, &invitation, &["--name", "laptop"]);
        let shown = offered(&enrolling);
        chromium.open(&shown.url);
        assert_eq!(chromium.text("h1"), title);
        let told = chromium.text("dl");
        for part in [ORIGIN, TECHNICIAN, "127.0.0.1", "will act for this person"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        chromium.picture(&format!("passkey-page-{picture}.png"));
        chromium.confirm(&shown.code);
        enrolling.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    }
    for machine in &machines {
        let client = start(machine, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
        let shown = offered(&client);
        chromium.open(&shown.url);
        chromium.confirm(&shown.code);
        let connection = listening(client);
        let mut tool = Tool::connect(connection.address()).unwrap();
        // The rule asks for a passkey.
        assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
        drop(tool);
        connection.end().unwrap().expect_code(0).unwrap();
    }
    let recordings = workshop.recordings().unwrap();
    assert_eq!(recordings.len(), 2);
    for recording in recordings {
        Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    }
}

#[test]
fn a_page_that_the_browser_does_not_trust_gets_no_passkey() {
    if !installed() {
        return;
    }
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    // No virtual authenticator: with one the browser does not look.
    let chromium = Chromium::start(Trusts::World, page_at);
    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let shown = offered(&client);
    chromium.open(&shown.url);
    assert_eq!(chromium.title(), "Privacy error");
    // A person who clicks all warnings away sees the page, and that is all.
    chromium.click("#details-button");
    chromium.click("#proceed-link");
    chromium.until("the page", Chromium::title, |title| title.contains("Gatehouse"));
    assert_eq!(chromium.text("#code"), shown.code);
    chromium.click("#use");
    let told =
        chromium.until("a refusal", |chromium| chromium.text("#told"), |told| told.contains("Nothing"));
    assert!(told.contains("does not trust this page's certificate"), "{told}");
    assert!(chromium.address().starts_with(ORIGIN), "nothing was handed over");
    drop(client);
}

#[test]
fn a_thiefs_link_in_a_real_browser_reaches_the_victims_own_machine_alone() {
    if !installed() {
        return;
    }
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let ca = workshop.path("pki/ca.pem");
    let chromium = Chromium::start(Trusts::Plant(&ca), page_at).with_authenticator();
    let adding = start_adding(&technician, "laptop");
    let shown = offered(&adding);
    chromium.open(&shown.url);
    chromium.confirm(&shown.code);
    adding.finish(PATIENCE).unwrap().expect_code(0).unwrap();

    // The victim's client waits for its own page when the thief's link comes.
    let client = start(&technician, &["connect", PRESS_LINE, "--listen", "127.0.0.1:0"]);
    let own = offered(&client);
    chromium.open(&own.url);
    let action = chromium.attribute("#answer", "action");
    let port = port_of(&action);
    let runtime = runtime();
    let visitor = runtime.block_on(async { Visitor::new(&ca) }).unwrap();
    let papers = thief(&workshop, TECHNICIAN);
    let loopback = Loopback { port, nonce: [0x66; 16] };
    let (mut waiting, link) = runtime.block_on(asks_for_a_page(&visitor, &gateway, &papers, loopback));
    chromium.open(&link);
    assert_ne!(chromium.text("#code"), own.code, "the codes differ");
    chromium.click("#use");
    chromium.until(
        "an answer",
        |chromium| chromium.text("body"),
        |body| body.contains("There is nothing here."),
    );
    assert!(
        chromium.address().starts_with(&format!("http://127.0.0.1:{port}/6666")),
        "{}",
        chromium.address()
    );
    let heard =
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(2), waiting.hear()).await });
    assert!(heard.is_err(), "the thief heard {heard:?}");
    let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    assert_eq!(events.lines().filter(|line| line.contains("\"signed_in\"")).count(), 1, "{events}");
    drop(client);
}

#[test]
fn a_victim_who_follows_the_link_of_anothers_enrolment_in_a_real_browser_enrols_nobody() {
    if !installed() {
        return;
    }
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    let page_at = with_page(&workshop);
    let gateway = Gateway::ready(&workshop).unwrap();
    let ca = workshop.path("pki/ca.pem");
    let chromium = Chromium::start(Trusts::Plant(&ca), page_at).with_authenticator();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let enrolling = start_enrolling(&Technician::new(&workshop, "mine"), &invitation, &[]);
    let shown = offered(&enrolling);
    chromium.open(&shown.url);
    chromium.confirm(&shown.code);
    enrolling.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    // The thief has the token of the victim's next machine, and waits at a
    // machine of their own: here, at a port where nobody listens.
    let stolen = token(&gateway.invite(TECHNICIAN).unwrap());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let runtime = runtime();
    let (mut waiting, link) = runtime.block_on(async {
        let (mut waiting, _) = Applicant::welcomed(&stolen).await;
        let loopback = Loopback { port: free, nonce: [0x66; 16] };
        let link = asks_for_an_enrolment(&mut waiting, FactorChoice::KnownPasskey, loopback).await;
        (waiting, link)
    });
    chromium.open(&link);
    assert_eq!(chromium.text("h1"), "Confirm a further machine");
    chromium.click("#use");
    let here = format!("http://127.0.0.1:{free}/");
    chromium.until("the hand-over", Chromium::address, |address| address.starts_with(&here));
    let heard = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(2), waiting.talk.receive()).await });
    assert!(heard.is_err(), "the thief heard {heard:?}");
    let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
    assert_eq!(events.lines().filter(|line| line.contains("\"person_enrolled\"")).count(), 1, "{events}");
}
