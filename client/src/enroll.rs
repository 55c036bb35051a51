//! `gatehouse enroll`: from a token to a profile with which `gatehouse connect` works.
//!
//! What it is for: it makes the key on this machine, shows the gateway that the token is here without sending it,
//! gets a certificate, sees the second factor taken (codes, or a passkey through the browser), and writes the profile. What it never does: it sends neither
//! token nor key, and nothing at all to a gateway other than the token's.
//!
//! Order of events: the files' places are free; the line, pinned by the token's fingerprint; `Hello` with the proof;
//! `Welcome`; the key is on the disk before a certificate is asked for; the second factor; `Enrolled`; certificate,
//! authorities and, last, the profile. Where it breaks off before `Enrolled`, nothing is left here and the token is
//! good for another try.

mod choice;
mod factor;
mod files;
mod passkey;

use std::path::PathBuf;

use wire::enrolment::{ALPN, Answer, Ask, Declined, EXPORTER_LABEL, Token, VERSION};

use self::files::NewFiles;
use crate::Problem;
use crate::escape::escape;
use crate::key::NewKey;
use crate::link::{Control, Link, Target};
use crate::passphrase::Protection;
use crate::pinned::Pinned;
use crate::platform::Interrupt;
use crate::profile::{Address, Profile, UsualFactor};
use crate::screen::Screen;
use crate::sign_in::clock_warning;

pub use self::choice::{PasskeyWish, Taking};
pub(crate) use self::files::pem;

/// The control stream of an enrolment.
type Talk = Control<Ask, Answer>;

/// What the technician wants.
#[derive(Debug)]
pub struct Wish {
    /// The token.
    pub token: Token,
    /// Another way to the gateway than the token names.
    pub gateway: Option<Address>,
    /// Where the profile is to be written.
    pub profile: PathBuf,
    /// What the new key is protected by.
    pub protection: Protection,
    /// How the second factor is taken.
    pub factor: Taking,
}

/// What the gateway gave.
struct Enrolled {
    chain: Vec<Vec<u8>>,
    trust: Vec<Vec<u8>>,
    gateway: String,
    server_name: String,
}

impl Enrolled {
    /// The last word of all, if it is the good one.
    fn of(answer: Answer) -> Result<Self, Problem> {
        let Answer::Enrolled { chain, trust, gateway, server_name } = answer else {
            return Err(refused_or_out_of_turn(&answer));
        };
        let bytes = |list: Vec<wire::Der>| list.iter().map(|der| der.as_bytes().to_vec()).collect();
        Ok(Self { chain: bytes(chain), trust: bytes(trust), gateway, server_name })
    }
}

/// Enrols, and leaves a profile behind.
///
/// # Errors
/// [`Problem::Refused`] with the gateway's words; [`Problem::Unreachable`] if another gateway than the token's
/// answers, or none; [`Problem::Usage`] and [`Problem::Io`] for the files, and [`Problem::Usage`] if it is interrupted:
/// then too nothing is left here.
pub async fn enroll(wish: &Wish, screen: &mut Screen) -> Result<(), Problem> {
    // Asked for before signals are caught: a prompt has to yield to them.
    let passphrase = match &wish.protection {
        Protection::FileAlone => None,
        Protection::Passphrase(from) => Some(from.choose()?),
    };
    let mut interrupt =
        Interrupt::catch().map_err(|source| Problem::Io { what: "signals".to_owned(), source })?;
    tokio::select! {
        done = uninterrupted(wish, passphrase.as_deref().map(String::as_str), screen) => done,
        () = interrupt.wait() => Err(Problem::Usage(
            "interrupted: nothing is left here, and the token is good for another try, unless the gateway had completed it"
                .to_owned(),
        )),
    }
}

async fn uninterrupted(wish: &Wish, passphrase: Option<&str>, screen: &mut Screen) -> Result<(), Problem> {
    let files = NewFiles::reserve(&wish.profile)?;
    wish.factor.prepare()?;
    let key = NewKey::generate()?;
    files.write_key(&key.to_pem(passphrase)?)?;
    let link = open(wish).await?;
    let mut talk: Talk = link.control().await?;
    let (person, factors) = greet(&link, &mut talk, &wish.token, screen).await?;
    let way = wish.factor.way(&factors, &person, screen).await?;
    talk.send(&Ask::Apply { request: key.request()?, factor: way.choice() }).await?;
    let enrolled = factor::take(&mut talk, &way, &person, screen).await?;
    // What came once is on the disk before anything else is waited for.
    let profile = files.complete(&enrolled, way.usual())?;
    link.close().await;
    tell(&person, &profile, way.usual(), passphrase.is_some(), screen)
}

