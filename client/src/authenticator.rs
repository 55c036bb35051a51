//! An authenticator that this machine has, spoken to without a browser.
//!
//! What it is for: whoever's browser does not trust the plant's authority uses a passkey all the same. [`Authenticator`]
//! is the seam: a FIDO2 key on USB (`usb-security-key`, Linux) or the system's own dialogue (`windows-webauthn`,
//! Windows), each of which a program has only if it was built with that feature.
//!
//! What it never does: it has nothing signed but for the relying party that the profile names, by a verified user, in the
//! name of the connection that asks ([`wire::passkey`]). A gateway that is not the plant's gets no signature for another
//! name than its own, and none that counts anywhere but with itself.
//!
//! Order of events: [`Request::read`] or [`Creation::read`] checks what the gateway sent; the authenticator signs, which
//! blocks, so it has a thread of its own ([`crate::direct`]); the answer goes out as [`Signed::json`] or
//! [`Created::json`].

mod answer;
mod options;
#[cfg(all(target_os = "linux", feature = "usb-security-key"))]
pub mod security_key;
#[cfg(all(target_os = "linux", feature = "usb-security-key"))]
pub mod usb;
#[cfg(feature = "windows-webauthn")]
pub mod windows;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use self::answer::{Created, Signed};
pub use self::options::{Asker, Creation, NotForUs, Request, User};
use crate::Problem;

/// Signs with a passkey, or makes one. Both block while the person verifies and touches.
pub trait Authenticator: Send + Sync + fmt::Debug {
    /// Signs with one of the request's credentials.
    ///
    /// # Errors
    /// [`NotSigned`].
    fn sign(&self, request: &Request, dialogue: &dyn Dialogue) -> Result<Signed, NotSigned>;

    /// Makes a credential.
    ///
    /// # Errors
    /// [`NotSigned`].
    fn create(&self, creation: &Creation, dialogue: &dyn Dialogue) -> Result<Created, NotSigned>;
}

/// How an authenticator talks to its person.
pub trait Dialogue {
    /// Says a line.
    fn say(&self, line: &str);

    /// Asks for the PIN of the security key, which is not shown; `None` if nobody gives one.
    fn pin(&self) -> Option<Zeroizing<String>>;
}

/// Why nothing was signed: what happened, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// There is none.
    #[error("no security key is plugged in: plug it in and try again")]
    NoKey,
    /// Some are there and may not be opened.
    #[error(
        "a security key is plugged in, but you may not use it: have the administrator of this machine install udev \
         rules for FIDO keys (Debian: `apt install libfido2-1` and plug it in again)"
    )]
    NotAllowed,
    /// Several, and it can't be told which is meant.
    #[error("{0} security keys are plugged in: leave only the one that you want to use and try again")]
    Several(usize),
    /// None that is there has the passkey.
    #[error(
        "this security key has no passkey of yours for this gateway: plug in the one that you registered, or register \
         this one with `gatehouse factor add --security-key`"
    )]
    WrongKey,
    /// The one that is there has a passkey of this person already.
    #[error("this security key is registered already: plug in the one that is new")]
    KnownKey,
    /// It can't verify its user.
    #[error("this security key can't verify its user: use one that has a PIN or a fingerprint reader")]
    CanNotVerify,
    /// It has no PIN yet.
    #[error("this security key has no PIN yet: set one first (e.g. `fido2-token -S /dev/hidrawN`)")]
    PinNotSet,
    /// It wants another PIN first.
    #[error("this security key wants a new PIN first: change it (e.g. `fido2-token -C /dev/hidrawN`)")]
    PinMustChange,
    /// The PIN was wrong too often in a row.
    #[error("the PIN was wrong too often in a row: unplug the key, plug it in again and try once more")]
    PinPaused,
    /// The PIN was wrong too often at all.
    #[error(
        "the key's PIN is blocked for good: only resetting the key helps, which deletes its passkeys; ask the plant to \
         reset your factors"
    )]
    PinBlocked,
    /// Nobody gave a PIN.
    #[error("no PIN was given: run this at a terminal, and type the key's PIN")]
    NoPin,
    /// The person said no.
    #[error("it was cancelled: start again")]
    Cancelled,
    /// Nobody touched it.
    #[error("nobody touched the key in time: start again, and touch it when it blinks")]
    TimedOut,
    /// It has no room, or not what is asked.
    #[error("this security key can't do what is asked ({0}): use another one")]
    Unfit(String),
    /// Anything else.
    #[error("the security key failed ({0}): plug it in again and try once more")]
    Failed(String),
}

impl From<NotSigned> for Problem {
    fn from(not_signed: NotSigned) -> Self {
        Self::Usage(not_signed.to_string())
    }
}

/// The one that this program can speak to on this machine.
///
/// # Errors
/// [`Problem::Usage`] if it was built without any.
pub fn of_this_machine() -> Result<Arc<dyn Authenticator>, Problem> {
    #[cfg(all(target_os = "linux", feature = "usb-security-key"))]
    return Ok(Arc::new(security_key::SecurityKeys::new(usb::Ports)));
    #[cfg(all(windows, feature = "windows-webauthn"))]
    return Ok(Arc::new(windows::System));
    #[cfg(not(any(
        all(target_os = "linux", feature = "usb-security-key"),
        all(windows, feature = "windows-webauthn")
    )))]
    return Err(Problem::Usage(
        "this program was built without security keys: build it with `cargo build --release -p client --features \
         usb-security-key` on Linux (needs libudev-dev) or `--features windows-webauthn` on Windows, or use --passkey \
         with a browser"
            .to_owned(),
    ));
}
