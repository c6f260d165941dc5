"""Settings of all tests, and what they leave behind."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from calseq.locks import lock_folder

# How long an example takes depends on the neighbours of the machine; a failure must not.
settings.register_profile(
    "calseq",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("calseq")


@pytest.fixture
def golden(request) -> Callable[[str | Path, str], None]:
    """Compare a text with a file, or write it when UPDATE_GOLDEN is set; a name is that of one in `golden/` beside the test."""

    def check(name: str | Path, text: str) -> None:
        path = request.path.parent / "golden" / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: UPDATE_GOLDEN=1 rewrites it"

    return check


@pytest.fixture(scope="session", autouse=True)
def no_locks_left(tmp_path_factory):
    """Locks lie in a folder of the machine: take away the files of instruments that only these tests know."""
    yield
    ours = str(tmp_path_factory.getbasetemp())
    for path in lock_folder().glob("calseq-*.lock"):
        with suppress(OSError, ValueError, KeyError):
            if json.loads(path.read_text())["folder"].startswith(ours):
                path.unlink()
