"""From the file key to the plaintext of a frame (FORMAT.md, section 5)."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .layout import Frame, Header

LABEL = b"gatehouse recording 1: "


class BadSeal(Exception):
    """A frame does not open, or the file key is not the one of this header."""


def derive(secret: bytes, word: bytes) -> bytes:
    """The key or secret that the word names."""
    return _hmac(secret, LABEL + word + b"\x01")


def extract(session: bytes, file_key: bytes) -> bytes:
    """What commitment and first epoch are derived from."""
    return _hmac(session, file_key)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def aes_gcm_nonce(sequence: int) -> bytes:
    """The nonce of a frame."""
    return bytes(4) + sequence.to_bytes(8, "little")


class Opener:
    """Opens the frames of one recording, epoch by epoch forwards."""

    def __init__(self, header: Header, file_key: bytes) -> None:
        """Raises BadSeal if the header commits to another file key."""
        extracted = extract(header.session, file_key)
        if not hmac.compare_digest(derive(extracted, b"commitment"), header.commitment):
            raise BadSeal("the header commits to another file key")
        self._header_hash = header.hash
        self._epoch = 0
        self._secret = derive(extracted, b"first epoch")
        self._set_key()

    def _set_key(self) -> None:
        self._aes = AESGCM(derive(self._secret, b"frame key"))

    def open(self, frame: Frame) -> bytes:
        """The plaintext of a sealed frame that passed rule 2; frames come in order.

        Its epoch was compared with a count of frames before, so the steps here
        are never more than the frames seen.
        """
        while self._epoch < frame.epoch:
            self._secret = derive(self._secret, b"next epoch")
            self._epoch += 1
            self._set_key()
        additional = self._header_hash + frame.raw[4:17]
        try:
            return self._aes.decrypt(aes_gcm_nonce(frame.sequence), frame.body, additional)
        except InvalidTag:
            raise BadSeal("the seal is broken") from None
