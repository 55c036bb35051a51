"""Events and the end of a recording (FORMAT.md, sections 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from .cbor import BadCbor, Reader

TAPS = ("from_client", "to_device", "from_device", "to_client")
MAX_MARKS = 512
POLICY_HASH = 32

Totals = tuple[int, int, int, int]
Value = int | str | bytes | bool | None | Totals
Take = Callable[[Reader], Value]


@dataclass(frozen=True)
class Event:
    """One event: its name, and its fields in the order of the table."""

    name: str
    fields: dict[str, Value]

    def number(self, field: str) -> int:
        """A field that the table has as uint."""
        value = self.fields[field]
        assert isinstance(value, int)
        return value


@dataclass(frozen=True)
class Mark:
    """Where a checkpoint lies."""

    offset: int
    sequence: int
    at: int


@dataclass(frozen=True)
class End:
    """The plaintext of an end frame."""

    at: int
    reason: str
    totals: Totals
    marks: tuple[Mark, ...]


def _totals(reader: Reader) -> Totals:
    reader.map(len(TAPS))
    counts: list[int] = []
    for tap in TAPS:
        reader.name(tap)
        counts.append(reader.uint())
    return counts[0], counts[1], counts[2], counts[3]


def _hash(reader: Reader) -> bytes:
    value = reader.octets()
    if len(value) != POLICY_HASH:
        raise BadCbor("a policy hash of another length")
    return value


def _one_of(*words: str) -> Take:
    def take(reader: Reader) -> str:
        word = reader.text()
        if word not in words:
            raise BadCbor(f"{word[:64]!a} is not one of {', '.join(words)}")
        return word

    return take


def _uint_of(bits: int) -> Take:
    return lambda reader: reader.uint_of(bits)


_UINT: Take = Reader.uint
_UINT32: Take = _uint_of(32)
_TEXT: Take = Reader.text
_MAYBE: Take = Reader.text_or_null
_BYTES: Take = Reader.octets

EVENTS: dict[str, dict[str, Take]] = {
    "started": {
        "person": _TEXT,
        "target": _TEXT,
        "zone": _TEXT,
        "address": _TEXT,
        "source": _TEXT,
        "assurance": _TEXT,
        "mode": _one_of("default", "durable", "ordered"),
        "policy_hash": _hash,
        "reason": _MAYBE,
        "ticket": _MAYBE,
        "software": _TEXT,
        "terms": _BYTES,
    },
    "channel_opened": {"channel": _UINT32, "service": _TEXT, "protocol": _TEXT, "port": _uint_of(16)},
    "channel_connected": {"channel": _UINT32},
    "channel_closed": {
        "channel": _UINT32,
        "by": _one_of("client", "device", "gateway"),
        "how": _one_of("finished", "reset"),
        "reason": _TEXT,
        "totals": _totals,
    },
    "operation": {
        "request": _UINT,
        "channel": _UINT32,
        "offset": _UINT,
        "length": _UINT32,
        "function": _TEXT,
        "text": _TEXT,
        "effect": _one_of("observes", "changes"),
        "decision": _one_of("allow", "deny", "needs"),
        "rule": _TEXT,
        "reason": _TEXT,
    },
    "answer": {
        "request": _UINT,
        "channel": _UINT32,
        "offset": _UINT,
        "length": _UINT32,
        "text": _TEXT,
        "refused": Reader.boolean,
    },
    "refusal": {"request": _UINT, "channel": _UINT32, "offset": _UINT, "length": _UINT32},
    "observed": {
        "channel": _UINT32,
        "tap": _one_of("from_client", "from_device"),
        "offset": _UINT,
        "fact": _TEXT,
        "value": _TEXT,
    },
    "unframed": {"channel": _UINT32, "tap": _one_of("from_client", "from_device"), "reason": _TEXT},
    "terms_changed": {"policy_hash": _hash, "terms": _BYTES},
    "path_changed": {"source": _TEXT},
    "clock_step": {"step_ms": Reader.integer},
    "ending": {"reason": _TEXT, "in_s": _UINT32},
    "note": {"text": _TEXT},
}


def read_event(data: bytes) -> Event:
    """Read the CBOR of one event. Raises BadCbor."""
    reader = Reader(data)
    reader.map(1)
    name = reader.text()
    table = EVENTS.get(name)
    if table is None:
        raise BadCbor(f"no event is named {name[:64]!a}")
    reader.map(len(table))
    fields: dict[str, Value] = {}
    for field, take in table.items():
        reader.name(field)
        fields[field] = take(reader)
    reader.end()
    return Event(name, fields)


def read_end(data: bytes) -> End:
    """Read the plaintext of an end frame. Raises BadCbor."""
    reader = Reader(data)
    reader.map(4)
    reader.name("at")
    at = reader.uint()
    reader.name("reason")
    reason = reader.text()
    reader.name("totals")
    totals = _totals(reader)
    reader.name("marks")
    marks: list[Mark] = []
    for _ in range(reader.array(MAX_MARKS)):
        if reader.array(3) != 3:
            raise BadCbor("a mark that has not three numbers")
        marks.append(Mark(reader.uint(), reader.uint(), reader.uint()))
    reader.end()
    return End(at, reason, totals, tuple(marks))
