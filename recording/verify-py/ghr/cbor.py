"""CBOR (RFC 8949), as much of it as section 7 uses, in its one spelling.

A schema calls for one item after the other, so nothing is nested by the input
and nothing is built from a count the input claims.
"""

from __future__ import annotations

MAX_TEXT = 1024

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP = range(6)
_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6


class BadCbor(Exception):
    """Not the CBOR that belongs here."""


class Reader:
    """Takes items off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def uint(self) -> int:
        """An unsigned integer of at most 64 bits."""
        return self._head(UINT, "an unsigned integer")

    def uint_of(self, bits: int) -> int:
        """An unsigned integer of at most so many bits."""
        value = self.uint()
        if value >> bits:
            raise BadCbor(f"{value} has more than {bits} bits")
        return value

    def integer(self) -> int:
        """A signed integer of 64 bits."""
        negative = self._peek() >> 5 == NEGATIVE
        value = self._head(NEGATIVE if negative else UINT, "an integer")
        if value >> 63:
            raise BadCbor("an integer of more than 64 bits")
        return -1 - value if negative else value

    def text(self) -> str:
        """At most MAX_TEXT bytes of UTF-8."""
        size = self._head(TEXT, "a text")
        if size > MAX_TEXT:
            raise BadCbor(f"a text of {size} bytes")
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise BadCbor("a text that is not UTF-8") from None

    def text_or_null(self) -> str | None:
        """A text, or null."""
        if self._peek() == _NULL:
            self._at += 1
            return None
        return self.text()

    def octets(self) -> bytes:
        """Bytes, as many as it says and has."""
        return self._take(self._head(BYTES, "bytes"))

    def boolean(self) -> bool:
        """True or false."""
        first = self._peek()
        if first not in (_FALSE, _TRUE):
            raise BadCbor("neither true nor false")
        self._at += 1
        return first == _TRUE

    def array(self, longest: int) -> int:
        """The count of an array whose items are then called for."""
        count = self._head(ARRAY, "an array")
        if count > longest:
            raise BadCbor(f"an array of {count}")
        return count

    def map(self, pairs: int) -> None:
        """A map of exactly so many pairs, which are then called for."""
        if self._head(MAP, "a map") != pairs:
            raise BadCbor(f"a map that has not {pairs} pairs")

    def name(self, expected: str) -> None:
        """A text that can only be this one."""
        found = self.text()
        if found != expected:
            raise BadCbor(f"field {found[:64]!a} where {expected!a} belongs")

    def end(self) -> None:
        """Nothing more."""
        if self._at != len(self._data):
            raise BadCbor("something behind the last item")

    def _peek(self) -> int:
        if self._at >= len(self._data):
            raise BadCbor("it ends too early")
        return self._data[self._at]

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise BadCbor("it ends too early")
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def _head(self, major: int, what: str) -> int:
        """The argument of the next item, which must be of this type and as short as can be."""
        first = self._peek()
        if first >> 5 != major:
            raise BadCbor(f"not {what}")
        self._at += 1
        short = first & 0x1F
        if short < 24:
            return short
        if short > 27:
            raise BadCbor("a length that is not definite")
        size = 1 << (short - 24)
        value = int.from_bytes(self._take(size), "big")
        least = 24 if size == 1 else 1 << (4 * size)
        if value < least:
            raise BadCbor("a number longer than it needs to be")
        return value
