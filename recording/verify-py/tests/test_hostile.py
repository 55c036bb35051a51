"""Files made to cost time or memory, and bytes that are no recording at all."""

from __future__ import annotations

import random
import tracemalloc
import unittest

from ghr.age import read_identities
from ghr.chain import Answer, verify
from ghr.entries import Inside
from ghr.layout import Source
from ghr.notes import ORIGIN

from .forge import Forge, Signer, bytes_item, event_item, part_item
from .inside import identity_text

KEY = Signer().public


class Counting:
    """A source that counts what is read of it."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.read = 0
        self.data = data
        self.source = Source(len(data) if size is None else size, self._read_at)

    def _read_at(self, offset: int, size: int) -> bytes:
        self.read += size
        return self.data[offset : offset + size].ljust(size, b"\0")


class Hostile(unittest.TestCase):
    def test_noise(self) -> None:
        rng = random.Random(1)
        head = Forge().checkpoint().data
        for size in range(0, 3000, 7):
            report = verify(Source.of_bytes(rng.randbytes(size)), KEY)
            self.assertIs(report.answer, Answer.UNCLEAN if size < 8 else Answer.ALTERED, size)
            report = verify(Source.of_bytes(head + rng.randbytes(size)), KEY)
            self.assertIs(report.answer, Answer.UNCLEAN, size)

    def test_a_huge_hole_is_read_a_few_times_in_small_pieces(self) -> None:
        """A sparse file of 1 GiB: three passes at most, and never more than a few MiB at a time."""
        size = 1 << 30
        counting = Counting(Forge().checkpoint().data, size)
        tracemalloc.start()
        report = verify(counting.source, KEY)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertIs(report.answer, Answer.UNCLEAN)
        self.assertLess(counting.read, 3 * size)
        self.assertLess(peak, 16 << 20)

    def test_many_beginnings_of_notes(self) -> None:
        """Each is looked at once, over a bounded length."""
        word = ORIGIN + b"0" * 32 + b"\n1\n"
        tail = word * 20000
        counting = Counting(Forge().checkpoint().data + b"\xff" * 4 + tail)
        self.assertIs(verify(counting.source, KEY).answer, Answer.UNCLEAN)
        self.assertLess(counting.read, 1100 * 20000 + 4 * len(tail))

    def test_notes_across_the_pieces_of_a_search(self) -> None:
        """A note is found wherever it begins, on the seam of two pieces too."""
        forge = Forge().checkpoint()
        note = Signer().note(forge.text())
        start = len(forge.data)
        for at in range((1 << 20) - 22, (1 << 20) + 3):
            data = forge.data + b"\xff" * at + note
            report = verify(Source.of_bytes(data), KEY)
            self.assertIs(report.answer, Answer.ALTERED, at)
            self.assertIn(f"stands at offset {start + at}", report.reason)

    def test_an_event_in_a_million_parts(self) -> None:
        """Joined in linear time."""
        forge = Forge().checkpoint()
        for _ in range(200):
            forge.entries(part_item(b"x") * 4681)
        forge.entries(event_item(b"x"))
        inside = Inside(read_identities(identity_text()))
        report = verify(Source.of_bytes(forge.checkpoint().data), KEY, inside.watch)
        self.assertIs(report.answer, Answer.UNCLEAN)
        self.assertEqual(inside.fault, "not a map")

    def test_many_small_frames(self) -> None:
        forge = Forge().checkpoint()
        pieces = [forge.data]
        count = 3000
        for at in range(count):
            forge.data = b""
            forge.entries(bytes_item(1, 0, at, b"a"))
            pieces.append(forge.data)
        data = b"".join(pieces)
        counting = Counting(data)
        report = verify(counting.source, KEY)
        self.assertEqual((report.frames, report.tail_frames), (count + 1, count))
        self.assertLess(counting.read, 4 * len(data))

    def test_a_file_that_shrinks(self) -> None:
        data = Forge().checkpoint().close().data
        source = Source(len(data), lambda offset, size: data[: len(data) // 2][offset : offset + size])
        with self.assertRaises(OSError):
            verify(source, KEY)
