"""Many mistakes of one kind, and folders with nothing in them: what is told, in which form, how soon."""

import json
import os
import subprocess
import sys

import pytest

from calseq.problems.problem import MOST_OF_A_KIND

HEAD = "calseq: 1\ntitle: T\nsteps:\n  - calibration: iv_curve\n    options:\n      max_voltage: -80\n"


@pytest.fixture
def calseq(tmp_path):
    """Run calseq in the folder of the test; give what it wrote to stdout and stderr."""

    def run(*words, expect=0):
        command = [sys.executable, "-m", "calseq", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture
def many(tmp_path):
    text = (
        HEAD + "".join(f"      option{number}: {number}\n" for number in range(10_000)) + "    retries: 9\n"
    )
    (tmp_path / "many.yaml").write_text(text)
    return tmp_path / "many.yaml"


@pytest.mark.parametrize("form", ["full", "concise", "github"])
def test_ten_thousand_mistakes_of_a_kind_are_capped_for_people_and_no_other_is_hidden(calseq, many, form):
    before = os.times()
    out, _ = calseq("validate", "many.yaml", "--format", form, expect=1)
    after = os.times()
    assert out.count("CS205") == MOST_OF_A_KIND + 1
    assert "many.yaml: and 9,980 more CS205 unknown-option" in out
    assert out.count("CS206") == 1
    assert after.children_user - before.children_user < 10


def test_programs_get_all_of_them(calseq, many):
    listing = json.loads(calseq("validate", "many.yaml", "--format", "json", expect=1)[0])
    assert listing["errors"] == len(listing["problems"]) == 10_001


@pytest.mark.parametrize(
    "text",
    [
        "calseq: 1\ntitle: T\n" + "".join(f"k{number}: yes\n" for number in range(10_000)),
        "calseq: 1\ntitle: T\nsteps:\n" + "  -voltage_trimming\n" * 10_000,
        "calseq: 1\ntitle: T\nsteps:\n" + "".join(f"  \u2013 {{calibration: voltage_trimming, name: s{n}}}\n" for n in range(900)),
    ],
)  # fmt: skip
def test_many_doubts_and_slips_end_too(calseq, tmp_path, text):
    (tmp_path / "many.yaml").write_text(text)
    before = os.times()
    calseq("validate", "many.yaml", expect=1)
    assert os.times().children_user - before.children_user < 15


def test_a_folder_with_nothing_to_check_is_not_good(calseq, tmp_path):
    out, _ = calseq("validate", expect=1)
    assert out.splitlines()[0].startswith("CS111 nothing to check in this folder; give a file")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.yaml").write_text("a: 1\n")
    out, _ = calseq("validate", "more", expect=1)
    assert "nothing to check in more; none of its YAML files says that it is calseq's" in out
    listing = json.loads(calseq("validate", "more", "--format", "json", expect=1)[0])
    assert (listing["files"], listing["errors"]) == ([], 1)
    assert 'failures="1"' in calseq("validate", "--format", "junit", expect=1)[0]


def test_a_folder_whose_name_is_not_utf8_is_named(calseq, tmp_path):
    folder = tmp_path / os.fsdecode(b"b\xe4r")
    folder.mkdir()
    (folder / "s.yaml").write_text("calseq: 1\n")
    out, _ = calseq("validate", str(folder.relative_to(tmp_path)) + "/s.yaml", expect=1)
    assert "the name of the folder 'b\\xe4r' is not UTF-8; rename the folder" in out
    name = os.fsdecode(b"\xe4.yaml")
    (tmp_path / name).write_text("calseq: 1\n")
    assert "its name is not UTF-8; rename it" in calseq("validate", name, expect=1)[0]
