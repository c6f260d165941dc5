"""What is built is what is in the tree."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from calseq import __version__

ROOT = Path(__file__).resolve().parents[2]


def built(out: Path, kind: str, source: Path = ROOT) -> Path:
    command = [
        sys.executable,
        "-m",
        "build",
        f"--{kind}",
        "--no-isolation",
        "--outdir",
        str(out),
        str(source),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return next(path for path in out.iterdir() if path.name.endswith((".whl", ".tar.gz")))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    return zipfile.ZipFile(built(tmp_path_factory.mktemp("wheel"), "wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The unpacked sdist."""
    out = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built(out, "sdist")) as packed:
        packed.extractall(out / "unpacked", filter="data")
    return next((out / "unpacked").iterdir())


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


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_checkout(sdist, wheel, tmp_path):
    again = zipfile.ZipFile(built(tmp_path, "wheel", sdist))
    assert {name: again.read(name) for name in again.namelist()} == {
        name: wheel.read(name) for name in wheel.namelist()
    }


def test_the_sdist_has_the_documents_and_what_builds_their_site(sdist):
    assert files(sdist / "docs") == files(ROOT / "docs")
    texts = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")
    for name in (*texts, "mkdocs.yml", "pyproject.toml"):
        assert (sdist / name).read_bytes() == (ROOT / name).read_bytes()


def test_one_version_is_said_everywhere(wheel, sdist):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    metadata = wheel.read(f"calseq-{__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {__version__}\n" in metadata
    assert sdist.name == f"calseq-{__version__}"
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] in {__version__, "Unreleased"}
    assert f"rev: v{__version__}\n" in (ROOT / "docs" / "editor.md").read_text()


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts}
