"""New sequences: a text that is valid at once, with comments on what its author may want to change."""

import math
from collections.abc import Iterable, Iterator, Sequence

from calseq.documents.yaml_writer import inline, scalar
from calseq.model.rails import Role
from calseq.sequence.catalog import Calibration
from calseq.sequence.lint import PLACEHOLDER

STARTING = ("voltage_trimming", "iv_curve", "crosstalk_method")
"""The calibrations of a sequence for which nothing was asked: nothing in them is left to be filled in."""

_TUNING = """
  # a tuning: take the '#' away, and write which
  # - name: tune_1000
  #   calibration: calibrate_module
  #   tuning: Tuning_1000
"""


def new_sequence(calibrations: Sequence[Calibration], title: str, schema: str) -> str:
    """Give the text of a sequence of these calibrations; `schema` is where the editor finds the schema."""
    roles = {role for calibration in calibrations for role in calibration.roles}
    needed = inline([str(role) for role in Role if role in roles])
    steps = "\n".join(line for each in named(calibrations) for line in _step(*each))
    return f"""# yaml-language-server: $schema={schema}
# 'calseq validate' checks it, 'calseq plan' shows what it does, 'calseq execute … --simulate' tries it.
calseq: 1
title: {scalar(title)}  # as the database shows it
description: What it is for, in a sentence or two

required_instruments: {needed}  # roles that the bench must have
defaults: {{timeout: {_timeout(calibrations)}}}  # of every step that does not say otherwise; 'none' for no limit

# HV and LV are not in the file: the type of a calibration fixes them. 'calseq calibrations' lists them all.
steps:
{steps}
"""


def starting_sequence(calibrations: Sequence[Calibration], title: str, schema: str) -> str:
    """Give the text of a first sequence, which shows how a tuning is added."""
    return new_sequence(calibrations, title, schema) + _TUNING.removeprefix("\n")


def named(calibrations: Iterable[Calibration]) -> Iterator[tuple[Calibration, str]]:
    """Give each calibration with the name of its step: its own, with a number from the second time on."""
    taken: set[str] = set()
    for calibration in calibrations:
        name, number = calibration.name, 1
        while name.lower() in taken:
            number += 1
            name = f"{calibration.name[:60]}_{number}"
        taken.add(name.lower())
        yield calibration, name


def titled(stem: str) -> str:
    """Make a title of a file's name."""
    words = " ".join(stem.replace("_", " ").replace("-", " ").split())
    return (words[:1].upper() + words[1:])[:120] or "Sequence"


def _timeout(calibrations: Iterable[Calibration]) -> str:
    """Twice the longest usual time, in hours, and two hours at least."""
    longest_s = max((each.usual_s or 0.0 for each in calibrations), default=0.0)
    return f"{max(2, math.ceil(2 * longest_s / 3600))}h"


def _step(calibration: Calibration, name: str) -> Iterator[str]:
    yield f"  # {calibration.summary}"
    settings = list(_settings(calibration))
    own_name = name != calibration.name
    if not settings and not own_name:
        yield f"  - {scalar(name)}"
        return
    lines = [f"name: {scalar(name)}"] if own_name else []
    lines += [f"calibration: {scalar(calibration.name)}", *settings]
    yield from (f"  {'- ' if place == 0 else '  '}{line}" for place, line in enumerate(lines))


def _settings(calibration: Calibration) -> Iterator[str]:
    if calibration.sweep_end:
        yield "options:"
        yield f"  {calibration.sweep_end}: -80  # in volts: -80 for 3D sensors, -350 for planar ones"
    if calibration.tuning:
        yield {
            "text": f"tuning: {PLACEHOLDER}  # the name of a tuning, such as Tuning_1000",
            "tests": f"tuning: [{PLACEHOLDER}]  # inner-tracker tests, such as [PixelAlive, NoiseScan]",
            "args": f"args: [{PLACEHOLDER}]  # what dirigent is given behind the calibration's name",
        }[calibration.tuning.form]
