//! From a verified certificate to a person who is really there.
//!
//! The certificate's key says which person this would be (its names decide
//! nothing); a second factor of that very person, on this very connection,
//! makes [`Authenticated`]. Unknown, disabled, wrong and locked look alike on
//! the wire, in bytes, in close code and in time; the audit event tells which.
//!
//! Order: control stream -> Hello -> clock and version -> Welcome -> up to
//! [`ATTEMPTS`] codes or passkeys -> [`Authenticated`] -> SignedIn, all within
//! one deadline.

mod factors;

use crate::accept::{Accepted, Place};
use crate::audit::{Event, Kind};
use crate::clock::Standing as ClockStanding;
use crate::desk::{Desk, DeskError};
use crate::office::Office;
use crate::presence::Presence;
use crate::quic::Connection;
use crate::sessions::{SignIn, SignInPlace};
use crate::state::{KeyHash, Person, Serial};
use authz::{Assurance, Handle};
use jiff::Timestamp;
use session::EndCause;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use wire::{CloseCode, Factor, Refusal, ToClient, ToGateway};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Codes and passkeys that one connection may try.
pub const ATTEMPTS: u32 = 3;

/// How long a second factor counts as fresh: long enough to go on with what
/// needs one, too short to find an unlocked desk.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// An answer to a code leaves no sooner than this after the code came, so that
/// the time it takes does not tell who is known.
const ANSWER_AFTER: Duration = Duration::from_millis(250);

/// The longest that a sign-in lasts before the factor is asked again.
const SIGN_IN_LASTS: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);

/// A person, proven by certificate and second factor on one connection. Made
/// by [`authenticate`] only; the connection and its place live in it.
#[derive(Debug)]
pub struct Authenticated {
    person: Person,
    key: KeyHash,
    assurance: Assurance,
    /// Monotonic time.
    proven_at: Duration,
    source: SocketAddr,
    expires: (Timestamp, EndCause),
    connection: Connection,
    certificate: ShownCertificate,
    sign_in: SignInPlace,
    presence: Presence,
    _place: Place,
}

/// The certificate of a sign-in, as far as others have to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownCertificate {
    /// Its serial number, if it has the form that our own authority gives one.
    pub serial: Option<Serial>,
    /// Its key.
    pub key: KeyHash,
    /// Its last moment.
    pub expires: Timestamp,
}

impl Authenticated {
    /// The person's handle.
    pub fn person(&self) -> &Handle {
        &self.person.handle
    }

    /// The person as the state had it when the factor was proven.
    pub fn record(&self) -> &Person {
        &self.person
    }

    /// The key of the certificate that was shown.
    pub fn key(&self) -> KeyHash {
        self.key
    }

    /// Whether the second factor was given a moment before `now`, monotonic
    /// time.
    pub fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.proven_at) < FRESH
    }

    /// With which factors.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }

    /// The address at sign-in.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// When the certificate or the sign-in itself runs out.
    pub fn expires(&self) -> Timestamp {
        self.expires.0
    }

    /// The same, with what sessions are told then.
    pub fn expires_with_cause(&self) -> (Timestamp, EndCause) {
        self.expires
    }

    /// The watch over whether the person is still there.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The certificate that was shown.
    pub fn certificate(&self) -> ShownCertificate {
        self.certificate
    }

    /// The connection that was proven.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The sign-in's entry in the house, with the orders for it.
    pub fn sign_in(&self) -> &SignInPlace {
        &self.sign_in
    }
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum NotSignedIn {
    /// The client went away or broke the protocol.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// It was refused, and told so.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// It took too long.
    #[error("the sign-in took too long")]
    TimedOut,
}

impl NotSignedIn {
    /// The code with which the connection is closed.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Desk(DeskError::Lost(_)) => CloseCode::Done,
            Self::Desk(DeskError::Malformed(_)) => CloseCode::Malformed,
            Self::Refused(Refusal::Version) => CloseCode::Version,
            Self::Refused(_) => CloseCode::Refused,
            Self::TimedOut => CloseCode::TimedOut,
        }
    }
}

/// What the certificate says: a key, a greeting, an end.
struct Certificate {
    key: KeyHash,
    name: String,
    not_after: Timestamp,
}

