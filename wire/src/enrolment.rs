//! Enrolment: how a person who has nothing but a token gets a certificate and a second factor.
//!
//! What it is for: the messages of an endpoint of its own, which asks for no client certificate and exists only
//! while invitations are open. What it never carries: the token's secret (it is proven, see [`token`]) and a private
//! key (it never leaves the technician's machine).
//!
//! # Order of events
//!
//! 1. TLS 1.3 with the protocol name [`ALPN`]. The client accepts only the key whose fingerprint is in its token, and
//!    sends nothing to any other.
//! 2. The client opens its one two-way stream and sends [`Ask::Hello`] with the proof that it has the secret; the
//!    proof is bound to this connection by the TLS exporter (RFC 8446, 7.5) and worth nothing on another.
//! 3. The gateway answers [`Answer::Welcome`], with the ways to a second factor that are open to this person, or
//!    [`Answer::Declined`].
//! 4. The client sends [`Ask::Apply`]: a request for a certificate, signed by its new key, and the way it chose.
//! 5. What follows depends on the way. [`FactorChoice::NewTotp`]: [`Answer::Totp`] holds a new seed and
//!    [`Ask::Code`] shows that it was taken. [`FactorChoice::KnownTotp`]: [`Answer::ProveKnown`], and [`Ask::Code`]
//!    of the factor that the person has already. [`FactorChoice::NewPasskey`]: [`Ask::BeginRegistration`], then
//!    [`Answer::PasskeyPage`], and [`Ask::Registration`] with what that page handed over. [`FactorChoice::KnownPasskey`]:
//!    the same with [`Ask::BeginPasskey`] and [`Ask::Assertion`]. One page a connection: where its answer is refused the
//!    gateway is done, and the token is good for another try.
//! 6. [`Answer::Enrolled`] ends it: person, key and factor are stored and the invitation is used up, all in one.
//!    Before it nothing is stored, and the invitation stays open.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text;
use crate::{Code, Der, Loopback, UnknownNumber};

pub mod token;

pub use token::{InvitationId, NotAToken, Proof, Secret, StoredSecret, Token};

/// The protocol name that both ends demand in the TLS handshake (RFC 7301).
pub const ALPN: &[u8] = b"gatehouse-enrolment/1";

/// The version of the messages in this module, sent in `Hello` and `Welcome`.
pub const VERSION: u16 = 1;

/// The label of the TLS exporter to which the proof is bound. RFC 5705, section 4: labels that are not registered
/// begin with "EXPERIMENTAL".
pub const EXPORTER_LABEL: &[u8] = b"EXPERIMENTAL gatehouse enrolment";

/// The largest message of a client whose token was proven, in bytes without the prefix: the longest registration of a
/// passkey fits.
pub const AFTER_PROOF: usize = text::LONGEST_REGISTRATION + 64;

/// What the client says. New messages are added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// The first message of all.
    Hello {
        /// The client's [`VERSION`].
        version: u16,
        /// Name and version of the program; decides nothing.
        #[serde(with = "text::name")]
        software: String,
        /// Which invitation.
        invitation: InvitationId,
        /// That the client has its secret.
        proof: Proof,
    },
    /// Asks for a certificate.
    Apply {
        /// A PKCS#10 request, signed by the new key. Only the key is taken from it.
        request: Der,
        /// The way to the second factor, one of those in `Welcome`.
        factor: FactorChoice,
    },
    /// A one-time code of the second factor, the new or the known one.
    Code {
        /// The code.
        code: Code,
    },
    /// Asks for a page on which the person's first passkey can be registered; [`Answer::PasskeyPage`] answers.
    BeginRegistration {
        /// Where the page is to hand over what it gets.
        loopback: Loopback,
        /// What the person calls the passkey.
        #[serde(with = "text::name")]
        name: String,
    },
    /// What that page handed over.
    Registration {
        /// The `RegistrationResponseJSON` (WebAuthn level 3, 5.1.8).
        #[serde(with = "text::registration")]
        json: String,
    },
    /// Asks for a page on which a passkey that the person has can be used; [`Answer::PasskeyPage`] answers.
    BeginPasskey {
        /// Where the page is to hand over what it gets.
        loopback: Loopback,
    },
    /// What that page handed over.
    Assertion {
        /// The `AuthenticationResponseJSON` (WebAuthn level 3, 5.1.8).
        #[serde(with = "text::assertion")]
        json: String,
    },
}

