"""Changed copies of a recording, for tests and for `compare.py`.

Each kind of change is one that somebody might make who has the file and not the
signing key, or that a crash makes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, Iterator

from .layout import Frame, Header, Malformed, Source, Torn, read_frame, read_header


@dataclass(frozen=True)
class Original:
    """A good recording and where its frames lie."""

    name: str
    data: bytes
    header: Header
    frames: tuple[Frame, ...]

    @classmethod
    def of(cls, name: str, data: bytes) -> Original:
        """Raises ValueError if it has no header or no frame."""
        source = Source.of_bytes(data)
        try:
            header = read_header(source)
        except (Torn, Malformed) as bad:
            raise ValueError(f"{name}: {bad}") from bad
        frames: list[Frame] = []
        frame = read_frame(source, header.end)
        while isinstance(frame, Frame):
            frames.append(frame)
            frame = read_frame(source, frame.end)
        if not frames:
            raise ValueError(f"{name}: no frame")
        return cls(name, data, header, tuple(frames))


Change = Callable[[random.Random, Original, Original], bytes]


def _flip(rng: random.Random, one: Original, _: Original) -> bytes:
    """One bit anywhere."""
    return flipped(one.data, rng.randrange(len(one.data) * 8))


def _flip_in_head(rng: random.Random, one: Original, _: Original) -> bytes:
    """One bit of the header, or of a frame's length, kind, epoch, sequence, previous hash."""
    begin, size = rng.choice([(0, one.header.end)] + [(frame.offset, 49) for frame in one.frames])
    return flipped(one.data, (begin + rng.randrange(size)) * 8 + rng.randrange(8))


def _flip_two(rng: random.Random, one: Original, other: Original) -> bytes:
    """Two bits, each anywhere."""
    return flipped(_flip(rng, one, other), rng.randrange(len(one.data) * 8))


def _cut(rng: random.Random, one: Original, _: Original) -> bytes:
    """The end is missing."""
    return one.data[: rng.randrange(len(one.data))]


def _cut_at_frame(rng: random.Random, one: Original, _: Original) -> bytes:
    """The last frames are missing, and perhaps up to four bytes more, or less."""
    return one.data[: max(0, rng.choice(one.frames).offset + rng.randint(-4, 4))]


def _blank_end(rng: random.Random, one: Original, _: Original) -> bytes:
    """The end never reached the disk; the space was reserved."""
    kept = rng.randrange(len(one.data))
    return one.data[:kept] + bytes(len(one.data) - kept + rng.randrange(100))


def _blank_behind(rng: random.Random, one: Original, _: Original) -> bytes:
    """Blank space that was not cut off."""
    return one.data + bytes(rng.randint(1, 5000))


def _blank_middle(rng: random.Random, one: Original, _: Original) -> bytes:
    """A stretch never reached the disk, what is behind it did."""
    begin = rng.randrange(len(one.data))
    size = min(rng.randint(1, 600), len(one.data) - begin)
    return one.data[:begin] + bytes(size) + one.data[begin + size :]


def _bytes_behind(rng: random.Random, one: Original, _: Original) -> bytes:
    """Something follows, perhaps behind blank space."""
    return one.data + bytes(rng.choice((0, 0, 1, 3, 4, 90))) + rng.randbytes(rng.randint(1, 80))


def _drop(rng: random.Random, one: Original, _: Original) -> bytes:
    """A frame is missing."""
    gone = rng.choice(one.frames)
    return one.data[: gone.offset] + one.data[gone.end :]


def _repeat(rng: random.Random, one: Original, _: Original) -> bytes:
    """A frame stands twice, the second time anywhere."""
    copied, before = rng.choice(one.frames), rng.choice(one.frames)
    return one.data[: before.offset] + copied.raw + one.data[before.offset :]


def _swap(rng: random.Random, one: Original, _: Original) -> bytes:
    """Two frames changed places."""
    raws = [frame.raw for frame in one.frames]
    first, second = rng.randrange(len(raws)), rng.randrange(len(raws))
    raws[first], raws[second] = raws[second], raws[first]
    end = one.frames[-1].end
    return one.data[: one.header.end] + b"".join(raws) + one.data[end:]


def _splice(rng: random.Random, one: Original, other: Original) -> bytes:
    """The beginning of one recording and the end of another, from frame to frame."""
    return one.data[: rng.choice(one.frames).offset] + other.data[rng.choice(other.frames).offset :]


def _insert_foreign(rng: random.Random, one: Original, other: Original) -> bytes:
    """A frame of another recording in place of one, or beside it."""
    place, foreign = rng.choice(one.frames), rng.choice(other.frames)
    keep_from = rng.choice((place.offset, place.end))
    return one.data[: place.offset] + foreign.raw + one.data[keep_from:]


def _length(rng: random.Random, one: Original, _: Original) -> bytes:
    """A frame's length is another, near to it or not."""
    frame = rng.choice(one.frames)
    size = rng.choice((len(frame.raw) + rng.randint(-9, 9), rng.choice((0, 49, 50, 65, 66, 1073, 1074, 65601, 65602))))
    spelled = max(0, size).to_bytes(4, "little")
    return one.data[: frame.offset] + spelled + one.data[frame.offset + 4 :]


def _kind(rng: random.Random, one: Original, _: Original) -> bytes:
    """A frame is of another kind."""
    place = rng.choice(one.frames).offset + 4
    return one.data[:place] + bytes([rng.choice((0, 1, 2, 3, 4, 255))]) + one.data[place + 1 :]


def _noise(rng: random.Random, one: Original, _: Original) -> bytes:
    """A stretch of other bytes."""
    begin = rng.randrange(len(one.data))
    size = min(rng.randint(1, 200), len(one.data) - begin)
    return one.data[:begin] + rng.randbytes(size) + one.data[begin + size :]


def _shift(rng: random.Random, one: Original, _: Original) -> bytes:
    """Some bytes more or fewer in the midst."""
    place = rng.randrange(len(one.data))
    if rng.random() < 0.5:
        return one.data[:place] + rng.randbytes(rng.randint(1, 20)) + one.data[place:]
    return one.data[:place] + one.data[place + rng.randint(1, 20) :]


CHANGES: dict[str, Change] = {
    change.__name__.lstrip("_"): change
    for change in (
        _flip,
        _flip_in_head,
        _flip_two,
        _cut,
        _cut_at_frame,
        _blank_end,
        _blank_behind,
        _blank_middle,
        _bytes_behind,
        _drop,
        _repeat,
        _swap,
        _splice,
        _insert_foreign,
        _length,
        _kind,
        _noise,
        _shift,
    )
}


def flipped(data: bytes, bit: int) -> bytes:
    """The same with one bit changed."""
    at = bit // 8
    return data[:at] + bytes([data[at] ^ 1 << bit % 8]) + data[at + 1 :]


def changed_copies(originals: list[Original], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many changed copies, each with a name that tells what was done.

    Every third has a second change on top.
    """
    rng = random.Random(seed)
    names = list(CHANGES)
    for number in range(count):
        one, other = rng.choice(originals), rng.choice(originals)
        name = names[number % len(names)]
        data = CHANGES[name](rng, one, other)
        if number // len(names) % 3 == 2:
            try:
                second = rng.choice(names)
                data = CHANGES[second](rng, Original.of(one.name, data), other)
                name = f"{name}-{second}"
            except ValueError:
                pass
        yield f"{number:06}-{name}-{one.name}", data
