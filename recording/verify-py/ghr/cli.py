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
from .log import MAX_RECEIPT, BadReceipt, Head, LogReport, read_receipt, verify_log
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

with --log, of the site log alone:
  1  altered, or a receipt does not lead to it
  3  sound or torn; without a receipt, entries at its end may have been cut off
  0  sound, and every receipt leads to it

examples:
  python3 verify.py recordings/*.ghr --key signing.pub --json
  python3 verify.py --log log --receipt SESSION.receipt --key signing.pub
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


def check_log(path: str, key: PublicKey, receipts: list[tuple[str, Head]]) -> tuple[int, dict[str, object]]:
    """Verify the site log of a folder; its exit code and one object. Never raises for its content."""
    file = os.path.join(path, "site.log")
    sizes = {head.size for _, head in receipts}
    try:
        with open(file, "rb", buffering=0, opener=_open_without_waiting) as raw:
            report = verify_log(Source.of_file(raw), key, sizes)
    except OSError as problem:
        return UNCHECKED, {"file": file, "exit": UNCHECKED, "problem": problem.strerror or str(problem)}
    code = report.exit_code(head for _, head in receipts)
    return code, _log_as_json(file, code, report, receipts)


def _log_as_json(
    file: str, code: int, report: LogReport, receipts: list[tuple[str, Head]]
) -> dict[str, object]:
    return {
        "file": file,
        "exit": code,
        "answer": report.answer.value,
        "offset": report.offset,
        "reason": report.reason,
        "log": report.log.hex() if report.log else None,
        "entries": report.entries,
        "signed_bytes": report.signed_end,
        "signed_until": report.signed_until,
        "receipts": {name: report.leads(head).value for name, head in receipts},
    }


def _log_lines(found: dict[str, object]) -> str:
    name = ascii(found["file"])[1:-1]
    if "problem" in found:
        return f"{name}: not checked: {found['problem']}"
    at = "" if found["offset"] is None else f" at offset {found['offset']}"
    lines = [f"{name}: {found['answer']}{at}: {found['reason']}"]
    lines.append(f"  {found['entries']} entries, signed until {found['signed_until']}, to byte {found['signed_bytes']}")
    receipts = found["receipts"]
    assert isinstance(receipts, dict)
    lines.extend(f"  receipt {ascii(receipt)[1:-1]}: {lead}" for receipt, lead in receipts.items())
    return "\n".join(lines)


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
    parser.add_argument("file", nargs="*", metavar="FILE", help="a recording")
    parser.add_argument("--key", required=True, metavar="PUB", help="file of the signing key's public part")
    parser.add_argument(
        "--identity", action="append", default=[], metavar="AGE", help="file of age identities; may be repeated"
    )
    parser.add_argument("--log", metavar="DIR", help="folder of the site log, which is checked by itself")
    parser.add_argument(
        "--receipt", action="append", default=[], metavar="R", help="a receipt of the site log; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    chosen = parser.parse_args(arguments)
    if not chosen.file and not chosen.log:
        parser.error("name a recording, or a folder by --log")
    if chosen.receipt and not chosen.log:
        parser.error("--receipt says something of a site log: name its folder by --log")
    try:
        key = PublicKey.parse(_small_file(chosen.key, MAX_KEY_FILE))
        identities = [
            identity
            for path in chosen.identity
            for identity in read_identities(_small_file(path, MAX_IDENTITY_FILE).decode("ascii", "replace"))
        ]
        receipts = [
            (path, head) for path in chosen.receipt for head in read_receipt(_small_file(path, MAX_RECEIPT), key)
        ]
    except (OSError, BadKey, BadIdentity, BadReceipt) as problem:
        print(f"verify.py: key, identity or receipt: {problem}", file=sys.stderr)
        return UNCHECKED
    codes: set[int] = set()
    if chosen.log:
        code, found = check_log(chosen.log, key, receipts)
        codes.add(code)
        if not _say(json.dumps(found) if chosen.json else _log_lines(found)):
            return UNCHECKED
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
