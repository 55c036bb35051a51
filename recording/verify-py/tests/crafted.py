"""Recordings that a holder of the signing key could make, with the verdict that FORMAT.md has for each.

`python3 -m tests.crafted FOLDER` writes them as files, for a comparison with
another verifier (`compare.py`).
"""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from ghr.layout import Kind

from .forge import Forge, HeaderFields, Signer, bytes_item, long_recording


@dataclass(frozen=True)
class Case:
    """A file and what must be said of it. `offset` is that of an alteration."""

    name: str
    data: bytes
    exit_code: int
    offset: int | None = None


def _started(**other: object) -> Forge:
    return Forge().checkpoint(**other).entries(bytes_item(1, 0, 0, b"abc"))


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _whole()
    yield from _headers()
    yield from _torn_headers()
    yield from _notes()
    yield from _coverage()
    yield from _places()
    yield from _sizes()
    yield from _tails()


def _whole() -> Iterator[Case]:
    yield Case("closed", _started().close((3, 0, 0, 0)).data, 0)
    yield Case("closed-long", long_recording().data, 0)
    yield Case("closed-empty", Forge().checkpoint().close().data, 0)
    yield Case("checkpoints-in-a-row", Forge().checkpoint().checkpoint().checkpoint().close().data, 0)
    yield Case("checkpoint-alone", Forge().checkpoint().data, 3)
    yield Case("header-alone", Forge().data, 3)
    yield Case("nothing", b"", 3)
    yield Case("blank", bytes(5000), 3)


def _headers() -> Iterator[Case]:
    for mode in (1, 2):
        yield Case(f"mode-{mode}", Forge(fields=HeaderFields(mode=mode)).checkpoint().close().data, 0)
    wrong: dict[str, HeaderFields] = {
        "magic": HeaderFields(magic=b"GATEHREX"),
        "version-0": HeaderFields(version=0),
        "version-2": HeaderFields(version=2),
        "mode": HeaderFields(mode=3),
        "key-id": HeaderFields(key_id=bytes(4)),
        "key-name": HeaderFields(key_name=b"plant-b"),
        "key-name-plus": HeaderFields(key_name=b"plant+a"),
        "key-name-long": HeaderFields(key_name=b"p" * 256),
        "origin-plus": HeaderFields(origin=b"plant+site"),
        "origin-space": HeaderFields(origin=b"plant site"),
        "origin-high": HeaderFields(origin="plänt".encode()),
        "origin-long": HeaderFields(origin=b"o" * 256),
        "log-size-without-origin": HeaderFields(log_size=1),
        "log-root-without-origin": HeaderFields(log_root=bytes(31) + b"\x01"),
        "wrapped-none": HeaderFields(wrapped_key=b""),
        "wrapped-long": HeaderFields(wrapped_key=b"w" * 16385),
    }
    for name, fields in wrong.items():
        yield Case(f"header-{name}", Forge(fields=fields).checkpoint().close().data, 1, 0)
    right = {
        "origin-longest": HeaderFields(origin=b"o" * 255, log_size=3, log_root=bytes(range(32))),
        "wrapped-longest": HeaderFields(wrapped_key=b"w" * 16384),
        "wrapped-shortest": HeaderFields(wrapped_key=b"w"),
        "wall-clock-negative": HeaderFields(wall_start=-1),
        "numbers-largest": HeaderFields(wall_start=2**63 - 1, monotonic_start=2**64 - 1),
    }
    for name, fields in right.items():
        yield Case(f"header-{name}", Forge(fields=fields).checkpoint().close().data, 0)
    long_name = Forge(signer=Signer("k" * 255)).checkpoint().close()
    yield Case("header-other-signer", long_name.data, 1, 0)


def _torn_headers() -> Iterator[Case]:
    """A field is wrong, and the file ends or is blank from somewhere on."""
    for behind, word in ((b"", "cut"), (bytes(5000), "blank")):
        yield Case(f"torn-magic-{word}", b"GATEHR" + behind, 3)
        yield Case(f"torn-version-{word}", b"GATEHREC\0" + behind, 3)
        yield Case(f"torn-mode-{word}", b"GATEHREC\x01\0\x05" + behind, 3)
        yield Case(f"wrong-mode-{word}", b"GATEHREC\x01\0\x05s" + behind, 1, 0)
        yield Case(f"wrong-version-{word}", b"GATEHREC\x02\0" + behind, 1, 0)
        yield Case(f"version-0-and-more-{word}", b"GATEHREC\0\0s" + behind, 1, 0)
        yield Case(f"wrong-magic-{word}", b"GATEHOUSE" + behind, 1, 0)
    yield Case("short-and-wrong", b"GATEWAY", 3)
    yield Case("short-and-wrong-blank", b"GATEWAY" + bytes(10), 1, 0)
    whole = Forge().checkpoint().close().data
    yield Case("header-cut-late", whole[: len(Forge().data) - 16], 3)
    yield Case("torn-origin-length", whole[:151] + b"\x2c\x01", 3)
    yield Case("wrong-origin-length", whole[:151] + b"\x2c\x01o", 1, 0)
    logged = Forge(fields=HeaderFields(log_size=7)).data
    yield Case("torn-origin", logged[:153] + bytes(30000), 3)
    yield Case("torn-origin-and-more", logged[:153] + bytes(30000) + b"x", 1, 0)
    # A length that leads beyond the file does not hide the checkpoints that follow.
    size = whole.index(b"age-encryption") - 4
    longer = whole[:size] + (16000).to_bytes(4, "little") + whole[size + 4 :]
    yield Case("header-longer-than-the-file", longer, 1, 0)


