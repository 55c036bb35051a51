//! The token of an invitation, and how to have it without showing it.
//!
//! What it is for: a token is handed to a person once. It names the gateway (address and key), so that nothing is
//! sent to anybody else, and holds a secret of 256 random bits. The gateway keeps only the secret's hash, and what
//! the client sends is bound to its connection.
//!
//! The proof is that of RFC 5802 (SCRAM), section 3, without its password stretching, which random secrets don't need:
//! `stored = SHA-256(secret)` and `proof = secret XOR HMAC-SHA-256(stored, exporter)`. Whoever knows `stored` can take
//! the secret out of a proof and compare its hash, but can't make a proof: a copy of the gateway's state is worth
//! nothing. Whoever sees a proof and does not know `stored` learns nothing, and on another connection, with another
//! exporter value, another secret comes out of it.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::text::LONGEST_ADDRESS;

/// How every token begins, so that people and secret scanners know one.
const PREFIX: &str = "ghe1_";
/// The bytes of the check value: enough to find what was not copied whole.
const CHECK: usize = 4;
/// The longest text that is looked at, in bytes.
const LONGEST: usize = 512;

/// A token: the gateway and the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the SubjectPublicKeyInfo of the gateway's certificate (RFC 5280, 4.1.2.7).
    pub fingerprint: [u8; 32],
    /// The secret of the invitation.
    pub secret: Secret,
    /// Where the gateway enrols, `HOST:PORT`; at most [`LONGEST_ADDRESS`] bytes.
    address: String,
}

/// A text that is no token. It does not repeat the text, which may be half a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    /// It does not begin as every token does.
    #[error("a token begins with {PREFIX}")]
    Prefix,
    /// Something of it is missing or was changed.
    #[error("the token was not copied whole")]
    Damaged,
    /// The address is too long or no text.
    #[error("the token's address can't be one")]
    Address,
}

impl Token {
    /// A token for the enrolment endpoint at `address`.
    ///
    /// # Errors
    /// [`NotAToken::Address`] if the address is empty, too long, or has characters that no address has.
    pub fn new(fingerprint: [u8; 32], secret: Secret, address: &str) -> Result<Self, NotAToken> {
        let sound = (1..=LONGEST_ADDRESS).contains(&address.len())
            && address.bytes().all(|byte| byte.is_ascii_graphic());
        if sound {
            Ok(Self { fingerprint, secret, address: address.to_owned() })
        } else {
            Err(NotAToken::Address)
        }
    }

    /// Reads a token; blanks around it do not count.
    ///
    /// # Errors
    /// [`NotAToken`].
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(NotAToken::Prefix)?;
        if encoded.len() > LONGEST {
            return Err(NotAToken::Damaged);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotAToken::Damaged)?);
        let (content, check) = bytes.split_last_chunk::<CHECK>().ok_or(NotAToken::Damaged)?;
        if check_of(content) != *check {
            return Err(NotAToken::Damaged);
        }
        let (fingerprint, rest) = content.split_first_chunk::<32>().ok_or(NotAToken::Damaged)?;
        let (secret, address) = rest.split_first_chunk::<32>().ok_or(NotAToken::Damaged)?;
        let address = std::str::from_utf8(address).map_err(|_| NotAToken::Address)?;
        Self::new(*fingerprint, Secret::from_bytes(*secret), address)
    }

    /// Where the gateway enrols, `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The token as it is handed to the person.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
        bytes.extend_from_slice(&self.fingerprint);
        bytes.extend_from_slice(&self.secret.0);
        bytes.extend_from_slice(self.address.as_bytes());
        let check = check_of(&bytes);
        bytes.extend_from_slice(&check);
        let mut text = Zeroizing::new(String::with_capacity(LONGEST));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }
}

fn check_of(content: &[u8]) -> [u8; CHECK] {
    let hash = sha256(content);
    hash.first_chunk().copied().unwrap_or_default()
}

