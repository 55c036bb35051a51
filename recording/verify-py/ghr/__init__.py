"""A verifier of Gatehouse recordings, written from `recording/FORMAT.md` alone.

`layout` reads the bytes (sections 1 to 3), `tree` and `notes` the signatures (4),
`sealing` and `age` the keys (5), `entries`, `events` and `cbor` the inside (6 to 8),
`chain` comes to the answer (9), `cli` prints it.
"""
