import uuid

import pytest
from guard_bench import Guard, kill, marked, opening, until


@pytest.fixture
def tag():
    """A mark of this test on all its processes; none of them may be left when it ends."""
    tag = uuid.uuid4().hex
    yield tag
    try:
        until(lambda: not marked(tag), 5)
    finally:
        for pid in marked(tag):
            kill(pid)


@pytest.fixture
def start(tmp_path, tag):
    """Start a guard over a bench, and open it."""
    guards = []

    def start(bench=None, *, python=None, open_it=True, log=None, keep=(), **fields):
        options = {"python": python} if python else {}
        guard = Guard(
            tmp_path, tag=tag, environment=getattr(bench, "environment", {}), log=log, keep=keep, **options
        )
        guards.append(guard)
        if open_it:
            guard.opened = guard.ok("open", **opening(guard, bench, **fields))
        return guard

    yield start
    for guard in guards:
        guard.stop()
