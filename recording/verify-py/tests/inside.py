"""What stands inside recordings, right and wrong by sections 6 to 8, sealed and signed as it should be.

`python3 -m tests.inside FOLDER` writes the recordings and the identity that opens them.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from ghr import age
from ghr.layout import Kind

from .forge import Forge, HeaderFields, bytes_item, cbor, event_item, part_item, same_item, totals

SEED = 7
LARGEST = 65536 - 26
"""Bytes of a tap that one frame can hold: its plaintext less the rest of the item."""


@dataclass(frozen=True)
class Inside:
    """A recording, and a word of the fault that must be found, or none."""

    name: str
    data: bytes
    fault: str | None = None


def cases() -> Iterator[Inside]:
    """All of them."""
    yield from _taps()
    yield from _references()
    yield from _channels()
    yield from _items()
    yield from _parts()
    yield from _events()
    yield from _ends()
    yield from _keys()


def _closed(name: str, frames: list[list[bytes]], counts: tuple[int, ...], fault: str | None = None) -> Inside:
    forge = Forge().checkpoint()
    for items in frames:
        forge.entries(*items)
    return Inside(name, forge.close(counts).data, fault)


def _taps() -> Iterator[Inside]:
    abc = bytes_item(1, 0, 0, b"abc")
    yield _closed("tap-follows-on", [[abc, bytes_item(1, 0, 3, b"d")]], (4, 0, 0, 0))
    yield _closed("tap-follows-on-in-next-frame", [[abc], [bytes_item(1, 0, 3, b"d")]], (4, 0, 0, 0))
    yield _closed("tap-gap", [[abc, bytes_item(1, 0, 4, b"d")]], (4, 0, 0, 0), "follows on")
    yield _closed("tap-overlap", [[abc, bytes_item(1, 0, 2, b"d")]], (4, 0, 0, 0), "follows on")
    yield _closed("tap-starts-late", [[bytes_item(1, 0, 1, b"d")]], (1, 0, 0, 0), "follows on")
    yield _closed("tap-offset-huge", [[bytes_item(1, 0, 2**64 - 1, b"d")]], (1, 0, 0, 0), "follows on")
    yield _closed("tap-4", [[bytes_item(1, 4, 0, b"d")]], (1, 0, 0, 0), "tap 4")
    yield _closed("four-taps", [[bytes_item(1, tap, 0, b"d" * (tap + 1)) for tap in range(4)]], (1, 2, 3, 4))
    yield _closed("tap-count-0", [[bytes_item(1, 0, 0, b""), abc, bytes_item(1, 0, 3, b"")]], (3, 0, 0, 0))
    yield _closed("tap-largest", [[bytes_item(1, 0, 0, b"d" * LARGEST)]], (LARGEST, 0, 0, 0))


def _references() -> Iterator[Inside]:
    abc = bytes_item(1, 0, 0, b"abc")
    yield _closed("reference", [[abc, same_item(1, 1, 0, 3, 0, 0)]], (3, 3, 0, 0))
    yield _closed("reference-to-nothing", [[same_item(1, 1, 0, 0, 0, 0)]], (0, 0, 0, 0))
    yield _closed("reference-count-0", [[abc, same_item(1, 1, 0, 0, 0, 3)]], (3, 0, 0, 0))
    yield _closed("reference-part", [[abc, same_item(1, 1, 0, 1, 0, 1)]], (3, 1, 0, 0))
    chain = [abc, same_item(1, 1, 0, 3, 0, 0), same_item(1, 2, 0, 3, 1, 0), same_item(1, 3, 0, 3, 2, 0)]
    yield _closed("reference-to-reference", [chain], (3, 3, 3, 3))
    yield _closed("reference-in-next-frame", [[abc], [same_item(1, 1, 0, 3, 0, 0)]], (3, 3, 0, 0))
    beyond = same_item(1, 1, 0, 3, 0, 1)
    yield _closed("reference-beyond", [[abc, beyond]], (3, 3, 0, 0), "not there")
    yield _closed("reference-huge", [[abc, same_item(1, 1, 0, 3, 0, 2**64 - 1)]], (3, 3, 0, 0), "not there")
    yield _closed("reference-to-none", [[same_item(1, 1, 0, 3, 0, 0)]], (0, 3, 0, 0), "not there")
    other_channel = [abc, same_item(2, 1, 0, 3, 0, 0)]
    yield _closed("reference-other-channel", [other_channel], (3, 3, 0, 0), "not there")
    itself = [abc, same_item(1, 0, 3, 3, 0, 0)]
    yield _closed("reference-to-itself", [itself], (6, 0, 0, 0), "tap itself")
    yield _closed("reference-gap", [[abc, same_item(1, 1, 1, 3, 0, 0)]], (3, 3, 0, 0), "follows on")
    yield _closed("reference-tap-4", [[abc, same_item(1, 1, 0, 3, 4, 0)]], (3, 3, 0, 0), "tap 4")
    yield from _distances()


def _distances() -> Iterator[Inside]:
    """References at the bounds of 1048576 bytes back, and as long."""
    mebibyte = 1 << 20
    for more, fault in ((0, None), (1, "too far back")):
        forge = Forge().checkpoint()
        at = 0
        while at < mebibyte + more:
            size = min(LARGEST, mebibyte + more - at)
            forge.entries(bytes_item(1, 0, at, bytes(size)))
            at += size
        forge.entries(same_item(1, 1, 0, 5, 0, 0))
        yield Inside(f"reference-back-{at}", forge.close((at, 5, 0, 0)).data, fault)
        forge = Forge().checkpoint()
        at = 0
        while at < mebibyte + more:
            size = min(LARGEST, mebibyte + more - at)
            forge.entries(bytes_item(1, 0, at, bytes(size)))
            at += size
        forge.entries(same_item(1, 1, 0, at, 0, 0))
        named = None if more == 0 else "a reference of"
        yield Inside(f"reference-long-{at}", forge.close((at, at, 0, 0)).data, named)


def _close_event(channel: int, *counts: int) -> bytes:
    fields = {"channel": channel, "by": "client", "how": "finished", "reason": "", "totals": totals(*counts)}
    return event_item(cbor({"channel_closed": fields}))


def _channels() -> Iterator[Inside]:
    abc = bytes_item(1, 0, 0, b"abc")
    closed = _close_event(1, 3, 0, 0, 0)
    yield _closed("channel-closed", [[abc, closed]], (3, 0, 0, 0))
    yield _closed("channel-closed-unused", [[_close_event(1, 0, 0, 0, 0)]], (0, 0, 0, 0))
    yield _closed("channel-totals-wrong", [[abc, _close_event(1, 4, 0, 0, 0)]], (3, 0, 0, 0), "totals of channel")
    yield _closed("channel-anew", [[abc, closed, bytes_item(1, 0, 0, b"d")]], (4, 0, 0, 0))
    yield _closed("channel-goes-on", [[abc, closed, bytes_item(1, 0, 3, b"d")]], (4, 0, 0, 0), "follows on")
    refers = same_item(1, 1, 0, 3, 0, 0)
    yield _closed("reference-to-closed", [[abc, closed, refers]], (3, 3, 0, 0), "not there")
    many = [[bytes_item(number, 0, 0, b"d") for number in range(part, part + 2048)] for part in (0, 2048)]
    yield _closed("channels-most", many, (4096, 0, 0, 0))
    yield _closed("channels-too-many", many + [[bytes_item(9999, 0, 0, b"d")]], (4097, 0, 0, 0), "more channels")
    empty = [[bytes_item(number, 0, 0, b"") for number in range(part, part + 2048)] for part in (0, 2048)]
    yield _closed("channels-too-many-empty", empty + [[bytes_item(9999, 0, 0, b"")]], (0, 0, 0, 0), "more channels")
    freed = [_close_event(0, 1, 0, 0, 0), bytes_item(9999, 0, 0, b"d")]
    yield _closed("channels-one-freed", many + [freed], (4097, 0, 0, 0))


def _items() -> Iterator[Inside]:
    abc = bytes_item(1, 0, 0, b"abc")
    yield _closed("item-0", [[abc, bytes(9)]], (3, 0, 0, 0), "item 0")
    yield _closed("item-5", [[abc, b"\x05" + bytes(8)]], (3, 0, 0, 0), "item 5")
    yield _closed("item-cut", [[abc[:-1]]], (3, 0, 0, 0), "beyond the plaintext")
    yield _closed("item-head-cut", [[abc, b"\x01"]], (3, 0, 0, 0), "beyond the plaintext")
    endless = struct.pack("<BQIBQI", 1, 7, 1, 0, 0, 2**32 - 1)
    yield _closed("item-count-huge", [[endless]], (0, 0, 0, 0), "beyond the plaintext")


def _note(text: str = "seen") -> bytes:
    return cbor({"note": {"text": text}})


def _parts() -> Iterator[Inside]:
    event = _note()
    whole = [part_item(event[:3]), part_item(event[3:5]), event_item(event[5:])]
    yield _closed("parts", [whole], (0, 0, 0, 0))
    yield _closed("parts-in-frames", [[item] for item in whole], (0, 0, 0, 0))
    yield _closed("parts-last-empty", [[part_item(event), event_item(b"")]], (0, 0, 0, 0))
    yield _closed("parts-empty", [[part_item(b""), event_item(event)]], (0, 0, 0, 0), "empty part")
    between = [whole[0], bytes_item(1, 0, 0, b"a"), *whole[1:]]
    yield _closed("parts-item-between", [between], (1, 0, 0, 0), "between the parts")
    yield _closed("parts-unfinished", [whole[:2]], (0, 0, 0, 0), "ends inside an event")
    terms = {"terms_changed": {"policy_hash": bytes(32), "terms": b""}}
    spare = (1 << 20) - len(cbor(terms)) - 4
    for more, fault in ((0, None), (1, "longer than any")):
        terms["terms_changed"]["terms"] = bytes(spare + more)
        event = cbor(terms)
        pieces = [event[at : at + 65000] for at in range(0, len(event), 65000)]
        frames = [[part_item(piece)] for piece in pieces[:-1]] + [[event_item(pieces[-1])]]
        yield _closed(f"parts-{len(event)}", frames, (0, 0, 0, 0), fault)
    # A checkpoint may stand between the parts.
    forge = Forge().checkpoint().entries(whole[0]).checkpoint().entries(*whole[1:])
    yield Inside("parts-checkpoint-between", forge.close().data)


def _operation(request: int) -> dict[str, object]:
    return {
        "request": request,
        "channel": 1,
        "offset": 0,
        "length": 12,
        "function": "write single register",
        "text": "write holding[100] = 731",
        "effect": "changes",
        "decision": "allow",
        "rule": "policy.csv:3",
        "reason": "",
    }


def _answer(request: int) -> dict[str, object]:
    return {"request": request, "channel": 1, "offset": 0, "length": 12, "text": "ok", "refused": False}


STARTED: dict[str, object] = {
    "person": "tech-1@vendor-a",
    "target": "press-line/plc7",
    "zone": "press",
    "address": "192.0.2.7",
    "source": "198.51.100.4:4711",
    "assurance": "certificate and code",
    "mode": "default",
    "policy_hash": bytes(32),
    "reason": None,
    "ticket": "T-1",
    "software": "gatehouse-gateway 0",
    "terms": b"\x01",
}


OBSERVED: dict[str, object] = {
    "channel": 1,
    "tap": "from_client",
    "offset": 0,
    "fact": "tls.server-name",
    "value": "plc7.press",
}


def _events() -> Iterator[Inside]:
    good: dict[str, dict[str, object]] = {
        "started": STARTED,
        "channel_opened": {"channel": 1, "service": "plc", "protocol": "modbus", "port": 502},
        "channel_connected": {"channel": 1},
        "operation": _operation(1),
        "refusal": {"request": 1, "channel": 1, "offset": 0, "length": 9},
        "observed": OBSERVED,
        "unframed": {"channel": 1, "tap": "from_client", "reason": "r"},
        "terms_changed": {"policy_hash": bytes(32), "terms": b""},
        "path_changed": {"source": "192.0.2.9:1"},
        "clock_step": {"step_ms": -3600000},
        "ending": {"reason": "idle", "in_s": 60},
        "note": {"text": "…"},
    }
    asked = event_item(cbor({"operation": _operation(1)}))
    for name, fields in good.items():
        before = [asked] if name == "refusal" else []
        yield _closed(f"event-{name}", [[*before, event_item(cbor({name: fields}))]], (0, 0, 0, 0))
    by_itself = event_item(cbor({"answer": _answer(0)}))
    yield _closed("event-answer-by-itself", [[by_itself]], (0, 0, 0, 0))
    answered = [event_item(cbor({"operation": _operation(1)})), event_item(cbor({"answer": _answer(1)}))]
    yield _closed("event-answer", [answered], (0, 0, 0, 0))

    def wrong(name: str, event: bytes, fault: str) -> Inside:
        return _closed(f"event-{name}", [[event_item(event)]], (0, 0, 0, 0), fault)

    yield wrong("unknown", cbor({"noted": {"text": "a"}}), "no event is named")
    yield wrong("two", cbor({"note": {"text": "a"}, "ending": {"reason": "", "in_s": 1}}), "1 pairs")
    yield wrong("none", cbor({}), "1 pairs")
    yield wrong("no-map", cbor("note"), "not a map")
    yield wrong("empty", b"", "too early")
    yield wrong("field-missing", cbor({"ending": {"reason": "r"}}), "2 pairs")
    yield wrong("field-more", cbor({"note": {"text": "a", "more": 1}}), "1 pairs")
    yield wrong("field-order", cbor({"ending": {"in_s": 1, "reason": "r"}}), "belongs")
    yield wrong("field-other", cbor({"note": {"texts": "a"}}), "belongs")
    yield wrong("text-is-bytes", cbor({"note": {"text": b"a"}}), "not a text")
    yield wrong("text-not-utf8", cbor({"note": {"text": "ab"}})[:-1] + b"\xff", "UTF-8")
    yield wrong("text-too-long", _note("x" * 1025), "1025")
    yield _closed("event-text-longest", [[event_item(_note("x" * 1024))]], (0, 0, 0, 0))
    yield wrong("trailing", _note() + b"\x00", "behind the last")
    yield wrong("cut", _note()[:-1], "too early")
    yield wrong("long-head", b"\xa1\x78\x04note" + cbor({"text": "a"}), "longer than it needs")
    yield wrong("indefinite-map", b"\xbf" + cbor("note") + cbor({"text": "a"}) + b"\xff", "not definite")
    yield wrong("indefinite-text", b"\xa1\x64note\xa1\x64text\x7f\x61a\xff", "not definite")
    yield wrong("tap", cbor({"unframed": {"channel": 1, "tap": "in", "reason": "r"}}), "not one of")
    yield wrong("observed-tap", cbor({"observed": OBSERVED | {"tap": "to_device"}}), "not one of")
    yield wrong("decision", cbor({"operation": _operation(1) | {"decision": "maybe"}}), "not one of")
    yield wrong("effect", cbor({"operation": _operation(1) | {"effect": "none"}}), "not one of")
    yield wrong("mode", cbor({"started": STARTED | {"mode": "fast"}}), "not one of")
    yield wrong("policy-hash-short", cbor({"started": STARTED | {"policy_hash": bytes(31)}}), "another length")
    yield wrong("refused-number", cbor({"answer": _answer(1) | {"refused": 1}}), "neither true nor false")
    yield wrong("unframed-tap", cbor({"unframed": {"channel": 1, "tap": "to_device", "reason": "r"}}), "not one of")
    closed = {"channel": 1, "by": "client", "how": "finished", "reason": "", "totals": totals(0, 0, 0, 0)}
    yield wrong("by", cbor({"channel_closed": closed | {"by": "nobody"}}), "not one of")
    yield wrong("how", cbor({"channel_closed": closed | {"how": "slowly"}}), "not one of")
    opened: dict[str, object] = {"channel": 1, "service": "plc", "protocol": "modbus", "port": 502}
    yield wrong("port-large", cbor({"channel_opened": opened | {"port": 65536}}), "more than 16")
    yield wrong("channel-large", cbor({"channel_opened": opened | {"channel": 2**32}}), "more than 32")
    yield wrong("length-large", cbor({"operation": _operation(1) | {"length": 2**32}}), "more than 32")
    yield wrong("in-s-large", cbor({"ending": {"reason": "", "in_s": 2**32}}), "more than 32")
    for step, fault in ((2**63 - 1, None), (-(2**63), None), (2**63, "64 bits"), (-(2**63) - 1, "64 bits")):
        yield _closed(f"event-step-{step}", [[event_item(cbor({"clock_step": {"step_ms": step}}))]], (0, 0, 0, 0), fault)
    yield wrong("refusal-of-none", cbor({"refusal": {"request": 1, "channel": 1, "offset": 0, "length": 9}}), "no request")
    yield _closed(
        "event-refusal-of-0",
        [[asked, event_item(cbor({"refusal": {"request": 0, "channel": 1, "offset": 0, "length": 9}}))]],
        (0, 0, 0, 0),
        "no request",
    )
    yield wrong("request-0", cbor({"operation": _operation(0)}), "request 0")
    yield wrong("request-2-first", cbor({"operation": _operation(2)}), "request 2")
    yield wrong("answer-to-none", cbor({"answer": _answer(1)}), "no request")


def _ends() -> Iterator[Inside]:
    def ended(
        name: str,
        fault: str | None,
        checkpoints: int = 1,
        counts: tuple[int, ...] = (0, 0, 0, 0),
        step: int = 1,
        **other: object,
    ) -> Inside:
        forge = Forge()
        for _ in range(checkpoints):
            forge.checkpoint()
        return Inside(f"end-{name}", forge.end(counts, step=step, other=other).checkpoint().data, fault)

    yield ended("as-it-should-be", None)
    yield ended("totals-wrong", "totals at the end", counts=(1, 0, 0, 0))
    yield ended("no-marks", "marks", marks=[])
    for step in (1, 2, 4, 8, 16):
        yield ended(f"every-{step}", None, checkpoints=11, step=step)
    yield ended("every-third", "marks", checkpoints=11, step=3)
    yield ended("marks-most", None, checkpoints=512)
    yield ended("marks-too-many", "array of 513", checkpoints=513)
    yield ended("marks-halved", None, checkpoints=1025, step=4)
    yield ended("marks-not-all", "marks", checkpoints=1025, step=8, marks=[])
    forge = Forge().checkpoint().checkpoint()
    (zero, first), (second, sequence) = forge.checkpoints
    final = (len(forge.data) + 200, 2, 0)
    for name, marks in {
        "mark-offset": [(zero + 1, first, 0), (second, sequence, 0)],
        "mark-sequence": [(zero, first, 0), (second, sequence + 1, 0)],
        "marks-reversed": [(second, sequence, 0), (zero, first, 0)],
        "marks-final-too": [(zero, first, 0), (second, sequence, 0), final],
        "marks-without-first": [(second, sequence, 0)],
    }.items():
        yield ended(name, "marks", checkpoints=2, marks=marks)
    yield ended("mark-of-two", "three numbers", marks=[(zero, first)])
    yield ended("reason-number", "not a text", reason=1)
    yield ended("more", "4 pairs", more=1)
    short = Forge().checkpoint().seal(Kind.END, cbor({"at": 1})).checkpoint()
    yield Inside("end-fields-missing", short.data, "4 pairs")


def _keys() -> Iterator[Inside]:
    """Seals and wrapped keys."""
    abc = bytes_item(1, 0, 0, b"abc")
    forge = Forge().checkpoint().frame(Kind.ENTRIES, b"x" * 80)
    yield Inside("seal-broken", forge.end((3, 0, 0, 0)).checkpoint().data, "seal is broken")
    forge = Forge().checkpoint()
    forge.header_hash = bytes(32)
    yield Inside("seal-of-other-header", forge.entries(abc).checkpoint().data, "seal is broken")
    fields = HeaderFields(commitment=bytes(range(32)))
    yield Inside("commitment-wrong", Forge(fields=fields).checkpoint().data, "another file key")
    fields = HeaderFields(recipients_hash=bytes(32))
    yield Inside("recipients-hash-wrong", Forge(fields=fields).checkpoint().data, "recipients hash")
    grease = Forge(extra_stanzas=b"-> grease-grease a b\n\n").checkpoint()
    yield Inside("grease", grease.close().data)
    scrypt = Forge(extra_stanzas=b"-> scrypt bm90aGluZ2Jlc2lkZXN0aGU 18\n" + b"A" * 43 + b"\n").checkpoint()
    yield Inside("scrypt", scrypt.close().data, "passphrase")
    yield Inside("wrapped-no-age", Forge(fields=HeaderFields(wrapped_key=b"w" * 99)).checkpoint().data, "does not end")


def identity_text() -> str:
    """The identity that a Forge of the usual seed wraps its key for."""
    secret = random.Random(SEED).randbytes(32)
    return age.bech32_encode("age-secret-key-", secret).upper() + "\n"


def main(folder: Path) -> None:
    """Write all cases, the identity, and for each file the fault it has, or null."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = folder / "identity.age"
    identity.touch(mode=0o600)
    identity.write_text(identity_text())
    expected: dict[str, str | None] = {}
    for case in cases():
        (folder / f"{case.name}.ghr").write_bytes(case.data)
        expected[f"{case.name}.ghr"] = case.fault
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
