"""What is built is what is in the tree."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from calseq import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel):
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tree = {f"calseq/{path}" for path in files(ROOT / "calseq")}
    tree |= {
        f"calseq/{folder}/{path}" for folder in ("schemas", "sequences") for path in files(ROOT / folder)
    }
    assert packed == tree


def test_the_wheel_runs_without_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "calseq", "plan", "panthera", "--simulate"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Panthera" in ran.stdout


def test_one_version_is_said_everywhere():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts}
