"""A technician's tool made of pylogix.

    pylogix_client.py HOST:PORT < STEPS

STEPS is a JSON list of `[method, arguments...]`, the method one of the
driver's own (`Read`, `Write`, `GetTagList`, `SetPLCTime`, ...). Prints one JSON
line for each answer: `{"value": ...}` or `{"error": STATUS}`; several tags at
once give one for each. All steps run on one connection.
"""

import json
import sys

from pylogix import PLC


def told(answer):
    if answer.Status != "Success":
        return {"error": answer.Status}
    if isinstance(answer.Value, list) and hasattr(answer.Value[0], "TagName"):
        return {"value": [tag.TagName for tag in answer.Value]}
    return {"value": answer.Value}


host, port = sys.argv[1].rsplit(":", 1)
with PLC(host, port=int(port), timeout=30.0) as plc:
    for method, *arguments in json.load(sys.stdin):
        answers = getattr(plc, method)(*arguments)
        for answer in answers if isinstance(answers, list) else [answers]:
            print(json.dumps(told(answer), default=str), flush=True)
