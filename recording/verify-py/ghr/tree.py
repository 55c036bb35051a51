"""The Merkle tree of RFC 6962 section 2.1, grown leaf by leaf (FORMAT.md, section 4).

Only the roots of the full subtrees are kept, one per bit of the count of leaves,
so a recording of any length needs at most 64 hashes.
"""

from __future__ import annotations

import hashlib


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """All leaves so far."""

    def __init__(self) -> None:
        self.count = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash behind the others."""
        carry = leaf
        full = self.count
        while full & 1:
            carry = node_hash(self._peaks.pop(), carry)
            full >>= 1
        self._peaks.append(carry)
        self.count += 1

    def root(self) -> bytes:
        """The tree hash of the leaves so far; there must be one.

        The largest power of two below the count is the first peak, so the hash
        folds from the smallest peak to the largest.
        """
        hash_so_far = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            hash_so_far = node_hash(peak, hash_so_far)
        return hash_so_far
