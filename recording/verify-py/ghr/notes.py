"""Public keys and checkpoint notes (FORMAT.md, section 4).

A note has one spelling only: what is not exactly this form does not verify,
whatever a lenient reader could make of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Iterator

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .layout import MAX_NOTE, SCAN_STEP, Source, is_name

ORIGIN = b"gatehouse/session/"
ED25519 = b"\x01"
MAX_KEY_FILE = 1024

_NOTE = re.compile(
    rb"(?P<text>gatehouse/session/(?P<session>[0-9a-f]{32})\n"
    rb"(?P<leaves>[1-9][0-9]{0,19})\n"
    rb"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    rb"bytes (?P<bytes>0|[1-9][0-9]{0,19})\n"
    rb"time (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\n)"
    rb"\n"
    rb"\xe2\x80\x94 (?P<name>[\x21-\x2a\x2c-\x7e]{1,255}) (?P<signature>[A-Za-z0-9+/]{91}=)\n"
)


class BadKey(Exception):
    """The public key's file does not hold a public key."""


@dataclass(frozen=True)
class PublicKey:
    """The key that recordings are verified with."""

    name: bytes
    key_id: bytes
    ed25519: Ed25519PublicKey

    @classmethod
    def parse(cls, line: bytes) -> PublicKey:
        """Read `name+keyid+base64`, blanks and newlines around it aside. Raises BadKey."""
        parts = line.strip(b" \t\r\n").split(b"+", 2)
        if len(parts) != 3:
            raise BadKey("not of the form name+keyid+base64")
        name, spelled_id, spelled_key = parts
        if not name or not is_name(name):
            raise BadKey("the key's name is not 1 to 255 bytes of graphic ASCII")
        raw = from_base64(spelled_key)
        if raw is None or len(raw) != 33 or raw[:1] != ED25519:
            raise BadKey("not the base64 of 0x01 and an Ed25519 public key of 32 bytes")
        key_id = hashlib.sha256(name + b"\n" + raw).digest()[:4]
        if spelled_id != key_id.hex().encode():
            raise BadKey("the key id is not that of name and key")
        return cls(name, key_id, Ed25519PublicKey.from_public_bytes(raw[1:]))

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether this key signed the text."""
        try:
            self.ed25519.verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Note:
    """What a genuine checkpoint says."""

    session: bytes
    leaves: int
    root: bytes
    bytes: int
    time: str


def open_note(body: bytes, key: PublicKey) -> Note | str:
    """The checkpoint in this body, or in words why it does not verify with the key."""
    match = _NOTE.fullmatch(body)
    if match is None:
        return "not a checkpoint note in its one spelling"
    return _verify(match, key)


def find_note(source: Source, begin: int, key: PublicKey) -> int | None:
    """Offset of the first note from `begin` on that verifies with the key.

    Every place counts. A note has no second beginning inside, so each byte is
    read once and each signature checked once.
    """
    for offset in places_of(source, begin, ORIGIN):
        window = source.read(offset, min(MAX_NOTE, source.size - offset))
        match = _NOTE.match(window)
        if match is not None and isinstance(_verify(match, key), Note):
            return offset
    return None


def _verify(match: re.Match[bytes], key: PublicKey) -> Note | str:
    root = from_base64(match["root"])
    signature = from_base64(match["signature"])
    if root is None or signature is None:
        return "base64 with bits behind its end"
    if not is_time(match["time"]):
        return "a time that does not exist"
    if match["name"] != key.name or signature[:4] != key.key_id:
        return "signed by another key"
    if not key.signed(match["text"], signature[4:]):
        return "the signature is not of this text by this key"
    return Note(
        session=bytes.fromhex(match["session"].decode()),
        leaves=int(match["leaves"]),
        root=root,
        bytes=int(match["bytes"]),
        time=match["time"].decode(),
    )


def places_of(source: Source, begin: int, word: bytes) -> Iterator[int]:
    """Every offset from `begin` on where the word stands, in order."""
    overlap = len(word) - 1
    while begin < source.size:
        chunk = source.read(begin, min(SCAN_STEP + overlap, source.size - begin))
        at = chunk.find(word)
        while at >= 0:
            yield begin + at
            at = chunk.find(word, at + 1)
        begin += SCAN_STEP


def from_base64(spelled: bytes) -> bytes | None:
    """RFC 4648 section 4 with padding, and no second spelling of the same bytes."""
    try:
        raw = base64.b64decode(spelled, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw) == spelled else None


def is_time(spelled: bytes) -> bool:
    """Whether the calendar has it."""
    try:
        datetime.strptime(spelled.decode(), "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return False
    return True
