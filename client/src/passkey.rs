//! A passkey: through the browser, where the gateway's page asks the authenticator and our listener gets the answer, or
//! [directly](crate::direct).
//!
//! What it never does: it opens no address but one that is plainly a web address, and it sends what it was handed to
//! nobody but the gateway, over the connection that asked for the page.
//!
//! Order of events with a browser: a listener; `BeginPasskey` or `BeginRegistration` with where it is; the page's address and code,
//! shown here and opened; the hand-over.

use std::time::Duration;

use wire::{LONGEST_TARGET, Loopback, MOST_WANTED, Message, ToClient, ToGateway};

use crate::Problem;
use crate::direct::{Machine, Options, Step, Working};
use crate::escape::escape;
use crate::hand_over::{HandOver, HandedOver};
use crate::link::Control;
use crate::screen::Screen;
use crate::sign_in::{instead, refusal};

/// The longest address of a page, in bytes.
const LONGEST_ADDRESS: usize = 512;
/// The longest that is waited for a person, whatever the gateway says.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How an authenticator is reached.
#[derive(Clone, Debug)]
pub enum Through {
    /// By the gateway's page in a browser.
    Page(Browser),
    /// By ourselves.
    Machine(Machine),
}

/// What an authenticator answered.
#[derive(Debug)]
pub struct Answered {
    /// JSON.
    pub json: String,
    /// The browser may still be reading our thanks.
    _thanks: Option<HandedOver>,
}

impl From<HandedOver> for Answered {
    fn from(handed: HandedOver) -> Self {
        Self { json: handed.json.clone(), _thanks: Some(handed) }
    }
}

impl From<String> for Answered {
    fn from(json: String) -> Self {
        Self { json, _thanks: None }
    }
}

/// How the page gets into a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// The operating system opens its usual one.
    Open,
    /// The person does, or a browser elsewhere on this machine.
    Print,
}

/// Has a passkey sign for this connection and gives the assertion.
///
/// # Errors
/// [`Problem::Refused`] in the gateway's words or if nothing was handed over in time, [`Problem::Io`] without a
/// listener, [`Problem::Usage`] if an authenticator of this machine signed nothing, [`Problem::Unreachable`] if the line
/// breaks.
pub async fn assertion(
    control: &mut Control,
    through: &Through,
    wanted: &[String],
    screen: &mut Screen,
) -> Result<Answered, Problem> {
    match through {
        Through::Page(browser) => {
            let begin = |loopback| begin(loopback, wanted);
            through_page(control, *browser, screen, begin).await.map(Answered::from)
        }
        Through::Machine(machine) => {
            let options = options(control, &ToGateway::BeginDirectPasskey).await?;
            let working = machine.sign(control, &options)?;
            by_ourselves(control, working, screen).await
        }
    }
}

/// Asks for a page on which a passkey can be used.
#[must_use]
pub fn begin(loopback: Loopback, wanted: &[String]) -> ToGateway {
    let named = wanted.iter().filter(|target| target.len() <= LONGEST_TARGET).take(MOST_WANTED);
    ToGateway::BeginPasskey { loopback, wanted: named.cloned().collect() }
}

/// The message with what was answered.
///
/// # Errors
/// [`Problem::Refused`] if the gateway would not read so much.
pub fn given(answered: &Answered) -> Result<ToGateway, Problem> {
    let json = answered.json.clone();
    if json.len() > wire::LONGEST_ASSERTION {
        return Err(Problem::Refused("the authenticator's answer is too long for the gateway".to_owned()));
    }
    Ok(ToGateway::Assertion { json })
}

/// Registers a passkey for a signed-in connection.
///
/// # Errors
/// As [`assertion`].
pub async fn register(
    control: &mut Control,
    through: &Through,
    name: &str,
    screen: &mut Screen,
) -> Result<String, Problem> {
    let name = name.to_owned();
    let answered = match through {
        Through::Page(browser) => {
            let begin = |loopback| ToGateway::BeginRegistration { loopback, name };
            through_page(control, *browser, screen, begin).await?.into()
        }
        Through::Machine(machine) => {
            let options = options(control, &ToGateway::BeginDirectRegistration { name }).await?;
            let working = machine.create(control, &options)?;
            by_ourselves(control, working, screen).await?
        }
    };
    control.send(&ToGateway::Registration { json: answered.json.clone() }).await?;
    let answer = control.answer().await?;
    let ToClient::PasskeyAdded { name } = answer else { return Err(not_given(&answer)) };
    Ok(escape(&name))
}

/// A page that the gateway has made.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its address.
    pub(crate) url: String,
    /// The code that it shows.
    pub(crate) code: String,
    /// Seconds until it is worth nothing.
    pub(crate) within_s: u32,
}

