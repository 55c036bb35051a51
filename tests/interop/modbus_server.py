"""A Modbus/TCP device made of pymodbus: the independent other end.

Prints `listening 127.0.0.1:PORT`, then one JSON line for every request it
decoded (what reached the device, as a stranger to the product sees it).
"""

import asyncio
import json

from pymodbus import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def tell(text):
    print(text, flush=True)


def trace(sending, pdu):
    if not sending:
        tell(
            json.dumps(
                {
                    "transaction": pdu.transaction_id,
                    "unit": pdu.dev_id,
                    "pdu": bytes([pdu.function_code]).hex() + pdu.encode().hex(),
                }
            )
        )
    return pdu


async def main():
    bits = [SimData(0, values=[False] * 64, datatype=DataType.BITS)]
    holding = [SimData(0, values=[7] * 1000, datatype=DataType.REGISTERS)]
    live = [SimData(0, values=list(range(32)), datatype=DataType.REGISTERS)]
    device = SimDevice(id=1, simdata=(bits, bits, holding, live))
    names = {"VendorName": "Press Works", "ProductCode": "PL-7", "MajorMinorRevision": "1.4"}
    server = ModbusTcpServer(
        [device],
        address=("127.0.0.1", 0),
        identity=ModbusDeviceIdentification(info_name=names),
        trace_pdu=trace,
    )
    await server.serve_forever(background=True)
    host, port = server.transport.sockets[0].getsockname()
    tell(f"listening {host}:{port}")
    await server.serving


asyncio.run(main())
