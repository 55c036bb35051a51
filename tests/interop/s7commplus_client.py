"""A technician's tool made of s7commplus.

    s7commplus_client.py HOST:PORT < STEPS

STEPS is a JSON list of `[method, arguments]`, the method one of the client's
own (`db_read`, `db_write`); bytes are written in hex. Prints one JSON line
for each step: `{"bytes": HEX}`, `{"done": true}` or `{"error": TEXT}`.
"""

import json
import sys

from s7commplus import Client


def run(client, method, arguments):
    if "data" in arguments:
        arguments["data"] = bytes.fromhex(arguments["data"])
    result = getattr(client, method)(**arguments)
    return {"done": True} if result is None else {"bytes": bytes(result).hex()}


client = Client()
host, port = sys.argv[1].rsplit(":", 1)
client.connect(host, int(port))
for method, arguments in json.load(sys.stdin):
    try:
        result = run(client, method, arguments)
    except Exception as error:
        result = {"error": str(error)}
    print(json.dumps(result), flush=True)
client.disconnect()
