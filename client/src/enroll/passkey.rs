//! Taking a passkey: the gateway's page asks the authenticator, our listener gets the answer, and it goes to the
//! gateway over the connection on which the token was proven.

use wire::Loopback;
use wire::enrolment::{Answer, Ask};

use super::choice::PasskeyWish;
use super::{Enrolled, Talk, refused_or_out_of_turn};
use crate::Problem;
use crate::hand_over::{HandOver, HandedOver};
use crate::passkey::{self, Browser, Page};
use crate::screen::Screen;

/// Registers a first passkey.
pub(super) async fn new(
    talk: &mut Talk,
    wish: &PasskeyWish,
    person: &str,
    screen: &mut Screen,
) -> Result<Enrolled, Problem> {
    screen.remark(&format!("a passkey for {person}, named {}:", crate::escape::escape(&wish.name)));
    let name = wish.name.clone();
    let begin = |loopback| Ask::BeginRegistration { loopback, name };
    let handed = through_page(talk, wish.browser, screen, begin).await?;
    judged(talk, &Ask::Registration { json: handed.json.clone() }).await
}

/// Shows a passkey that the person has.
pub(super) async fn known(
    talk: &mut Talk,
    wish: &PasskeyWish,
    person: &str,
    screen: &mut Screen,
) -> Result<Enrolled, Problem> {
    screen.remark(&format!("{person} has a passkey already, and it stays: confirm this machine with it"));
    let begin = |loopback| Ask::BeginPasskey { loopback };
    let handed = through_page(talk, wish.browser, screen, begin).await?;
    judged(talk, &Ask::Assertion { json: handed.json.clone() }).await
}

async fn through_page(
    talk: &mut Talk,
    browser: Browser,
    screen: &mut Screen,
    begin: impl FnOnce(Loopback) -> Ask,
) -> Result<HandedOver, Problem> {
    let listening = HandOver::bind().await?;
    talk.send(&begin(listening.loopback())).await?;
    let answer = talk.answer().await?;
    let Answer::PasskeyPage { url, code, within_s } = answer else {
        return Err(refused_or_out_of_turn(&answer));
    };
    let page = Page { url, code, within_s };
    passkey::handed_over(talk, listening, &page, browser, screen, refused_or_out_of_turn).await
}

async fn judged(talk: &mut Talk, answer: &Ask) -> Result<Enrolled, Problem> {
    talk.send(answer).await?;
    Enrolled::of(talk.answer().await?)
}
