"""icicle, with which the guard holds the supplies: can the interpreter that is to run it import it."""

import re
import sys
from collections.abc import Iterator

from calseq.bench import Bench
from calseq.doctor.asking import Answer, Asking
from calseq.doctor.checks import Check, failed, ok, skipped
from calseq.plan import PowerMode

_OLDEST_GUARD = (3, 8)
_PROBE = """
import sys
print("calseq-python %d.%d.%d" % sys.version_info[:3], flush=True)
sys.path[:] = [folder for folder in sys.path if folder]
from icicle.instrument_cluster import InstrumentCluster
import icicle
try:
    from importlib.metadata import version
    number = version("icicle")
except Exception:
    number = getattr(icicle, "__version__", "of unknown version")
print("calseq-icicle %s" % number, flush=True)
"""


def examine_icicle(bench: Bench, ask: Asking) -> Iterator[Check]:
    """Let the interpreter of the bench's supplies import icicle, no more, where calseq holds them itself."""
    if bench.mode is PowerMode.ICICLE:
        python = bench.power_python or sys.executable
        yield _imported(python, ask.one(python, "-c", _PROBE))
    else:
        yield skipped("icicle", f"not used in power mode {bench.mode}")


def _imported(python: str, told: Answer) -> Check:
    number, icicle = _told(told, "python"), _told(told, "icicle")
    fault = ""
    if told.not_started:
        fault = told.not_started
    elif told.exit is None:
        fault = f"its import {told.ending} and was ended"
    elif number and tuple(map(int, number.split(".")))[:2] < _OLDEST_GUARD:
        fault = f"{python} is Python {number}; calseq's guard needs 3.8 or later"
    elif not icicle:
        fault = f"{python} cannot import it: {told.last_line or told.ending}"
    if fault:
        cure = "set `power: {python: ...}` to dirigent's interpreter: `head -1 $(command -v dirigent)`"
        return failed("icicle", fault, cure)
    return ok("icicle", f"{icicle}, with Python {number}, {python}")


def _told(told: Answer, what: str) -> str:
    match = re.search(rf"^calseq-{what} (.+)$", told.text, re.MULTILINE)
    return match.group(1) if match else ""
