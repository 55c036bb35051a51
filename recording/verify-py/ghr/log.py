"""The site log (LOG.md): is it what was signed, and do receipts lead to it?

The file is read once from front to back, one frame at a time. Of a log of any
length only the full subtrees' hashes are kept, and the tree hash at each size
that a receipt asks for.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Iterable

from .layout import MAX_NOTE, Source, is_name
from .notes import PublicKey, from_base64, is_time, open_note, places_of
from .tree import Tree

MAGIC = b"GATEHLOG\x01\x00"
ORIGIN = b"gatehouse/log/"
FRAME_HEAD = 5
MAX_ENTRY = 1024
MAX_GROUP = 65536
MAX_RECEIPT = 2 * MAX_NOTE
ENTRY, HEAD = 1, 2
CREATED = 0

_HEAD = re.compile(
    rb"(?P<text>gatehouse/log/(?P<log>[0-9a-f]{32})\n"
    rb"(?P<size>0|[1-9][0-9]{0,19})\n"
    rb"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    rb"time (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\n)"
    rb"\n"
    rb"\xe2\x80\x94 (?P<name>[\x21-\x2a\x2c-\x7e]{1,255}) (?P<signature>[A-Za-z0-9+/]{91}=)\n"
)


class BadReceipt(Exception):
    """What should be a receipt is none of this key."""


class LogAnswer(Enum):
    """What a log is by itself."""

    SOUND = "sound"
    TORN = "torn"
    ALTERED = "altered"


class Leads(Enum):
    """What a head that somebody else holds says of the log."""

    HERE = "here"
    ROLLED_BACK = "rolled-back"
    FORKED = "forked"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Head:
    """What a genuine head says."""

    log: bytes
    size: int
    root: bytes
    time: str


@dataclass
class LogReport:
    """An answer and what it rests on."""

    answer: LogAnswer
    reason: str
    offset: int | None
    log: bytes | None
    entries: int
    signed_end: int
    signed_until: str | None
    roots: dict[int, bytes] = field(default_factory=dict)

    def leads(self, head: Head) -> Leads:
        """How a genuine head stands to this log; its size was asked for when the log was read."""
        if head.log != self.log:
            return Leads.FOREIGN
        if head.size > self.entries:
            return Leads.ROLLED_BACK
        return Leads.HERE if self.roots.get(head.size) == head.root else Leads.FORKED

    def exit_code(self, receipts: Iterable[Head]) -> int:
        """The exit code of the log alone with these receipts."""
        leads = [self.leads(head) for head in receipts]
        if self.answer is LogAnswer.ALTERED or any(lead is not Leads.HERE for lead in leads):
            return 1
        return 0 if self.answer is LogAnswer.SOUND and leads else 3


class _Ended(Exception):
    """The walk came to its answer."""

    def __init__(self, answer: LogAnswer, offset: int | None, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.offset = offset
        self.reason = reason


def open_head(note: bytes, key: PublicKey) -> Head | str:
    """The head in this note, or in words why it does not verify with the key."""
    match = _HEAD.fullmatch(note)
    return "not a head in its one spelling" if match is None else _verify(match, key)


def read_receipt(text: bytes, key: PublicKey) -> list[Head]:
    """The head of the log in a receipt, if it has one. Raises BadReceipt.

    A checkpoint of a recording may stand before it.
    """
    begin = 0 if text.startswith(ORIGIN) else text.find(b"\n" + ORIGIN) + 1
    if begin == 0 and not text.startswith(ORIGIN):
        if isinstance(open_note(text, key), str):
            raise BadReceipt("neither a head of a site log nor a checkpoint of a recording by this key")
        return []
    if begin and isinstance(open_note(text[:begin], key), str):
        raise BadReceipt("what stands before the head is no checkpoint by this key")
    head = open_head(text[begin:], key)
    if isinstance(head, str):
        raise BadReceipt(f"not a receipt of this key: {head}")
    return [head]


def verify_log(source: Source, key: PublicKey, sizes: Iterable[int] = ()) -> LogReport:
    """Verify a log; keep the tree hashes at these sizes. Raises OSError where it can't be read."""
    walk = _Walk(source, key, frozenset(sizes))
    try:
        walk.run()
    except _Ended as ended:
        covered = {size: root for size, root in walk.roots.items() if size <= walk.covered}
        return LogReport(
            answer=ended.answer,
            reason=ended.reason,
            offset=ended.offset,
            log=walk.log,
            entries=walk.covered,
            signed_end=walk.signed_end,
            signed_until=walk.signed_until,
            roots=covered,
        )
    raise AssertionError("a walk goes on until it has ended")


