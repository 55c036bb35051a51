"""Changed copies of the committed vector, and the verdict that FORMAT.md has for each."""

from __future__ import annotations

import unittest

from ghr.chain import Answer, Report, verify
from ghr.layout import Source
from ghr.mutate import CHANGES, Original, changed_copies, flipped

from .forge import Forge, Signer, bytes_item, long_recording
from .test_vectors import KEY, SMALL, frames

HEADER_END = frames(SMALL)[0].offset


def answer(data: bytes) -> Report:
    """Of a copy of the vector."""
    return verify(Source.of_bytes(data), KEY)


class Mutations(unittest.TestCase):
    def expect(self, data: bytes, expected: Answer, offset: int | None) -> None:
        report = answer(data)
        self.assertEqual((report.answer, report.offset), (expected, offset), report.reason)

    def test_every_bit_is_guarded_and_its_frame_is_named(self) -> None:
        starts = [0] + [frame.offset for frame in frames(SMALL)]
        for bit in range(len(SMALL) * 8):
            report = answer(flipped(SMALL, bit))
            self.assertIs(report.answer, Answer.ALTERED, bit)
            changed = max(start for start in starts if start <= bit // 8)
            self.assertEqual(report.offset, changed, (bit, report.reason))

    def test_every_byte_of_every_head_of_a_longer_recording(self) -> None:
        """Frames that nothing signed stands between are told apart, too."""
        forge = long_recording()
        for offset in forge.offsets:
            for at in range(offset, offset + 49):
                copy = flipped(forge.data, at * 8 + at % 8)
                report = verify(Source.of_bytes(copy), Signer().public)
                self.assertIs(report.answer, Answer.ALTERED, at)
                self.assertEqual(report.offset, offset, (at, report.reason))

    def test_every_cut_is_unclean(self) -> None:
        ends = [frame.end for frame in frames(SMALL)]
        checkpoints = [ends[0], ends[2]]
        for size in range(len(SMALL)):
            report = answer(SMALL[:size])
            self.assertIs(report.answer, Answer.UNCLEAN, size)
            signed = max((end for end in checkpoints if end <= size), default=0)
            self.assertEqual(report.signed_end, signed, size)

    def test_every_blanked_end_is_unclean(self) -> None:
        """The last byte is a newline: blanked from there on, the checkpoint is torn."""
        for size in range(len(SMALL)):
            report = answer(SMALL[:size] + bytes(len(SMALL) - size))
            self.assertIs(report.answer, Answer.UNCLEAN, size)

    def test_blank_space_behind(self) -> None:
        for size in (1, 2, 3, 4, 5, 4096):
            self.expect(SMALL + bytes(size), Answer.UNTRIMMED, None)

    def test_anything_else_behind(self) -> None:
        for behind in (b"\n", b"\0\0\0\x01", bytes(4096) + b"\x80", SMALL, SMALL[HEADER_END:]):
            self.expect(SMALL + behind, Answer.ALTERED, len(SMALL))

    def test_every_dropped_frame(self) -> None:
        """What follows the gap lacks the hash before it; a checkpoint before it is beyond doubt."""
        raws = [frame.raw for frame in frames(SMALL)]
        places = [frame.offset for frame in frames(SMALL)]
        # Without frame 0 nothing vouches for the header. Without the last it is a cut.
        named = {0: 0, 1: places[1], 2: places[1], 3: places[3]}
        for gone, offset in named.items():
            kept = raws[:gone] + raws[gone + 1 :]
            self.expect(SMALL[:HEADER_END] + b"".join(kept), Answer.ALTERED, offset)

    def test_every_repeated_frame(self) -> None:
        listed = frames(SMALL)
        for frame in listed[:-1]:
            named = frame.end if frame.raw[4] == 2 else frame.offset
            copied = SMALL[: frame.end] + frame.raw + SMALL[frame.end :]
            self.expect(copied, Answer.ALTERED, named)
        self.expect(SMALL + listed[-1].raw, Answer.ALTERED, len(SMALL))

    def test_every_swap_is_an_alteration(self) -> None:
        raws = [frame.raw for frame in frames(SMALL)]
        for first in range(len(raws)):
            for second in range(first):
                swapped = list(raws)
                swapped[first], swapped[second] = swapped[second], swapped[first]
                report = answer(SMALL[:HEADER_END] + b"".join(swapped))
                self.assertIs(report.answer, Answer.ALTERED, (first, second))

    def test_every_splice_of_two_recordings_is_an_alteration(self) -> None:
        """Both are by the same gateway and key, of two sessions."""
        one = long_recording(2, 2, 8)
        fields = Forge().fields
        fields.session = bytes(16)
        other = Forge(fields=fields, seed=9).checkpoint().entries(bytes_item(1, 0, 0, b"a"))
        other.checkpoint().close((1, 0, 0, 0))
        for cut in one.offsets:
            for joint in other.offsets:
                spliced = one.data[:cut] + other.data[joint:]
                report = verify(Source.of_bytes(spliced), Signer().public)
                self.assertIs(report.answer, Answer.ALTERED, (cut, joint))

    def test_no_change_is_clean_but_none(self) -> None:
        """Of any kind, twice over, and nothing raises."""
        original = Original.of("small", SMALL)
        seen: set[str] = set()
        for name, data in changed_copies([original], 3000, 1):
            report = answer(data)
            seen.update(name.split("-")[1:-1])
            if report.answer is Answer.CLEAN:
                self.assertEqual(data, SMALL, name)
            if report.answer is Answer.UNTRIMMED:
                self.assertEqual(data.rstrip(b"\0"), SMALL, name)
        self.assertEqual(seen, set(CHANGES))
