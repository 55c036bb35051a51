"""The committed vectors, and every number that FORMAT.md, section 10, prints of them."""

from __future__ import annotations

import hashlib
import json
import re
import unittest
from pathlib import Path

from ghr import age, sealing
from ghr.chain import Answer, verify
from ghr.entries import Inside
from ghr.layout import Frame, Kind, Source, read_frame, read_header
from ghr.notes import PublicKey

RECORDING = Path(__file__).resolve().parents[2]
VECTORS = RECORDING / "vectors"
FORMAT = (RECORDING / "FORMAT.md").read_text(encoding="utf-8")


def vector(name: str) -> bytes:
    """The bytes of a hex file."""
    return bytes.fromhex("".join((VECTORS / name).read_text(encoding="ascii").split()))


def printed(label: str) -> str:
    """What section 10 has behind a label."""
    found = re.search(rf"^{label}  +(\S+)$", FORMAT, re.MULTILINE)
    assert found is not None, label
    return found[1]


KEY = PublicKey.parse(printed("public key").encode())
IDENTITY = age.Identity.parse(printed("identity"))
SMALL = vector("small.hex")


def frames(data: bytes) -> list[Frame]:
    """All frames of a good recording."""
    source = Source.of_bytes(data)
    out: list[Frame] = []
    frame = read_frame(source, read_header(source).end)
    while isinstance(frame, Frame):
        out.append(frame)
        frame = read_frame(source, frame.end)
    return out


def verify_two(folder: Path, key: PublicKey, identities: list[age.Identity]) -> tuple[str, int, str]:
    """What the header says of the recording that the second recipient can open too."""
    inside = Inside(identities)
    report = verify(Source.of_bytes((folder / "two-recipients.ghr").read_bytes()), key, inside.watch)
    assert report.header is not None and inside.fault is None
    return report.header.origin.decode(), report.header.log_size, report.header.mode


class Vectors(unittest.TestCase):
    def test_each_recording_is_clean_inside_and_out(self) -> None:
        names = [path.name for path in VECTORS.glob("*.hex") if ".plaintext" not in path.name]
        self.assertIn("small.hex", names)
        for name in names:
            with self.subTest(name):
                inside = Inside([IDENTITY])
                report = verify(Source.of_bytes(vector(name)), KEY, inside.watch)
                self.assertEqual((report.answer, report.offset), (Answer.CLEAN, None), report.reason)
                self.assertIsNone(inside.fault)

    def test_the_corpus_is_answered_as_the_other_verifier_answers(self) -> None:
        expected = json.loads((VECTORS / "corpus" / "expected.json").read_text(encoding="utf-8"))
        key = PublicKey.parse(expected["key"].encode())
        self.assertGreater(len(expected["files"]), 50)
        for name, wanted in expected["files"].items():
            with self.subTest(name):
                report = verify(Source.of_bytes((VECTORS / "corpus" / name).read_bytes()), key)
                self.assertEqual(report.answer.value, wanted["answer"], report.reason)
                if report.answer is Answer.ALTERED:
                    self.assertEqual(report.offset, wanted["offset"], report.reason)

    def test_the_table_of_frames(self) -> None:
        header = read_header(Source.of_bytes(SMALL))
        rows = re.findall(r"^\| (\d+) \| (\d+) \| (\w+).*\| `([0-9a-f]{64})` \|$", FORMAT, re.MULTILINE)
        found = [("0", str(header.end), "header", header.hash.hex())]
        found += [(str(f.offset), str(len(f.raw)), "frame", f.leaf.hex()) for f in frames(SMALL)]
        self.assertEqual(rows, found)

    def test_the_table_of_keys(self) -> None:
        rows = dict(re.findall(r"^\| ([a-z0-9 ]+) \| `([0-9a-f]{64})` \|$", FORMAT, re.MULTILINE))
        header = read_header(Source.of_bytes(SMALL))
        opened = age.unwrap(header.wrapped_key, [IDENTITY])
        extracted = sealing.extract(header.session, opened.content)
        found = {
            "file key": opened.content,
            "extracted": extracted,
            "commitment": sealing.derive(extracted, b"commitment"),
        }
        secret = sealing.derive(extracted, b"first epoch")
        for epoch in range(3):
            found[f"secret of epoch {epoch}"] = secret
            found[f"frame key of epoch {epoch}"] = sealing.derive(secret, b"frame key")
            secret = sealing.derive(secret, b"next epoch")
        self.assertEqual(rows, {name: value.hex() for name, value in found.items()})

    def test_the_plaintext(self) -> None:
        header = read_header(Source.of_bytes(SMALL))
        opener = sealing.Opener(header, age.unwrap(header.wrapped_key, [IDENTITY]).content)
        entries = [frame for frame in frames(SMALL) if frame.kind is Kind.ENTRIES]
        self.assertEqual([opener.open(frame) for frame in entries], [vector("small.plaintext.hex")])

    def test_the_recipient(self) -> None:
        header = read_header(Source.of_bytes(SMALL))
        listed = hashlib.sha256(IDENTITY.recipient.encode() + b"\n").digest()
        self.assertEqual(header.recipients_hash, listed)

    def test_every_kind(self) -> None:
        folder = VECTORS / "kinds"
        key = PublicKey.parse((folder / "signing.pub").read_bytes())
        owners = {name: age.read_identities((folder / name).read_text()) for name in ("auditor.age", "recovery.age")}
        expected = json.loads((folder / "expected.json").read_text())
        self.assertEqual({path.name for path in folder.glob("*.ghr")}, set(expected))
        for name, wanted in expected.items():
            for identities in (owners["auditor.age"], owners["auditor.age"] + owners["recovery.age"]):
                with self.subTest(name):
                    inside = Inside(identities)
                    report = verify(Source.of_bytes((folder / name).read_bytes()), key, inside.watch)
                    self.assertEqual(report.answer.exit_code, wanted["exit"], report.reason)
                    self.assertEqual(report.signed_end, wanted["signed_bytes"])
                    self.assertIsNone(inside.fault)
        both = verify_two(folder, key, owners["recovery.age"])
        self.assertEqual(both, ("plant-a/log", 7, "default"))

    def test_the_page_prints_the_files(self) -> None:
        for name in ("small.hex", "small.plaintext.hex"):
            self.assertIn((VECTORS / name).read_text(encoding="ascii").strip(), FORMAT)
