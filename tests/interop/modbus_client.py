"""A technician's tool made of pymodbus.

    modbus_client.py HOST:PORT < STEPS

STEPS is a JSON list of `[method, arguments]`, the method one of pymodbus'
own (`read_holding_registers`, `write_register`, ...) or `together` with a
list of such steps that are all sent before the first answer is awaited.
Arguments of file records are lists of `[file, record, words in hex]`.
Prints one JSON line for each step: `{"registers": [...]}`, `{"bits": [...]}`,
`{"values": [...]}`, `{"records": [HEX]}`, `{"identifier": TEXT}`, `{"information": {...}}`,
`{"done": true}` or `{"exception": CODE}`.
"""

import asyncio
import json
import sys

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu.file_message import FileRecord


def told(answer):
    if answer.isError():
        return {"exception": answer.exception_code}
    if getattr(answer, "registers", None):
        return {"registers": answer.registers}
    if getattr(answer, "bits", None):
        return {"bits": answer.bits}
    if answer.function_code == 20:
        return {"records": [record.record_data.hex() for record in answer.records]}
    if getattr(answer, "values", None):
        return {"values": answer.values}
    if getattr(answer, "identifier", None):
        return {"identifier": answer.identifier.decode()}
    if getattr(answer, "information", None):
        return {"information": {str(key): text.decode() for key, text in answer.information.items()}}
    return {"done": True}


def understood(name, value):
    if name == "records":
        return [FileRecord(file_number=f, record_number=r, record_data=bytes.fromhex(d)) for f, r, d in value]
    if name == "msg":
        return bytes.fromhex(value)
    return value


async def one(client, method, arguments):
    arguments = {name: understood(name, value) for name, value in arguments.items()}
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
