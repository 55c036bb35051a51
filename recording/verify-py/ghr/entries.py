"""The inside of a recording: items, taps, references, totals, index (sections 6 to 8).

`Inside` watches the frames of a walk and keeps the first fault. Its memory is
bounded by the channels that may be open, one event and one mark per checkpoint
kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from .age import FILE_KEY, BadAge, Identity, NotForThisIdentity, unwrap
from .cbor import BadCbor
from .events import MAX_MARKS, TAPS, End, Event, Totals, read_end, read_event
from .layout import Frame, Header, Kind
from .sealing import BadSeal, Opener

MAX_REFERENCE = 1 << 20
MAX_EVENT = 1 << 20
MAX_CHANNELS = 4096

_BYTES, _SAME, _EVENT, _PART = 1, 2, 3, 4


class BadInside(Exception):
    """The plaintext is not as FORMAT.md has it."""


class _Plaintext:
    """Takes fields off the front of the plaintext of one frame."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise BadInside("an item reaches beyond the plaintext")
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def tap(self) -> int:
        tap = self.number(1)
        if tap >= len(TAPS):
            raise BadInside(f"tap {tap} is none")
        return tap


class Channels:
    """How far each tap of each open channel has come."""

    def __init__(self) -> None:
        self._ends: dict[int, list[int]] = {}
        self._totals = [0] * len(TAPS)

    @property
    def totals(self) -> Totals:
        """Bytes of the four taps, over all channels, closed or not."""
        first, second, third, fourth = self._totals
        return first, second, third, fourth

    def ends_of(self, channel: int) -> Totals:
        """Bytes of the four taps of a channel that is not closed."""
        first, second, third, fourth = self._ends.get(channel, [0] * len(TAPS))
        return first, second, third, fourth

    def append(self, channel: int, tap: int, offset: int, count: int) -> None:
        """Bytes that passed a tap. Raises BadInside if they do not follow on."""
        if offset != self.ends_of(channel)[tap]:
            raise BadInside(
                f"offset {offset} of {TAPS[tap]} of channel {channel}, "
                f"where {self.ends_of(channel)[tap]} follows on"
            )
        if channel not in self._ends:
            if len(self._ends) >= MAX_CHANNELS:
                raise BadInside("more channels than may be open")
            self._ends[channel] = [0] * len(TAPS)
        self._ends[channel][tap] += count
        self._totals[tap] += count

    def refer(self, channel: int, tap: int, offset: int, count: int, other: int, there: int) -> None:
        """Bytes that equal bytes of another tap. Raises BadInside if those are not at hand."""
        if other == tap:
            raise BadInside("a reference to the tap itself")
        if count > MAX_REFERENCE:
            raise BadInside(f"a reference of {count} bytes")
        end = self.ends_of(channel)[other]
        if there + count > end:
            raise BadInside("a reference to bytes that are not there")
        if end - there > MAX_REFERENCE:
            raise BadInside("a reference too far back")
        self.append(channel, tap, offset, count)

    def close(self, channel: int) -> None:
        """The channel's number may be used anew."""
        self._ends.pop(channel, None)


@dataclass
class Marks:
    """Checkpoints seen, as an index could list them: every s-th, s a power of two.

    The step doubles when more than MAX_MARKS are kept, so any index that the end
    may hold is a choice among these.
    """

    step: int = 1
    seen: int = 0
    kept: list[tuple[int, int]] = field(default_factory=list)

    def add(self, offset: int, sequence: int) -> None:
        """A checkpoint, in order."""
        if self.seen % self.step == 0:
            self.kept.append((offset, sequence))
            if len(self.kept) > MAX_MARKS:
                self.kept = self.kept[::2]
                self.step *= 2
        self.seen += 1

    def agree(self, end: End) -> bool:
        """Whether the end's index is every s-th of them for some power of two s."""
        listed = [(mark.offset, mark.sequence) for mark in end.marks]
        step = 1
        while True:
            if self.kept[::step] == listed:
                return True
            if step >= len(self.kept):
                return False
            step *= 2


