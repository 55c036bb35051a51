//! How an authenticator is reached, and what its answer has to be bound to.
//!
//! Through the page a browser writes `clientDataJSON`, and the page's origin in
//! it is worth what the browser is. A client that speaks to an authenticator
//! itself writes it alone, so that an origin says nothing; such an answer counts
//! only with the name of the very connection that asked for it
//! ([`wire::passkey::caller`]), which the authenticator signed. Whoever stands
//! between client and gateway has two connections, and a signature for the
//! wrong one.
//!
//! Neither answer is taken for the other: what a client was made to sign is no
//! page's answer, and what a page gave opens no ceremony without one.

use super::ceremony::{Asked, Refused};
use super::page::{Code, Place};
use super::{LASTS, RelyingParty};
use serde::Deserialize;
use url::Url;
use wire::ToClient;

/// Who is to bring the options to an authenticator.
#[derive(Debug, Clone)]
pub enum Through {
    /// The page, in a browser.
    Page(Asked),
    /// The client itself.
    Client {
        /// The name that the authenticator keeps for the person.
        person: String,
        /// Of the connection that asks, under
        /// [`wire::passkey::EXPORTER_LABEL`].
        exporter: [u8; 32],
    },
}

impl Through {
    /// The name of the person.
    pub fn person(&self) -> &str {
        match self {
            Self::Page(asked) => &asked.person,
            Self::Client { person, .. } => person,
        }
    }
}

impl From<Asked> for Through {
    fn from(asked: Asked) -> Self {
        Self::Page(asked)
    }
}

/// The way that one ceremony takes.
#[derive(Debug)]
pub enum Reach {
    /// A page.
    Page {
        /// Its place, as long as the ceremony lives.
        place: Place,
        /// What client and page both show.
        code: Code,
    },
    /// The client's own words.
    Client {
        /// The one caller whose answer counts.
        caller: String,
        /// What the authenticator is asked, JSON.
        options: String,
    },
}

/// What of `clientDataJSON` (WebAuthn level 3, 5.8.1) the library does not
/// judge as strictly as we do: it takes any address of the same origin.
#[derive(Deserialize)]
struct ClientData {
    origin: String,
}

impl Reach {
    /// Whether an answer came this way. That it was signed, the library judges.
    pub(super) fn check(&self, client_data: &[u8]) -> Result<(), Refused> {
        let data: ClientData = serde_json::from_slice(client_data).map_err(|_| Refused::Malformed)?;
        match self {
            Self::Page { .. } if is_bare(&data.origin) => Ok(()),
            Self::Page { .. } => Err(Refused::NotFromThePage),
            Self::Client { caller, .. } if data.origin == *caller => Ok(()),
            Self::Client { .. } => Err(Refused::NotForThisConnection),
        }
    }
}

/// Scheme, name and port alone, as browsers write an origin (HTML, 7.1.1).
fn is_bare(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let bare = url.origin().ascii_serialization();
    origin == bare || origin.strip_suffix('/') == Some(&bare)
}

impl RelyingParty {
    /// What the client is told of a ceremony.
    pub fn offer(&self, reach: &Reach) -> ToClient {
        let within_s = u32::try_from(LASTS.as_secs()).unwrap_or(u32::MAX);
        match reach {
            Reach::Page { place, code } => {
                ToClient::PasskeyPage { url: self.address(place), code: code.as_str().to_owned(), within_s }
            }
            Reach::Client { caller: _, options } => {
                ToClient::PasskeyOptions { origin: self.origin.clone(), json: options.clone(), within_s }
            }
        }
    }

    /// The address of a page.
    pub fn address(&self, place: &Place) -> String {
        format!("{}/a/{}", self.origin, place.id().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_as_browsers_write_it_has_nothing_behind_it() {
        for bare in ["https://gw.plant.example", "https://gw.plant.example:8443", "https://gw:8443/"] {
            assert!(is_bare(bare), "{bare}");
        }
        for more in [
            "",
            "null",
            "gw.plant.example",
            "https://gw.plant.example:443",
            "https://gw.plant.example//",
            "https://gw.plant.example/#",
            "https://gw.plant.example/?",
            "https://gw.plant.example#x",
            "https://gw.plant.example/a",
            "https://user@gw.plant.example",
            &wire::passkey::caller("https://gw.plant.example", &[1; 32]),
        ] {
            assert!(!is_bare(more), "{more}");
        }
    }
}
