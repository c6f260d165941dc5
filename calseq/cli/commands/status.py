"""`calseq status`: how a run stands, from any shell, without disturbing it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from calseq.cli.terminal import columns, has_color, is_ascii, results
from calseq.cli.where_runs import Where
from calseq.cli.which_run import chosen, look
from calseq.console.forecast import remaining
from calseq.console.next_steps import next_words
from calseq.console.statusview import Glance, status_text
from calseq.model.verdicts import ExitCode
from calseq.problems.plaintext import printable
from calseq.problems.refused import Refused
from calseq.record.facts import facts, json_text
from calseq.record.run_folder import QUEUE
from calseq.record.status import GOING_ON
from calseq.record.view import RunView, StepView, truthful

FORMAT = 1


def status(where: Where, text: str | None, format_: str) -> int:
    """Say how a run stands; give the exit code."""
    glance, _ = look(chosen(where, text))
    out = sys.stdout
    if format_ == "json":
        results(status_json(glance))
    else:
        block = status_text(glance, columns(out), color=has_color(out), ascii=is_ascii(out))
        results(block.rstrip("\n") + "".join(f"\nupload   {told}" for told in _upload(glance)))
    return int(ExitCode.GOOD)


def _upload(glance: Glance) -> Iterator[str]:
    """Say how the upload of a run stands, if anything of it was queued."""
    folder = glance.standing.folder
    if not (folder / QUEUE).exists():
        return
    from calseq.console.uploads import shortly  # noqa: PLC0415 - most runs have no queue
    from calseq.upload.queue import read_queue  # noqa: PLC0415

    try:
        ledger = read_queue(folder)
    except Refused as refused:
        yield printable(str(refused), 200)
        return
    if ledger:
        yield shortly(ledger)


def status_json(glance: Glance) -> str:
    """Give how a run stands as JSON, for programs."""
    standing, record = glance.standing, glance.standing.record
    view = truthful(glance.view, standing.phase)
    going_on = standing.phase in GOING_ON
    read_t = view.rails.read_t
    value = {
        "format": FORMAT,
        **facts(standing),
        "duration_s": glance.now_t if going_on else record.duration_s or view.t,
        **_times(view, glance.now_t, going_on=going_on),
        "running": view.running.step.name if view.running else None,
        "steps": [_step(each, glance.now_t) for each in view.steps],
        "rails": {
            "readings": view.rails.readings,
            "read": _utc(view.at - view.t + read_t) if read_t is not None else None,
            "moving": view.rails.moving,
            "driven_by_step": sorted(view.rails.driven),
            "controlled": view.plan.controls_rails,
            "state": standing.power.state,
            "words": standing.power.words,
            "safe": standing.safe,
        },
        "stopping": view.stop is not None,
        "notes": [note.text for note in view.notes],
        "log": {"last_line": "".join(glance.tail.lines[-1:]), "silent_s": glance.tail.silent_s},
        "damage": glance.damage,
        "upload": next(_upload(glance), None),
        "next": next_words(standing),
    }
    return json_text(value)


def _times(view: RunView, now_t: float, *, going_on: bool) -> dict[str, object]:
    """Give how long the run is expected to take in all, how long it still takes, and when that is; None if not known."""
    usual = [
        each.expected.usual_s if each.expected else None for each in view.steps if not each.step.left_out
    ]
    known = [each for each in usual if each is not None]
    left = remaining(view, now_t)
    left_s = left.known_s if going_on and left.all else None
    return {
        "expected_s": sum(known) if len(known) == len(usual) else None,
        "remaining_s": left_s,
        "ends_about": None if left_s is None else _utc(view.at - view.t + now_t + left_s),
    }


def _step(each: StepView, now_t: float) -> dict[str, object]:
    return {
        "number": each.step.number,
        "name": each.step.name,
        "calibration": each.step.calibration,
        "state": each.state,
        "attempt": each.attempt,
        "elapsed_s": each.elapsed_s(now_t),
        "usual_s": each.expected.usual_s if each.expected else None,
        "part": each.part,
        "parts": each.parts,
        "part_title": each.title,
        "reason": each.reason,
        "log": each.log,
    }


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
