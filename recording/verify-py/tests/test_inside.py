"""What is wrong inside a recording is found, and what is right passes."""

from __future__ import annotations

import unittest

from ghr.age import read_identities
from ghr.chain import verify
from ghr.entries import Inside
from ghr.layout import Source

from .forge import Signer
from .inside import cases, identity_text


class InsideCases(unittest.TestCase):
    def test_faults(self) -> None:
        identities = read_identities(identity_text())
        names: set[str] = set()
        for case in cases():
            self.assertNotIn(case.name, names)
            names.add(case.name)
            with self.subTest(case.name):
                inside = Inside(identities)
                report = verify(Source.of_bytes(case.data), Signer().public, inside.watch)
                self.assertIn(report.answer.value, ("clean", "unclean"), report.reason)
                if case.fault is None:
                    self.assertIsNone(inside.fault)
                else:
                    self.assertIn(case.fault, inside.fault or "nothing")
                    self.assertLess(inside.fault_offset, report.signed_end)
        self.assertGreater(len(names), 90)
