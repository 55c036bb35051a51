"""Opening the wrapped key: age files of native X25519 recipients.

As age-encryption.org/v1 has it (https://c2sp.org/age): a header of stanzas and a
MAC, then a nonce and the payload in sealed chunks. The content here is one key,
so one chunk is all that is read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION_LINE = b"age-encryption.org/v1"
X25519_INFO = b"age-encryption.org/v1/X25519"
MAX_RECIPIENTS = 16
FILE_KEY = 32
"""Bytes of a recording's file key, the content of the age file."""
MAX_IDENTITY_FILE = 1 << 16

_AGE_KEY = 16
_TAG = 16
_NONCE = 16
_BODY_COLUMNS = 64
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_ARGUMENT = re.compile(rb"[\x21-\x7e]+")


class BadAge(Exception):
    """Not an age file as a recording may have it, or its MAC or a seal is wrong."""


class NotForThisIdentity(Exception):
    """None of its stanzas is for any identity at hand."""


class BadIdentity(Exception):
    """Not an age identity."""


@dataclass(frozen=True)
class Identity:
    """A native X25519 identity. Its secret is never shown."""

    secret: X25519PrivateKey

    @classmethod
    def parse(cls, line: str) -> Identity:
        """Read `AGE-SECRET-KEY-1...`. Raises BadIdentity."""
        prefix, data = bech32_decode(line)
        if prefix != "age-secret-key-" or len(data) != 32:
            raise BadIdentity("not an age X25519 identity")
        return cls(X25519PrivateKey.from_private_bytes(data))

    @property
    def public(self) -> bytes:
        """The recipient's 32 bytes."""
        return self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def recipient(self) -> str:
        """The recipient's `age1...` text."""
        return bech32_encode("age", self.public)


@dataclass(frozen=True)
class Stanza:
    """One recipient's part of an age header."""

    kind: bytes
    arguments: tuple[bytes, ...]
    body: bytes


@dataclass(frozen=True)
class Opened:
    """The content, and the recipients' texts if every one of them is an identity at hand."""

    content: bytes
    recipients: tuple[str, ...] | None


