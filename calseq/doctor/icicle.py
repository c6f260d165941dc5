"""icicle, with which the guard holds the supplies: is it there, can it be used, and what it refuses of instruments.json."""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from calseq.bench.bench import Bench
from calseq.doctor.checks import Check, failed, ok, skipped, warning
from calseq.doctor.icicle_locks import examine_locks
from calseq.doctor.probe import Answer, Asking
from calseq.model.plan import PowerMode
from calseq.model.rails import SUPPLIES, Role
from calseq.power import construction
from calseq.run.supplies import guard_environment

_CLUSTER = "icicle cluster"
_OLDEST_GUARD = (3, 8)
_PROBE = """
import runpy, sys
print("calseq-python %d.%d.%d" % sys.version_info[:3])
sys.stdout.flush()
sys.path[:] = [folder for folder in sys.path if folder]
from icicle.instrument_cluster import InstrumentCluster
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""As any Python understands it: one that is too old for the guard is to say so itself."""


class Built(Struct, frozen=True):
    """A line of the probe: what icicle is and can make, or what came of one instrument; '' is all supplies together."""

    icicle: str = ""
    classes: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    name: str | None = None
    begins: bool = False
    refused: str = ""


def examine_icicle(bench: Bench, ask: Asking, environ: Mapping[str, str]) -> Iterator[Check]:
    """Let the interpreter of the bench's supplies build icicle's cluster, which opens nothing, where it is icicle that holds them.

    `environ` are the variables of this machine: the guard is given those of the bench that are icicle's own, no others.
    """
    if bench.mode is not PowerMode.ICICLE:
        yield skipped("icicle", f"not used in power mode {bench.mode}")
        return
    variables = {**environ, **guard_environment(bench.variables)}
    yield examine_locks(bench, variables)
    python = bench.power_python or sys.executable
    instruments, channels = bench.wiring.reduced((*SUPPLIES, Role.AB))
    given = {"instruments": instruments, "channels": channels, "patience_s": ask.patience_s / 4}
    with tempfile.TemporaryDirectory(prefix="calseq-doctor-") as folder:
        # icicle takes locks of its own away that it did not find when it began: those of a run that has begun meanwhile
        asking = replace(ask, environ={**variables, "ICICLE_LOCK_PATH": folder})
        told = asking.one(python, "-u", "-c", _PROBE, construction.__file__, json.dumps(given))
    lines = list(_lines(told))
    about = next((each for each in lines if each.icicle), None)
    yield _imported(python, told, about)
    if about:
        yield from _usable(about)
        yield from _constructed(bench, told, lines, about)


def _imported(python: str, told: Answer, about: Built | None) -> Check:
    number = _python(told)
    fault = ""
    if told.not_started:
        fault = told.not_started
    elif number and tuple(map(int, number.split(".")))[:2] < _OLDEST_GUARD:
        fault = f"{python} is Python {number}; calseq's guard needs 3.8 or later"
    elif about is None and told.exit is None:
        fault = f"its import {told.ending} and was ended"
    elif about is None:
        fault = f"{python} cannot import it: {told.last_line or told.ending}"
    if fault or about is None:
        cure = "set `power: {python: ...}` to dirigent's interpreter: `head -1 $(command -v dirigent)`"
        return failed("icicle", fault, cure)
    return ok("icicle", f"{about.icicle}, with Python {number}, {python}")


def _usable(about: Built) -> Iterator[Check]:
    """Say which of the methods and arguments that calseq uses this icicle has not."""
    if about.lacks:
        finding = f"this icicle lacks {', '.join(about.lacks)}, without which calseq cannot hold the supplies"
        cure = "use an icicle that has them, such as 2.1, or `power: {mode: dirigent}`"
        yield failed("icicle methods", finding, cure)


def _constructed(bench: Bench, told: Answer, lines: Sequence[Built], about: Built) -> Iterator[Check]:
    """Say what icicle refuses of the bench's instruments, in its own words."""
    if about.lacks:
        return
    results = {each.name: each for each in lines if each.name is not None and not each.begins}
    each_alone = {name: each for name, each in results.items() if name}
    for name, each in each_alone.items():
        if each.refused:
            yield _refusal(bench, name, each.refused, about)
        if each.lacks:
            yield _lacking(name, each.lacks)
    together = results.get("")
    if together and together.refused and not any(each.refused for each in each_alone.values()):
        finding = f"icicle refuses all supplies together: {together.refused}"
        yield failed(_CLUSTER, finding, f"each supply has an address of its own: correct {_file(bench)}")
    for lost in (each.name for each in lines if each.begins and each.name not in results):
        finding = f"building {lost or 'all supplies together'} {told.ending}"
        yield failed(_CLUSTER, finding, f"see what its class does in that interpreter, and {_file(bench)}")
    good = [name for name, each in each_alone.items() if not (each.refused or each.lacks)]
    if good:
        yield ok(_CLUSTER, f"takes {', '.join(good)} as {_file(bench)} has them; nothing was opened")


def _refusal(bench: Bench, name: str, words: str, about: Built) -> Check:
    finding, cure = f"icicle refuses {name}: {words}", _cure(bench, name, words, about)
    roles = {
        role
        for wires in bench.wiring.channels.values()
        for role, wire in wires.items()
        if wire.instrument == name
    }
    if roles & SUPPLIES:
        return failed(_CLUSTER, finding, cure)
    return warning(_CLUSTER, f"{finding}; a child that is given it fails", cure)


def _cure(bench: Bench, name: str, words: str, about: Built) -> str:
    entry = bench.wiring.instruments[name]
    file = _file(bench)
    if words == f"KeyError: {entry['class']!r}":
        known = ", ".join(about.classes) or "not told"
        return f"its class is {entry['class']}; the classes of this icicle: {known}"
    if match := re.search(r"provided variable (\w+) ", words):
        return f"delete `{match[1]}` of {name} in {file}: icicle has an attribute of that name"
    if words.startswith(("ModuleNotFoundError", "ImportError")):
        return f"install what the class {entry['class']} needs into that interpreter, or correct it in {file}"
    if "not writable" in words:
        return "see above: the device of the supply, and icicle's locks"
    if "hannel" in words:
        return f"correct the `channel` of {name} below 'channels' in {file}"
    return f"correct {name} in {file}"


def _lacking(name: str, lacks: Sequence[str]) -> Check:
    finding = f"icicle's {name} has no {', '.join(lacks)}, which calseq uses"
    return failed(_CLUSTER, finding, "use a class of icicle that has it, or `power: {mode: dirigent}`")


def _file(bench: Bench) -> str:
    return bench.instruments.source.name


def _python(told: Answer) -> str:
    match = re.search(r"^calseq-python ([0-9.]+)", told.text, re.MULTILINE)
    return match.group(1) if match else ""


def _lines(told: Answer) -> Iterator[Built]:
    """Give the probe's lines; what else was printed, and a line that was torn off, are passed over."""
    for line in told.text.splitlines():
        if line.startswith(construction.SIGN):
            yield from _line(line.removeprefix(construction.SIGN))


def _line(text: str) -> Iterator[Built]:
    try:
        yield msgspec.json.decode(text, type=Built)
    except msgspec.DecodeError:
        return
