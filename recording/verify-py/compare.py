"""Do two verifiers agree? `python3 compare.py VERIFIER DIR --key PUB`.

VERIFIER is a program of the form `VERIFIER verify FILE... --key PUB --json`, such as
`gatehouse-audit`; the other is the one in this folder. DIR holds recordings of
that key. Both are asked about these and about changed copies of them, and must give
the same exit code, the same signed bytes and, of an alteration, the same offset.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Iterator

from ghr.chain import Answer, verify
from ghr.layout import Source
from ghr.mutate import Original, changed_copies
from ghr.notes import PublicKey

MAX_ORIGINAL = 1 << 20
MAX_ORIGINALS = 256
BATCH = 100
TIMEOUT_S = 300


@dataclass(frozen=True)
class Verdict:
    """What both must say alike. `offset` is None where nothing was altered."""

    exit_code: int
    signed_bytes: int
    offset: int | None

    def __str__(self) -> str:
        at = "" if self.offset is None else f" at {self.offset}"
        return f"exit {self.exit_code}{at}, signed to {self.signed_bytes}"


def ours(data: bytes, key: PublicKey) -> Verdict:
    """The verdict of the verifier in this folder."""
    report = verify(Source.of_bytes(data), key)
    offset = report.offset if report.answer is Answer.ALTERED else None
    return Verdict(report.answer.exit_code, report.signed_end, offset)


def theirs(verifier: str, files: list[Path], key: Path) -> list[Verdict]:
    """The verdicts of the other program, in the order of the files."""
    command = [verifier, "verify", *map(str, files), "--key", str(key), "--json"]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    try:
        answers = json.loads(done.stdout)
        by_file = {answer["file"]: answer for answer in answers}
        found = [by_file[str(path)] for path in files]
        return [
            Verdict(
                answer["exit"], answer["signed_bytes"], answer["offset"] if answer["exit"] == 1 else None
            )
            for answer in found
        ]
    except (ValueError, KeyError) as bad:
        said = done.stderr.decode("utf-8", "replace")[:500]
        raise SystemExit(f"{verifier} exited with {done.returncode} and no usable JSON ({bad!r}): {said}") from bad


def files_in(folder: Path) -> list[tuple[str, bytes]]:
    """The recordings of the folder that are small enough to be changed by the thousand."""
    paths = sorted(folder.rglob("*.ghr"))
    small = [path for path in paths if path.stat().st_size <= MAX_ORIGINAL][:MAX_ORIGINALS]
    if not small:
        raise SystemExit(f"{folder}: no recording of at most {MAX_ORIGINAL} bytes")
    return [(path.stem, path.read_bytes()) for path in small]


def changed(files: list[tuple[str, bytes]], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Changed copies of those files that have a header and frames."""
    originals: list[Original] = []
    for name, data in files:
        try:
            originals.append(Original.of(name, data))
        except ValueError:
            continue
    return changed_copies(originals, count if originals else 0, seed)


def compare(arguments: argparse.Namespace) -> int:
    """Ask both about every file; the exit code is 0 if they agree on all."""
    key = PublicKey.parse(arguments.key.read_bytes())
    files = files_in(arguments.dir)
    unchanged = ((f"unchanged-{name}", data) for name, data in files)
    copies = chain(unchanged, changed(files, arguments.count, arguments.seed))
    asked = 0
    codes: dict[int, int] = {}
    disagreed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        while batch := list(islice(copies, BATCH)):
            paths = [Path(scratch) / f"{name}.ghr" for name, _ in batch]
            for path, (_, data) in zip(paths, batch):
                path.write_bytes(data)
            for (name, data), their, path in zip(batch, theirs(arguments.verifier, paths, arguments.key), paths):
                own = ours(data, key)
                codes[own.exit_code] = codes.get(own.exit_code, 0) + 1
                asked += 1
                if own != their:
                    disagreed.append(f"{name}: here {own}; there {their}")
                    if arguments.keep:
                        arguments.keep.mkdir(parents=True, exist_ok=True)
                        (arguments.keep / path.name).write_bytes(data)
                path.unlink()
    for line in disagreed[: arguments.show]:
        print(line)
    spread = ", ".join(f"{count} with exit {code}" for code, count in sorted(codes.items()))
    print(f"{asked} files ({spread}), {len(disagreed)} disagreements")
    return 1 if disagreed else 0


def main() -> int:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verifier", metavar="VERIFIER", help="the other program")
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder with recordings, searched deeply")
    parser.add_argument("--key", type=Path, required=True, metavar="PUB", help="file of the signing key's public part")
    parser.add_argument("--count", type=int, default=2000, help="changed copies to ask about (2000)")
    parser.add_argument("--seed", type=int, default=1, help="which changes are made (1)")
    parser.add_argument("--show", type=int, default=20, help="disagreements to print (20)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to keep files that they disagree on")
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
