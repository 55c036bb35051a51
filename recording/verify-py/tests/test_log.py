"""The committed site logs have the answers that stand beside them (LOG.md)."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import unittest
from pathlib import Path

from ghr.cli import main
from ghr.layout import Source
from ghr.log import MAX_GROUP, BadReceipt, LogAnswer, LogReport, read_receipt, verify_log
from ghr.notes import PublicKey

VECTORS = Path(__file__).parents[2] / "vectors" / "log"
KEY = PublicKey.parse((VECTORS / "signing.pub").read_bytes())


def check(log: bytes) -> LogReport:
    return verify_log(Source.of_bytes(log), KEY, range(200))


class Log(unittest.TestCase):
    def test_vectors(self) -> None:
        expected = json.loads((VECTORS / "expected.json").read_text())
        self.assertEqual(set(expected), {path.name for path in VECTORS.glob("*.log")})
        self.assertGreater(len(expected), 60)
        answers = set()
        for name, wanted in expected.items():
            with self.subTest(name):
                report = check((VECTORS / name).read_bytes())
                offset = report.offset if report.answer is LogAnswer.ALTERED else None
                leads = {receipt: self.lead(report, receipt) for receipt in wanted["receipts"]}
                found = {
                    "answer": report.answer.value,
                    "exit": report.exit_code([]),
                    "entries": report.entries,
                    "signed_bytes": report.signed_end,
                    "offset": offset,
                    "receipts": leads,
                }
                self.assertEqual(found, wanted)
                answers.add(report.answer)
        self.assertEqual(answers, set(LogAnswer))

    def lead(self, report: LogReport, receipt: str) -> str:
        try:
            [head] = read_receipt((VECTORS / receipt).read_bytes(), KEY)
        except BadReceipt:
            return "not of this key"
        return report.leads(head).value

    def test_every_bit_and_every_cut_of_the_small_one(self) -> None:
        small = (VECTORS / "small.log").read_bytes()
        for bit in range(0, len(small) * 8, 7):
            changed = bytearray(small)
            changed[bit // 8] ^= 1 << bit % 8
            self.assertIs(check(bytes(changed)).answer, LogAnswer.ALTERED, bit)
        whole = [length for length in range(len(small)) if check(small[:length]).answer is LogAnswer.SOUND]
        self.assertEqual(len(whole), 2)
        self.assertNotIn(LogAnswer.ALTERED, {check(small[:length]).answer for length in range(len(small))})

    def test_entries_without_end_are_bounded(self) -> None:
        small = (VECTORS / "small.log").read_bytes()
        first = 10 + int.from_bytes(small[10:14], "little")
        endless = small[:first] + (6).to_bytes(4, "little") + b"\x01\x02"
        report = check(endless + endless[first:] * MAX_GROUP)
        self.assertEqual((report.answer, report.offset, report.entries), (LogAnswer.ALTERED, 0, 0))

    def test_the_command(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(VECTORS / "small.log", Path(folder) / "site.log")
            words = ["--log", folder, "--key", str(VECTORS / "signing.pub")]
            for receipts, code in [([], 3), (["whole"], 0), (["whole", "another-log"], 1), (["another-key"], 4)]:
                named = [word for name in receipts for word in ("--receipt", str(VECTORS / f"{name}.receipt"))]
                for form in [[], ["--json"]]:
                    out = io.StringIO()
                    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                        self.assertEqual(main([*words, *named, *form]), code)
                    self.assertEqual(bool(out.getvalue()), code != 4)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(main(words), 4)


if __name__ == "__main__":
    unittest.main()
