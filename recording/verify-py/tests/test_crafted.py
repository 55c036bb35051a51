"""Every crafted recording gets the verdict that FORMAT.md has for it."""

from __future__ import annotations

import unittest

from ghr.chain import Answer, verify
from ghr.layout import Source

from .crafted import cases
from .forge import Signer


class Crafted(unittest.TestCase):
    def test_verdicts(self) -> None:
        names: set[str] = set()
        for case in cases():
            self.assertNotIn(case.name, names)
            names.add(case.name)
            with self.subTest(case.name):
                report = verify(Source.of_bytes(case.data), Signer().public)
                offset = report.offset if report.answer is Answer.ALTERED else None
                self.assertEqual((report.answer.exit_code, offset), (case.exit_code, case.offset), report.reason)
        self.assertGreater(len(names), 100)
