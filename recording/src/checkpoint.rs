//! Checkpoints: signed tree heads of a recording (C2SP tlog-checkpoint, as a
//! C2SP signed note with one Ed25519 signature).
//!
//! A checkpoint's text goes to the client and to witnesses as it stands. It
//! tells nothing but session id, size and time.

use crate::keys::{PublicKey, SigningKey};
use crate::tree::Hash;
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use signed_note::{Note, VerifierList};

/// Longest checkpoint, in bytes.
pub const MAX_NOTE: usize = 1024;

/// What every origin line of a recording begins with.
pub(crate) const ORIGIN_PREFIX: &str = "gatehouse/session/";

/// What a checkpoint says, after its signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Id of the session.
    pub session: [u8; 16],
    /// Leaves of the tree: the header and all frames before the checkpoint.
    pub leaves: u64,
    /// RFC 6962 tree hash over them.
    pub root: [u8; 32],
    /// Bytes of the file before the checkpoint's own frame.
    pub bytes: u64,
    /// When it was signed, by the gateway's wall clock, to the millisecond.
    pub time: Timestamp,
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is not a signed note with exactly one signature.
    #[error("not a signed note with one signature")]
    Note,
    /// Another key signed it.
    #[error("signed by {name}+{id:08x}, not by the expected key")]
    Key {
        /// Name of the key that the note names.
        name: String,
        /// Id of that key.
        id: u32,
    },
    /// The signature does not fit the text.
    #[error("the signature does not fit the text")]
    Signature,
    /// The signed text is not a checkpoint of a recording.
    #[error("the signed text is not a checkpoint of a recording")]
    Text,
    /// It could not be signed.
    #[error("the checkpoint could not be signed")]
    Sign,
}

/// The origin line of a session's checkpoints.
pub(crate) fn origin(session: &[u8; 16]) -> String {
    format!("{ORIGIN_PREFIX}{}", hex::encode(session))
}

impl Statement {
    /// The text that is signed.
    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\nbytes {}\ntime {:.3}\n",
            origin(&self.session),
            self.leaves,
            BASE64_STANDARD.encode(self.root),
            self.bytes,
            self.time,
        )
    }

    /// Signs the statement.
    pub(crate) fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        signed_note(&self.text(), key)
    }

    /// Checks a checkpoint's signature and form and gives what it says.
    ///
    /// The note must be byte for byte what a gateway writes: one signature, no
    /// other spelling of any number.
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
        let id = lines.next()?.strip_prefix(ORIGIN_PREFIX)?;
        let mut session = [0; 16];
        hex::decode_to_slice(id, &mut session).ok()?;
        let leaves = lines.next()?.parse().ok()?;
        let root: Hash = BASE64_STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let bytes = lines.next()?.strip_prefix("bytes ")?.parse().ok()?;
        let time = lines.next()?.strip_prefix("time ")?.parse().ok()?;
        let statement = Self { session, leaves, root, bytes, time };
        (statement.text() == text).then_some(statement)
    }
}

/// The text of a note that the key signed, if the note is byte for byte what a
/// gateway writes: `lines` lines in all, one signature.
pub(crate) fn verified_text(note: &[u8], lines: usize, key: &PublicKey) -> Result<Vec<u8>, CheckpointError> {
    if note.len() > MAX_NOTE {
        return Err(CheckpointError::Note);
    }
    let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::Note)?;
    if parsed.to_bytes() != note || note.iter().filter(|byte| **byte == b'\n').count() != lines {
        return Err(CheckpointError::Note);
    }
    let verifiers = VerifierList::new(vec![Box::new(key.clone())]);
    parsed.verify(&verifiers).map_err(|error| match error {
        signed_note::NoteError::UnverifiedNote => signer_of(note),
        signed_note::NoteError::InvalidSignature { .. } => CheckpointError::Signature,
        signed_note::NoteError::MalformedNote
        | signed_note::NoteError::InvalidSigner
        | signed_note::NoteError::MismatchedVerifier
        | signed_note::NoteError::VerificationError(_)
        | signed_note::NoteError::SignatureError(_) => CheckpointError::Note,
    })?;
    Ok(parsed.text().to_vec())
}

/// Signs a text and gives the note.
pub(crate) fn signed_note(text: &str, key: &SigningKey) -> Result<String, CheckpointError> {
    let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| CheckpointError::Sign)?;
    note.add_sigs(&[key]).map_err(|_| CheckpointError::Sign)?;
    String::from_utf8(note.to_bytes()).map_err(|_| CheckpointError::Sign)
}

/// Lines of a checkpoint: five of text, a blank one, one signature.
const LINES: usize = 7;

/// The key that a well-formed note names.
fn signer_of(note: &[u8]) -> CheckpointError {
    let line = note.strip_suffix(b"\n").and_then(|note| note.rsplit(|byte| *byte == b'\n').next());
    match line.map(signed_note::Signature::from_bytes) {
        Some(Ok(signature)) => CheckpointError::Key { name: signature.name().to_owned(), id: signature.id() },
        Some(Err(_)) | None => CheckpointError::Note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            session: [0xab; 16],
            leaves: 18,
            root: [7; 32],
            bytes: 4711,
            time: "2026-10-31T10:31:07.412Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_checkpoint_is_seven_lines_and_verifies() {
        let key = SigningKey::generate("plant").unwrap();
        let note = statement().sign(&key).unwrap();
        assert!(note.starts_with(
            "gatehouse/session/abababababababababababababababab\n18\n\
             BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\nbytes 4711\n\
             time 2026-10-31T10:31:07.412Z\n\n\u{2014} plant "
        ));
        assert_eq!(Statement::verify(note.as_bytes(), key.public()).unwrap(), statement());
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let key = SigningKey::generate("plant").unwrap();
        let note = statement().sign(&key).unwrap().into_bytes();
        for bit in 0..note.len() * 8 {
            let mut changed = note.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Statement::verify(&changed, key.public()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_key_is_named() {
        let (key, other) = (SigningKey::generate("plant").unwrap(), SigningKey::generate("other").unwrap());
        let note = statement().sign(&other).unwrap();
        let refused = Statement::verify(note.as_bytes(), key.public()).unwrap_err();
        let id = other.public().id();
        assert_eq!(refused, CheckpointError::Key { name: "other".to_owned(), id });
    }

    #[test]
    fn a_second_signature_or_other_text_is_refused() {
        let key = SigningKey::generate("plant").unwrap();
        let note = statement().sign(&key).unwrap();
        let line = note.lines().last().unwrap();
        let twice = format!("{note}{line}\n");
        assert_eq!(Statement::verify(twice.as_bytes(), key.public()), Err(CheckpointError::Note));
        for text in ["hello\n", "a\nb\nc\nd\ne\n", &statement().text().replace("bytes 4711", "bytes +4711")] {
            let mut note = Note::new(text.as_bytes(), &[]).unwrap();
            note.add_sigs(&[&key]).unwrap();
            assert!(Statement::verify(&note.to_bytes(), key.public()).is_err(), "{text}");
        }
    }
}
