"""Finished runs for the tests of uploads, and the proof that none of them leaves a process."""

import os
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for place in (HERE, HERE / "doubles"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from panthera import Panthera  # noqa: E402
from upload_stand import PASSWORD, QUADS_BENCH, copied, measured, processes_with  # noqa: E402


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A run of five steps on the bench of a double module, with `upload: {to: felis}`."""
    return measured(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def two_modules(tmp_path_factory):
    """A run on a bench with two modules."""
    return measured(
        tmp_path_factory.mktemp("two"), steps=["sldo_vi_curves", "voltage_trimming"], source=QUADS_BENCH
    )


@pytest.fixture
def panthera():
    with Panthera(PASSWORD) as database:
        yield database


@pytest.fixture
def run(template, tmp_path, panthera):
    """A finished run that is to be uploaded to `panthera`."""
    return copied(template, tmp_path, url=panthera.url, seed=1)


@pytest.fixture(autouse=True)
def nobody_left(tmp_path):
    """Every test ends with no process of it left; one that is there is ended, and the test fails."""
    yield
    left = processes_with(str(tmp_path))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
