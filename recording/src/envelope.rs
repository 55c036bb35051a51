//! Bytes in an age file to native recipients: what a backup is wrapped in.
//!
//! age does not say who encrypted: whoever opens one has to know by its
//! content whether it is genuine.

use crate::recipient::{Identity, MAX_RECIPIENTS, Recipient, RecipientError, native_stanzas};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Why an envelope could not be closed or opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// There is nobody to encrypt to, there are too many, or this identity is
    /// none of them.
    #[error(transparent)]
    Recipient(#[from] RecipientError),
    /// It is no age file, or damaged, or cut.
    #[error("it is no age file, or a damaged one")]
    Damaged,
    /// It holds more than the caller takes.
    #[error("it holds more than {most} bytes")]
    TooLong {
        /// What the caller takes.
        most: u64,
    },
}

/// Encrypts to recipients, for each of them alone to open.
///
/// # Errors
/// [`EnvelopeError::Recipient`] for none or more than [`MAX_RECIPIENTS`].
pub fn encrypt(content: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>, EnvelopeError> {
    if recipients.is_empty() {
        return Err(RecipientError::Nobody.into());
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(RecipientError::TooMany.into());
    }
    let all = recipients.iter().map(Recipient::native);
    let encryptor = age::Encryptor::with_recipients(all).map_err(|_| EnvelopeError::Damaged)?;
    let mut envelope = Vec::with_capacity(content.len().saturating_add(4096));
    let mut writer = encryptor.wrap_output(&mut envelope).map_err(|_| EnvelopeError::Damaged)?;
    writer.write_all(content).map_err(|_| EnvelopeError::Damaged)?;
    writer.finish().map_err(|_| EnvelopeError::Damaged)?;
    Ok(envelope)
}

/// Opens an envelope of at most `most` bytes of content.
///
/// # Errors
/// [`EnvelopeError`]; nothing of a damaged one is given away.
pub fn decrypt(envelope: &[u8], identity: &Identity, most: u64) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let decryptor = age::Decryptor::new(envelope).map_err(|_| EnvelopeError::Damaged)?;
    // A passphrase of somebody's choice could cost as much work as they like.
    if decryptor.is_scrypt() || native_stanzas(envelope) == 0 {
        return Err(EnvelopeError::Damaged);
    }
    let reader = decryptor.decrypt(identity.natives()).map_err(|error| {
        if matches!(error, age::DecryptError::NoMatchingKeys) {
            EnvelopeError::Recipient(RecipientError::NoMatch)
        } else {
            EnvelopeError::Damaged
        }
    })?;
    // Room at once, so that no half-filled copy is left behind by growing.
    let room = u64::try_from(envelope.len()).unwrap_or(u64::MAX).min(most).saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    reader.take(most.saturating_add(1)).read_to_end(&mut content).map_err(|_| EnvelopeError::Damaged)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(EnvelopeError::TooLong { most });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_opens_it_and_nobody_else() {
        let (one, two, other) = (Identity::generate(), Identity::generate(), Identity::generate());
        let to: Vec<Recipient> = [&one, &two].into_iter().flat_map(Identity::recipients).collect();
        let envelope = encrypt(b"the plant's state", &to).unwrap();
        assert!(!envelope.windows(5).any(|window| window == b"plant"));
        for identity in [&one, &two] {
            assert_eq!(decrypt(&envelope, identity, 100).unwrap().as_slice(), b"the plant's state");
        }
        let refused = decrypt(&envelope, &other, 100).unwrap_err().to_string();
        assert!(refused.contains("not encrypted to this identity"), "{refused}");
        assert!(matches!(decrypt(&envelope, &one, 16), Err(EnvelopeError::TooLong { most: 16 })));
        assert_eq!(decrypt(&envelope, &one, 17).unwrap().len(), 17);
        assert!(encrypt(b"x", &[]).is_err());
        let many = vec![to[0].clone(); MAX_RECIPIENTS + 1];
        assert!(encrypt(b"x", &many).is_err());
    }

    #[test]
    fn a_damaged_or_cut_envelope_gives_nothing() {
        let identity = Identity::generate();
        let envelope = encrypt(b"the plant's state", &identity.recipients()).unwrap();
        for length in 0..envelope.len() {
            assert!(decrypt(&envelope[..length], &identity, 100).is_err(), "{length} bytes");
        }
        for at in (0..envelope.len()).step_by(7).chain([envelope.len() - 1]) {
            let mut changed = envelope.clone();
            changed[at] ^= 1;
            assert!(decrypt(&changed, &identity, 100).is_err(), "byte {at}");
        }
        let longer = [envelope.as_slice(), b"x"].concat();
        assert!(decrypt(&longer, &identity, 100).is_err());
    }
}
