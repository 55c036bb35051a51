//! The hashes of a site log: roots at any size, proofs, and C2SP tiles.
//!
//! The log's file is the truth; a tile is derived from it at any time. Proofs
//! and tiles are those of the `tlog_tiles` library.

use crate::tree::{Hash, Tree};
use tlog_tiles::tlog;

/// Height of a C2SP tile: 256 hashes each.
const TILE_HEIGHT: u8 = 8;

/// Longest proof, in hashes: twice the height of the largest tree.
const MAX_PROOF: usize = 128;

/// The tree of a site log with all its hashes: 64 bytes an entry.
#[derive(Debug, Clone, Default)]
pub struct History {
    size: u64,
    stored: Stored,
}

/// Hashes in the order in which they are completed, leaves among them.
#[derive(Debug, Clone, Default)]
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        let read = |index: &u64| usize::try_from(*index).ok().and_then(|index| self.0.get(index).copied());
        indexes
            .iter()
            .map(|index| read(index).ok_or_else(|| tlog::Error::InvalidInput("beyond the log".to_owned())))
            .collect()
    }
}

/// Why there is no proof, or why it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A size or number beyond the log, or a proof of more hashes than any.
    #[error("the proof is about more entries than there are")]
    Size,
    /// The hashes do not lead from one to the other.
    #[error("the proof does not hold")]
    Wrong,
}

/// Where a tile of hashes is found (C2SP tlog-tiles, "Merkle tree").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TilePath(String);

impl std::fmt::Display for TilePath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TilePath {
    /// The library's paths name the height of the tiles, those of C2SP don't.
    fn of(tile: &tlog_tiles::Tile) -> Option<Self> {
        let path = tile.path();
        let rest = path.strip_prefix("tile/")?.strip_prefix(&format!("{TILE_HEIGHT}/"))?;
        Some(Self(format!("tile/{rest}")))
    }
}

impl History {
    /// Count of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry by its leaf hash.
    pub(super) fn push(&mut self, leaf: Hash) {
        // What a new leaf needs was stored with the leaves before it, so this
        // can't fail; if it did, no root would fit any head.
        if let Ok(hashes) = tlog::stored_hashes_for_record_hash(self.size, tlog::Hash(leaf), &self.stored) {
            self.stored.0.extend(hashes);
        }
        self.size = self.size.saturating_add(1);
    }

    /// Forgets all entries from number `size` on.
    pub(super) fn truncate(&mut self, size: u64) {
        if size < self.size {
            self.stored.0.truncate(usize::try_from(tlog::stored_hash_count(size)).unwrap_or(usize::MAX));
            self.size = size;
        }
    }

    /// The tree in the form in which it can grow cheaply.
    pub(super) fn tree(&self) -> Tree {
        let levels = (0..64_u8).rev().filter(|level| self.size >> level & 1 == 1);
        let peak = |level: u8| {
            let index = tlog::stored_hash_index(level, (self.size >> level).saturating_sub(1));
            usize::try_from(index).ok().and_then(|index| self.stored.0.get(index)).map(|hash| hash.0)
        };
        Tree::of(self.size, levels.filter_map(peak).collect())
    }

    /// Tree hash of the first `size` entries; `None` beyond the log.
    pub fn root(&self, size: u64) -> Option<Hash> {
        if size > self.size {
            return None;
        }
        tlog::tree_hash(size, &self.stored).ok().map(|hash| hash.0)
    }

