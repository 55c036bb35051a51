"""Writes recordings by FORMAT.md, and wrong ones where a test asks for it.

Keys and bytes come from a seed, so what is made is the same each time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ghr import age, sealing
from ghr.layout import Kind, leaf_hash
from ghr.notes import PublicKey
from ghr.tree import Tree

TAPS = ("from_client", "to_device", "from_device", "to_client")


class Signer:
    """A signing key of a gateway."""

    def __init__(self, name: str = "plant-a", seed: int = 1) -> None:
        self.name = name.encode()
        self._key = Ed25519PrivateKey.from_private_bytes(random.Random(seed).randbytes(32))
        public = b"\x01" + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = hashlib.sha256(self.name + b"\n" + public).digest()[:4]
        self.line = self.name + b"+" + self.key_id.hex().encode() + b"+" + base64.b64encode(public)

    @property
    def public(self) -> PublicKey:
        return PublicKey.parse(self.line)

    def signature(self, text: bytes) -> bytes:
        """The signature line, newline included."""
        spelled = base64.b64encode(self.key_id + self._key.sign(text))
        return "— ".encode() + self.name + b" " + spelled + b"\n"

    def note(self, text: bytes) -> bytes:
        return text + b"\n" + self.signature(text)


@dataclass
class HeaderFields:
    """Section 2, each field as a test may want it."""

    magic: bytes = b"GATEHREC"
    version: int = 1
    mode: int = 0
    session: bytes = bytes(range(16))
    wall_start: int = 1_793_000_000_000_000_000
    monotonic_start: int = 5
    log_size: int = 0
    log_root: bytes = bytes(32)
    commitment: bytes | None = None
    recipients_hash: bytes | None = None
    key_id: bytes | None = None
    origin: bytes = b""
    key_name: bytes | None = None
    wrapped_key: bytes | None = None


def seal_age(content: bytes, recipients: list[bytes], rng: random.Random, *, extra: bytes = b"") -> bytes:
    """An age file for these X25519 public keys; `extra` stanzas stand first."""
    age_key = rng.randbytes(16)
    head = b"age-encryption.org/v1\n" + extra
    for recipient in recipients:
        ephemeral = X25519PrivateKey.from_private_bytes(rng.randbytes(32))
        share = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
        wrap_key = hkdf(secret, share + recipient, b"age-encryption.org/v1/X25519")
        body = ChaCha20Poly1305(wrap_key).encrypt(bytes(12), age_key, None)
        head += b"-> X25519 " + plain64(share) + b"\n" + plain64(body) + b"\n"
    head += b"---"
    mac = hmac.new(hkdf(age_key, b"", b"header"), head, hashlib.sha256).digest()
    nonce = rng.randbytes(16)
    key = hkdf(age_key, nonce, b"payload")
    sealed = ChaCha20Poly1305(key).encrypt(bytes(11) + b"\x01", content, None)
    return head + b" " + plain64(mac) + b"\n" + nonce + sealed


def plain64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, one block."""
    extracted = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def bytes_item(channel: int, tap: int, offset: int, data: bytes) -> bytes:
    return struct.pack("<BQIBQI", 1, 7, channel, tap, offset, len(data)) + data


def same_item(channel: int, tap: int, offset: int, count: int, other: int, there: int) -> bytes:
    return struct.pack("<BQIBQIBQ", 2, 7, channel, tap, offset, count, other, there)


def event_item(cbor: bytes) -> bytes:
    return struct.pack("<BQI", 3, 7, len(cbor)) + cbor


def part_item(cbor: bytes) -> bytes:
    return struct.pack("<BQI", 4, 7, len(cbor)) + cbor