/// 256 random bits. Hidden in its `Debug` form and erased when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret with these bytes; the caller draws them from a cryptographic source.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What the gateway keeps of it.
    #[must_use]
    pub fn stored(&self) -> StoredSecret {
        StoredSecret(sha256(&self.0))
    }

    /// That whoever sends this has the secret, on the connection with this exporter value.
    #[must_use]
    pub fn prove(&self, exporter: &[u8; 32]) -> Proof {
        Proof(xor(&self.0, &self.stored().mask(exporter)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// The hash of a secret: enough to judge a proof, not enough to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSecret([u8; 32]);

impl StoredSecret {
    /// A hash that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Which invitation it belongs to.
    #[must_use]
    pub fn invitation(self) -> InvitationId {
        InvitationId(sha256(&self.0).first_chunk().copied().unwrap_or_default())
    }

    /// Whether the proof was made with the secret, for the connection with this exporter value.
    #[must_use]
    pub fn accepts(self, proof: &Proof, exporter: &[u8; 32]) -> bool {
        let shown = Zeroizing::new(xor(&proof.0, &self.mask(exporter)));
        verify_slices_are_equal(&sha256(shown.as_slice()), &self.0).is_ok()
    }

    fn mask(self, exporter: &[u8; 32]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), exporter);
        first_32(tag.as_ref())
    }
}

/// The name of an invitation on the wire: 16 bytes that tell nothing of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InvitationId(pub [u8; 16]);

/// A proof for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof(pub [u8; 32]);

fn sha256(bytes: &[u8]) -> [u8; 32] {
    first_32(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Both SHA-256 and HMAC-SHA-256 give 32 bytes.
fn first_32(bytes: &[u8]) -> [u8; 32] {
    bytes.first_chunk().copied().unwrap_or_default()
}

fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = *left;
    both.iter_mut().zip(right).for_each(|(byte, other)| *byte ^= other);
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_bytes([7; 32])
    }

    fn token() -> Token {
        Token::new([0xab; 32], secret(), "gateway.plant.example:4434").unwrap()
    }

    #[test]
    fn a_token_is_read_back_and_hides_its_secret() {
        let text = token().to_text();
        assert_eq!(
            text.as_str(),
            "ghe1_q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6sHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHB2dhdGV3YXk\
             ucGxhbnQuZXhhbXBsZTo0NDM0jfHbGA"
        );
        assert_eq!(Token::parse(&format!(" {}\n", text.as_str())), Ok(token()));
        assert!(!format!("{:?}", token()).contains("7, 7"));
    }

    #[test]
    fn what_was_not_copied_whole_is_found() {
        let text = token().to_text();
        for cut in [1, 4, 20, text.len() - PREFIX.len()] {
            assert!(Token::parse(&text[..text.len() - cut]).is_err(), "{cut} characters less");
        }
        for place in [PREFIX.len(), 40, 90, text.len() - 2] {
            let other = |character| if character == 'A' { 'B' } else { 'A' };
            let changed: String = text
                .chars()
                .enumerate()
                .map(|(at, one)| if at == place { other(one) } else { one })
                .collect();
            assert_eq!(Token::parse(&changed), Err(NotAToken::Damaged), "{place}");
        }
        assert_eq!(Token::parse("AAAA"), Err(NotAToken::Prefix));
        assert_eq!(Token::parse(PREFIX), Err(NotAToken::Damaged));
        assert_eq!(Token::parse(&format!("{PREFIX}{}", "A".repeat(100_000))), Err(NotAToken::Damaged));
    }

    #[test]
    fn an_address_is_short_and_has_no_blanks() {
        for wrong in ["", "a b:1", "a\n:1", "ä:1", &"a".repeat(LONGEST_ADDRESS + 1)] {
            assert_eq!(Token::new([0; 32], secret(), wrong), Err(NotAToken::Address), "{wrong:?}");
        }
    }

    #[test]
    fn a_proof_is_good_for_its_secret_on_its_connection_alone() {
        let (stored, exporter) = (secret().stored(), [1; 32]);
        let proof = secret().prove(&exporter);
        assert!(stored.accepts(&proof, &exporter));
        assert!(!stored.accepts(&proof, &[2; 32]), "another connection");
        assert!(!Secret::from_bytes([8; 32]).stored().accepts(&proof, &exporter), "another secret");
        assert_ne!(proof.0, [7; 32]);
        let mut bent = proof;
        bent.0[31] ^= 1;
        assert!(!stored.accepts(&bent, &exporter));
    }

    /// Whoever reads the gateway's state has the stored hash, and may try it as if it were the secret.
    #[test]
    fn what_the_gateway_keeps_proves_nothing() {
        let (stored, exporter) = (secret().stored(), [1; 32]);
        let taken = Secret::from_bytes(stored.to_bytes());
        assert!(!stored.accepts(&taken.prove(&exporter), &exporter));
        assert!(!stored.accepts(&Proof(stored.mask(&exporter)), &exporter));
    }
}
