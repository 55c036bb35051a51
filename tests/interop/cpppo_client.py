"""A technician's tool made of cpppo.

    cpppo_client.py HOST:PORT < STEPS

STEPS is a JSON list of `[way, operations]`: the way `each` for one request
after the other, `multiple` for one Multiple Service Packet, `routed` for
requests aimed through the device at slot 3 of its backplane, `attributes` for
Get and Set Attribute Single; operations as cpppo writes them, `SPEED[1]` to
read, `SPEED[1]=(INT)77` to write, `@1/1/7` for an attribute. Prints
one JSON line for each operation: `{"value": [...]}`, `{"done": true}` or
`{"status": CODE}`, or `{"packet": CODE}` once for a packet of which a part
failed. All steps run on one connection.
"""

import json
import sys

from cpppo.server.enip import client
from cpppo.server.enip.get_attribute import attribute_operations

PATIENCE = 30.0


def told(reply, status, value):
    if status not in (0, None):
        return {"status": status if isinstance(status, int) else status[0]}
    if value is True:
        return {"done": True}
    return {"value": value}


host, port = sys.argv[1].rsplit(":", 1)
with client.connector(host=host, port=int(port), timeout=PATIENCE) as connection:
    for way, operations in json.load(sys.stdin):
        route = [{"port": 1, "link": 3}] if way == "routed" else None
        options = {"route_path": route} if route else {}
        parse = attribute_operations if way == "attributes" else client.parse_operations
        parsed = parse(operations, **options)
        results = connection.synchronous(
            operations=parsed,
            multiple=500 if way == "multiple" else 0,
            timeout=PATIENCE,
        )
        try:
            for _, _, _, reply, status, value in results:
                print(json.dumps(told(reply, status, value)), flush=True)
        except client.MSVCStatusError as error:
            # cpppo gives up on a packet of which a part failed, and goes on.
            print(json.dumps({"packet": error.status}), flush=True)
