"""The command line in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


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
