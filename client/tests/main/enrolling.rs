//! The dialogue of an enrolment with a passkey, as the gateway drives it.

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

use wire::enrolment::{Answer, Ask, Declined, FactorChoice, Token, VERSION};

use crate::fake::{Fake, Peer, Program};
use crate::sign_in::{shown, terminal};

/// Enrols with the token and these words.
fn enroll(fake: &Fake, token: &Token, words: &[&str]) -> Program {
    let token = token.to_text();
    let mut arguments = vec!["enroll", "--token", token.as_str()];
    arguments.extend(words);
    fake.gatehouse(&arguments)
}

/// Lets the client in and offers these ways; gives the one that it takes.
async fn chosen(peer: &mut Peer, factors: &[FactorChoice]) -> FactorChoice {
    welcome(peer, factors).await;
    let Ask::Apply { factor, .. } = peer.control.expect().await else { panic!("a request") };
    factor
}

async fn welcome(peer: &mut Peer, factors: &[FactorChoice]) {
    assert!(matches!(peer.control.expect().await, Ask::Hello { .. }));
    let gateway_time_ms = jiff::Timestamp::now().as_millisecond();
    let (person, factors) = ("operator-1".to_owned(), factors.to_vec());
    peer.control.say(&Answer::Welcome { version: VERSION, gateway_time_ms, person, factors }).await;
}

const EITHER: [FactorChoice; 2] = [FactorChoice::NewPasskey, FactorChoice::NewTotp];

fn page(within_s: u32) -> Answer {
    let url = "https://gw.plant.example:8443/a/00".to_owned();
    Answer::PasskeyPage { url, code: "ABC-DEF".to_owned(), within_s }
}

/// Whether nothing of the enrolment is left.
fn nothing_is_left(fake: &Fake) -> bool {
    ["profile.toml", "profile.key", "profile.pem", "profile-ca.pem"]
        .iter()
        .all(|file| !fake.place.path().join(file).exists())
}

#[tokio::test]
async fn a_page_that_nobody_uses_ends_with_its_time_and_leaves_nothing() {
    let (fake, token) = Fake::enrolling();
    let program = enroll(&fake, &token, &["--passkey", "--no-browser", "--name", "laptop"]);
    let mut peer = fake.accept().await;
    assert_eq!(chosen(&mut peer, &EITHER).await, FactorChoice::NewPasskey);
    let Ask::BeginRegistration { name, .. } = peer.control.expect().await else { panic!("a page") };
    assert_eq!(name, "laptop");
    peer.control.say(&page(1)).await;
    let (code, remarks) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(remarks.contains("the page must show this code: ABC-DEF"), "{remarks}");
    assert!(remarks.contains("within 1 s: start again; the browser has to run on this machine"), "{remarks}");
    assert!(nothing_is_left(&fake));
}

#[tokio::test]
async fn what_the_gateway_says_while_the_page_is_open_ends_it_at_once() {
    let (fake, token) = Fake::enrolling();
    let program = enroll(&fake, &token, &["--passkey", "--no-browser"]);
    let mut peer = fake.accept().await;
    assert_eq!(chosen(&mut peer, &[FactorChoice::KnownPasskey]).await, FactorChoice::KnownPasskey);
    assert!(matches!(peer.control.expect().await, Ask::BeginPasskey { .. }));
    peer.control.say(&page(120)).await;
    let text = "taken back\u{1b}[2J".to_owned();
    peer.control.say(&Answer::Declined { why: Declined::Ended, text, tries_left: None }).await;
    let (code, remarks) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(remarks.contains("used or withdrawn meanwhile (taken back\\x1b[2J)"), "{remarks}");
    assert!(nothing_is_left(&fake));
}

#[tokio::test]
async fn an_address_that_is_no_page_is_not_shown_as_one() {
    let (fake, token) = Fake::enrolling();
    let program = enroll(&fake, &token, &["--passkey"]);
    let mut peer = fake.accept().await;
    chosen(&mut peer, &EITHER).await;
    assert!(matches!(peer.control.expect().await, Ask::BeginRegistration { .. }));
    let url = "file:///etc/passwd".to_owned();
    peer.control.say(&Answer::PasskeyPage { url, code: "ABC-DEF".to_owned(), within_s: 120 }).await;
    let (code, remarks) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(remarks.contains("an address that is not opened"), "{remarks}");
}

/// Enrols at a terminal.
fn at_terminal(fake: &Fake, token: &Token, user: File) -> tokio::process::Child {
    tokio::process::Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_gatehouse"), "--profile"])
        .arg(fake.profile())
        .args(["enroll", "--no-browser", "--token", token.to_text().as_str()])
        .stdin(Stdio::from(user.try_clone().unwrap()))
        .stdout(Stdio::from(user.try_clone().unwrap()))
        .stderr(Stdio::from(user))
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_person_is_asked_which_of_two_it_is_to_be() {
    for (typed, taken) in [("1\n", FactorChoice::NewPasskey), ("3\n2\n", FactorChoice::NewTotp)] {
        let (fake, token) = Fake::enrolling();
        let (mut controller, user) = terminal();
        let _child = at_terminal(&fake, &token, user);
        let mut peer = fake.accept().await;
        welcome(&mut peer, &EITHER).await;
        let asked = shown(controller.try_clone().unwrap(), "which one, 1 or 2?", 1).await;
        assert!(asked.contains("two kinds of second factor are open to you, operator-1"), "{asked}");
        assert!(asked.contains("The stronger one"), "{asked}");
        controller.write_all(typed.as_bytes()).unwrap();
        let Ask::Apply { factor, .. } = peer.control.expect().await else { panic!("a request") };
        assert_eq!(factor, taken);
    }
}

#[tokio::test]
async fn nobody_is_asked_where_there_is_nothing_to_choose_or_nobody() {
    let (fake, token) = Fake::enrolling();
    let program = enroll(&fake, &token, &[]);
    let mut peer = fake.accept().await;
    welcome(&mut peer, &EITHER).await;
    let (code, remarks) = program.end().await;
    assert_eq!(code, Some(4));
    assert!(remarks.contains("no terminal to ask for the kind of second factor: use --passkey"), "{remarks}");
    assert!(nothing_is_left(&fake));
    let seed = fake.place.path().join("seed");
    let _program = enroll(&fake, &token, &["--totp-file", seed.to_str().unwrap()]);
    let mut peer = fake.accept().await;
    assert_eq!(chosen(&mut peer, &EITHER).await, FactorChoice::NewTotp, "its file allows codes");
}