/// Asks for what an authenticator is to sign.
async fn options(control: &mut Control, begin: &ToGateway) -> Result<Options, Problem> {
    control.send(begin).await?;
    let answer = control.answer().await?;
    let ToClient::PasskeyOptions { origin, json, within_s } = answer else { return Err(not_given(&answer)) };
    Ok(Options { origin, json, within: Duration::from_secs(within_s.into()) })
}

/// Shows what the authenticator says until it is done.
async fn by_ourselves(
    control: &mut Control,
    mut working: Working,
    screen: &mut Screen,
) -> Result<Answered, Problem> {
    loop {
        tokio::select! {
            step = working.next() => match step? {
                Step::Say(line) => screen.remark(&escape(&line)),
                Step::Done(json) => return Ok(json.into()),
            },
            // Nothing is expected now but the gateway's end of it.
            message = control.receive() => {
                return Err(message.map_or_else(|problem| problem, |other| not_given(&other)));
            }
        }
    }
}

async fn through_page(
    control: &mut Control,
    browser: Browser,
    screen: &mut Screen,
    begin: impl FnOnce(Loopback) -> ToGateway,
) -> Result<HandedOver, Problem> {
    let listening = HandOver::bind().await?;
    control.send(&begin(listening.loopback())).await?;
    let answer = control.answer().await?;
    let ToClient::PasskeyPage { url, code, within_s } = answer else { return Err(not_given(&answer)) };
    let page = Page { url, code, within_s };
    handed_over(control, listening, &page, browser, screen, not_given).await
}

/// Shows the page and waits for what it hands over; `not_given` tells what a message means that comes instead.
///
/// # Errors
/// As [`assertion`].
pub(crate) async fn handed_over<S: Message, R: Message>(
    control: &mut Control<S, R>,
    listening: HandOver,
    page: &Page,
    browser: Browser,
    screen: &mut Screen,
    not_given: impl FnOnce(&R) -> Problem,
) -> Result<HandedOver, Problem> {
    let within = Duration::from_secs(page.within_s.into()).min(LONGEST_WAIT);
    let origin = open_page(browser, &page.url, &page.code, screen)?;
    let waiting = async {
        tokio::select! {
            handed = listening.wait(origin) => Ok(handed),
            // Nothing is expected now but the gateway's end of it.
            message = control.receive() => Err(message.map_or_else(|problem| problem, |other| not_given(&other))),
        }
    };
    let late = || {
        Problem::Refused(format!(
            "no passkey was used within {} s: start again; the browser has to run on this machine",
            within.as_secs()
        ))
    };
    tokio::time::timeout(within, waiting).await.unwrap_or_else(|_| Err(late()))
}

/// Shows address and code, and opens the browser if it is to be opened; gives the page's origin.
///
/// # Errors
/// [`Problem::Refused`] for an address that is not plainly one of the web.
pub fn open_page(browser: Browser, url: &str, code: &str, screen: &mut Screen) -> Result<String, Problem> {
    let origin = origin_of(url).ok_or_else(|| {
        Problem::Refused(format!("the gateway gave an address that is not opened: {}", escape(url)))
    })?;
    let opened = match browser {
        Browser::Open => open::that_detached(url).is_ok(),
        Browser::Print => false,
    };
    let hint = if opened { "if no browser opens, go to" } else { "open in a browser on this machine:" };
    screen.remark(&format!("{hint} {}", escape(url)));
    screen.remark(&format!("the page must show this code: {}", escape(code)));
    Ok(origin.to_owned())
}

/// Scheme, name and port of an address that may be opened: `https`, and nothing that a shell or an opener could take
/// for something else.
fn origin_of(url: &str) -> Option<&str> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:/_".contains(&byte);
    let rest = url.strip_prefix("https://")?;
    if url.len() > LONGEST_ADDRESS || !rest.bytes().all(harmless) || rest.starts_with(['-', '/', ':', '.']) {
        return None;
    }
    let path = rest.find('/')?;
    url.get(..path.saturating_add("https://".len()))
}

/// What came instead of what was asked for.
fn not_given(message: &ToClient) -> Problem {
    if let ToClient::PasskeyNotAdded { code, text } = message {
        return Problem::Refused(refusal(*code, text));
    }
    instead(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_opened() {
        assert_eq!(origin_of("https://gw.plant.example:8443/a/00ff"), Some("https://gw.plant.example:8443"));
        assert_eq!(origin_of("https://gw.plant.example/a/00ff"), Some("https://gw.plant.example"));
        for wrong in [
            "",
            "http://gw.plant.example/a/00ff",
            "https://gw.plant.example",
            "https:///a",
            "https://-x/a",
            "file:///etc/passwd",
            "https://gw/a b",
            "https://gw/a&calc",
            "https://gw/a\"",
            "https://gw/$(x)",
            "https://user@gw/a",
            "https://gw/\u{430}",
            &format!("https://gw/{}", "a".repeat(LONGEST_ADDRESS)),
        ] {
            assert_eq!(origin_of(wrong), None, "{wrong}");
        }
    }
}
