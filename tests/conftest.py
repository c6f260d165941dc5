"""Settings of all tests, and what they leave behind."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from calseq.system.locks import VARIABLE

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


def pytest_configure(config):
    """Locks lie in a folder of the machine; these tests have one of their own, for whichever user they start."""
    if VARIABLE not in os.environ:
        folder = tempfile.mkdtemp(prefix="calseq-locks-")
        Path(folder).chmod(0o1777)
        os.environ[VARIABLE] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture
def stand():
    """A test stand of its own, which all users of the machine can reach."""
    from stands import AStand  # noqa: PLC0415 - few tests have one

    stand = AStand()
    yield stand
    stand.end()
    shutil.rmtree(stand.folder, ignore_errors=True)


@pytest.fixture
def calseq(tmp_path):
    """Run the command line in an empty folder; give what it wrote to stdout and stderr."""

    def run(*words: object, expect: int = 0, stdin: str = "", cwd: Path = tmp_path) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "calseq", *map(str, words)],
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert all(char.isprintable() or char == "\n" for char in done.stdout + done.stderr)
        return done.stdout, done.stderr

    return run
