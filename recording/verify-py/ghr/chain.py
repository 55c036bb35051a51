"""From a file and a public key to an answer (FORMAT.md, section 9).

The walk goes once through the frames, in constant memory. It stops at the first
thing that does not fit and decides there whether a crash explains it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Callable

from .layout import FRAME_HEAD, Frame, Header, Kind, Malformed, Source, Torn, read_frame, read_header
from .notes import Note, PublicKey, find_note, open_note
from .tree import Tree


class Answer(Enum):
    """The four answers."""

    CLEAN = "clean"
    UNTRIMMED = "untrimmed"
    UNCLEAN = "unclean"
    ALTERED = "altered"

    @property
    def exit_code(self) -> int:
        """What the command exits with for one file."""
        return {Answer.CLEAN: 0, Answer.UNTRIMMED: 2, Answer.UNCLEAN: 3, Answer.ALTERED: 1}[self]


@dataclass
class Report:
    """An answer and what it rests on.

    `offset` is the first bad offset of an altered recording, and of an unclean
    one the place where its frames stop.
    """

    answer: Answer
    reason: str
    offset: int | None
    header: Header | None
    signed_end: int
    frames: int
    checkpoints: int
    tail_frames: int
    last_time: str | None


Watcher = Callable[[Header, Frame], None]
"""Is shown every frame that passed, in order."""


class _Ended(Exception):
    """The walk came to its answer."""

    def __init__(self, answer: Answer, offset: int | None, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.offset = offset
        self.reason = reason


@dataclass
class _Walk:
    source: Source
    key: PublicKey
    watcher: Watcher | None
    header: Header | None = None
    tree: Tree = field(default_factory=Tree)
    last: Frame | None = None
    ending: bool = False
    closed: bool = False
    signed_end: int = 0
    frames: int = 0
    signed_frames: int = 0
    checkpoints: int = 0
    last_time: str | None = None

    def run(self) -> None:
        """Goes on until it is _Ended."""
        header = self._read_header()
        offset = header.end
        while True:
            if self.closed:
                self._end_closed(offset)
            frame = read_frame(self.source, offset)
            if isinstance(frame, str):
                raise self._stopped(offset, frame, self._blamed_where_none_begins(header, offset))
            self._fit(header, frame)
            self._place(frame)
            if frame.kind is Kind.CHECKPOINT:
                self._checkpoint(header, frame)
            self._accept(header, frame)
            offset = frame.end

    def _read_header(self) -> Header:
        """Rule 1."""
        try:
            header = read_header(self.source)
        except Torn as torn:
            raise self._stopped(0, str(torn)) from None
        except Malformed as malformed:
            raise _Ended(Answer.ALTERED, 0, str(malformed)) from None
        if header.key_name != self.key.name or header.key_id != self.key.key_id:
            raise _Ended(Answer.ALTERED, 0, "the header names another signing key")
        self.header = header
        self.tree.append(header.hash)
        return header

    def _fit(self, header: Header, frame: Frame) -> None:
        """Rule 2."""
        if frame.previous != (self.last.leaf if self.last else header.hash):
            why = "a frame does not carry the hash of what stands before it"
            raise self._stopped(frame.offset, why, self._blamed_of_two(header, frame))
        if frame.sequence != self.frames:
            raise self._stopped(frame.offset, f"sequence {frame.sequence} where {self.frames} belongs")
        if frame.epoch != self.checkpoints:
            raise self._stopped(frame.offset, f"epoch {frame.epoch} where {self.checkpoints} belongs")

    def _blamed_of_two(self, header: Header, frame: Frame) -> int:
        """Which of two neighbours changed, when the second lacks the first one's hash."""
        if frame.kind is Kind.CHECKPOINT:
            note = open_note(frame.body, self.key)
            second = isinstance(note, Note) and self._uncovered(header, frame, note) is None
        else:
            behind = read_frame(self.source, frame.end)
            second = isinstance(behind, Frame) and behind.previous != frame.leaf
        return frame.offset if second else self._unvouched(frame.offset)

    def _blamed_where_none_begins(self, header: Header, offset: int) -> int:
        """What changed, when no frame begins here: this, if it still carries the hash before."""
        expected = self.last.leaf if self.last else header.hash
        if self.source.size - offset >= FRAME_HEAD:
            if self.source.read(offset, FRAME_HEAD)[17:] == expected:
                return offset
        return self._unvouched(offset)

    def _unvouched(self, offset: int) -> int:
        """What ends at this offset and nothing vouches for; the offset itself after a checkpoint."""
        if self.last is None:
            return 0
        return offset if self.last.kind is Kind.CHECKPOINT else self.last.offset

    def _place(self, frame: Frame) -> None:
        """Rule 4."""
        if frame.kind is Kind.CHECKPOINT:
            return
        if self.last is None:
            raise _Ended(Answer.ALTERED, frame.offset, "the first frame is no checkpoint")
        if self.ending:
            raise _Ended(Answer.ALTERED, frame.offset, "no checkpoint follows the end")

    def _checkpoint(self, header: Header, frame: Frame) -> None:
        """Rule 3."""
        note = open_note(frame.body, self.key)
        if isinstance(note, str):
            if self.source.last_written() < frame.end - 1:
                raise self._stopped(frame.offset, f"torn checkpoint: {note}")
            raise _Ended(Answer.ALTERED, frame.offset, f"checkpoint: {note}")
        wrong = self._uncovered(header, frame, note)
        if wrong:
            raise _Ended(Answer.ALTERED, self.signed_end, f"a genuine checkpoint has another {wrong}")
        self.last_time = note.time

    def _uncovered(self, header: Header, frame: Frame, note: Note) -> str | None:
        """What of a genuine checkpoint is not that of what stands before it."""
        if note.session != header.session:
            return "session"
        if note.leaves != self.tree.count:
            return "count of leaves"
        if note.bytes != frame.offset:
            return "count of bytes"
        if note.root != self.tree.root():
            return "tree hash"
        return None

    def _accept(self, header: Header, frame: Frame) -> None:
        self.tree.append(frame.leaf)
        self.frames += 1
        self.last = frame
        if frame.kind is Kind.CHECKPOINT:
            self.checkpoints += 1
            self.signed_end = frame.end
            self.signed_frames = self.frames
            self.closed = self.ending
        self.ending = frame.kind is Kind.END
        if self.watcher:
            self.watcher(header, frame)

    def _end_closed(self, offset: int) -> None:
        if offset == self.source.size:
            raise _Ended(Answer.CLEAN, None, "closed, and all of it is signed")
        if self.source.last_written() < offset:
            raise _Ended(Answer.UNTRIMMED, None, "closed; blank space was not cut off")
        raise _Ended(Answer.ALTERED, offset, "something follows a closed recording")

    def _stopped(self, place: int, why: str, blamed: int | None = None) -> _Ended:
        """The frames stop at `place`: an alteration if something signed is left behind.

        Then `blamed` is the frame to name, if it is not the one at that place.
        """
        found = find_note(self.source, self.signed_end, self.key)
        if found is None:
            return _Ended(Answer.UNCLEAN, place, why)
        reason = f"{why}, yet a genuine checkpoint stands at offset {found}"
        return _Ended(Answer.ALTERED, place if blamed is None else blamed, reason)


def verify(source: Source, key: PublicKey, watcher: Watcher | None = None) -> Report:
    """Verify one recording. Raises OSError where the file can't be read."""
    walk = _Walk(source, key, watcher)
    try:
        walk.run()
    except _Ended as ended:
        return Report(
            answer=ended.answer,
            reason=ended.reason,
            offset=ended.offset,
            header=walk.header,
            signed_end=walk.signed_end,
            frames=walk.frames,
            checkpoints=walk.checkpoints,
            tail_frames=walk.frames - walk.signed_frames,
            last_time=walk.last_time,
        )
    raise AssertionError("a walk goes on until it has ended")
