"""The bytes of a recording: header, frames, blank space (FORMAT.md, sections 1 to 3).

Everything here comes from a file that nobody vouches for yet. No length is used
before it was compared with its bound and with what the file has, and no more of
the file than one frame is in memory at a time.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, Callable

MAGIC = b"GATEHREC"
VERSION = 1
MODES = ("default", "durable", "ordered")
MAX_LENGTH = 1 << 40
MAX_NAME = 255
MAX_WRAPPED_KEY = 16384

FRAME_HEAD = 49
TAG = 16
MAX_CIPHERTEXT = 65536
MAX_NOTE = 1024

SCAN_STEP = 1 << 20
"""Bytes looked at in one go where a long stretch of a file is searched."""


class Torn(Exception):
    """The header stops before its end, or is blank from some place on."""


class Malformed(Exception):
    """The header is all there, but is none."""


class Kind(IntEnum):
    """What a frame holds."""

    ENTRIES = 1
    CHECKPOINT = 2
    END = 3


class Source:
    """A file of a known size that is read in bounded pieces."""

    def __init__(self, size: int, read_at: Callable[[int, int], bytes]) -> None:
        self.size = size
        self._read_at = read_at
        self._last: int | None = None

    @classmethod
    def of_bytes(cls, data: bytes) -> Source:
        """What lies in memory."""
        return cls(len(data), lambda offset, size: data[offset : offset + size])

    @classmethod
    def of_file(cls, file: BinaryIO) -> Source:
        """An open regular file, at the size it has now.

        Raises OSError if it is not a regular file or too long, and later if it shrinks.
        """
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        if status.st_size > MAX_LENGTH:
            raise OSError(f"longer than a recording can be ({MAX_LENGTH} bytes)")

        def read_at(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        return cls(status.st_size, read_at)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes; the caller has compared them with `self.size`."""
        data = self._read_at(offset, size)
        if len(data) != size:
            raise OSError("the file became shorter while it was read")
        return data

    def last_written(self) -> int:
        """Offset of the last byte that is not zero; -1 if there is none."""
        if self._last is None:
            self._last = self._find_last_written()
        return self._last

    def _find_last_written(self) -> int:
        end = self.size
        while end > 0:
            begin = max(0, end - SCAN_STEP)
            kept = len(self.read(begin, end - begin).rstrip(b"\0"))
            if kept:
                return begin + kept - 1
            end = begin
        return -1


@dataclass(frozen=True)
class Header:
    """Section 2. `end` is the offset of frame 0, `hash` the header hash."""

    mode: str
    session: bytes
    wall_start: int
    monotonic_start: int
    log_size: int
    log_root: bytes
    commitment: bytes
    recipients_hash: bytes
    key_id: bytes
    origin: bytes
    key_name: bytes
    wrapped_key: bytes
    end: int
    hash: bytes


@dataclass(frozen=True)
class Frame:
    """Section 3. `raw` is the whole frame as it lies in the file."""

    offset: int
    kind: Kind
    epoch: int
    sequence: int
    previous: bytes
    raw: bytes

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + len(self.raw)

    @property
    def body(self) -> bytes:
        """The note, or ciphertext and tag."""
        return self.raw[FRAME_HEAD:]

    @property
    def leaf(self) -> bytes:
        """Its leaf hash (section 4)."""
        return leaf_hash(self.raw)


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962 section 2.1: the hash of a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


