"""A controller that speaks connected CIP, tags by instance and PCCC.

cpppo's server knows no list of tags and no PCCC, so this one was written from
the published descriptions: ODVA's CIP Networks Library, Volume 1 (Forward Open
in 3-5.5, services in appendix A) and Volume 2 (encapsulation); 1756-PM020
(tags and their list); 1770-6.5.16 (PCCC).

Prints `listening 127.0.0.1:PORT`, then one JSON line for every encapsulation
frame that reached it, as a stranger to the product sees it: the command and
the body in hex. Tags keep what is written to them; so do the SLC's files.
"""

import json
import socket
import socketserver
import struct
import threading

SUCCESS, PARTIAL, PATH_UNKNOWN, SERVICE_UNKNOWN, TOO_MUCH = 0x00, 0x06, 0x05, 0x08, 0x15
SYMBOLS, IDENTITY, ROUTER, MANAGER, PROGRAM, PCCC, CLOCK, CONTROLLER = 0x6B, 1, 2, 6, 0x64, 0x67, 0x8B, 0x8E
INT, DINT, REAL = 0xC3, 0xC4, 0xCA
SIZE = {INT: 2, DINT: 4, REAL: 4}
# Vendor, type, code, revision 33.11, status, serial number, name.
WHO = struct.pack("<HHHBBHI", 1, 14, 166, 33, 11, 0x3060, 0x006C061A) + b"\x0b1756-L83E/B"
# How many tags one answer to a listing has, so that a list comes in pieces.
LISTED = 2


class Tag:
    def __init__(self, name, kind, count=0):
        self.name, self.kind, self.count = name, kind, count
        self.data = bytearray(SIZE.get(kind, 0) * max(count, 1))

    def attribute(self, number):
        dimensions = (1 if self.count else 0) << 13
        return {
            1: struct.pack("<H", len(self.name)) + self.name.encode(),
            2: struct.pack("<H", self.kind | dimensions),
            3: bytes(4),
            5: bytes(4),
            6: struct.pack("<I", 1 << 26),
            8: struct.pack("<III", self.count, 0, 0),
            10: b"\x00",
        }[number]


# Instance numbers as a controller gives them: rising, with gaps.
TAGS = {
    "": {
        0x0201: Tag("Speed", INT, 10),
        0x0A11: Tag("Level", REAL),
        0x0A13: Tag("Limit", DINT),
        0x0B00: Tag("Flags", DINT),
        0x0B07: Tag("Program:Main", 0x1068),
    },
    "program:main": {5: Tag("Count", DINT)},
}
FILES = {7: bytearray(20), 8: bytearray(16)}
PRINTING = threading.Lock()


def tell(text):
    with PRINTING:
        print(text, flush=True)


class Refused(Exception):
    def __init__(self, status):
        self.status = status


def segments(path):
    """The segments of a padded EPATH: `(kind, number)`, or `("symbol", text)`."""
    found = []
    while path:
        kind, path = path[0], path[1:]
        if kind == 0x91:
            length, path = path[0], path[1:]
            found.append(("symbol", path[:length].decode().lower()))
            path = path[length + length % 2 :]
        elif kind & 0xE0 == 0x20:
            width = (1, 2, 4)[kind & 3]
            path = path[1:] if width > 1 else path
            name = ("class", "instance", "member", "point", "attribute")[kind >> 2 & 7]
            found.append((name, int.from_bytes(path[:width], "little")))
            path = path[width:]
        else:
            raise Refused(PATH_UNKNOWN)
    return found


def reply(service, status=SUCCESS, data=b""):
    return bytes([service | 0x80, 0, status, 0]) + data


