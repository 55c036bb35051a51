"""A technician's tool made of pymodbus.

    modbus_client.py HOST:PORT < STEPS

STEPS is a JSON list of `[method, arguments]`, the method one of pymodbus'
own (`read_holding_registers`, `write_register`, ...) or `together` with a
list of such steps that are all sent before the first answer is awaited.
Prints one JSON line for each step: `{"registers": [...]}`, `{"bits": [...]}`,
`{"done": true}` or `{"exception": CODE}`.
"""

import asyncio
import json
import sys

from pymodbus.client import AsyncModbusTcpClient


def told(answer):
    if answer.isError():
        return {"exception": answer.exception_code}
    if getattr(answer, "registers", None):
        return {"registers": answer.registers}
    if getattr(answer, "bits", None):
        return {"bits": answer.bits}
    return {"done": True}


async def one(client, method, arguments):
    return told(await getattr(client, method)(**arguments))


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    client = AsyncModbusTcpClient(host, port=int(port), timeout=15, retries=0)
    if not await client.connect():
        sys.exit(f"no connection to {sys.argv[1]}")
    for method, arguments in json.load(sys.stdin):
        if method == "together":
            results = await asyncio.gather(*(one(client, *step) for step in arguments))
            for result in results:
                print(json.dumps(result), flush=True)
        else:
            print(json.dumps(await one(client, method, arguments)), flush=True)
    client.close()


asyncio.run(main())
