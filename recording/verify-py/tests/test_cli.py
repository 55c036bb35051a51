"""The command as an auditor would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from .forge import Forge, Signer, bytes_item
from .inside import cases, identity_text
from .test_vectors import SMALL, printed

PROGRAM = Path(__file__).resolve().parents[1] / "verify.py"
TIMEOUT_S = 120


class Command(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="verify-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.file("pub", printed("public key").encode() + b"\n")
        self.file("id", printed("identity").encode() + b"\n")
        self.file("clean", SMALL)
        self.file("untrimmed", SMALL + bytes(9))
        self.file("unclean", SMALL[:1600])
        self.file("altered", SMALL[:900] + b"?" + SMALL[901:])

    def file(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def run_it(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), *arguments]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )

    def code(self, *names: str) -> int:
        return self.run_it(*names, "--key", "pub").returncode

    def test_exit_codes(self) -> None:
        self.assertEqual(self.code("clean"), 0)
        self.assertEqual(self.code("altered"), 1)
        self.assertEqual(self.code("untrimmed"), 2)
        self.assertEqual(self.code("unclean"), 3)
        self.assertEqual(self.code("missing"), 4)

    def test_the_worst_of_several_counts(self) -> None:
        self.assertEqual(self.code("untrimmed", "clean"), 2)
        self.assertEqual(self.code("clean", "unclean", "untrimmed"), 3)
        self.assertEqual(self.code("missing", "unclean"), 4)
        self.assertEqual(self.code("missing", "altered", "unclean"), 1)

    def test_words(self) -> None:
        done = self.run_it("clean", "altered", "missing", "--key", "pub")
        self.assertIn("clean: clean: closed", done.stdout)
        self.assertIn("altered: altered at offset 749: ", done.stdout)
        self.assertIn("missing: not checked: No such file", done.stdout)

    def test_json(self) -> None:
        done = self.run_it("clean", "altered", "missing", "--key", "pub", "--json")
        clean, altered, missing = map(json.loads, done.stdout.splitlines())
        self.assertEqual((clean["exit"], clean["answer"], clean["signed_bytes"]), (0, "clean", 1826))
        self.assertIsNone(clean["offset"])
        self.assertEqual((altered["exit"], altered["offset"]), (1, 749))
        self.assertEqual(missing["exit"], 4)

    def test_usage(self) -> None:
        for arguments in ((), ("clean",), ("--key", "pub"), ("clean", "--key", "pub", "--more")):
            self.assertEqual(self.run_it(*arguments).returncode, 4, arguments)
        self.assertEqual(self.run_it("--help").returncode, 0)

    def test_wrong_keys_and_identities(self) -> None:
        self.file("no-key", b"plant-a+00000000+AAAA\n")
        self.file("endless", b"x" * 100000)
        for key in ("no-key", "endless", "missing", "clean", "id"):
            self.assertEqual(self.run_it("clean", "--key", key).returncode, 4, key)
        for identity in ("pub", "missing", "endless"):
            done = self.run_it("clean", "--key", "pub", "--identity", identity)
            self.assertEqual(done.returncode, 4, identity)

    def test_an_identity_of_somebody_else(self) -> None:
        self.file("other-id", identity_text().encode())
        done = self.run_it("clean", "--key", "pub", "--identity", "other-id")
        self.assertEqual(done.returncode, 4)
        self.assertIn("no stanza", done.stdout)

    def test_the_key_of_somebody_else(self) -> None:
        self.file("other", Signer("plant-b", 2).line)
        self.assertEqual(self.run_it("clean", "--key", "other").returncode, 1)

    def test_inside(self) -> None:
        done = self.run_it("clean", "--key", "pub", "--identity", "id", "--json")
        self.assertEqual(done.returncode, 0)
        inside = json.loads(done.stdout)["inside"]
        self.assertEqual((inside["items"], inside["events"], inside["fault"]), (3, 1, None))
        self.assertEqual(inside["totals"]["to_device"], 12)

    def test_a_fault_inside_is_exit_1_where_it_is_signed(self) -> None:
        self.file("inside-id", identity_text().encode())
        self.file("inside-pub", Signer().line)
        gap = next(case for case in cases() if case.name == "tap-gap")
        self.file("signed", gap.data)
        self.file("unsigned", Forge().checkpoint().entries(bytes_item(1, 0, 9, b"a")).data)
        for name, code, word in (("signed", 1, "  inside: wrong"), ("unsigned", 3, "inside the unsigned tail")):
            done = self.run_it(name, "--key", "inside-pub", "--identity", "inside-id")
            self.assertEqual(done.returncode, code, done.stdout)
            self.assertIn(word, done.stdout)

    def test_what_is_no_file_holds_nothing_up(self) -> None:
        os.mkfifo(self.folder / "pipe")
        for name in ("pipe", ".", "/dev/zero"):
            done = self.run_it(name, "clean", "--key", "pub")
            self.assertEqual(done.returncode, 4, name)
            self.assertIn("clean: clean: closed", done.stdout)

    def test_names_are_escaped(self) -> None:
        name = "red\x1b[31m\n"
        self.file(name, SMALL)
        done = self.run_it(name, "--key", "pub")
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("\x1b", done.stdout)
        self.assertTrue(done.stdout.startswith("red\\x1b[31m\\n: clean"))
