//! Signed heads of the site log (C2SP tlog-checkpoint, as a C2SP signed note
//! with one Ed25519 signature).

use crate::checkpoint::{CheckpointError, signed_note, verified_text};
use crate::keys::{PublicKey, SigningKey};
use crate::ratchet::CryptoError;
use crate::tree::Hash;
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use std::fmt;

/// What every origin line of a site log begins with.
pub const LOG_ORIGIN_PREFIX: &str = "gatehouse/log/";

/// Lines of a head: four of text, a blank one, one signature.
const LINES: usize = 6;

/// A site log's random id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// The id of a new log.
    ///
    /// # Errors
    /// [`CryptoError`] where the system gives no randomness.
    pub fn random() -> Result<Self, CryptoError> {
        crate::writer::random_session().map(Self)
    }

    /// The origin line of the log's heads.
    pub fn origin(&self) -> String {
        format!("{LOG_ORIGIN_PREFIX}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin())
    }
}

/// What a head of the site log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Of which log.
    pub log: LogId,
    /// Count of its entries.
    pub size: u64,
    /// RFC 6962 tree hash over them.
    pub root: Hash,
    /// When it was signed, by the gateway's wall clock, to the millisecond.
    pub time: Timestamp,
}

impl LogHead {
    /// The text that is signed.
    fn text(&self) -> String {
        let root = BASE64_STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\ntime {:.3}\n", self.log.origin(), self.size, self.time)
    }

    /// Signs the head and gives the note. A gateway signs what [`LogWriter`]
    /// has written, nothing else.
    ///
    /// # Errors
    /// [`CheckpointError`] where the library refuses.
    ///
    /// [`LogWriter`]: super::LogWriter
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        signed_note(&self.text(), key)
    }

    /// Checks a head's signature and form and gives what it says. The note
    /// must be byte for byte what a gateway writes.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn verify(note: &[u8], key: &PublicKey) -> Result<Self, CheckpointError> {
        Self::parse(&verified_text(note, LINES, key)?).ok_or(CheckpointError::Text)
    }

    /// What a note says, its signature unseen: for listings, never for proof.
    pub fn unverified(note: &str) -> Option<Self> {
        let (text, _signature) = note.split_once("\n\n")?;
        Self::parse(format!("{text}\n").as_bytes())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines();
        let mut log = LogId([0; 16]);
        hex::decode_to_slice(lines.next()?.strip_prefix(LOG_ORIGIN_PREFIX)?, &mut log.0).ok()?;
        let size = lines.next()?.parse().ok()?;
        let root: Hash = BASE64_STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let time = lines.next()?.strip_prefix("time ")?.parse().ok()?;
        let head = Self { log, size, root, time };
        (head.text() == text).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> LogHead {
        LogHead {
            log: LogId([0xab; 16]),
            size: 18,
            root: [7; 32],
            time: "2026-10-31T10:31:07.412Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_head_is_six_lines_and_verifies() {
        let key = SigningKey::generate("plant").unwrap();
        let note = head().sign(&key).unwrap();
        assert!(note.starts_with(
            "gatehouse/log/abababababababababababababababab\n18\n\
             BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\
             time 2026-10-31T10:31:07.412Z\n\n\u{2014} plant "
        ));
        assert_eq!(LogHead::verify(note.as_bytes(), key.public()).unwrap(), head());
        assert_eq!(LogHead::unverified(&note), Some(head()));
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let key = SigningKey::generate("plant").unwrap();
        let note = head().sign(&key).unwrap().into_bytes();
        for bit in 0..note.len() * 8 {
            let mut changed = note.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(LogHead::verify(&changed, key.public()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_checkpoint_of_a_recording_is_no_head_of_the_log() {
        let key = SigningKey::generate("plant").unwrap();
        let statement = crate::Statement {
            session: [0xab; 16],
            leaves: 18,
            root: [7; 32],
            bytes: 4711,
            time: "2026-10-31T10:31:07.412Z".parse().unwrap(),
        };
        let note = statement.sign(&key).unwrap();
        assert!(LogHead::verify(note.as_bytes(), key.public()).is_err());
        let note = head().sign(&key).unwrap();
        assert!(crate::Statement::verify(note.as_bytes(), key.public()).is_err());
    }
}