/// Whoever holds a certificate, before the second factor.
struct Stranger<'a> {
    accepted: &'a Accepted,
    /// Whose key it is; `None` if nobody's.
    person: Option<Person>,
    key: KeyHash,
    /// The name in the certificate, for greeting.
    name: &'a str,
}

/// A person whose second factor holds. Made by [`factors::ask`] only.
struct Proof {
    person: Person,
    key: KeyHash,
    assurance: Assurance,
    /// What the passkey is called.
    with: Option<String>,
}

/// Asks who this is until it is proven or refused.
///
/// # Errors
/// [`NotSignedIn`]; client and audit were told by then.
pub async fn authenticate(
    office: &Arc<Office>,
    accepted: Accepted,
) -> Result<(Authenticated, Desk), NotSignedIn> {
    let deadline = Instant::now() + office.config.limits.sign_in_deadline;
    let opened = timeout_at(deadline, Desk::open(&accepted.connection)).await;
    let mut desk = opened.map_err(|_| NotSignedIn::TimedOut)??;
    let proven = timeout_at(deadline, prove(office, &mut desk, accepted)).await;
    match proven.unwrap_or(Err(NotSignedIn::TimedOut)) {
        Ok(authenticated) => Ok((authenticated, desk)),
        Err(refused) => {
            desk.leave(refused.close_code()).await;
            Err(refused)
        }
    }
}

async fn prove(
    office: &Arc<Office>,
    desk: &mut Desk,
    accepted: Accepted,
) -> Result<Authenticated, NotSignedIn> {
    let certificate = read(&accepted).ok_or_else(|| refuse(desk, Refusal::Certificate))?;
    greet(office, desk, &accepted, &certificate).await?;
    let key = certificate.key;
    let person = office.blocking(move |office| office.state.person_by_key(&key)).await;
    let person = person.map_err(|why| fail(office, desk, &accepted, &why))?;
    let stranger = Stranger { accepted: &accepted, person, key, name: &certificate.name };
    let proof = factors::ask(office, desk, &stranger).await?;
    let lasts = office.clock.wall() + SIGN_IN_LASTS;
    let expires = if certificate.not_after < lasts {
        (certificate.not_after, EndCause::CertificateExpired)
    } else {
        (lasts, EndCause::GrantExpired)
    };
    admit(office, desk, accepted, proof, expires).await
}

/// Hello and Welcome: versions agree and the gateway trusts its clock.
async fn greet(
    office: &Arc<Office>,
    desk: &mut Desk,
    accepted: &Accepted,
    certificate: &Certificate,
) -> Result<(), NotSignedIn> {
    let key = certificate.key;
    let ToGateway::Hello { version, software: _ } = desk.hear().await? else {
        return Err(refuse(desk, Refusal::SignInFirst));
    };
    if version != wire::VERSION {
        return Err(turn_down(office, desk, accepted, key, Refusal::Version));
    }
    match office.blocking(|office| office.warden.look()).await {
        Ok(ClockStanding::Steady { .. }) => {}
        Ok(ClockStanding::Suspended { .. }) => {
            return Err(turn_down(office, desk, accepted, key, Refusal::Clock));
        }
        Err(why) => {
            office.audit.alarm().raise(&why);
            return Err(refuse(desk, Refusal::Internal));
        }
    }
    desk.say(&ToClient::Welcome {
        version: wire::VERSION,
        gateway_time_ms: office.clock.wall().as_millisecond(),
        // The certificate's own name: it greets and decides nothing, so the
        // unknown hear what the known hear.
        person: certificate.name.clone(),
        // What this gateway takes, the same for everybody: what a person has
        // is not told.
        factors: match office.relying_party {
            Some(_) => vec![Factor::Webauthn, Factor::Totp],
            None => vec![Factor::Totp],
        },
        banner: None,
    });
    Ok(())
}