class _HeaderReader:
    """Takes one field of the header after the other."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.raw = b""

    def take(self, size: int) -> bytes:
        begin = len(self.raw)
        if size > self.source.size - begin:
            raise Torn("the header stops before its end")
        field = self.source.read(begin, size)
        self.raw += field
        return field

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def name(self, what: str) -> bytes:
        size = self.number(2)
        self.demand(size <= MAX_NAME, f"the length of the {what} is {size}, above {MAX_NAME}")
        name = self.take(size)
        self.demand(is_name(name), f"the {what} is not graphic ASCII without '+'")
        return name

    def demand(self, holds: bool, otherwise: str) -> None:
        """Refuse the field taken last, as torn if nothing but zeros stands behind it."""
        if holds:
            return
        if self.source.last_written() < len(self.raw):
            raise Torn("the header stops, or is blank, from some place on")
        raise Malformed(otherwise)

    def magic_and_version(self) -> None:
        """Refuse what is no recording of this version, torn or not."""
        magic = self.take(len(MAGIC))
        if magic != MAGIC:
            begun = MAGIC.startswith(magic.rstrip(b"\0"))
            if begun and self.source.last_written() < len(MAGIC):
                raise Torn("the header is blank from some place on")
            raise Malformed("this is no Gatehouse recording: wrong magic")
        version = self.number(2)
        if version == 0 and self.source.last_written() < len(MAGIC):
            raise Torn("the header is blank from some place on")
        if version != VERSION:
            raise Malformed(f"version {version} of the format is not known here")


def is_name(name: bytes) -> bool:
    """Whether these bytes may be an origin or the name of a key."""
    return len(name) <= MAX_NAME and all(0x21 <= byte <= 0x7E and byte != 0x2B for byte in name)


def read_header(source: Source) -> Header:
    """Read section 2. Raises Torn or Malformed."""
    reader = _HeaderReader(source)
    reader.magic_and_version()
    mode = reader.number(1)
    reader.demand(mode < len(MODES), f"mode {mode} is none")
    session = reader.take(16)
    wall_start = int.from_bytes(reader.take(8), "little", signed=True)
    monotonic_start = reader.number(8)
    log_size = reader.number(8)
    log_root = reader.take(32)
    commitment = reader.take(32)
    recipients_hash = reader.take(32)
    key_id = reader.take(4)
    origin = reader.name("site log's origin")
    reader.demand(
        origin != b"" or (log_size == 0 and not any(log_root)),
        "a position in a site log that has no origin",
    )
    key_name = reader.name("signing key's name")
    wrapped_size = reader.number(4)
    reader.demand(
        1 <= wrapped_size <= MAX_WRAPPED_KEY,
        f"the length of the wrapped key is {wrapped_size}, not 1 to {MAX_WRAPPED_KEY}",
    )
    wrapped_key = reader.take(wrapped_size)
    return Header(
        mode=MODES[mode],
        session=session,
        wall_start=wall_start,
        monotonic_start=monotonic_start,
        log_size=log_size,
        log_root=log_root,
        commitment=commitment,
        recipients_hash=recipients_hash,
        key_id=key_id,
        origin=origin,
        key_name=key_name,
        wrapped_key=wrapped_key,
        end=len(reader.raw),
        hash=leaf_hash(reader.raw),
    )


def read_frame(source: Source, offset: int) -> Frame | str:
    """The frame that begins at `offset`, or in words why none begins there."""
    left = source.size - offset
    if left <= 0:
        return "the file ends"
    begin = source.read(offset, min(4, left))
    if not any(begin):
        return "blank space begins"
    if left < FRAME_HEAD:
        return "the file ends inside a frame"
    head = source.read(offset, FRAME_HEAD)
    size = int.from_bytes(head[0:4], "little")
    number = head[4]
    if number in (Kind.ENTRIES, Kind.END):
        low, high = FRAME_HEAD + 1 + TAG, FRAME_HEAD + MAX_CIPHERTEXT + TAG
    elif number == Kind.CHECKPOINT:
        low, high = FRAME_HEAD + 1, FRAME_HEAD + MAX_NOTE
    else:
        return f"no frame begins here: kind {number}"
    if not low <= size <= high:
        return f"no frame begins here: length {size}"
    if size > left:
        return "the file ends inside a frame"
    return Frame(
        offset=offset,
        kind=Kind(number),
        epoch=int.from_bytes(head[5:9], "little"),
        sequence=int.from_bytes(head[9:17], "little"),
        previous=head[17:49],
        raw=head + source.read(offset + FRAME_HEAD, size - FRAME_HEAD),
    )
