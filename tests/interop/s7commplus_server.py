"""An S7 communication plus device made of s7commplus' own emulator.

Prints `listening 127.0.0.1:PORT`, then one JSON line with the bytes of its
data block after each write that it carried out.
"""

import json
import threading

from s7commplus.server import S7CommPlusServer


class Device(S7CommPlusServer):
    def _write_item(self, item, data):
        done = super()._write_item(item, data)
        print(json.dumps({"block": self.get_db(1).read(0, 16).hex()}), flush=True)
        return done


device = Device()
device.register_raw_db(1, bytearray(range(64)))
device.start(host="127.0.0.1", port=0)
host, port = device._server_socket.getsockname()
print(f"listening {host}:{port}", flush=True)
threading.Event().wait()
