"""Terminals."""

import os
import pty

import pytest


@pytest.fixture
def terminal():
    """A pseudo terminal: the side that a program sees, and the side that a person reads."""
    person, program = pty.openpty()
    open_sides = {"person": person, "program": program}
    yield open_sides
    for descriptor in open_sides.values():
        os.close(descriptor)