/// Enters the sign-in into the house, and only then lets it in.
async fn admit(
    office: &Arc<Office>,
    desk: &mut Desk,
    accepted: Accepted,
    proof: Proof,
    expires: (Timestamp, EndCause),
) -> Result<Authenticated, NotSignedIn> {
    let Proof { person, key, assurance, with } = proof;
    let (source, since) = (accepted.source, office.clock.wall());
    let (handle, factors, chain) = (person.handle.clone(), person.factors, accepted.chain.clone());
    let entry = SignIn { person: handle, source, since, factors, chain };
    let sign_in = office.registry.sign_in(entry.clone());
    // What came while the factor was asked found no entry to end; from the
    // entry on it does. So the last look comes after the entry.
    let welcome =
        office.blocking(move |office| office.still_welcome(&entry).map_err(|order| format!("{order:?}")));
    if let Err(why) = welcome.await {
        let event = office.audit.event(Kind::SignInRefused).person(&person.handle).source(source.ip());
        office.audit.tell(&event.why(&why));
        return Err(refuse(desk, Refusal::Factor));
    }
    let certificate = shown(&accepted).ok_or_else(|| refuse(desk, Refusal::Certificate))?;
    let event = office.audit.event(Kind::SignedIn).person(&person.handle).source(source.ip());
    let what = with.map_or_else(|| assurance.to_string(), |name| format!("{assurance}: {name}"));
    if let Err(error) = office.audit.commit(&event.what(&what)).await {
        return Err(fail(office, desk, &accepted, &error.to_string()));
    }
    desk.widen();
    desk.say(&ToClient::SignedIn {
        assurance: on_the_wire(assurance),
        expires_ms: expires.0.as_millisecond(),
    });
    let Accepted { connection, place, .. } = accepted;
    let presence = Presence::new(Arc::clone(&office.clock), office.config.limits.presence);
    let proven_at = office.clock.monotonic();
    Ok(Authenticated {
        person,
        key,
        assurance,
        proven_at,
        source,
        expires,
        connection,
        certificate,
        sign_in,
        presence,
        _place: place,
    })
}

/// What a sign-in is worth, in the protocol's words.
pub(crate) fn on_the_wire(assurance: Assurance) -> wire::Assurance {
    match assurance {
        Assurance::CertificateAndTotp => wire::Assurance::CertificateAndTotp,
        Assurance::CertificateAndWebauthn => wire::Assurance::CertificateAndWebauthn,
    }
}

fn read(accepted: &Accepted) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(accepted.chain.first()?).ok()?;
    let key = KeyHash::of(certificate.public_key().raw);
    let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let not_after = not_after(&certificate);
    let name = wire::clip(&crate::audit::harmless(name.unwrap_or("unnamed")), wire::LONGEST_NAME).to_owned();
    Some(Certificate { key, name, not_after })
}

fn shown(accepted: &Accepted) -> Option<ShownCertificate> {
    let (_, certificate) = X509Certificate::from_der(accepted.chain.first()?).ok()?;
    let serial = certificate.raw_serial().try_into().ok().map(Serial);
    let (key, expires) = (KeyHash::of(certificate.public_key().raw), not_after(&certificate));
    Some(ShownCertificate { serial, key, expires })
}

/// Good for ever (RFC 5280, 4.1.2.5) is a little beyond what a timestamp holds.
fn not_after(certificate: &X509Certificate<'_>) -> Timestamp {
    Timestamp::from_second(certificate.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX)
}

/// `Some` seconds: another code may follow then. `None`: this was the last word.
fn told(code: Refusal, retry_after_s: Option<u32>) -> ToClient {
    ToClient::Refused { code, text: code.sentence().to_owned(), retry_after_s }
}

fn refuse(desk: &Desk, code: Refusal) -> NotSignedIn {
    desk.say(&told(code, None));
    NotSignedIn::Refused(code)
}

/// Our own failure: nothing is let in, and people are told.
fn fail(office: &Office, desk: &Desk, accepted: &Accepted, why: &str) -> NotSignedIn {
    office.audit.alarm().raise(&format!("sign-in from {} failed here: {why}", accepted.source));
    refuse(desk, Refusal::Internal)
}

/// A refusal before any code was asked for: told, and an event all the same.
fn turn_down(office: &Office, desk: &Desk, accepted: &Accepted, key: KeyHash, code: Refusal) -> NotSignedIn {
    note(office, accepted, None, key, code.sentence());
    refuse(desk, code)
}

fn note(office: &Office, accepted: &Accepted, person: Option<&Person>, key: KeyHash, why: &str) {
    let event: Event = office.audit.event(Kind::SignInRefused).source(accepted.source.ip()).why(why);
    let event = match person {
        Some(person) => event.person(&person.handle),
        None => event.what(&format!("key {key}")),
    };
    office.audit.tell(&event);
}
