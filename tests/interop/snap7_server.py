"""An S7 device made of python-snap7: the independent other end.

Prints `listening 127.0.0.1:PORT`, then one JSON line for every unit that
reached it, as a stranger to the product sees it: the S7 unit in hex.
"""

import json
import logging
import threading

from snap7.server import Server
from snap7.type import SrvArea


class Device(Server):
    def _process_request(self, request_data, client_address):
        print(json.dumps({"unit": bytes(request_data).hex()}), flush=True)
        return super()._process_request(request_data, client_address)


logging.disable(logging.CRITICAL)
device = Device(log=False)
device.register_area(SrvArea.DB, 1, bytearray(range(64)))
device.register_area(SrvArea.DB, 2, bytearray(64))
device.register_area(SrvArea.MK, 0, bytearray(64))
device.host = "127.0.0.1"
device.start(tcp_port=0)
host, port = device.server_socket.getsockname()
print(f"listening {host}:{port}", flush=True)
threading.Event().wait()