class _Walk:
    def __init__(self, source: Source, key: PublicKey, sizes: frozenset[int]) -> None:
        self.source = source
        self.key = key
        self.sizes = sizes
        self.tree = Tree()
        self.roots: dict[int, bytes] = {0: hashlib.sha256(b"").digest()} if 0 in sizes else {}
        self.log: bytes | None = None
        self.covered = 0
        self.signed_end = 0
        self.signed_until: str | None = None

    def run(self) -> None:
        """Goes on until it is _Ended."""
        start = self.source.read(0, min(len(MAGIC), self.source.size))
        if start != MAGIC:
            if not MAGIC.startswith(start.rstrip(b"\0")):
                raise _Ended(LogAnswer.ALTERED, 0, "not a site log of a version that is known here")
            raise self._stopped(0, "the magic is not whole")
        offset = len(MAGIC)
        while True:
            if offset == self.source.size:
                raise self._at_the_end()
            kind, body, end = self._frame(offset)
            if kind == ENTRY:
                self._entry(body, offset, end)
            else:
                self._head(body, offset, end)
            offset = end

    def _frame(self, offset: int) -> tuple[int, bytes, int]:
        """Section 1."""
        left = self.source.size - offset
        if left < FRAME_HEAD:
            raise self._stopped(offset, "no whole frame")
        raw = self.source.read(offset, FRAME_HEAD)
        length, kind = int.from_bytes(raw[:4], "little"), raw[4]
        longest = {ENTRY: MAX_ENTRY, HEAD: MAX_NOTE}.get(kind, 0)
        if not FRAME_HEAD < length <= FRAME_HEAD + longest or length > left:
            raise self._stopped(offset, "no whole frame")
        body = self.source.read(offset + FRAME_HEAD, length - FRAME_HEAD)
        return kind, body, offset + length

    def _entry(self, body: bytes, offset: int, end: int) -> None:
        if self.log is None:
            self.log = self._created(body, offset, end)
        if self.tree.count - self.covered >= MAX_GROUP:
            raise _Ended(LogAnswer.ALTERED, self.signed_end, "too many entries without a head")
        self.tree.append(hashlib.sha256(b"\0" + body).digest())
        if self.tree.count in self.sizes:
            self.roots[self.tree.count] = self.tree.root()

    def _created(self, body: bytes, offset: int, end: int) -> bytes:
        """Rule 1: the log's id from its first entry."""
        name = body[30:]
        whole = len(body) > 30 and body[0] == CREATED and len(name) == body[29] and is_name(name)
        if not whole or not _is_a_time(body[1:9]):
            raise self._refused(offset, end, "the first entry is not `created`")
        if body[25:29] != self.key.key_id or name != self.key.name:
            raise _Ended(LogAnswer.ALTERED, 0, "the log names another signing key")
        return body[9:25]

    def _head(self, body: bytes, offset: int, end: int) -> None:
        """Rule 2."""
        head = open_head(body, self.key)
        if isinstance(head, str):
            raise self._refused(offset, end, head)
        count = self.tree.count
        if head.log != self.log or head.size != count or head.root != self.tree.root():
            raise _Ended(LogAnswer.ALTERED, self.signed_end, "a genuine head is not of the entries before it")
        self.covered, self.signed_end, self.signed_until = count, end, head.time

    def _at_the_end(self) -> _Ended:
        if self.covered == 0 or self.tree.count > self.covered:
            return _Ended(LogAnswer.TORN, None, "entries without a head stand at the end")
        return _Ended(LogAnswer.SOUND, None, "signed to its last byte")

    def _refused(self, offset: int, end: int, why: str) -> _Ended:
        """A frame is wrong: torn if its last bytes were never written."""
        if self.source.last_written() < end - 1:
            return self._stopped(offset, why)
        return _Ended(LogAnswer.ALTERED, offset, why)

    def _stopped(self, place: int, why: str) -> _Ended:
        """The frames stop at `place`: an alteration if a genuine head is left behind."""
        for offset in places_of(self.source, self.signed_end, ORIGIN):
            match = _HEAD.match(self.source.read(offset, min(MAX_NOTE, self.source.size - offset)))
            if match is not None and isinstance(_verify(match, self.key), Head):
                return _Ended(LogAnswer.ALTERED, place, f"{why}, yet a genuine head stands at offset {offset}")
        return _Ended(LogAnswer.TORN, place, why)


def _verify(match: re.Match[bytes], key: PublicKey) -> Head | str:
    root, signature = from_base64(match["root"]), from_base64(match["signature"])
    if root is None or signature is None:
        return "base64 with bits behind its end"
    if not is_time(match["time"]):
        return "a time that does not exist"
    if match["name"] != key.name or signature[:4] != key.key_id:
        return "signed by another key"
    if not key.signed(match["text"], signature[4:]):
        return "the signature is not of this text by this key"
    return Head(bytes.fromhex(match["log"].decode()), int(match["size"]), root, match["time"].decode())


_EARLIEST, _LATEST = -377705023201000, 253402207200999
"""Milliseconds of -009999-01-02 and 9999-12-30: what a date can hold."""


def _is_a_time(raw: bytes) -> bool:
    return _EARLIEST <= int.from_bytes(raw, "little", signed=True) <= _LATEST
