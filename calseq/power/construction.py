"""icicle's clusters of a bench, built and never entered: what icicle refuses, for doctor, a line of JSON each.

Building opens no port. It is done in the interpreter that is to hold the supplies, so this file is run there by its path, and
needs Python 3.8 and the standard library only. icicle keeps whatever it has made as long as the process lives, and what it
imports may end the process or hang: so each instrument is tried in a process of its own, for so long and no longer.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

SIGN = "calseq-built "
"""Begins each line that is meant for doctor: libraries print, too."""
SETTABLE = ("state", "voltage")
"""What is read and set of an output."""
ASKED = ("__enter__", "__exit__", "connected")
"""What is called of an instrument."""
WORDS = 1000


def main(adapter: Any, instruments: dict[str, Any], channels: dict[str, Any], patience_s: float) -> None:
    """Say what this icicle is and lacks, and what it says of each instrument and of all supplies together."""
    library = adapter.load()
    lost = adapter.lacking(library)
    say(icicle=adapter.version(), lacks=lost, classes=classes(library.InstrumentCluster))
    if lost:
        return
    for name, settings in instruments.items():
        say(name=name, begins=True)
        mine = channels_of(channels, name)
        say(name=name, **tried(partial(built, adapter, library, {name: settings}, mine), patience_s))
    supplies, wires = adapter.supplies_only(instruments, channels)
    if len(supplies) > 1:
        say(name="", begins=True)
        say(name="", **tried(partial(built, adapter, library, supplies, wires), patience_s))


def built(adapter: Any, library: Any, instruments: dict[str, Any], channels: dict[str, Any]) -> list[str]:
    """Build a cluster, and give what its instruments and outputs lack that calseq uses; nothing is asked of a supply."""
    adapter.check_settings(instruments)
    cluster = adapter.make_cluster(library, instruments, channels)
    lost = [
        f"{name}.{each}"
        for name, instrument in cluster.get_instruments().items()
        for each in ASKED
        if not has(instrument, each)
    ]
    modules = cluster.get_modules()
    for number, entry in channels.items():
        for role in adapter.RAILS:
            if role in entry:
                output = modules[number][role]
                lost += [
                    f"{entry[role]['instrument']}:{role}.{each}" for each in SETTABLE if not has(output, each)
                ]
    return list(dict.fromkeys(lost))


def has(thing: Any, name: str) -> bool:
    """Tell whether something has an attribute, without a look at its value: that would ask the supply."""
    try:
        inspect.getattr_static(thing, name)
    except AttributeError:
        return False
    return True


def channels_of(channels: dict[str, Any], name: str) -> dict[str, Any]:
    """Give what of the channels is one instrument's."""
    kept = {
        number: {role: wire for role, wire in entry.items() if wire["instrument"] == name}
        for number, entry in channels.items()
    }
    return {number: entry for number, entry in kept.items() if entry}


def classes(cluster: Any) -> list[str]:
    """Give the classes of instruments that a cluster can make, if it says so."""
    listed = getattr(cluster, "package_map", {})
    return sorted(map(str, listed)) if isinstance(listed, dict) else []


def tried(build: Callable[[], list[str]], patience_s: float) -> dict[str, Any]:
    """Do something in a process of its own; give what it lacks, or why it was refused."""
    receiving, sending = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(receiving)
        with suppress(BaseException):
            os.write(sending, json.dumps(answer(build)).encode())
        os._exit(0)
    os.close(sending)
    text, due_s = b"", time.monotonic() + patience_s
    while select.select([receiving], [], [], max(0.0, due_s - time.monotonic()))[0]:
        part = os.read(receiving, 1 << 16)
        if not part:
            break
        text += part
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return {"refused": f"it did not end in {patience_s:g} s"}
    _, status = os.waitpid(child, 0)
    if text:
        found: dict[str, Any] = json.loads(text)
        return found
    how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
    return {"refused": f"it ended the process, with {how}"}


def answer(build: Callable[[], list[str]]) -> dict[str, Any]:
    """Result of the call, or its exception in the exception's own words."""
    try:
        return {"lacks": build()}
    except BaseException as error:  # noqa: BLE001 - a library may end its process by an exception, too
        return {"refused": f"{type(error).__name__}: {error}"[:WORDS]}


def say(**facts: Any) -> None:
    """Print a line for doctor; what was printed before it may not have ended its own."""
    print(f"\n{SIGN}{json.dumps(facts)}", flush=True)  # noqa: T201 - it is what doctor reads


def load_adapter() -> Any:
    """Load the adapter beside this file, which is not called by its name: that is icicle's own."""
    path = Path(__file__).resolve().with_name("icicle.py")
    spec = importlib.util.spec_from_file_location("calseq_power_icicle", str(path))
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load '{path}'")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    main(load_adapter(), given["instruments"], given["channels"], given["patience_s"])
    sys.stdout.flush()
    os._exit(0)  # icicle takes lock files away at a usual end
