//! A second, independent reading of `FORMAT.md`: only hashes, HMAC, AES-GCM
//! and age, nothing of the crate. The tampering tests use it as the attacker's
//! tool, the vector as its check.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use std::io::Read;
use std::ops::Range;

/// Offset of the first variable field of the header.
const FIXED: usize = 151;

pub(crate) fn leaf(bytes: &[u8]) -> Vec<u8> {
    let input = [&[0], bytes].concat();
    digest::digest(&digest::SHA256, &input).as_ref().to_vec()
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Where the wrapped key lies.
pub(crate) fn key_block(file: &[u8]) -> Range<usize> {
    let origin = number(&file[FIXED..FIXED + 2]);
    let name = FIXED + 2 + origin;
    let block = name + 2 + number(&file[name..name + 2]);
    let start = block + 4;
    start..start + number(&file[block..start])
}

/// The file with another wrapped key.
pub(crate) fn with_key_block(file: &[u8], block: &[u8]) -> Vec<u8> {
    let old = key_block(file);
    let length = u32::try_from(block.len()).unwrap().to_le_bytes();
    [&file[..old.start - 4], &length, block, &file[old.end..]].concat()
}

/// Where each frame lies, the end of the file last.
pub(crate) fn frames(file: &[u8]) -> Vec<Range<usize>> {
    let mut at = key_block(file).end;
    let mut frames = Vec::new();
    while at + 49 <= file.len() && number(&file[at..at + 4]) != 0 {
        let end = at + number(&file[at..at + 4]);
        frames.push(at..end);
        at = end;
    }
    frames
}

pub(crate) fn kind(frame: &[u8]) -> u8 {
    frame[4]
}

fn hkdf_expand(secret: &[u8], info: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, &[info.as_bytes(), &[1]].concat()).as_ref().to_vec()
}

/// What someone with an identity derives.
pub(crate) struct Keys {
    pub(crate) commitment: Vec<u8>,
    pub(crate) file_key: Vec<u8>,
    secret: Vec<u8>,
    header_hash: Vec<u8>,
}

impl Keys {
    pub(crate) fn unwrap(file: &[u8], identity: &str) -> Self {
        let block = key_block(file);
        let identity: age::x25519::Identity = identity.parse().unwrap();
        let decryptor = age::Decryptor::new(&file[block.clone()]).unwrap();
        let mut key = Vec::new();
        let identities = std::iter::once(&identity as &dyn age::Identity);
        decryptor.decrypt(identities).unwrap().read_to_end(&mut key).unwrap();
        assert_eq!(key.len(), 32);
        let session = hmac::Key::new(hmac::HMAC_SHA256, &file[11..27]);
        let extracted = hmac::sign(&session, &key);
        Self {
            commitment: hkdf_expand(extracted.as_ref(), "gatehouse recording 1: commitment"),
            secret: hkdf_expand(extracted.as_ref(), "gatehouse recording 1: first epoch"),
            header_hash: leaf(&file[..block.end]),
            file_key: key,
        }
    }

    /// The secret from which an epoch's frame key and the next secret come.
    pub(crate) fn secret(&self, epoch: usize) -> Vec<u8> {
        let next = |secret: Vec<u8>, _| hkdf_expand(&secret, "gatehouse recording 1: next epoch");
        (0..epoch).fold(self.secret.clone(), next)
    }

    pub(crate) fn frame_key(&self, epoch: usize) -> Vec<u8> {
        hkdf_expand(&self.secret(epoch), "gatehouse recording 1: frame key")
    }

    fn sealing_key(&self, epoch: usize) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.frame_key(epoch)).unwrap())
    }

    fn bound(&self, frame: &[u8]) -> (Nonce, Aad<Vec<u8>>) {
        let nonce = [&[0; 4], &frame[9..17]].concat().try_into().unwrap();
        let data = [&self.header_hash, &frame[4..17]].concat();
        (Nonce::assume_unique_for_key(nonce), Aad::from(data))
    }

    pub(crate) fn open(&self, frame: &[u8]) -> Option<Vec<u8>> {
        self.open_by(frame, number(&frame[5..9]))
    }

    /// What a frame holds, if the key of `epoch` opens it.
    pub(crate) fn open_by(&self, frame: &[u8], epoch: usize) -> Option<Vec<u8>> {
        let key = self.sealing_key(epoch);
        let (nonce, aad) = self.bound(frame);
        let mut body = frame[49..].to_vec();
        key.open_in_place(nonce, aad, &mut body).ok().map(|plaintext| plaintext.to_vec())
    }

    /// Puts other content into a frame, sealed by the key of `epoch`.
    pub(crate) fn reseal(&self, frame: &mut [u8], epoch: usize) {
        let mut content = vec![0; frame.len() - 49 - 16];
        let (nonce, aad) = self.bound(frame);
        let tag = self.sealing_key(epoch).seal_in_place_separate_tag(nonce, aad, &mut content).unwrap();
        frame[49..].copy_from_slice(&[&content, tag.as_ref()].concat());
    }
}

/// Makes the chain fit again after a frame was changed.
pub(crate) fn rechain(file: &mut [u8]) {
    let mut previous = leaf(&file[..key_block(file).end]);
    for frame in frames(file) {
        file[frame.start + 17..frame.start + 49].copy_from_slice(&previous);
        previous = leaf(&file[frame]);
    }
}

/// Merkle tree hash by the definition of RFC 6962.
pub(crate) fn root(leaves: &[Vec<u8>]) -> Vec<u8> {
    match leaves {
        [] => digest::digest(&digest::SHA256, b"").as_ref().to_vec(),
        [one] => one.clone(),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            let input = [&[1][..], &root(left), &root(right)].concat();
            digest::digest(&digest::SHA256, &input).as_ref().to_vec()
        }
    }
}

/// Signs every checkpoint anew over what is before it now.
pub(crate) fn resign(file: &[u8], key: &recording::SigningKey) -> Vec<u8> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let mut out = file[..key_block(file).end].to_vec();
    let mut leaves = vec![leaf(&out)];
    for frame in frames(file) {
        let mut new = file[frame].to_vec();
        new[17..49].copy_from_slice(leaves.last().unwrap());
        if kind(&new) == 2 {
            let note = String::from_utf8(new[49..].to_vec()).unwrap();
            let lines: Vec<&str> = note.lines().collect();
            let root = BASE64_STANDARD.encode(root(&leaves));
            let text = format!("{}\n{}\n{root}\nbytes {}\n{}\n", lines[0], leaves.len(), out.len(), lines[4]);
            let mut note = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
            note.add_sigs(&[key]).unwrap();
            new.truncate(49);
            new.extend_from_slice(&note.to_bytes());
            let length = u32::try_from(new.len()).unwrap();
            new[..4].copy_from_slice(&length.to_le_bytes());
        }
        leaves.push(leaf(&new));
        out.extend_from_slice(&new);
    }
    out
}
