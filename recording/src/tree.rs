//! The hashes of a recording: RFC 6962 leaves and nodes over SHA-256.
//!
//! Leaf 0 is the header, leaf n+1 is frame n as it lies in the file, so a
//! checkpoint's root covers every byte before it, and an excerpt can later be
//! proven by an inclusion path. Only the peaks are kept: memory grows with
//! the logarithm of the frames.

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use bytes::BufMut as _;
use std::io::{self, Read};

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// SHA-256 over the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    taken(&context.finish())
}

/// SHA-256 over all that a source gives.
pub(crate) fn sha256_of(source: &mut impl Read) -> io::Result<Hash> {
    let (mut context, mut chunk) = (Context::new(&SHA256), vec![0; 64 * 1024]);
    loop {
        let read = source.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        context.update(chunk.get(..read).unwrap_or_default());
    }
    Ok(taken(&context.finish()))
}

fn taken(digest: &Digest) -> Hash {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

/// Leaf hash (RFC 6962 section 2.1).
pub(crate) fn leaf(bytes: &[u8]) -> Hash {
    sha256(&[&[0], bytes])
}

/// Hash of an inner node (RFC 6962 section 2.1).
fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    let (_, mut rest) = bytes.split_at_mut(1);
    rest.put_slice(left);
    rest.put_slice(right);
    taken(&digest(&SHA256, &bytes))
}

/// A Merkle tree that grows at its right end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    size: u64,
    /// Roots of the complete subtrees, the largest first.
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree of `size` leaves whose complete subtrees have these roots, the
    /// largest first: one for each bit of `size` that is set.
    pub(crate) fn of(size: u64, peaks: Vec<Hash>) -> Self {
        Self { size, peaks }
    }

    /// Count of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let complete = self.size.trailing_ones();
        for _ in 0..complete {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// Merkle tree hash of all leaves (RFC 6962 section 2.1).
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return sha256(&[]);
        };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, recursive and slow.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(split);
                node(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_rfc_6962_at_every_size() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for size in 0u32..130 {
            assert_eq!(tree.root(), by_definition(&leaves), "size {size}");
            assert_eq!(tree.size(), u64::from(size));
            let hash = leaf(&size.to_le_bytes());
            tree.push(hash);
            leaves.push(hash);
        }
    }

    #[test]
    fn a_leaf_is_not_a_node() {
        let (left, right) = (leaf(b"a"), leaf(b"b"));
        assert_ne!(leaf(&[left, right].concat()), node(&left, &right));
        // SHA-256 of one zero byte: the leaf hash of nothing.
        assert_eq!(
            hex::encode(leaf(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }
}