def cbor(value: object) -> bytes:
    """RFC 8949, definite and shortest."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    raise TypeError(type(value))


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    for short, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | short]) + value.to_bytes(size, "big")
    raise OverflowError(value)


def totals(*counts: int) -> dict[str, int]:
    return dict(zip(TAPS, counts))


@dataclass
class Forge:
    """A recording in the making. `data` is the file so far."""

    signer: Signer = field(default_factory=Signer)
    fields: HeaderFields = field(default_factory=HeaderFields)
    seed: int = 7
    extra_stanzas: bytes = b""

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.identity = age.Identity(X25519PrivateKey.from_private_bytes(self._rng.randbytes(32)))
        self.file_key = self._rng.randbytes(32)
        extracted = sealing.extract(self.fields.session, self.file_key)
        self._secret = sealing.derive(extracted, b"first epoch")
        self.data = self._header(sealing.derive(extracted, b"commitment"))
        self.offsets: list[int] = []
        self.checkpoints: list[tuple[int, int]] = []
        self.header_hash = leaf_hash(self.data)
        self.previous = self.header_hash
        self.tree = Tree()
        self.tree.append(self.header_hash)

    def _header(self, commitment: bytes) -> bytes:
        f = self.fields
        listed = hashlib.sha256(self.identity.recipient.encode() + b"\n").digest()
        wrapped = f.wrapped_key
        if wrapped is None:
            wrapped = seal_age(self.file_key, [self.identity.public], self._rng, extra=self.extra_stanzas)
        name = self.signer.name if f.key_name is None else f.key_name
        return b"".join(
            (
                f.magic,
                struct.pack("<HB", f.version, f.mode),
                f.session,
                struct.pack("<qQQ", f.wall_start, f.monotonic_start, f.log_size),
                f.log_root,
                f.commitment or commitment,
                f.recipients_hash or listed,
                self.signer.key_id if f.key_id is None else f.key_id,
                struct.pack("<H", len(f.origin)) + f.origin,
                struct.pack("<H", len(name)) + name,
                struct.pack("<I", len(wrapped)) + wrapped,
            )
        )

    def frame(self, kind: int, body: bytes, **other: int) -> Forge:
        """A frame with this body; `other` sequence or epoch on demand."""
        sequence = other.get("sequence", len(self.offsets))
        epoch = other.get("epoch", len(self.checkpoints))
        raw = struct.pack("<IBIQ", 49 + len(body), kind, epoch, sequence) + self.previous + body
        self.offsets.append(len(self.data))
        if kind == Kind.CHECKPOINT:
            self.checkpoints.append((len(self.data), sequence))
            self._secret = sealing.derive(self._secret, b"next epoch")
        self.data += raw
        self.previous = leaf_hash(raw)
        self.tree.append(self.previous)
        return self

    def seal(self, kind: int, plaintext: bytes) -> Forge:
        """A sealed frame."""
        sequence, epoch = len(self.offsets), len(self.checkpoints)
        bound = struct.pack("<BIQ", kind, epoch, sequence)
        aes = AESGCM(sealing.derive(self._secret, b"frame key"))
        nonce = bytes(4) + struct.pack("<Q", sequence)
        return self.frame(kind, aes.encrypt(nonce, plaintext, self.header_hash + bound))

    def entries(self, *items: bytes) -> Forge:
        return self.seal(Kind.ENTRIES, b"".join(items))

    def text(self, **other: object) -> bytes:
        """The checkpoint's text for this place, with lines of another content on demand."""
        lines = (
            other.get("origin", f"gatehouse/session/{self.fields.session.hex()}"),
            other.get("leaves", self.tree.count),
            other.get("root", base64.b64encode(self.tree.root()).decode()),
            f"bytes {other.get('bytes', len(self.data))}",
            f"time {other.get('time', '2026-10-31T10:31:07.412Z')}",
        )
        return "".join(f"{line}\n" for line in lines).encode()

    def checkpoint(self, **other: object) -> Forge:
        return self.frame(Kind.CHECKPOINT, self.signer.note(self.text(**other)))

    def end(
        self, counts: tuple[int, ...] = (0, 0, 0, 0), *, step: int = 1, other: dict[str, object] | None = None
    ) -> Forge:
        """An end frame; its index lists every `step`-th checkpoint. `other` fields on demand."""
        value: dict[str, object] = {
            "at": 9,
            "reason": "the client left",
            "totals": totals(*counts),
            "marks": [(offset, sequence, 0) for offset, sequence in self.checkpoints[::step]],
        }
        return self.seal(Kind.END, cbor(value | (other or {})))

    def close(self, counts: tuple[int, ...] = (0, 0, 0, 0)) -> Forge:
        return self.end(counts).checkpoint()


def long_recording(rounds: int = 4, per_round: int = 3, seed: int = 7) -> Forge:
    """Closed, with several frames in each epoch."""
    forge = Forge(seed=seed).checkpoint()
    at = 0
    for _ in range(rounds):
        for _ in range(per_round):
            forge.entries(bytes_item(1, 0, at, b"0123456789"), same_item(1, 1, at, 10, 0, at))
            at += 10
        forge.checkpoint()
    return forge.close((at, at, 0, 0))
