//! A receipt: the checkpoints that somebody outside the gateway keeps.
//!
//! Plain text of one or two signed notes, one behind the other: the newest of
//! a session's recording and the newest of the site log. A witness's file is
//! a receipt with the log's note alone.

use super::head::{LOG_ORIGIN_PREFIX, LogHead};
use crate::checkpoint::{MAX_NOTE, ORIGIN_PREFIX, Statement};

/// Longest receipt, in bytes.
pub const MAX_RECEIPT: usize = 2 * MAX_NOTE;

/// What a receipt holds; nothing of it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// A checkpoint of a session's recording.
    pub session: Option<String>,
    /// A head of the site log.
    pub log: Option<String>,
}

/// Why a text is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Longer than [`MAX_RECEIPT`], or no text.
    #[error("not a receipt: more than {MAX_RECEIPT} bytes, or no text")]
    Size,
    /// Something in it is no signed note of a gateway.
    #[error("not a receipt: it is made of something else than a gateway's signed notes")]
    Note,
}

impl Receipt {
    /// Takes a text apart.
    ///
    /// # Errors
    /// [`ReceiptError`] for anything but one note of each kind at most, and
    /// at least one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ReceiptError::Size)?;
        if text.len() > MAX_RECEIPT {
            return Err(ReceiptError::Size);
        }
        let (mut receipt, mut rest) = (Self::default(), text);
        while !rest.is_empty() {
            let (note, behind) = first_note(rest).ok_or(ReceiptError::Note)?;
            let place = if note.starts_with(ORIGIN_PREFIX) && Statement::unverified(note).is_some() {
                &mut receipt.session
            } else if note.starts_with(LOG_ORIGIN_PREFIX) && LogHead::unverified(note).is_some() {
                &mut receipt.log
            } else {
                return Err(ReceiptError::Note);
            };
            if place.replace(note.to_owned()).is_some() {
                return Err(ReceiptError::Note);
            }
            rest = behind;
        }
        if receipt == Self::default() { Err(ReceiptError::Note) } else { Ok(receipt) }
    }

    /// The receipt's text.
    pub fn to_text(&self) -> String {
        [&self.session, &self.log].into_iter().flatten().map(String::as_str).collect()
    }
}

/// The note that a text begins with, and what is behind it.
fn first_note(text: &str) -> Option<(&str, &str)> {
    let signature = text.find("\n\n")?.checked_add(2)?;
    let end = text.get(signature..)?.find('\n')?.checked_add(signature)?.checked_add(1)?;
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;
    use crate::log::LogId;

    fn notes() -> (String, String) {
        let key = SigningKey::generate("plant").unwrap();
        let time = "2026-10-31T10:31:07.412Z".parse().unwrap();
        let head = LogHead { log: LogId([1; 16]), size: 3, root: [2; 32], time };
        let statement = Statement { session: [3; 16], leaves: 4, root: [5; 32], bytes: 6, time };
        (statement.sign(&key).unwrap(), head.sign(&key).unwrap())
    }

    #[test]
    fn a_receipt_is_its_notes_one_behind_the_other() {
        let (session, log) = notes();
        let both = Receipt { session: Some(session.clone()), log: Some(log.clone()) };
        assert_eq!(both.to_text(), format!("{session}{log}"));
        for receipt in
            [both, Receipt { session: None, log: Some(log) }, Receipt { session: Some(session), log: None }]
        {
            assert_eq!(Receipt::parse(receipt.to_text().as_bytes()), Ok(receipt));
        }
    }

    #[test]
    fn anything_else_is_none() {
        let (session, log) = notes();
        for text in [
            String::new(),
            "hello\n".to_owned(),
            format!("{log}{log}"),
            format!("{session}{session}{log}"),
            format!("{log}more"),
            log.trim_end().to_owned(),
            log.replace("time", "tide"),
            "\n".repeat(4000),
        ] {
            assert!(Receipt::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(Receipt::parse(&[0xff]), Err(ReceiptError::Size));
    }
}
