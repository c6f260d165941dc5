"""Golden files with an update switch (`UPDATE_GOLDEN=1`), and the command line in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden():
    """Compare a text with the file of that name, or write it when UPDATE_GOLDEN is set."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} differs: UPDATE_GOLDEN=1 rewrites it"

    return check


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
