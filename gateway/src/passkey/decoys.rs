//! Credential ids that were never registered, for those who have none.
//!
//! Before a factor was given nobody may learn whether a key is known, or has a
//! passkey. An empty list would tell, and so would one that changes with every
//! question (WebAuthn level 3, 14.6.2). So a key that has none is given ids
//! which it alone gets, the same each time, as many and as long as real ones
//! are.

use crate::state::{CredentialId, KeyHash};
use aws_lc_rs::hmac;

/// How many ids a list has, drawn evenly: as persons' lists are, up to
/// [`crate::state::MOST_PASSKEYS`].
const COUNTS: [usize; 8] = [1, 1, 1, 1, 2, 2, 3, 4];

/// How long they are, in bytes, drawn evenly: as common authenticators make
/// them.
const LENGTHS: [usize; 8] = [16, 16, 20, 32, 32, 48, 64, 64];

/// Invents ids.
#[derive(Debug)]
pub struct Decoys(hmac::Key);

impl Decoys {
    /// From a key that is kept and shown to nobody.
    pub fn new(key: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The ids that the owner of this certificate's key gets to see.
    pub fn for_key(&self, key: &KeyHash) -> Vec<CredentialId> {
        let shape = self.bytes(key, b"shape", 0);
        let draw = |place: usize| shape.get(place).map_or(0, |byte| usize::from(byte & 7));
        let count = COUNTS.get(draw(0)).copied().unwrap_or(1);
        (1..=count)
            .map(|number| self.id(key, number, LENGTHS.get(draw(number)).copied().unwrap_or(16)))
            .collect()
    }

    fn id(&self, key: &KeyHash, number: usize, length: usize) -> CredentialId {
        let mut id = self.bytes(key, b"first half", number).to_vec();
        id.extend_from_slice(&self.bytes(key, b"second half", number));
        id.truncate(length);
        CredentialId(id)
    }

    fn bytes(&self, key: &KeyHash, what: &[u8], number: usize) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&key.0);
        context.update(&number.to_le_bytes());
        context.update(what);
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MOST_PASSKEYS;
    use std::collections::HashSet;

    #[test]
    fn invented_ids_stay_the_same_and_are_nobody_elses() {
        let decoys = Decoys::new([1; 32]);
        let mut seen = HashSet::new();
        for key in 0..=255 {
            let ids = decoys.for_key(&KeyHash([key; 32]));
            assert_eq!(ids, Decoys::new([1; 32]).for_key(&KeyHash([key; 32])), "after a restart");
            assert_ne!(ids, Decoys::new([2; 32]).for_key(&KeyHash([key; 32])), "at another gateway");
            assert!((1..=MOST_PASSKEYS).contains(&ids.len()));
            for id in ids {
                assert!(LENGTHS.contains(&id.0.len()));
                assert!(seen.insert(id.0), "an id twice");
            }
        }
    }

    #[test]
    fn every_count_and_length_that_a_person_can_have_is_invented_too() {
        let decoys = Decoys::new([1; 32]);
        let all = (0..=255).map(|key| decoys.for_key(&KeyHash([key; 32])));
        let counts: HashSet<usize> = all.clone().map(|ids| ids.len()).collect();
        let lengths: HashSet<usize> = all.flatten().map(|id| id.0.len()).collect();
        assert_eq!(counts, HashSet::from([1, 2, 3, MOST_PASSKEYS]));
        assert_eq!(lengths, HashSet::from(LENGTHS));
    }
}
