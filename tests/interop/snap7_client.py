"""A technician's tool made of python-snap7.

    snap7_client.py HOST:PORT < STEPS

STEPS is a JSON list of `[method, arguments]`, the method one of the client's
own (`db_read`, `db_write`, `plc_stop`, ...); bytes are written in hex, as in
`{"data": "0102"}`. Prints one JSON line for each step: `{"bytes": HEX}`,
`{"value": ...}`, `{"done": true}` or `{"error": TEXT}`. The client must not
connect anew by itself: a session that broke would look like one that lived.
"""

import datetime
import json
import sys

from snap7.client import Client
from snap7.type import Area, Block


def argument(name, value):
    if name == "data":
        return bytearray.fromhex(value)
    if name == "area":
        return Area[value]
    if name == "block_type":
        return Block[value]
    if name == "dt":
        return datetime.datetime.fromisoformat(value)
    return value


def told(result):
    if isinstance(result, (bytes, bytearray)):
        return {"bytes": bytes(result).hex()}
    if result is None or result == 0:
        return {"done": True}
    if isinstance(result, tuple):
        return {"value": [bytes(part).hex() if isinstance(part, (bytes, bytearray)) else part for part in result]}
    if isinstance(result, (int, str, list)):
        return {"value": result}
    return {"value": str(result)}


def items(arguments):
    """Several variables in one request."""
    return [
        {"area": Area[item["area"]], "db_number": item["db_number"], "start": item["start"], "size": item["size"]}
        for item in arguments
    ]


def run(client, method, arguments):
    if method == "read_multi_vars":
        _, results = client.read_multi_vars(items(arguments))
        return {"parts": [bytes(result).hex() for result in results]}
    if method == "wait":
        return {"connected": client.get_connected()}
    keywords = {name: argument(name, value) for name, value in arguments.items()}
    return told(getattr(client, method)(**keywords))


client = Client(auto_reconnect=False)
host, port = sys.argv[1].rsplit(":", 1)
client.connect(host, 0, 1, tcp_port=int(port))
for method, arguments in json.load(sys.stdin):
    try:
        result = run(client, method, arguments)
    except Exception as error:
        result = {"error": str(error)}
    print(json.dumps(result), flush=True)
client.disconnect()