def _notes() -> Iterator[Case]:
    """The last checkpoint is signed by the key, or nearly, and is not of the one form."""
    signer, other = Signer(), Signer("plant-b", 2)
    same_name = Signer("plant-a", 3)

    def closing(name: str, body: bytes) -> Case:
        forge = _started().end((3, 0, 0, 0))
        assert body != signer.note(forge.text()), name
        at = len(forge.data)
        return Case(f"note-{name}", forge.frame(Kind.CHECKPOINT, body).data, 1, at)

    text = _started().end((3, 0, 0, 0)).text()
    good = signer.note(text)
    yield closing("second-signature", good + other.signature(text))
    yield closing("own-signature-twice", good + signer.signature(text))
    yield closing("foreign-signature-first", text + b"\n" + other.signature(text) + signer.signature(text))
    yield closing("foreign-key", other.note(text))
    yield closing("foreign-key-same-name", same_name.note(text))
    yield closing("no-signature", text + b"\n")
    yield closing("newline-behind", good + b"\n")
    yield closing("no-last-newline", good[:-1])
    yield closing("carriage-return", good.replace(b"\n", b"\r\n", 1))
    yield closing("hyphen", good.replace("—".encode(), b"-"))
    yield closing("extension-line", signer.note(text + b"more\n"))
    yield closing("no-time", signer.note(b"".join(text.splitlines(keepends=True)[:4])))
    yield closing("upper-case-session", signer.note(text.replace(b"0a0b0c", b"0A0B0C")))
    yield closing("leading-zero", signer.note(text.replace(b"\n4\n", b"\n04\n").replace(b"\n3\n", b"\n03\n")))
    yield closing("plus-sign", signer.note(text.replace(b"\nbytes ", b"\nbytes +")))
    yield closing("two-spaces", signer.note(text.replace(b"\nbytes ", b"\nbytes  ")))
    yield closing("other-origin", signer.note(text.replace(b"gatehouse/session/", b"gatehouse/log/")))
    yield closing("root-unpadded", signer.note(text.replace(b"=\nbytes", b"\nbytes")))
    yield closing("root-other-spelling", signer.note(_respelled(text, b"=\nbytes")))
    yield closing("signature-other-spelling", _respelled(good, b"=\n", last=True))
    yield closing("signature-of-other-text", text + b"\n" + signer.signature(text + b"x"))
    for name, time in {
        "no-milliseconds": b"2026-10-31T10:31:07Z",
        "microseconds": b"2026-10-31T10:31:07.412000Z",
        "offset": b"2026-10-31T10:31:07.412+00:00",
        "lower-case": b"2026-10-31t10:31:07.412z",
        "space": b"2026-10-31 10:31:07.412Z",
        "no-such-month": b"2026-13-31T10:31:07.412Z",
        "no-such-day": b"2026-02-30T10:31:07.412Z",
        "no-such-hour": b"2026-10-31T24:31:07.412Z",
        "no-such-second": b"2026-10-31T10:31:61.412Z",
        "leap-second": b"2016-12-31T23:59:60.412Z",
    }.items():
        yield closing(f"time-{name}", signer.note(text.replace(b"2026-10-31T10:31:07.412Z", time)))


def _respelled(text: bytes, behind: bytes, *, last: bool = False) -> bytes:
    """Another base64 of the same bytes: a bit behind the end is set."""
    at = (text.rindex(behind) if last else text.index(behind)) - 1
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:at] + bytes([letters[letters.index(text[at]) + 1]]) + text[at + 1 :]


def _coverage() -> Iterator[Case]:
    """Genuine checkpoints that are not of what stands before them."""
    other_root = base64.b64encode(bytes(32)).decode()
    wrong: dict[str, dict[str, object]] = {
        "session": {"origin": "gatehouse/session/" + "00" * 16},
        "leaves": {"leaves": 9},
        "root": {"root": other_root},
        "bytes": {"bytes": 1},
    }
    for name, lines in wrong.items():
        forge = _started()
        signed = forge.offsets[1]
        yield Case(f"covers-other-{name}", forge.checkpoint(**lines).data, 1, signed)
        yield Case(f"covers-other-{name}-first", Forge().checkpoint(**lines).data, 1, 0)
        closing = _started().end((3, 0, 0, 0))
        yield Case(f"covers-other-{name}-last", closing.checkpoint(**lines).data, 1, signed)
    huge = _started()
    yield Case("covers-count-too-large", huge.checkpoint(leaves=2**64 - 1).data, 1, huge.offsets[1])


