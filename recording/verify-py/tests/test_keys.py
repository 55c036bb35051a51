"""Public keys as their file has them."""

from __future__ import annotations

import unittest

from ghr.notes import BadKey, PublicKey

from .forge import Signer
from .test_vectors import printed

LINE = printed("public key").encode()


class Keys(unittest.TestCase):
    def test_blanks_around_do_not_count(self) -> None:
        for line in (LINE, LINE + b"\n", LINE + b"\r\n", b" " + LINE + b"\n\n"):
            self.assertEqual(PublicKey.parse(line).key_id.hex(), "47805c2b")

    def test_names(self) -> None:
        self.assertEqual(Signer("k" * 255).public.name, b"k" * 255)
        for name in ("", "k" * 256, "a b", "é"):
            with self.assertRaises(BadKey, msg=name):
                PublicKey.parse(Signer(name).line)

    def test_what_is_no_key(self) -> None:
        name, key_id, key = LINE.split(b"+", 2)
        for line in (
            b"",
            name,
            name + b"+" + key_id,
            name + b"+" + key_id.upper() + b"+" + key,
            name + b"+00000000+" + key,
            b"plant-b+" + key_id + b"+" + key,
            name + b"+" + key_id + b"+" + key[:-4],
            name + b"+" + key_id + b"+" + b"B" + key[1:],
            LINE + b"=",
            LINE + b"\n" + LINE,
        ):
            with self.assertRaises(BadKey, msg=line):
                PublicKey.parse(line)
