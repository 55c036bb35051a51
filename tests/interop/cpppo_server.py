"""An EtherNet/IP device made of cpppo: the independent other end.

Prints `listening 127.0.0.1:PORT`, then one JSON line for every encapsulation
frame that reached it, as a stranger to the product sees it: the command and
the body in hex.
"""

import json
import re
import sys

from cpppo.server.enip import logix
from cpppo.server.enip.main import main

TAGS = ["SPEED=INT[10]", "LEVEL=REAL", "LIMIT=DINT", "NAME@22/1/1=DINT"]


class Lines:
    """cpppo tells its address on standard output, in words of its own."""

    def write(self, text):
        found = re.search(r"TCP Server address = \('([^']+)', (\d+)\)", text)
        if found:
            tell(f"listening {found[1]}:{found[2]}")

    def flush(self):
        pass


def tell(text):
    print(text, file=sys.__stdout__, flush=True)


def process(addr, data, **keywords):
    enip = data.get("request.enip")
    if enip is not None:
        tell(json.dumps({"command": enip.command, "body": bytes(enip.get("input") or b"").hex()}))
    return logix.process(addr, data=data, **keywords)


sys.stdout = Lines()
main(argv=["--address-output", "--address", "127.0.0.1:0", *TAGS], enip_process=process)
