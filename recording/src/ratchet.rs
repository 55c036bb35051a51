//! The keys of a recording and how they move on.
//!
//! Order of events: a random file key is made, committed to and wrapped for
//! the auditors; the first epoch's secret is derived from it and the file key
//! is erased. Each epoch's secret gives that epoch's frame key and the next
//! secret, and is erased at once. So a gateway that is taken over can read
//! neither its finished epochs nor, with one key, two recordings.
//!
//! Nonces are the frames' sequence numbers, which never repeat in a file.

use crate::recipient::RecipientError;
use crate::tree::Hash;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use bytes::BufMut as _;
use std::hint::black_box;
use zeroize::Zeroizing;

/// Bytes of an AES-GCM tag.
pub(crate) const TAG: usize = 16;

const COMMITMENT: &[u8] = b"gatehouse recording 1: commitment";
const FIRST_EPOCH: &[u8] = b"gatehouse recording 1: first epoch";
const NEXT_EPOCH: &[u8] = b"gatehouse recording 1: next epoch";
const FRAME_KEY: &[u8] = b"gatehouse recording 1: frame key";

/// A step of the keys that the cryptographic library refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused an operation")]
pub struct CryptoError;

/// The key that everything in one recording derives from.
pub(crate) struct FileKey(Secret);

impl FileKey {
    pub(crate) fn random() -> Result<Self, CryptoError> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| CryptoError)?;
        Ok(Self(key))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, RecipientError> {
        let key = <[u8; 32]>::try_from(bytes).map_err(|_| RecipientError::KeyBlock)?;
        Ok(Self(Box::new(Zeroizing::new(key))))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// What the header holds so that only this key opens the recording.
    pub(crate) fn commitment(&self, session: &[u8; 16]) -> Result<Hash, CryptoError> {
        let prk = Salt::new(HKDF_SHA256, session).extract(self.as_bytes());
        expand(&prk, COMMITMENT).map(|commitment| **commitment)
    }
}

/// The keys of the present epoch. Secrets lie on the heap, where a move of
/// the ratchet leaves no copy behind.
pub(crate) struct Ratchet {
    epoch: u32,
    key: LessSafeKey,
    next: Secret,
}

type Secret = Box<Zeroizing<[u8; 32]>>;

/// What a frame authenticates beside its content.
pub(crate) struct Binding<'a> {
    pub(crate) header: &'a Hash,
    pub(crate) kind: u8,
    pub(crate) epoch: u32,
    pub(crate) sequence: u64,
}

impl Ratchet {
    /// The keys of epoch 0.
    pub(crate) fn new(key: &FileKey, session: &[u8; 16]) -> Result<Self, CryptoError> {
        let prk = Salt::new(HKDF_SHA256, session).extract(key.as_bytes());
        let ratchet = Self::of_secret(0, &expand(&prk, FIRST_EPOCH)?);
        wipe_stack();
        ratchet
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Moves on to the next epoch; the present keys are gone afterwards.
    pub(crate) fn advance(&mut self) -> Result<(), CryptoError> {
        let epoch = self.epoch.checked_add(1).ok_or(CryptoError)?;
        *self = Self::of_secret(epoch, &self.next)?;
        wipe_stack();
        Ok(())
    }

    fn of_secret(epoch: u32, secret: &Secret) -> Result<Self, CryptoError> {
        let prk = Prk::new_less_safe(HKDF_SHA256, secret.as_slice());
        let key = UnboundKey::new(&AES_256_GCM, expand(&prk, FRAME_KEY)?.as_slice());
        Ok(Self {
            epoch,
            key: LessSafeKey::new(key.map_err(|_| CryptoError)?),
            next: expand(&prk, NEXT_EPOCH)?,
        })
    }

    /// Encrypts `content` in place and returns its tag.
    pub(crate) fn seal(&self, binding: &Binding<'_>, content: &mut [u8]) -> Result<[u8; TAG], CryptoError> {
        let tag = self
            .key
            .seal_in_place_separate_tag(binding.nonce(), Aad::from(binding.data()), content)
            .map_err(|_| CryptoError)?;
        <[u8; TAG]>::try_from(tag.as_ref()).map_err(|_| CryptoError)
    }

    /// Decrypts `sealed`, content and tag, in place and returns the content.
    pub(crate) fn open<'a>(
        &self,
        binding: &Binding<'_>,
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], CryptoError> {
        self.key.open_in_place(binding.nonce(), Aad::from(binding.data()), sealed).map_err(|_| CryptoError)
    }
}