/// Connects to the token's gateway and to no other.
async fn open(wish: &Wish) -> Result<Link, Problem> {
    let told = wish.token.address();
    let address = match &wish.gateway {
        Some(address) => address.clone(),
        None => Address::parse(told).ok_or_else(|| {
            Problem::Usage("the token's address can't be used: give one with --gateway".to_owned())
        })?,
    };
    let pinned = Pinned::new(wish.token.fingerprint);
    let tls = pinned.tls(ALPN)?;
    let target = Target { gateway: &address, server_name: &address.host, tls: &tls, named_in: "the token" };
    Link::to(&target).await.map_err(|problem| {
        if pinned.met_another() {
            return Problem::Unreachable(format!(
                "what answers at {address} is not the gateway of this token: it has another key. Nothing was sent to \
                 it. Ask the plant whether its key was changed since the invitation"
            ));
        }
        problem
    })
}

/// Shows that the token is here; gives the person's handle, escaped, and the ways to a second factor.
async fn greet(
    link: &Link,
    talk: &mut Talk,
    token: &Token,
    screen: &mut Screen,
) -> Result<(String, Vec<wire::enrolment::FactorChoice>), Problem> {
    let proof = token.secret.prove(&link.exporter(EXPORTER_LABEL)?);
    let invitation = token.secret.stored().invitation();
    let software = format!("gatehouse {}", env!("CARGO_PKG_VERSION"));
    talk.send(&Ask::Hello { version: VERSION, software, invitation, proof }).await?;
    match talk.answer().await? {
        Answer::Welcome { version, gateway_time_ms, person, factors } => {
            if version != VERSION {
                return Err(Problem::Refused(format!(
                    "the gateway enrols by version {version} and this program by version {VERSION}: use a matching \
                     program"
                )));
            }
            if let Some(warning) = clock_warning(gateway_time_ms, jiff::Timestamp::now()) {
                screen.remark(&warning);
            }
            Ok((escape(&person), factors))
        }
        other @ (Answer::Totp { .. }
        | Answer::ProveKnown
        | Answer::Enrolled { .. }
        | Answer::PasskeyPage { .. }
        | Answer::Declined { .. }) => Err(refused_or_out_of_turn(&other)),
    }
}

fn tell(
    person: &str,
    profile: &std::path::Path,
    usual: UsualFactor,
    sealed: bool,
    screen: &mut Screen,
) -> Result<(), Problem> {
    let shown = escape(&profile.display().to_string());
    // What was written is read as `connect` will read it, but for a passphrase.
    if !sealed {
        let read = Profile::load(profile)?;
        screen.remark(&format!(
            "your certificate is good until {}; run `gatehouse renew` before",
            read.validity.ends
        ));
    }
    screen.answer(&format!("enrolled {person} {shown}"))?;
    let try_it = match usual {
        UsualFactor::Ask => "try it with the next code",
        UsualFactor::Passkey | UsualFactor::SecurityKey => "try it with your passkey",
    };
    screen.remark(&format!("{try_it}: gatehouse --profile {shown} targets"));
    Ok(())
}

/// The gateway's refusal, or a message that has no place here.
fn refused_or_out_of_turn(answer: &Answer) -> Problem {
    let name = match answer {
        Answer::Declined { why, text, tries_left: _ } => return Problem::Refused(declined(*why, text)),
        Answer::Welcome { .. } => "Welcome",
        Answer::Totp { .. } => "Totp",
        Answer::ProveKnown => "ProveKnown",
        Answer::Enrolled { .. } => "Enrolled",
        Answer::PasskeyPage { .. } => "PasskeyPage",
    };
    Problem::Unreachable(format!("the gateway broke the protocol: `{name}` came out of turn"))
}

/// A refusal in one sentence.
fn declined(why: Declined, text: &str) -> String {
    if text.is_empty() || text == why.sentence() {
        return why.sentence().to_owned();
    }
    format!("{} ({})", why.sentence(), escape(text))
}
