"""The judge's questions that need the whole record of a run: who started what when, who biased why, who ended whom how.

Each is answered from what is outside of calseq's own reasoning: the bench's record, the files of the run, the kernel's times.
"""

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from calseq.model import events as happened
from calseq.model.events import Stamped
from calseq.model.rails import V_SAFE, Move

SLACK_S = 0.015
"""A process's start is known to 10 ms; an event's time is cut to 1 ms."""


def wrong_order(stamped: list[Stamped], said: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """Say where a child was there before the record of its step's start."""
    started: dict[tuple[int, int], float] = {}
    logs: set[str] = set()
    born = dict(_births(said))
    for one in stamped:
        event = one.event
        if isinstance(event, happened.StepStarted):
            started[event.step, event.attempt] = one.at
            logs.add(event.log)
        elif isinstance(event, happened.ChildStarted):
            at = started.get((event.step, event.attempt))
            if at is None:
                yield f"step {event.step}: child-started before its step-started"
            elif event.pid in born and at > born[event.pid] + SLACK_S:
                late_ms = (at - born[event.pid]) * 1000
                yield f"step {event.step}: step-started is {late_ms:.0f} ms later than its child"
    for log in sorted(folder.glob("steps/*/log.txt")):
        if log.stat().st_size and str(log.relative_to(folder)) not in logs:
            yield f"{log.parent.name} ran, and its start is not recorded"
    if len(born) > len(started):
        yield f"{len(born)} children, and {len(started)} starts recorded"


def _births(said: list[dict[str, Any]]) -> Iterator[tuple[int, float]]:
    """Give when each child that the guard heard of was started, by the kernel, as wall time."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = os.sysconf("SC_CLK_TCK")
    for line in said:
        if line["event"] == "child" and line.get("pid") and line.get("start", -1) > 0:
            yield line["pid"], boot + line["start"] / ticks


def impolite_ends(
    stamped: list[Stamped], said: list[dict[str, Any]], *, killed: bool, presses: int
) -> Iterator[str]:
    """Say where a child's first signal was not SIGINT; `killed` if somebody else kills it, `presses` of Ctrl-C."""
    first: dict[tuple[int, int], set[str]] = {}
    for one in stamped:
        event = one.event
        if isinstance(event, happened.ChildSignalled):
            key = (event.step, event.attempt)
            if key not in first and event.signal != "SIGINT" and presses < 2:
                yield f"step {event.step}: the first signal to the child was {event.signal}"
            first.setdefault(key, set()).add(event.signal)
        elif isinstance(event, happened.StepEnded) and not killed:
            sent = first.get((event.step, event.attempt))
            if sent and event.signal == "SIGKILL" and "SIGKILL" not in sent:
                yield f"step {event.step}: its child died of SIGKILL, and calseq says it sent {', '.join(sorted(sent))}"
    yield from _impolite_guard(said)


def _impolite_guard(said: list[dict[str, Any]]) -> Iterator[str]:
    children: set[int] = set()
    asked: set[int] = set()
    for line in said:
        if line["event"] == "child" and line.get("pid"):
            children.add(line["pid"])
        elif line["event"] == "ending-child":
            pids = {
                int(number) for number in re.findall(r"(\d+)\)?$", "\n".join(line["processes"]), re.MULTILINE)
            }
            if line["signal"] == "SIGINT":
                asked |= pids
            for pid in sorted(children & pids - asked):
                yield f"the first signal to the child {pid} by the guard was {line['signal']}"


def unfounded_bias(stamped: list[Stamped], actions: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """Say where calseq drove HV up without a curve that allows it, by the record and by the curve's own file."""
    plan = json.loads((folder / "plan.json").read_bytes())
    curves = {step["number"] for step in plan["steps"] if step["type"] == "ivcurve" and not step["left_out"]}
    seen: set[int] = set()
    for action in raised(actions):
        before = [one for one in stamped if one.at <= action["time"]]
        moving = [one.event for one in before if isinstance(one.event, happened.RailMoving)]
        number = next((event.step for event in reversed(moving) if event.move is Move.HV_BIAS), 0)
        if number in seen:
            continue
        seen.add(number)
        if not number:
            yield f"biased to {action['volts']:g} V, and no record says so before"
        elif any(curve <= number for curve in curves):
            yield from _not_allowed(before, folder, number)


def raised(actions: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give what drove an HV output up, by calseq itself."""
    volts: dict[str, float] = {}
    for action in actions:
        if action["action"].startswith(("hv-", "drift")) and "volts" in action:
            name, now = action["supply"], action["volts"]
            if action["who"] == "calseq" and abs(now) > max(V_SAFE, abs(volts.get(name, 0.0))):
                yield action
            volts[name] = now


def _not_allowed(before: list[Stamped], folder: Path, number: int) -> Iterator[str]:
    decided = [one.event for one in before if isinstance(one.event, happened.BiasDecided)]
    if not decided:
        yield f"step {number}: biased with no bias-decided before it"
    elif not decided[-1].allowed:
        yield f"step {number}: biased after a bias-decided that forbids it: {decided[-1].reason}"
    else:
        starts = [one for one in before if isinstance(one.event, happened.StepStarted)]
        attempt = next(one for one in reversed(starts) if one.event.step == decided[-1].step)
        why = _forbidden(folder, attempt, decided[-1].sha256)
        if why:
            yield f"step {number}: biased, and {why}"


def _forbidden(folder: Path, attempt: Stamped, sha256: str) -> str:
    """Say why a curve's own file does not allow the bench's bias; read here anew, by another hand than calseq's."""
    instruments = json.loads((folder / "simulated" / "setup.json").read_bytes())["instruments"]
    target = max(abs(one["default_voltage"]) for name, one in instruments.items() if name.startswith("hv"))
    paths = sorted((folder / attempt.event.directory).rglob("breakdowns.json"))
    if len(paths) != 1:
        return f"the curve left {len(paths)} breakdowns.json"
    content = paths[0].read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        return "breakdowns.json is not the one that was judged"
    try:
        data = json.loads(content)
        values = [data["0"]] if not isinstance(data["0"], dict) else list(data["0"].values())
    except (ValueError, LookupError, TypeError):
        return "breakdowns.json says nothing of the module"
    for value in values:
        if value in (None, "none"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return f"breakdowns.json says {value!r}"
        if not (value < 0 and target <= abs(value) - max(1.0, 0.02 * abs(value))):
            return f"the breakdown is at {value:g} V"
    return ""


def hv_left_on(stamped: list[Stamped], actions: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """Say where HV was on when a step's end was told whose child had it: it has to be taken back and off by then."""
    plan = json.loads((folder / "plan.json").read_bytes())
    given = {step["number"] for step in plan["steps"] if "hv" in step["given"]}
    began_s = 0.0
    for one in stamped:
        event = one.event
        if isinstance(event, happened.StepStarted):
            began_s = one.at
        elif isinstance(event, happened.StepEnded) and event.step in given:
            failed = any(
                isinstance(other.event, happened.PowerFailed) and began_s <= other.at <= one.at
                for other in stamped
            )
            volts = _hv_at(actions, one.at + 0.002)
            if volts is not None and not failed:
                yield f"step {event.step}: HV was on when it ended, at {volts:g} V"


def _hv_at(actions: list[dict[str, Any]], at: float) -> float | None:
    """Give the voltage of an HV output that was on at a moment; None if all were off."""
    levels: dict[str, dict[str, Any]] = {}
    for action in actions:
        if action["action"] in ("hv-on", "hv-step", "hv-off") and action["time"] <= at:
            levels[action["supply"]] = action
    return next((one["volts"] for one in levels.values() if one["on"] or abs(one["volts"]) > V_SAFE), None)


def words_of(path: Path) -> list[dict[str, Any]]:
    """Read the guard's journal, as far as its lines are whole."""
    found = []
    with suppress(OSError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return found
