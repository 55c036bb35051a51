//! A FIDO2 key: which one, its PIN, its touch (CTAP 2.1).
//!
//! What it is for: the order of questions to keys and person, apart from how keys are reached ([`Keys`]). Everything that
//! can be the matter ends in one line that says what to do. What it never does: it signs without a verified user, and it
//! keeps a PIN no longer than one signature takes.
//!
//! Order of events: the keys that are plugged in; of several the one that is meant, by asking them silently; how it
//! verifies its user; the PIN, with the tries that are left; the touch; the signature.

use std::fmt;

use zeroize::Zeroizing;

use super::{Authenticator, Created, Creation, Dialogue, NotSigned, Request, Signed};

/// How often a PIN is asked for. After three wrong ones in a row a key wants to be plugged in again (CTAP 2.1, 6.5.5.5).
const PINS: usize = 3;

/// The keys of this machine.
pub trait Keys: Send + Sync + fmt::Debug {
    /// One of them.
    type Key: Key;

    /// Those that are plugged in, opened.
    ///
    /// # Errors
    /// [`NotSigned::NotAllowed`] if one may not be opened.
    fn plugged_in(&self) -> Result<Vec<Self::Key>, NotSigned>;
}

/// One key. All of it blocks.
pub trait Key {
    /// How it can verify its user.
    ///
    /// # Errors
    /// [`Trouble`], as of all that is asked of a key.
    fn verification(&self) -> Result<Verification, Trouble>;

    /// How many wrong PINs it bears before it is blocked for good.
    ///
    /// # Errors
    /// [`Trouble`].
    fn pin_tries(&self) -> Result<u32, Trouble>;

    /// Whether it holds one of these credentials; asked without a touch.
    ///
    /// # Errors
    /// [`Trouble`], for example of a key that tells nothing without its PIN.
    fn holds(&self, relying_party: &str, credentials: &[Vec<u8>]) -> Result<Held, Trouble>;

    /// Signs after a touch.
    ///
    /// # Errors
    /// [`Trouble`].
    fn sign(&self, request: &Request, user: &UserProof) -> Result<Signed, Trouble>;

    /// Makes a credential after a touch.
    ///
    /// # Errors
    /// [`Trouble`].
    fn create(&self, creation: &Creation, user: &UserProof) -> Result<Created, Trouble>;
}

/// How a key can verify its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// By itself, for example by a fingerprint.
    BuiltIn,
    /// By a PIN.
    Pin,
    /// By a PIN, which is not set yet.
    PinNotSet,
    /// Not at all.
    None,
}

/// What a key gets to verify its user by.
#[derive(Debug)]
pub enum UserProof {
    /// It does so itself.
    BuiltIn,
    /// The PIN.
    Pin(Zeroizing<String>),
}

/// Whether a key holds a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// One of those that were asked for.
    One,
    /// None of them.
    None,
}

/// What a key did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A status of CTAP 2.1, 8.2.
    Status(u8),
    /// It can't be spoken to.
    Broken(String),
}

/// All keys of this machine as one authenticator.
#[derive(Debug)]
pub struct SecurityKeys<K>(K);

impl<K: Keys> SecurityKeys<K> {
    /// Over these keys.
    pub const fn new(keys: K) -> Self {
        Self(keys)
    }

    fn plugged_in(&self) -> Result<Vec<K::Key>, NotSigned> {
        let keys = self.0.plugged_in()?;
        if keys.is_empty() { Err(NotSigned::NoKey) } else { Ok(keys) }
    }
}

impl<K: Keys> Authenticator for SecurityKeys<K> {
    fn sign(&self, request: &Request, dialogue: &dyn Dialogue) -> Result<Signed, NotSigned> {
        let keys = self.plugged_in()?;
        let key = choose(keys, |key| key.holds(&request.relying_party, &request.credentials), Held::One)?;
        let key = key.ok_or(NotSigned::WrongKey)?;
        with_user(&key, dialogue, |proof| key.sign(request, proof))
    }

    fn create(&self, creation: &Creation, dialogue: &dyn Dialogue) -> Result<Created, NotSigned> {
        let keys = self.plugged_in()?;
        let key = choose(keys, |key| key.holds(&creation.relying_party, &creation.known), Held::None)?;
        let key = key.ok_or(NotSigned::KnownKey)?;
        with_user(&key, dialogue, |proof| key.create(creation, proof))
    }
}