def read_identities(text: str) -> list[Identity]:
    """The identities of a file: one a line, empty lines and `#` comments aside."""
    lines = (line.strip() for line in text.splitlines())
    found = [Identity.parse(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise BadIdentity("no identity in it")
    return found


def unwrap(data: bytes, identities: list[Identity]) -> Opened:
    """Open a wrapped key. Raises BadAge or NotForThisIdentity."""
    stanzas, signed, mac, payload = _split(data)
    native = [stanza for stanza in stanzas if stanza.kind == b"X25519"]
    if any(stanza.kind == b"scrypt" for stanza in stanzas):
        raise BadAge("it is wrapped with a passphrase")
    if not 1 <= len(native) <= MAX_RECIPIENTS:
        raise BadAge(f"{len(native)} native recipients, not 1 to {MAX_RECIPIENTS}")
    opened = [_open_with_any(stanza, identities) for stanza in native]
    found = [pair for pair in opened if pair is not None]
    if not found:
        raise NotForThisIdentity("no stanza of the wrapped key is for an identity given")
    age_key = found[0][0]
    expected = hmac.new(_hkdf(age_key, b"", b"header"), signed, hashlib.sha256).digest()
    if not hmac.compare_digest(expected, mac):
        raise BadAge("the MAC of its header is wrong")
    # Each once, in the order of the stanzas.
    known = dict.fromkeys(identity.recipient for _, identity in found)
    recipients = tuple(known) if len(known) == len(native) else None
    return Opened(_open_payload(age_key, payload), recipients)


def _split(data: bytes) -> tuple[list[Stanza], bytes, bytes, bytes]:
    """Stanzas, what the MAC covers, the MAC, and the payload."""
    at = 0

    def line() -> bytes:
        nonlocal at
        end = data.find(b"\n", at)
        if end < 0:
            raise BadAge("its header does not end")
        taken = data[at:end]
        at = end + 1
        return taken

    if line() != VERSION_LINE:
        raise BadAge("not an age-encryption.org/v1 file")
    stanzas: list[Stanza] = []
    while True:
        begin = at
        head = line()
        if head.startswith(b"---"):
            break
        words = head.split(b" ")
        if words[0] != b"->" or len(words) < 2 or not all(map(_ARGUMENT.fullmatch, words[1:])):
            raise BadAge("a line of its header is neither a stanza nor the end")
        body = b""
        while True:
            encoded = line()
            if len(encoded) > _BODY_COLUMNS:
                raise BadAge("a line of a stanza is too long")
            body += _base64(encoded)
            if len(encoded) < _BODY_COLUMNS:
                break
        stanzas.append(Stanza(words[1], tuple(words[2:]), body))
    if not head.startswith(b"--- "):
        raise BadAge("the last line of its header has no MAC")
    mac = _base64(head[4:])
    if not stanzas or len(mac) != 32:
        raise BadAge("no stanza, or a MAC of another length")
    return stanzas, data[: begin + 3], mac, data[at:]


def _open_with_any(stanza: Stanza, identities: list[Identity]) -> tuple[bytes, Identity] | None:
    """The age file key in this stanza, with the identity it is for."""
    if len(stanza.arguments) != 1 or len(stanza.body) != _AGE_KEY + _TAG:
        raise BadAge("a malformed X25519 stanza")
    share = _base64(stanza.arguments[0])
    if len(share) != 32:
        raise BadAge("a malformed X25519 stanza")
    for identity in identities:
        try:
            secret = identity.secret.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:
            raise BadAge("an X25519 share of low order") from None
        wrap_key = _hkdf(secret, share + identity.public, X25519_INFO)
        try:
            return ChaCha20Poly1305(wrap_key).decrypt(bytes(12), stanza.body, None), identity
        except InvalidTag:
            continue
    return None


def _open_payload(age_key: bytes, payload: bytes) -> bytes:
    if len(payload) != _NONCE + FILE_KEY + _TAG:
        raise BadAge(f"its content is not {FILE_KEY} bytes")
    key = _hkdf(age_key, payload[:_NONCE], b"payload")
    first_and_last = bytes(11) + b"\x01"
    try:
        return ChaCha20Poly1305(key).decrypt(first_and_last, payload[_NONCE:], None)
    except InvalidTag:
        raise BadAge("the seal of its content is broken") from None


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def _base64(encoded: bytes) -> bytes:
    """Without padding, and no second spelling of the same bytes."""
    try:
        raw = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadAge("base64 of another form") from None
    if base64.b64encode(raw).rstrip(b"=") != encoded:
        raise BadAge("base64 of another form")
    return raw


def bech32_encode(prefix: str, data: bytes) -> str:
    """BIP 173, without its limit of length."""
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod(_expand(prefix) + values + [0] * 6) ^ 1
    values += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(_BECH32[value] for value in values)


def bech32_decode(text: str) -> tuple[str, bytes]:
    """BIP 173, without its limit of length. Raises BadIdentity."""
    if text not in (text.lower(), text.upper()):
        raise BadIdentity("both cases of letters in it")
    prefix, one, rest = text.lower().rpartition("1")
    if not prefix or not one or len(rest) < 6 or any(letter not in _BECH32 for letter in rest):
        raise BadIdentity("not Bech32")
    values = [_BECH32.index(letter) for letter in rest]
    if _polymod(_expand(prefix) + values) != 1:
        raise BadIdentity("the checksum is wrong")
    return prefix, bytes(_regroup(values[:-6], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(generators):
            if top >> place & 1:
                check ^= generator
    return check


def _regroup(values: bytes | list[int], width: int, into: int, *, pad: bool) -> list[int]:
    gathered = bits = 0
    out: list[int] = []
    for value in values:
        gathered = gathered << width | value
        bits += width
        while bits >= into:
            bits -= into
            out.append(gathered >> bits & (1 << into) - 1)
        gathered &= (1 << bits) - 1
    if pad and bits:
        out.append(gathered << (into - bits) & (1 << into) - 1)
    elif not pad and (bits >= width or gathered):
        raise BadIdentity("bits left over")
    return out
