"""The logs of a run's steps: of each step one per attempt, as they lie in the run folder."""

import re
from pathlib import Path

from msgspec import Struct

from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.problems.suggestions import did_you_mean

LOG = "log.txt"
_FOLDER = re.compile(r"(\d{2,})-(.+?)(?:\.(\d+))?")


class StepLog(Struct, frozen=True, order=True):
    """The log of one attempt at a step."""

    number: int
    attempt: int
    name: str
    path: Path


def step_logs(folder: Path) -> list[StepLog]:
    """Give the logs of a run in the order of its steps, and of a step in that of its attempts."""
    return sorted(log for path in (folder / "steps").glob(f"*/{LOG}") if (log := _read_name(path)))


def find_step(folder: Path, text: str, planned: tuple[tuple[int, str], ...] = ()) -> tuple[int, str]:
    """Give the number and name of the step that is meant, by either; `planned` are the steps of the run's plan.

    Raises:
        Refused: the run has no such step.
    """
    known = {log.number: log.name for log in step_logs(folder)} | dict(planned)
    for number, name in known.items():
        if text == name or (text.isdecimal() and int(text) == number) or text == f"{number:02d}-{name}":
            return number, name
    message = f"no step of {printable(folder.name)} is named '{printable(text, 60)}'"
    listed = ", ".join(f"{number} {printable(name)}" for number, name in sorted(known.items()))
    cure = did_you_mean(text, list(known.values())) or (f"one of {listed}" if known else "none has begun yet")
    raise Refused([Problem(codes.UNKNOWN_STEP, message, cure)])


def _read_name(path: Path) -> StepLog | None:
    match = _FOLDER.fullmatch(path.parent.name)
    if not match:
        return None
    number, name, attempt = match.groups()
    return StepLog(int(number), int(attempt or 1), name, path)