impl Binding<'_> {
    fn nonce(&self) -> Nonce {
        let [a, b, c, d, e, f, g, h] = self.sequence.to_le_bytes();
        Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
    }

    fn data(&self) -> [u8; 45] {
        let mut data = [0; 45];
        let mut rest = data.as_mut_slice();
        rest.put_slice(self.header);
        rest.put_u8(self.kind);
        rest.put_u32_le(self.epoch);
        rest.put_u64_le(self.sequence);
        data
    }
}

/// Length of what [`expand`] gives.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// Overwrites what derivations left on the stack below: the library's own
/// keys are wiped when they are dropped, copies from moving them are not.
#[inline(never)]
fn wipe_stack() {
    black_box(&mut [0_u8; 8 * 1024]);
}

fn expand(prk: &Prk, info: &[u8]) -> Result<Secret, CryptoError> {
    let mut out = Box::new(Zeroizing::new([0; 32]));
    let info = [info];
    let okm = prk.expand(&info, Bytes32).map_err(|_| CryptoError)?;
    okm.fill(out.as_mut_slice()).map_err(|_| CryptoError)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(header: &Hash, sequence: u64) -> Binding<'_> {
        Binding { header, kind: 1, epoch: 0, sequence }
    }

    #[test]
    fn each_bound_field_is_authenticated() {
        let key = FileKey::random().unwrap();
        let ratchet = Ratchet::new(&key, &[7; 16]).unwrap();
        let header = [1; 32];
        let mut sealed = b"setpoint".to_vec();
        let tag = ratchet.seal(&binding(&header, 5), &mut sealed).unwrap();
        sealed.extend_from_slice(&tag);
        assert_eq!(ratchet.open(&binding(&header, 5), &mut sealed.clone()).unwrap(), b"setpoint");
        for other in [
            Binding { header: &[2; 32], ..binding(&header, 5) },
            Binding { kind: 3, ..binding(&header, 5) },
            Binding { epoch: 1, ..binding(&header, 5) },
            Binding { sequence: 6, ..binding(&header, 5) },
        ] {
            assert!(ratchet.open(&other, &mut sealed.clone()).is_err());
        }
    }

    #[test]
    fn an_epoch_can_not_open_another() {
        let key = FileKey::random().unwrap();
        let header = [1; 32];
        let mut ratchet = Ratchet::new(&key, &[7; 16]).unwrap();
        let mut sealed = b"x".to_vec();
        let tag = ratchet.seal(&binding(&header, 0), &mut sealed).unwrap();
        sealed.extend_from_slice(&tag);
        ratchet.advance().unwrap();
        assert_eq!(ratchet.epoch(), 1);
        assert!(ratchet.open(&binding(&header, 0), &mut sealed).is_err());
    }

    #[test]
    fn the_commitment_depends_on_key_and_session() {
        let key = FileKey::from_slice(&[3; 32]).unwrap();
        let other = FileKey::from_slice(&[4; 32]).unwrap();
        let commitment = key.commitment(&[7; 16]).unwrap();
        assert_ne!(commitment, other.commitment(&[7; 16]).unwrap());
        assert_ne!(commitment, key.commitment(&[8; 16]).unwrap());
        assert!(FileKey::from_slice(&[3; 31]).is_err());
    }
}