class Controller(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session, self.connections, self.stream = 0, {}, b""
        while (frame := self.frame()) is not None:
            header, body = frame
            tell(json.dumps({"command": header[0], "body": body.hex()}))
            if (answer := self.command(header, body)) is not None:
                session = self.session or header[2]
                head = struct.pack("<HHII8sI", header[0], len(answer), session, 0, header[4], 0)
                self.request.sendall(head + answer)
            elif header[0] == 0x66:
                return

    def frame(self):
        while len(self.stream) < 24 or len(self.stream) < 24 + self.stream[2] + 256 * self.stream[3]:
            piece = self.request.recv(65536)
            if not piece:
                return None
            self.stream += piece
        header = struct.unpack("<HHII8sI", self.stream[:24])
        body, self.stream = self.stream[24 : 24 + header[1]], self.stream[24 + header[1] :]
        return header, body

    def command(self, header, body):
        command = header[0]
        if command == 0x65:
            self.session = 0x00C0FFEE
            return body
        if command == 0x63:
            address = socket.inet_aton("127.0.0.1")
            item = struct.pack("<HhH4s8s", 1, socket.AF_INET, 44818, address, bytes(8)) + WHO + b"\x03"
            return struct.pack("<HHH", 1, 0x0C, len(item)) + item
        if command not in (0x6F, 0x70):
            return None
        _, _, count, kind, length = struct.unpack("<IHHHH", body[:12])
        address, rest = body[12 : 12 + length], body[12 + length :]
        carried = rest[4 : 4 + struct.unpack("<H", rest[2:4])[0]]
        assert count == 2
        if command == 0x6F:
            return body[:8] + struct.pack("<HHH", 0, 0, 0xB2) + self.item(self.message(carried))
        to_client = self.connections[struct.unpack("<I", address)[0]]
        answer = self.item(carried[:2] + self.message(carried[2:]))
        return body[:8] + struct.pack("<HHIH", kind, length, to_client, 0xB1) + answer

    @staticmethod
    def item(data):
        return struct.pack("<H", len(data)) + data

    def message(self, bytes_):
        service, words = bytes_[0], bytes_[1]
        path, data = bytes_[2 : 2 + 2 * words], bytes_[2 + 2 * words :]
        try:
            return self.serve(service, segments(path), data)
        except Refused as refused:
            return reply(service, refused.status)

    def serve(self, service, path, data):
        target = {name: value for name, value in path if name != "symbol"}
        symbols = [value for name, value in path if name == "symbol"]
        match (target.get("class"), service):
            case (manager, 0x52) if manager == MANAGER:
                length = struct.unpack("<H", data[2:4])[0]
                return self.message(data[4 : 4 + length])
            case (manager, 0x54 | 0x5B) if manager == MANAGER:
                return self.open(service, data)
            case (manager, 0x4E) if manager == MANAGER:
                return reply(service, SUCCESS, data[2:10] + b"\x00\x00")
            case (identity, 0x01) if identity == IDENTITY:
                return reply(service, SUCCESS, WHO)
            case (program, 0x01) if program == PROGRAM:
                return reply(service, SUCCESS, b"\x06\x00PressA")
            case (router, 0x0A) if router == ROUTER:
                return self.several(data)
            case (symbol, 0x55) if symbol == SYMBOLS:
                return self.listing(service, symbols, target["instance"], data)
            case (pccc, 0x4B) if pccc == PCCC:
                return reply(service, SUCCESS, data[: data[0]] + self.pccc(data[data[0] :]))
            case (clock, 0x03) if clock == CLOCK:
                return reply(service, SUCCESS, data[:4] + b"\x00\x00" + bytes(8))
            case (other, _) if other in (CLOCK, CONTROLLER):
                return reply(service)
            case _:
                return self.tag(service, path, data)

    def open(self, service, data):
        """Forward Open: the device names the connection towards itself."""
        to_client = struct.unpack("<I", data[6:10])[0]
        to_device = 0x80000000 + len(self.connections)
        self.connections[to_device] = to_client
        ids = struct.pack("<II", to_device, to_client)
        return reply(service, SUCCESS, ids + data[10:18] + data[22:26] + data[22:26] + b"\x00\x00")

    def several(self, data):
        count = struct.unpack("<H", data[:2])[0]
        offsets = list(struct.unpack(f"<{count}H", data[2 : 2 + 2 * count])) + [len(data)]
        answers = [self.message(data[begin:end]) for begin, end in zip(offsets, offsets[1:])]
        table, at = struct.pack("<H", count), 2 + 2 * count
        for answer in answers:
            table += struct.pack("<H", at)
            at += len(answer)
        failed = any(answer[2] for answer in answers)
        return reply(0x0A, 0x1E if failed else SUCCESS, table + b"".join(answers))

    def listing(self, service, symbols, first, data):
        count = struct.unpack("<H", data[:2])[0]
        attributes = struct.unpack(f"<{count}H", data[2 : 2 + 2 * count])
        scope = TAGS.get(symbols[0] if symbols else "")
        if scope is None:
            raise Refused(PATH_UNKNOWN)
        wanted = [instance for instance in sorted(scope) if instance >= first]
        text = b""
        for instance in wanted[:LISTED]:
            text += struct.pack("<I", instance)
            text += b"".join(scope[instance].attribute(attribute) for attribute in attributes)
        return reply(service, PARTIAL if len(wanted) > LISTED else SUCCESS, text)

    def tag(self, service, path, data):
        scope, indices, found = TAGS[""], [], None
        for name, value in path:
            if name == "symbol" and value in TAGS:
                scope = TAGS[value]
            elif name == "symbol":
                found = next((tag for tag in scope.values() if tag.name.lower() == value), None)
            elif name == "instance":
                found = scope.get(value)
            elif name == "member":
                indices.append(value)
        if found is None or found.kind not in SIZE:
            raise Refused(PATH_UNKNOWN)
        size, at = SIZE[found.kind], (indices[0] if indices else 0) * SIZE[found.kind]
        kind = struct.pack("<H", found.kind)
        if service == 0x4C:
            end = at + size * struct.unpack("<H", data[:2])[0]
            if end > len(found.data):
                raise Refused(TOO_MUCH)
            return reply(service, SUCCESS, kind + found.data[at:end])
        if service == 0x4D:
            # Controllers take as many elements as the request says it has,
            # and do not mind what stands behind them: pycomm3 says a single
            # write twice, and works.
            written = data[4 : 4 + size * struct.unpack("<H", data[2:4])[0]]
            if data[:2] != kind or at + len(written) > len(found.data):
                raise Refused(TOO_MUCH)
            found.data[at : at + len(written)] = written
            return reply(service)
        if service == 0x4E:
            width = struct.unpack("<H", data[:2])[0]
            number = int.from_bytes(found.data[at : at + width], "little")
            masks = [int.from_bytes(data[2 + width * n : 2 + width * (n + 1)], "little") for n in (0, 1)]
            number = (number | masks[0]) & masks[1]
            found.data[at : at + width] = number.to_bytes(width, "little")
            return reply(service)
        raise Refused(SERVICE_UNKNOWN)

    def pccc(self, data):
        command, transaction = data[0], data[2:4]
        head = bytes([command | 0x40, 0]) + transaction
        function, data = data[4], data[5:]
        if command == 0x06 and function == 0x03:
            return head + bytes([0, 0xEE, 0x31, 0x5B, 0x21]) + b"5/04       " + bytes(8)
        size, file, _, element, part = data[:5]
        words = FILES.get(file)
        width = {0x89: 2, 0x8A: 4, 0x85: 2}.get(data[2], 2)
        at = element * width + 2 * part
        if command != 0x0F or words is None or at + size > len(words):
            return bytes([command | 0x40, 0x10]) + transaction
        if function == 0xA2:
            return head + words[at : at + size]
        if function == 0xAA:
            words[at : at + size] = data[5 : 5 + size]
            return head
        if function == 0xAB:
            mask = data[5:7] * (size // 2)
            old, new = words[at : at + size], data[7 : 7 + size]
            words[at : at + size] = bytes(o & ~m & 0xFF | n & m for o, n, m in zip(old, new, mask))
            return head
        return bytes([command | 0x40, 0x10]) + transaction


class Device(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Device(("127.0.0.1", 0), Controller) as device:
    tell(f"listening 127.0.0.1:{device.server_address[1]}")
    device.serve_forever()