class Inside:
    """Watches a walk and checks what its frames hold.

    Raises NotForThisIdentity from the first frame on if nothing can be opened.
    """

    def __init__(self, identities: list[Identity]) -> None:
        self._identities = identities
        self._opener: Opener | None = None
        self._channels = Channels()
        self._marks = Marks()
        self._parts = bytearray()
        self._requests = 0
        self.items = 0
        self.events = 0
        self.fault: str | None = None
        self.fault_offset = 0

    @property
    def totals(self) -> Totals:
        """Bytes of the four taps, over all channels."""
        return self._channels.totals

    def watch(self, header: Header, frame: Frame) -> None:
        """Look into a frame that passed."""
        if self.fault is not None:
            return
        try:
            if self._opener is None:
                self._opener = self._open_key(header)
            if frame.kind is Kind.CHECKPOINT:
                self._marks.add(frame.offset, frame.sequence)
            elif frame.kind is Kind.ENTRIES:
                self._entries(_Plaintext(self._opener.open(frame)))
            else:
                self._end(read_end(self._opener.open(frame)))
        except (BadAge, BadSeal, BadInside, BadCbor) as bad:
            self.fault = str(bad)
            self.fault_offset = frame.offset if self._opener else 0

    def _open_key(self, header: Header) -> Opener:
        opened = unwrap(header.wrapped_key, self._identities)
        if len(opened.content) != FILE_KEY:
            raise BadAge("the wrapped key has another length")
        if opened.recipients is not None:
            listed = "".join(text + "\n" for text in sorted(opened.recipients))
            if hashlib.sha256(listed.encode()).digest() != header.recipients_hash:
                raise BadInside("the recipients hash is not that of the recipients")
        return Opener(header, opened.content)

    def _entries(self, plaintext: _Plaintext) -> None:
        while not plaintext.ended:
            item = plaintext.number(1)
            plaintext.take(8)
            if self._parts and item not in (_EVENT, _PART):
                raise BadInside("another item between the parts of an event")
            if item == _BYTES:
                channel, tap = plaintext.number(4), plaintext.tap()
                offset, count = plaintext.number(8), plaintext.number(4)
                plaintext.take(count)
                self._channels.append(channel, tap, offset, count)
            elif item == _SAME:
                channel, tap = plaintext.number(4), plaintext.tap()
                offset, count = plaintext.number(8), plaintext.number(4)
                other, there = plaintext.tap(), plaintext.number(8)
                self._channels.refer(channel, tap, offset, count, other, there)
            elif item in (_EVENT, _PART):
                self._part(item, plaintext.take(plaintext.number(4)))
            else:
                raise BadInside(f"item {item} is none")
            self.items += 1

    def _part(self, item: int, part: bytes) -> None:
        if len(self._parts) + len(part) > MAX_EVENT:
            raise BadInside("an event longer than any")
        if item == _PART and not part:
            raise BadInside("an empty part of an event")
        self._parts += part
        if item == _EVENT:
            event = read_event(bytes(self._parts))
            self._parts.clear()
            self._event(event)
            self.events += 1

    def _event(self, event: Event) -> None:
        if event.name == "operation":
            self._requests += 1
            if event.number("request") != self._requests:
                raise BadInside(f"request {event.number('request')} where {self._requests} belongs")
        elif event.name in ("answer", "refusal"):
            # An answer to request 0 is none: the device sent it by itself.
            least = 0 if event.name == "answer" else 1
            if not least <= event.number("request") <= self._requests:
                raise BadInside(f"{event.name} to no request")
        elif event.name == "channel_closed":
            channel = event.number("channel")
            if event.fields["totals"] != self._channels.ends_of(channel):
                raise BadInside(f"the totals of channel {channel} are not those of its taps")
            self._channels.close(channel)

    def _end(self, end: End) -> None:
        if self._parts:
            raise BadInside("the recording ends inside an event")
        if end.totals != self._channels.totals:
            raise BadInside("the totals at the end are not those of all taps")
        if not self._marks.agree(end):
            raise BadInside("the marks at the end are not those of the checkpoints")