/// The key that is meant: the only one, or the only one of several that answers as wanted; `None` if none does.
fn choose<K>(
    mut keys: Vec<K>,
    ask: impl Fn(&K) -> Result<Held, Trouble>,
    wanted: Held,
) -> Result<Option<K>, NotSigned> {
    let all = keys.len();
    if all == 1 {
        return Ok(keys.pop());
    }
    let mut meant = Vec::new();
    for key in keys {
        match ask(&key) {
            Ok(held) if held == wanted => meant.push(key),
            Ok(Held::One | Held::None) => {}
            // One that tells nothing may be the one.
            Err(_) => return Err(NotSigned::Several(all)),
        }
    }
    if meant.len() > 1 { Err(NotSigned::Several(all)) } else { Ok(meant.pop()) }
}

/// Lets the key verify its user, and does the work with that.
fn with_user<T>(
    key: &impl Key,
    dialogue: &dyn Dialogue,
    work: impl Fn(&UserProof) -> Result<T, Trouble>,
) -> Result<T, NotSigned> {
    match key.verification().map_err(explain)? {
        Verification::BuiltIn => {
            dialogue.say("touch the sensor of your security key");
            match work(&UserProof::BuiltIn) {
                Err(Trouble::Status(status::UV_BLOCKED | status::UV_INVALID)) => {
                    dialogue.say("the key did not recognise you: it wants its PIN");
                    with_pin(key, dialogue, work)
                }
                other => other.map_err(explain),
            }
        }
        Verification::Pin => with_pin(key, dialogue, work),
        Verification::PinNotSet => Err(NotSigned::PinNotSet),
        Verification::None => Err(NotSigned::CanNotVerify),
    }
}

fn with_pin<T>(
    key: &impl Key,
    dialogue: &dyn Dialogue,
    work: impl Fn(&UserProof) -> Result<T, Trouble>,
) -> Result<T, NotSigned> {
    for _ in 0..PINS {
        match key.pin_tries().map_err(explain)? {
            0 => return Err(NotSigned::PinBlocked),
            1 => dialogue.say("one try is left before the key's PIN is blocked for good"),
            left => dialogue.say(&format!("{left} tries are left for the key's PIN")),
        }
        let proof = UserProof::Pin(dialogue.pin().ok_or(NotSigned::NoPin)?);
        dialogue.say("touch your security key when it blinks");
        match work(&proof) {
            Err(Trouble::Status(status::PIN_INVALID)) => dialogue.say("that PIN is wrong"),
            other => return other.map_err(explain),
        }
    }
    Err(NotSigned::PinPaused)
}

/// The statuses of CTAP 2.1, 8.2, that mean something to a person.
mod status {
    pub(super) const TIMEOUT: u8 = 0x05;
    pub(super) const CREDENTIAL_EXCLUDED: u8 = 0x19;
    pub(super) const UNSUPPORTED_ALGORITHM: u8 = 0x26;
    pub(super) const OPERATION_DENIED: u8 = 0x27;
    pub(super) const KEY_STORE_FULL: u8 = 0x28;
    pub(super) const KEEPALIVE_CANCEL: u8 = 0x2d;
    pub(super) const NO_CREDENTIALS: u8 = 0x2e;
    pub(super) const USER_ACTION_TIMEOUT: u8 = 0x2f;
    pub(super) const PIN_INVALID: u8 = 0x31;
    pub(super) const PIN_BLOCKED: u8 = 0x32;
    pub(super) const PIN_AUTH_BLOCKED: u8 = 0x34;
    pub(super) const PIN_NOT_SET: u8 = 0x35;
    pub(super) const PIN_POLICY_VIOLATION: u8 = 0x37;
    pub(super) const ACTION_TIMEOUT: u8 = 0x3a;
    pub(super) const UV_BLOCKED: u8 = 0x3c;
    pub(super) const UV_INVALID: u8 = 0x3f;
}

fn explain(trouble: Trouble) -> NotSigned {
    let code = match trouble {
        Trouble::Status(code) => code,
        Trouble::Broken(why) => return NotSigned::Failed(why),
    };
    match code {
        status::CREDENTIAL_EXCLUDED => NotSigned::KnownKey,
        status::NO_CREDENTIALS => NotSigned::WrongKey,
        status::OPERATION_DENIED | status::KEEPALIVE_CANCEL => NotSigned::Cancelled,
        status::TIMEOUT | status::USER_ACTION_TIMEOUT | status::ACTION_TIMEOUT => NotSigned::TimedOut,
        status::PIN_BLOCKED => NotSigned::PinBlocked,
        status::PIN_AUTH_BLOCKED => NotSigned::PinPaused,
        status::PIN_NOT_SET => NotSigned::PinNotSet,
        status::PIN_POLICY_VIOLATION => NotSigned::PinMustChange,
        status::UNSUPPORTED_ALGORITHM => NotSigned::Unfit("it has no ES256".to_owned()),
        status::KEY_STORE_FULL => NotSigned::Unfit("it has no room".to_owned()),
        other => NotSigned::Failed(format!("status 0x{other:02x}")),
    }
}

#[cfg(test)]
mod tests;
