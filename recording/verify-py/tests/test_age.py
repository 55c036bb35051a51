"""age files and Bech32, against foreign test vectors and broken copies."""

from __future__ import annotations

import random
import unittest

from ghr import age
from ghr.layout import Source, read_header

from .forge import Forge, seal_age
from .test_vectors import IDENTITY, SMALL

WRAPPED = read_header(Source.of_bytes(SMALL)).wrapped_key
STRANGER = Forge(seed=99).identity


class Bech32(unittest.TestCase):
    def test_valid_strings_of_bip_173(self) -> None:
        for text in ("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "?1ezyfcl"):
            prefix, _, _ = text.rpartition("1")
            self.assertEqual(age.bech32_decode(text)[0], prefix)

    def test_invalid_strings_of_bip_173(self) -> None:
        for text in ("pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "A1G7SGD8", "10a06t8", "1qzzfhee", ""):
            with self.assertRaises(age.BadIdentity, msg=text):
                age.bech32_decode(text)

    def test_there_and_back(self) -> None:
        rng = random.Random(1)
        for size in range(1, 70):
            data = rng.randbytes(size)
            self.assertEqual(age.bech32_decode(age.bech32_encode("age", data)), ("age", data))

    def test_mixed_case_and_one_wrong_letter(self) -> None:
        text = IDENTITY.recipient
        first = next(letter for letter in text if letter.isalpha())
        other = "q" if text[-1] != "q" else "p"
        for wrong in (text.replace(first, first.upper(), 1), text[:-1] + other, text + other):
            with self.assertRaises(age.BadIdentity, msg=wrong):
                age.bech32_decode(wrong)

    def test_a_recipient_is_no_identity(self) -> None:
        with self.assertRaises(age.BadIdentity):
            age.Identity.parse(IDENTITY.recipient)


class Unwrapping(unittest.TestCase):
    def test_every_flipped_bit_is_refused(self) -> None:
        """The MAC covers the header, grease included; the seal covers the content."""
        whole = age.unwrap(WRAPPED, [IDENTITY])
        self.assertEqual(len(whole.content), age.FILE_KEY)
        for bit in range(len(WRAPPED) * 8):
            data = bytearray(WRAPPED)
            data[bit // 8] ^= 1 << bit % 8
            with self.assertRaises((age.BadAge, age.NotForThisIdentity), msg=bit):
                age.unwrap(bytes(data), [IDENTITY])

    def test_every_cut_is_refused(self) -> None:
        for size in range(len(WRAPPED)):
            with self.assertRaises(age.BadAge, msg=size):
                age.unwrap(WRAPPED[:size], [IDENTITY])

    def test_another_identity_opens_nothing(self) -> None:
        with self.assertRaises(age.NotForThisIdentity):
            age.unwrap(WRAPPED, [STRANGER])
        self.assertEqual(age.unwrap(WRAPPED, [STRANGER, IDENTITY]).content, age.unwrap(WRAPPED, [IDENTITY]).content)

    def test_several_recipients(self) -> None:
        people = [Forge(seed=seed).identity for seed in range(16)]
        wrapped = seal_age(b"k" * 32, [one.public for one in people], random.Random(1))
        alone = age.unwrap(wrapped, [people[15]])
        self.assertEqual((alone.content, alone.recipients), (b"k" * 32, None))
        together = age.unwrap(wrapped, people)
        self.assertEqual(together.recipients, tuple(one.recipient for one in people))

    def test_refusals(self) -> None:
        one = [IDENTITY.public]
        rng = random.Random(1)
        too_many = seal_age(b"k" * 32, one * 17, rng)
        short = seal_age(b"k" * 31, one, rng)
        long = seal_age(b"k" * 33, one, rng)
        none = seal_age(b"k" * 32, [], rng, extra=b"-> grease\n\n")
        low_order = seal_age(b"k" * 32, one, rng, extra=b"-> X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n")
        for wrapped in (too_many, short, long, none, low_order, b"", b"age-encryption.org/v1\n"):
            with self.assertRaises(age.BadAge):
                age.unwrap(wrapped, [IDENTITY])

    def test_identity_files(self) -> None:
        text = age.bech32_encode("age-secret-key-", bytes(32)).upper()
        self.assertEqual(len(age.read_identities(f"# made today\n\n{text}\r\n{text}\n")), 2)
        for wrong in ("", "# nothing\n", text[:-1], text + "\nmore\n"):
            with self.assertRaises(age.BadIdentity):
                age.read_identities(wrong)
