"""Golden files with an update switch (`UPDATE_GOLDEN=1`), and terminals."""

import os
import pty
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with the file of that name, or write it when UPDATE_GOLDEN is set."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} differs: UPDATE_GOLDEN=1 rewrites it"

    return check


@pytest.fixture
def terminal():
    """A pseudo terminal: the side that a program sees, and the side that a person reads."""
    person, program = pty.openpty()
    open_sides = {"person": person, "program": program}
    yield open_sides
    for descriptor in open_sides.values():
        os.close(descriptor)
