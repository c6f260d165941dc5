"""A stand of its own for every test, which all users of the machine can reach."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stands import AStand


@pytest.fixture
def stand():
    stand = AStand()
    yield stand
    stand.end()
    shutil.rmtree(stand.folder, ignore_errors=True)
