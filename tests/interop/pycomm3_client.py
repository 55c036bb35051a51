"""A technician's tool made of pycomm3.

    pycomm3_client.py logix|slc|cip HOST:PORT < STEPS

STEPS is a JSON list of `[method, arguments...]`, the method one of the
driver's own (`read`, `write`, `get_plc_info`, `set_plc_time`, ...), or
`message` with the keywords of `generic_message` and bytes written in hex.
Prints one JSON line for each result: `{"value": ...}` or `{"error": TEXT}`;
`read` and `write` of several print one for each. All steps run on one
connection, which a Forward Open begins; the logix driver has listed all tags
before the first step and reaches them by their instances.
"""

import json
import sys

from pycomm3 import CIPDriver, LogixDriver, SLCDriver
from pycomm3.tag import Tag


def told(result):
    if isinstance(result, Tag):
        if result.error is not None:
            return {"error": result.error}
        result = result.value
    return {"value": result.hex() if isinstance(result, bytes) else result}


def run(driver, method, arguments):
    if method == "message":
        keywords = dict(arguments[0])
        data = bytes.fromhex(keywords.pop("data", ""))
        return driver.generic_message(request_data=data, **keywords)
    if method == "write":
        arguments = [tuple(argument) for argument in arguments]
    if method == "tags":
        return sorted(driver.tags)
    return getattr(driver, method)(*arguments)


kind, address = sys.argv[1:]
drivers = {"logix": LogixDriver, "slc": SLCDriver, "cip": CIPDriver}
driver = drivers[kind](address)
driver.socket_timeout = 30.0
driver.open()
for method, *arguments in json.load(sys.stdin):
    try:
        result = run(driver, method, arguments)
    except Exception as error:
        result = {"error": f"{error!r} {error.__cause__!r}"}
        print(json.dumps(result), flush=True)
        continue
    for one in result if isinstance(result, list) and isinstance(result[0], Tag) else [result]:
        print(json.dumps(told(one), default=str), flush=True)
driver.close()
