//! Passkeys as second factor: WebAuthn level 3 with user verification.
//!
//! A technician's client can't speak to an authenticator in a way that binds
//! it to this gateway's name; a browser can. So the gateway serves one small
//! page ([`Shown`]) which asks the browser's authenticator and hands the answer
//! to the loopback listener of the client that asked, never to the gateway.
//! The client sends it over its own connection, in whose task the challenge
//! lives ([`SignInCeremony`]). Whoever is lured to somebody else's page gives
//! nothing away: the answer goes to the lured one's own machine, and no other
//! connection could use it.
//!
//! Order: `BeginPasskey` -> a ceremony and a place among [`Pages`] -> the page,
//! once -> the client's listener -> `Assertion` -> the ceremony judges it and
//! is gone, whatever came of it -> the state takes the counter and the success
//! in one transaction.
//!
//! Where no browser trusts the page, the client may speak to an authenticator
//! itself: it gets the options instead of the page, and what is signed names
//! its connection ([`Reach`]). The rest is the same.
//!
//! An enrolment makes the same ceremonies in the task of the connection that
//! proved a token ([`crate::enrolment`]).
//!
//! What it never does: it keeps no challenge on disk, accepts no assertion
//! without user verification, and tells nobody whether a passkey exists:
//! whoever has none is shown invented ids ([`Decoys`]).

mod ceremony;
mod decoys;
mod name;
mod page;
mod reach;
mod registrar;
mod server;
mod shown;
#[cfg(test)]
pub(crate) mod soft;
#[cfg(test)]
mod tests;

pub use ceremony::{
    Asked, BadOptions, Refused, RegistrationCeremony, SignInCeremony, Verified, tell_of_a_copy, verify,
};
pub use decoys::Decoys;
pub use name::{is_free, sound_name};
pub use page::{Code, PageId, Pages, Place};
pub use reach::{Reach, Through};
pub use registrar::{Delivery, Registrar};
pub use server::{Bound, serve};
pub use shown::{Purpose, Shown};

use crate::clock::Clock;
use crate::config::WebauthnSettings;
use crate::state::{State, StateError};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder, WebauthnError};

/// How long a page, and the answer that it gives, are good for.
pub const LASTS: Duration = Duration::from_secs(120);

/// This gateway as authenticators know it.
pub struct RelyingParty {
    webauthn: Webauthn,
    id: String,
    origin: String,
    decoys: Decoys,
    pages: Pages,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RelyingParty").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why there is no relying party.
#[derive(Debug, thiserror::Error)]
pub enum NoRelyingParty {
    /// Name and origin don't fit together.
    #[error("[webauthn]: {0}")]
    Names(#[from] WebauthnError),
    /// The key of invented ids could not be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// No randomness.
    #[error("no randomness")]
    Random(#[from] aws_lc_rs::error::Unspecified),
}

impl RelyingParty {
    /// The relying party of a configuration. Blocks on the disk.
    ///
    /// # Errors
    /// [`NoRelyingParty`].
    pub fn open(
        settings: &WebauthnSettings,
        state: &dyn State,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NoRelyingParty> {
        let webauthn = library(&settings.relying_party, &settings.origin)?;
        let decoys = Decoys::new(state.decoy_key(random()?)?);
        let (id, origin) = (settings.relying_party.clone(), settings.origin.as_str().to_owned());
        Ok(Self { webauthn, id, origin, decoys, pages: Pages::default(), clock })
    }

    /// The pages that wait for their one visit.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The id, a domain, that passkeys are bound to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Scheme, name and port of the page.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// The library with sub-domains and other ports refused, as it is by default.
pub(crate) fn library(id: &str, origin: &Origin) -> Result<Webauthn, WebauthnError> {
    WebauthnBuilder::new(id, &origin.0)?.rp_name("Gatehouse").timeout(LASTS).build()
}

/// Where the page is: `https`, a name (WebAuthn knows no addresses), a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(url::Url);

impl Origin {
    /// Takes an address that is an origin and nothing more.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|error| error.to_string())?;
        if url.scheme() != "https" {
            return Err("is not https".to_owned());
        }
        if url.domain().is_none() {
            return Err("names no domain; passkeys are bound to a name, never to an address".to_owned());
        }
        let bare = url.origin().ascii_serialization();
        if bare != text {
            return Err(format!("has more than scheme, name and port; write {bare:?}"));
        }
        Ok(Self(url))
    }

    /// The name.
    pub fn host(&self) -> &str {
        self.0.domain().unwrap_or_default()
    }

    /// `https://NAME[:PORT]`.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}