/// What the gateway says. New messages are added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The token is good.
    Welcome {
        /// The gateway's [`VERSION`].
        version: u16,
        /// The gateway's wall clock, milliseconds since 1970-01-01T00:00Z.
        gateway_time_ms: i64,
        /// The handle of the person who is invited.
        #[serde(with = "text::name")]
        person: String,
        /// The ways to a second factor that are open to this person.
        #[serde(with = "text::list")]
        factors: Vec<FactorChoice>,
    },
    /// A new seed. It is stored only when a code of it comes back.
    Totp {
        /// The `otpauth://` address that authenticator apps read. It holds the seed.
        #[serde(with = "text::note")]
        address: String,
    },
    /// A code of the factor that the person has already is wanted.
    ProveKnown,
    /// All is stored: this person may sign in with this key.
    Enrolled {
        /// The person's certificate, then what leads to its authority.
        #[serde(with = "text::list")]
        chain: Vec<Der>,
        /// The authorities by which to know the gateway from now on.
        #[serde(with = "text::list")]
        trust: Vec<Der>,
        /// Where the gateway lets people sign in, `HOST:PORT`.
        #[serde(with = "text::address")]
        gateway: String,
        /// The name that the gateway's certificate has.
        #[serde(with = "text::address")]
        server_name: String,
    },
    /// What was asked is refused.
    Declined {
        /// The number of the reason.
        why: Declined,
        /// The reason in words.
        #[serde(with = "text::explanation")]
        text: String,
        /// How many more codes may be tried; `None`: the gateway is done with this connection and closes it.
        tries_left: Option<u32>,
    },
    /// A page on which a passkey can be registered or used, once.
    PasskeyPage {
        /// Its address; good for one visit.
        #[serde(with = "text::explanation")]
        url: String,
        /// The short code that the page shows too: the person compares them.
        #[serde(with = "text::name")]
        code: String,
        /// Seconds until the page and what it gives are worth nothing.
        within_s: u32,
    },
}

/// A way to a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactorChoice {
    /// A new time-based one-time code (RFC 6238).
    NewTotp,
    /// The one-time code that the person has already: a further key is added to them, and the factor stays.
    KnownTotp,
    /// A new passkey (WebAuthn with user verification), the person's first.
    NewPasskey,
    /// A passkey that the person has already: a further key is added to them, and the factors stay.
    KnownPasskey,
}

numbered! {
    /// Why an enrolment did not go on.
    Declined {
        /// Also when the invitation was used, withdrawn, has run out or never was: the wire does not tell these apart.
        Token = 1, "the token is not good, or not any more; ask the plant for a new invitation";
        Version = 2, "client and gateway do not speak the same version";
        TimedOut = 3, "the enrolment took too long; the token is good for another try";
        Request = 4, "the request for a certificate is not one that this gateway takes";
        KeyTaken = 5, "this key belongs to somebody already; make a new one";
        Factor = 6, "the code was not accepted";
        FactorChoice = 7, "this second factor is not open to you here";
        Clock = 8, "the gateway does not trust its clock";
        Malformed = 9, "the message broke the protocol";
        Ended = 10, "the invitation was used or withdrawn meanwhile";
        Internal = 11, "the gateway failed and stored nothing";
        Passkey = 12, "the passkey was not accepted; the token is good for another try";
        PasskeyKnown = 13, "this passkey is registered already; the token is good for another try, with another one";
        NoWay = 14, "you have passkeys alone and none can be used here; ask the plant to reset your second factor";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change_their_meaning() {
        let declined: Vec<String> =
            Declined::ALL.iter().map(|declined| format!("{}={declined:?}", declined.number())).collect();
        assert_eq!(
            declined.join(" "),
            "1=Token 2=Version 3=TimedOut 4=Request 5=KeyTaken 6=Factor 7=FactorChoice 8=Clock 9=Malformed \
             10=Ended 11=Internal 12=Passkey 13=PasskeyKnown 14=NoWay"
        );
        assert!(Declined::ALL.iter().all(|one| Declined::from_number(one.number()) == Some(*one)));
        assert_eq!(Declined::from_number(0), None);
    }
}
