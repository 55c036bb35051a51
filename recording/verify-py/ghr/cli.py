"""The command: arguments, files, what is printed, the exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from typing import NoReturn, Sequence

from .age import BadIdentity, Identity, MAX_IDENTITY_FILE, NotForThisIdentity, read_identities
from .chain import Report, verify
from .entries import Inside
from .events import TAPS
from .layout import Source
from .notes import MAX_KEY_FILE, BadKey, PublicKey

ALTERED = 1
UNCHECKED = 4
_WORST_FIRST = (ALTERED, UNCHECKED, 3, 2, 0)

_EPILOG = """\
exit codes, of several files the first that fits:
  1  altered
  4  not checked: usage, input or output, or no identity fits
  3  valid so far; whether something followed can't be told
  2  valid and closed, blank space behind it
  0  valid and clean

example:
  python3 verify.py recordings/*.ghr --key signing.pub --json
"""


@dataclass
class Checked:
    """What is known of one file."""

    path: str
    report: Report | None
    inside: Inside | None
    problem: str | None

    @property
    def inside_fault(self) -> str | None:
        """What is wrong inside the signed part."""
        if self.report is None or self.inside is None or self.inside.fault is None:
            return None
        return self.inside.fault if self.inside.fault_offset < self.report.signed_end else None

    @property
    def exit_code(self) -> int:
        """What this file alone would exit with."""
        if self.report is None:
            return UNCHECKED
        if self.inside_fault is not None:
            return ALTERED
        return self.report.answer.exit_code

    def as_json(self) -> dict[str, object]:
        """One object per file; absent facts are null."""
        if self.report is None:
            return {"file": self.path, "exit": self.exit_code, "problem": self.problem}
        report = self.report
        offset = report.offset
        if self.inside_fault is not None and self.inside is not None and offset is None:
            offset = self.inside.fault_offset
        return {
            "file": self.path,
            "exit": self.exit_code,
            "answer": report.answer.value,
            "offset": offset,
            "reason": report.reason,
            "session": report.header.session.hex() if report.header else None,
            "frames": report.frames,
            "checkpoints": report.checkpoints,
            "signed_bytes": report.signed_end,
            "unsigned_tail_frames": report.tail_frames,
            "last_checkpoint": report.last_time,
            "inside": self._inside_as_json(),
        }

    def _inside_as_json(self) -> dict[str, object] | None:
        if self.inside is None:
            return None
        faulty = self.inside.fault is not None
        return {
            "items": self.inside.items,
            "events": self.inside.events,
            "totals": dict(zip(TAPS, self.inside.totals)),
            "fault": self.inside.fault,
            "fault_offset": self.inside.fault_offset if faulty else None,
        }

    def lines(self) -> list[str]:
        """For people."""
        name = ascii(self.path)[1:-1]
        if self.report is None:
            return [f"{name}: not checked: {self.problem}"]
        report = self.report
        at = "" if report.offset is None else f" at offset {report.offset}"
        out = [f"{name}: {report.answer.value}{at}: {report.reason}"]
        out.append(
            f"  {report.frames} frames, {report.checkpoints} checkpoints, "
            f"signed to byte {report.signed_end}, {report.tail_frames} frames behind it unsigned"
        )
        if self.inside is not None:
            out.append(f"  inside: {self.inside.items} items, {self.inside.events} events")
        if self.inside is not None and self.inside.fault is not None:
            where = "inside" if self.inside_fault else "inside the unsigned tail"
            out.append(f"  {where}: wrong in the frame at offset {self.inside.fault_offset}: {self.inside.fault}")
        return out


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(UNCHECKED, f"{self.prog}: {message}\n")


def check(path: str, key: PublicKey, identities: list[Identity]) -> Checked:
    """Verify one file, inside too if there are identities. Never raises for its content."""
    inside = Inside(identities) if identities else None
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as raw:
            source = Source.of_file(raw)
            report = verify(source, key, inside.watch if inside else None)
    except (OSError, NotForThisIdentity) as problem:
        return Checked(path, None, None, getattr(problem, "strerror", None) or str(problem))
    return Checked(path, report, inside, None)


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes to must not hold up the other files."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    parser = _Parser(
        prog="verify.py",
        description="Verify Gatehouse recordings with a public key; with an identity look inside as well.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="+", metavar="FILE", help="a recording")
    parser.add_argument("--key", required=True, metavar="PUB", help="file of the signing key's public part")
    parser.add_argument(
        "--identity", action="append", default=[], metavar="AGE", help="file of age identities; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    chosen = parser.parse_args(arguments)
    try:
        key = PublicKey.parse(_small_file(chosen.key, MAX_KEY_FILE))
        identities = [
            identity
            for path in chosen.identity
            for identity in read_identities(_small_file(path, MAX_IDENTITY_FILE).decode("ascii", "replace"))
        ]
    except (OSError, BadKey, BadIdentity) as problem:
        print(f"verify.py: key or identity: {problem}", file=sys.stderr)
        return UNCHECKED
    codes: set[int] = set()
    for path in chosen.file:
        checked = check(path, key, identities)
        codes.add(checked.exit_code)
        if not _say(json.dumps(checked.as_json()) if chosen.json else "\n".join(checked.lines())):
            return UNCHECKED
    return next(code for code in _WORST_FIRST if code in codes)


def _say(text: str) -> bool:
    """Print; False if nobody reads any more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="ascii")
        return False
    return True


def _small_file(path: str, largest: int) -> bytes:
    with open(path, "rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise OSError(f"{ascii(path)} is longer than {largest} bytes")
    return data
