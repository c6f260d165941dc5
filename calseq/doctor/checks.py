"""What a check came to, and the words to say so: everything in them is safe to show."""

import shlex
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from calseq.problems.plaintext import printable


class Status(StrEnum):
    """What a check came to. `skipped` says why in its finding; only `failed` keeps a bench from running."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Check(Struct, frozen=True):
    """One thing that was looked at. All texts are printable; `cure` is what mends it."""

    section: str
    name: str
    status: Status
    finding: str
    cure: str = ""


def ok(name: str, finding: str) -> Check:
    """Say that all is well, and by what that is known."""
    return came_to(Status.OK, name, finding)


def warning(name: str, finding: str, cure: str) -> Check:
    """Say what is doubtful."""
    return came_to(Status.WARNING, name, finding, cure)


def failed(name: str, finding: str, cure: str) -> Check:
    """Say what keeps the bench from running."""
    return came_to(Status.FAILED, name, finding, cure)


def skipped(name: str, reason: str, cure: str = "") -> Check:
    """Say why it was not looked at."""
    return came_to(Status.SKIPPED, name, reason, cure)


def came_to(status: Status, name: str, finding: str, cure: str = "") -> Check:
    """Say what a check came to. The texts may be anybody's; the section is for `examine` to fill in."""
    return Check("", printable(name, 80), status, printable(finding, 1000), printable(cure, 1000))


def quoted(path: str | Path) -> str:
    """Give a path as a shell takes it: cures are copied into one."""
    return shlex.quote(str(path))