def _places() -> Iterator[Case]:
    """Frames that fit and stand where they can't."""
    first = Forge()
    yield Case("first-is-entries", first.entries(bytes_item(1, 0, 0, b"a")).checkpoint().data, 1, first.offsets[0])
    first = Forge()
    yield Case("first-is-end", first.end().checkpoint().data, 1, first.offsets[0])
    ended = _started().end((3, 0, 0, 0)).entries(bytes_item(1, 0, 3, b"d"))
    yield Case("entries-after-end", ended.data, 1, ended.offsets[-1])
    ended = _started().end((3, 0, 0, 0)).end((3, 0, 0, 0)).checkpoint()
    yield Case("end-after-end", ended.data, 1, ended.offsets[-2])
    for kind in Kind:
        closed = _started().close((3, 0, 0, 0))
        at = len(closed.data)
        if kind is Kind.CHECKPOINT:
            closed.checkpoint()
        else:
            closed.frame(kind, bytes(17))
        yield Case(f"{kind.name.lower()}-after-closed", closed.data, 1, at)
    for name, off in {"sequence": {"sequence": 7}, "epoch": {"epoch": 7}}.items():
        forge = Forge().checkpoint()
        wrong = forge.frame(Kind.ENTRIES, bytes(17), **off)
        yield Case(f"{name}-wrong-unsigned", wrong.data, 3)
        yield Case(f"{name}-wrong-signed", wrong.checkpoint().data, 1, wrong.offsets[1])


def _sizes() -> Iterator[Case]:
    """Bodies at their bounds and beyond."""
    for kind, name, sizes in (
        (Kind.ENTRIES, "entries", {16: False, 17: True, 65552: True, 65553: False}),
        (Kind.END, "end", {16: False, 17: True, 65552: True, 65553: False}),
    ):
        for size, fits in sizes.items():
            forge = Forge().checkpoint().frame(kind, b"x" * size)
            at = forge.offsets[1]
            closed = kind is Kind.END
            code = (0 if closed else 3) if fits else 1
            yield Case(f"{name}-body-{size}", forge.checkpoint().data, code, None if fits else at)
    for size in (0, 1, 1024, 1025):
        forge = Forge().checkpoint().frame(Kind.CHECKPOINT, b"x" * size)
        # Up to 1024 bytes this is a checkpoint whose note does not verify; else no frame at all.
        code = 1 if 1 <= size <= 1024 else 3
        yield Case(f"note-body-{size}", forge.data, code, forge.offsets[1] if code == 1 else None)
    forge = Forge().checkpoint().frame(4, b"x" * 100)
    yield Case("kind-4", forge.data, 3)
    yield Case("kind-4-signed", forge.checkpoint().data, 1, forge.offsets[1])


def _tails() -> Iterator[Case]:
    """What may follow the signed prefix."""
    closed = _started().close((3, 0, 0, 0))
    unsigned = _started()
    end = len(closed.data)
    for size in (1, 2, 3, 4, 5000):
        yield Case(f"closed-blank-{size}", closed.data + bytes(size), 2)
        yield Case(f"unsigned-blank-{size}", unsigned.data + bytes(size), 3)
    yield Case("closed-one-byte", closed.data + b"x", 1, end)
    yield Case("closed-blank-one-byte", closed.data + bytes(5000) + b"x", 1, end)
    yield Case("unsigned-blank-one-byte", unsigned.data + bytes(5000) + b"x", 3)
    yield Case("closed-twice", closed.data * 2, 1, end)
    foreign = Signer("plant-b", 2).note(closed.text())
    yield Case("tail-foreign-note", unsigned.data + bytes(40) + foreign, 3)
    note = Signer().note(unsigned.text())
    at = unsigned.offsets[-1]
    yield Case("tail-note", unsigned.data + bytes(40) + note, 1, at)
    elsewhere = Forge(fields=HeaderFields(session=bytes(16))).text()
    yield Case("tail-note-of-other-session", unsigned.data + bytes(40) + Signer().note(elsewhere), 1, at)
    inside = _started().frame(Kind.ENTRIES, b"x" * 30 + note + b"y" * 30)
    yield Case("tail-note-inside-a-frame", inside.data, 1, inside.offsets[-1])
    torn = _started()
    place = len(torn.data)
    torn.checkpoint()
    for kept in (1, 4, 48, 49, 60, 200):
        whole = len(torn.data)
        yield Case(f"torn-checkpoint-{kept}", torn.data[: place + kept] + bytes(whole - place - kept), 3)
        yield Case(f"cut-checkpoint-{kept}", torn.data[: place + kept], 3)
    longer = (int.from_bytes(torn.data[place : place + 4], "little") + 8).to_bytes(4, "little")
    whole = torn.data[:place] + longer + torn.data[place + 4 :]
    yield Case("torn-checkpoint-that-is-whole", whole + bytes(20), 1, place)
    shot = torn.data[: place + 200] + bytes(10) + torn.data[place + 210 :]
    yield Case("holed-checkpoint", shot, 1, place)


def main(folder: Path) -> None:
    """Write all cases, and the key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.pub").write_bytes(Signer().line + b"\n")
    for case in cases():
        (folder / f"{case.name}.ghr").write_bytes(case.data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
