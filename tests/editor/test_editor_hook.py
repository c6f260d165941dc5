"""The hook for pre-commit: which files it takes, and that its command is one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from calseq.documents.document import open_text
from calseq.documents.yaml_reader import read_yaml

ROOT = Path(__file__).resolve().parents[2]
[HOOK] = read_yaml(open_text(ROOT / ".pre-commit-hooks.yaml")).data


@pytest.mark.parametrize(
    "path",
    [
        "sequences/a.yaml",
        "site/sequence/b.yml",
        "bench.yaml",
        "here/bench.yml",
        "benches/x/y.yaml",
        "own.calseq.yaml",
    ],
)
def test_it_takes_what_is_calseqs(path):
    assert re.search(HOOK["files"], path)


@pytest.mark.parametrize("path", [".gitlab-ci.yml", "mkdocs.yaml", "workbench.yaml", "consequences/a.yaml"])
def test_it_leaves_other_yaml_alone(path):
    assert not re.search(HOOK["files"], path)


def test_its_command_refuses_a_mistake_and_is_in_the_documents(tmp_path):
    assert (HOOK["id"], HOOK["language"], HOOK["types"]) == ("calseq-validate", "python", ["yaml"])
    (tmp_path / "bad.yaml").write_text("calseq: 1\nextends: panthra\n")
    program, *words = HOOK["entry"].split()
    assert program == "calseq"
    ran = subprocess.run(
        [sys.executable, "-m", "calseq", *words, "bad.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "CS360" in ran.stdout
    assert f"- id: {HOOK['id']}" in (ROOT / "docs" / "editor.md").read_text()
