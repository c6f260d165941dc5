"""Calls Felis, where Felis is: a file of its own, run by the interpreter of dirigent's environment.

It needs nothing but a Python of 3.8 or later. It reads JSON lines on stdin and answers on the descriptor that is its
argument; what Felis prints goes where its stdout and stderr go. At the end of stdin it ends at once: nobody would
record what it does.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # the folder of this file: 'queue' and 'felis' are not what is there

import importlib
import inspect
import json
import os
import queue
import signal
import threading
import traceback
from contextlib import suppress
from typing import Any

ADDRESS = "url_uploadResults"


def main() -> int:
    """Tell what Felis takes, put the results into it, and upload them when the password comes."""
    replies = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    requests = heard()

    def tell(event: str, **fields: Any) -> None:
        replies.write(json.dumps({"event": event, **fields}) + "\n")
        replies.flush()

    die_with_parent()
    request = requests.get()
    try:
        felis = opened(request["scratch"])
    except BaseException as error:  # noqa: BLE001 - ROOT's own import may raise anything
        traceback.print_exc()
        tell("failed", reason="Felis cannot be opened: " + words(error))
        return 1
    parameters = inspect.signature(felis.upload_results).parameters
    address = parameters.get(ADDRESS)
    default = address.default if address and isinstance(address.default, str) else ""
    tell("probed", takes_address=address is not None, address=default)
    request = requests.get()
    if not fill(felis, request, tell):
        return 1
    tell("filled")
    request = requests.get()
    tell("uploaded", **uploaded(felis, request, parameters))
    return 0


def heard() -> queue.Queue[Any]:
    """Read lines in the background; end, whatever goes on, when there are no more."""
    lines: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(json.loads(line))
        os._exit(3)

    threading.Thread(target=read, daemon=True).start()
    return lines


def die_with_parent() -> None:
    """Have the kernel end this process with its parent, if it can: a library may hold the interpreter for long."""
    with suppress(Exception):
        import ctypes  # noqa: PLC0415 - not every interpreter has it

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def opened(scratch: str) -> Any:
    """Give a Felis that works below a folder."""
    return importlib.import_module("felis.felis").Felis(scratch)


def fill(felis: Any, request: dict[str, Any], tell: Any) -> bool:
    """Put a module and its results into Felis; what it does not take is told, one by one."""
    module = request["module"]
    known = {
        name: value
        for name, value in request["facts"].items()
        if name in inspect.signature(felis.set_module).parameters
    }
    try:
        status, message = felis.set_module(module, request["subdetector"], **known)[:2]
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        status, message = False, words(error)
    if not status:
        tell("failed", reason="Felis does not take the module: " + str(message))
        return False
    for result in request["results"]:
        tell("set", name=result["name"], **taken(felis, module, result))
    return True


def taken(felis: Any, module: str, result: dict[str, Any]) -> dict[str, Any]:
    """Put one result into Felis; say whether it took it, and what it remarks."""
    try:
        told = felis.set_result(result["files"], module, result["name"], result["type"])
        status, message, sane, explanation = (*told, None, None, None)[:4]
    except KeyError as error:
        return {"ok": False, "reason": "Felis does not know " + str(error)}
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        return {"ok": False, "reason": words(error)}
    doubts = "" if sane or sane is None else "Felis finds it not sane: " + str(explanation or "")
    return {"ok": bool(status), "reason": "" if status else str(message), "note": doubts}


def uploaded(felis: Any, request: dict[str, Any], parameters: Any) -> dict[str, Any]:
    """Have Felis upload what it has; `clean` tells that it ended in words of its own."""
    known = {name: value for name, value in request["arguments"].items() if name in parameters}
    try:
        status, message = felis.upload_results(**known)[:2]
    except Exception as error:  # noqa: BLE001 - a lost connection is not caught by Felis
        traceback.print_exc()
        return {"ok": False, "clean": False, "reason": words(error)}
    return {"ok": bool(status), "clean": True, "reason": str(message or "")}


def words(error: BaseException) -> str:
    """Put an error into words, with its type."""
    return (type(error).__name__ + ": " + str(error)).rstrip(": ")


if __name__ == "__main__":
    sys.exit(main())