    /// Proves that the log at `old` is a beginning of the log at `new`
    /// (RFC 6962 section 2.1.2).
    ///
    /// # Errors
    /// [`ProofError::Size`] unless `1 <= old <= new <= size`.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        if old == 0 || old > new || new > self.size {
            return Err(ProofError::Size);
        }
        let proof = tlog::prove_tree(new, old, &self.stored).map_err(|_| ProofError::Size)?;
        Ok(proof.into_iter().map(|hash| hash.0).collect())
    }

    /// Proves that entry `number` is in the log at `size` (RFC 6962 section
    /// 2.1.1).
    ///
    /// # Errors
    /// [`ProofError::Size`] unless `number < size <= log`.
    pub fn prove_entry(&self, number: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
        if number >= size || size > self.size {
            return Err(ProofError::Size);
        }
        let proof = tlog::prove_record(size, number, &self.stored).map_err(|_| ProofError::Size)?;
        Ok(proof.into_iter().map(|hash| hash.0).collect())
    }

    /// Checks a proof of consistency; needs no log.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check_consistency(proof: &[Hash], old: (u64, Hash), new: (u64, Hash)) -> Result<(), ProofError> {
        if old.0 == 0 || old.0 > new.0 || proof.len() > MAX_PROOF {
            return Err(ProofError::Size);
        }
        let proof = proof.iter().map(|hash| tlog::Hash(*hash)).collect();
        tlog::check_tree(&proof, new.0, tlog::Hash(new.1), old.0, tlog::Hash(old.1))
            .map_err(|_| ProofError::Wrong)
    }

    /// Checks a proof that the entry with that leaf hash is in the log; needs
    /// no log.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check_entry(
        proof: &[Hash],
        (number, leaf): (u64, Hash),
        (size, root): (u64, Hash),
    ) -> Result<(), ProofError> {
        if number >= size || proof.len() > MAX_PROOF {
            return Err(ProofError::Size);
        }
        let proof = proof.iter().map(|hash| tlog::Hash(*hash)).collect();
        tlog::check_record(&proof, size, tlog::Hash(root), number, tlog::Hash(leaf))
            .map_err(|_| ProofError::Wrong)
    }

    /// The tiles of hashes that a publisher of the log at `new` has to write
    /// who published it at `old` before (C2SP tlog-tiles): path and content.
    ///
    /// # Errors
    /// [`ProofError::Size`] unless `old <= new <= size`.
    pub fn tiles(&self, old: u64, new: u64) -> Result<Vec<(TilePath, Vec<u8>)>, ProofError> {
        if old > new || new > self.size {
            return Err(ProofError::Size);
        }
        let tiles = tlog_tiles::Tile::new_tiles(TILE_HEIGHT, old, new);
        let tile = |tile: &tlog_tiles::Tile| {
            let path = TilePath::of(tile).ok_or(ProofError::Size)?;
            Ok((path, tile.read_data(&self.stored).map_err(|_| ProofError::Size)?))
        };
        tiles.iter().map(tile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Tree, leaf};

    fn grown(size: u64) -> (History, Vec<Hash>, Vec<Hash>) {
        let (mut history, mut tree, mut roots, mut leaves) =
            (History::default(), Tree::default(), vec![Tree::default().root()], Vec::new());
        for number in 0..size {
            let hash = leaf(&number.to_le_bytes());
            history.push(hash);
            tree.push(hash);
            roots.push(tree.root());
            leaves.push(hash);
        }
        (history, roots, leaves)
    }

    #[test]
    fn roots_are_those_of_the_growing_tree_at_every_size() {
        let (history, roots, _) = grown(300);
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(history.root(size as u64), Some(*root), "{size}");
            let mut grown = grown(size as u64).0.tree();
            assert_eq!(grown.root(), *root, "{size}");
            if size < 300 {
                grown.push(leaf(&(size as u64).to_le_bytes()));
                assert_eq!(grown.root(), roots[size + 1], "{size}");
            }
        }
        assert_eq!(history.root(301), None);
    }

    #[test]
    fn a_shortened_history_is_the_one_that_it_was() {
        let (whole, roots, leaves) = grown(70);
        for size in 0..=70_u64 {
            let mut history = whole.clone();
            history.truncate(size);
            assert_eq!(history.root(size), Some(roots[size as usize]), "{size}");
            assert_eq!(history.root(size + 1), None);
            for leaf in &leaves[size as usize..] {
                history.push(*leaf);
            }
            assert_eq!(history.root(70), Some(roots[70]), "{size}");
        }
    }

    #[test]
    fn consistency_holds_between_all_pairs_of_sizes_and_for_no_other_root() {
        let (history, roots, _) = grown(70);
        for new in 1..=70_u64 {
            for old in 1..=new {
                let proof = history.prove_consistency(old, new).unwrap();
                let at = |size: u64| (size, roots[size as usize]);
                assert_eq!(History::check_consistency(&proof, at(old), at(new)), Ok(()), "{old} {new}");
                let forged = (new, [7; 32]);
                assert!(History::check_consistency(&proof, at(old), forged).is_err());
                assert!(History::check_consistency(&proof, (old, [7; 32]), at(new)).is_err());
                for place in 0..proof.len() {
                    let mut changed = proof.clone();
                    changed[place][0] ^= 1;
                    assert!(History::check_consistency(&changed, at(old), at(new)).is_err());
                }
            }
        }
    }

    #[test]
    fn every_entry_is_proven_at_every_size_and_at_no_other_place() {
        let (history, roots, leaves) = grown(40);
        for size in 1..=40_u64 {
            for number in 0..size {
                let proof = history.prove_entry(number, size).unwrap();
                let head = (size, roots[size as usize]);
                let hash = leaves[number as usize];
                assert_eq!(History::check_entry(&proof, (number, hash), head), Ok(()));
                if size > 1 {
                    assert!(History::check_entry(&proof, ((number + 1) % size, hash), head).is_err());
                }
                assert!(History::check_entry(&proof, (number, [7; 32]), head).is_err());
            }
        }
    }

    #[test]
    fn hostile_sizes_and_proofs_are_refused() {
        let (history, roots, _) = grown(5);
        for (old, new) in [(0, 5), (4, 3), (1, 6), (u64::MAX, u64::MAX), (1, u64::MAX)] {
            assert_eq!(history.prove_consistency(old, new), Err(ProofError::Size));
        }
        for (number, size) in [(5, 5), (0, 6), (u64::MAX, u64::MAX), (0, 0)] {
            assert_eq!(history.prove_entry(number, size), Err(ProofError::Size));
        }
        assert_eq!(history.tiles(0, 6).err(), Some(ProofError::Size));
        let long = vec![[0; 32]; 1000];
        for size in [5, u64::MAX] {
            let new = (size, roots[5]);
            assert!(History::check_consistency(&long, (1, roots[1]), new).is_err());
            assert!(History::check_consistency(&long[..64], (1, roots[1]), new).is_err());
            assert!(History::check_entry(&long, (0, roots[1]), new).is_err());
            assert!(History::check_entry(&long[..64], (size - 1, roots[1]), new).is_err());
        }
    }

    #[test]
    fn tiles_are_named_and_filled_as_c2sp_says() {
        let (history, _, leaves) = grown(600);
        let tiles = history.tiles(0, 600).unwrap();
        let names: Vec<String> = tiles.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]);
        assert_eq!(tiles[0].1, leaves[..256].concat());
        assert_eq!(tiles[2].1, leaves[512..].concat());
        let mut first = Tree::default();
        leaves[..256].iter().for_each(|leaf| first.push(*leaf));
        assert_eq!(tiles[3].1[..32], first.root());
        let more: Vec<String> =
            history.tiles(512, 600).unwrap().iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(more, ["tile/0/002.p/88"]);
    }
}
