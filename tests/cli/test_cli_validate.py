"""`calseq validate` and `calseq explain` as commands: forms, stdin, strictness, and files that are mended or left alone."""

import json
import os
import subprocess
import sys

import pytest
from test_cli_inputs import GOOD, calseq

WARNED = GOOD + "    timeout: 10s\n"
SLIP = GOOD.replace("iv_curve", "iv_curv") + "    # kept\n"


def fed(folder, text, *words, expect):
    done = subprocess.run(
        [sys.executable, "-m", "calseq", "validate", *words],
        cwd=folder,
        input=text.encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    return done.stdout.decode(), done.stderr.decode()


def test_off_a_terminal_a_problem_is_a_line_and_full_is_to_be_asked_for(tmp_path):
    (tmp_path / "a.yaml").write_text(SLIP)
    out, _ = calseq(tmp_path, "validate", "a.yaml", expect=1)
    assert out.splitlines() == [
        "a.yaml:4:18: CS203 'iv_curv' is not a known calibration; did you mean 'iv_curve'?",
        "1 error in 1 file; --fix mends it",
    ]
    assert " ^^^^^^^ did you mean" in calseq(tmp_path, "validate", "--format", "full", "a.yaml", expect=1)[0]


@pytest.mark.parametrize("format_", ["json", "gitlab", "sarif"])
def test_a_form_for_programs_is_alone_on_stdout(tmp_path, format_):
    (tmp_path / "a.yaml").write_text(SLIP)
    (tmp_path / "b.yaml").write_text(GOOD)
    out, err = calseq(tmp_path, "validate", ".", "--format", format_, expect=1)
    assert json.loads(out)
    assert err == ""
    assert json.loads(calseq(tmp_path, "validate", "b.yaml", "--format", format_, expect=0)[0]) is not None


def test_warnings_fail_only_if_that_is_asked_for(tmp_path):
    (tmp_path / "a.yaml").write_text(WARNED)
    assert calseq(tmp_path, "validate", "a.yaml", expect=0)[0].splitlines()[-1] == "1 warning in 1 file"
    calseq(tmp_path, "validate", "--strict", "a.yaml", expect=1)
    (tmp_path / "a.yaml").write_text(WARNED.replace("10s", "10s # calseq: ignore[CS306]"))
    calseq(tmp_path, "validate", "--strict", "a.yaml", expect=0)


def test_stdin_is_read_and_called_as_asked(tmp_path):
    assert fed(tmp_path, SLIP, "-", expect=1)[0].startswith("<stdin>:4:18: CS203")
    assert fed(tmp_path, SLIP, "-", "--stdin-name", "my.yaml", expect=1)[0].startswith("my.yaml:4:18: CS203")
    assert fed(tmp_path, GOOD, "-", expect=0)[0] == "no problems in 1 file\n"
    assert "CS110" in fed(tmp_path, "", "-", expect=1)[0]
    assert "CS109" in fed(tmp_path, "x" * 300_000, "-", expect=1)[0]
    instruments = '{"instruments": {}, "channels": {}}'
    assert "i.json:1:17: CS206" in fed(tmp_path, instruments, "-", "--stdin-name", "i.json", expect=1)[0]


def test_fix_mends_a_file_keeps_its_mode_and_counts(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(SLIP + "    retries: 9\n")
    path.chmod(0o640)
    out, _ = calseq(tmp_path, "validate", "--fix", "a.yaml", expect=1)
    assert out.splitlines() == [
        "a.yaml:7:14: CS206 'retries' 9 is above 5; write 5 or less",
        "1 problem fixed, 1 left: 1 error in 1 file",
    ]
    assert path.read_text() == GOOD + "    # kept\n    retries: 9\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


def test_diff_shows_what_patch_takes_and_writes_nothing(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(SLIP.replace("\n", "\r\n").encode().rstrip())
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "calseq", "validate", "--diff", "a.yaml"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert path.read_bytes() == before
    assert done.stderr == b"1 error in 1 file; --fix mends it\n"
    assert b"-  - calibration: iv_curv\r\n+  - calibration: iv_curve\r\n" in done.stdout
    assert fed(tmp_path, SLIP, "-", "--diff", expect=1)[0].startswith("--- <stdin>\n+++ <stdin>\n@@ ")


def test_a_link_a_read_only_file_and_one_of_two_names_are_left_alone_with_a_word(tmp_path):
    for name in ("target", "fixed", "one"):
        (tmp_path / f"{name}.yaml").write_text(SLIP)
    (tmp_path / "link.yaml").symlink_to("target.yaml")
    (tmp_path / "fixed.yaml").chmod(0o444)
    (tmp_path / "two.yaml").hardlink_to(tmp_path / "one.yaml")
    for name, reason in (
        ("link", "it is a link: fix 'target.yaml'"),
        ("fixed", "it is read-only"),
        ("one", "it has several names (hard links), of which only one would be fixed"),
    ):
        out, _ = calseq(tmp_path, "validate", "--fix", f"{name}.yaml", expect=1)
        assert out.splitlines()[-2] == f"'{name}.yaml' is not fixed: {reason}"
        assert (tmp_path / f"{name}.yaml").read_text() == SLIP


def test_fix_mends_the_files_that_a_bench_names(tmp_path):
    instruments = '{"instruments": {"lv_1": {"class": "X", "resource": "R", "default_voltage": "4", "default_current": 1}},\n "chanels": {"0": {"lv": {"instrument": "lv_1"}}}}\n'
    (tmp_path / "instruments.json").write_text(instruments)
    (tmp_path / "bench.yaml").write_text(
        "calseq-bench: 1\nname: b\ninstruments: instruments.json\npower: {mode: icycle}\n"
    )
    calseq(tmp_path, "validate", "--fix", "bench.yaml", expect=0)
    assert (tmp_path / "instruments.json").read_text() == instruments.replace('"4"', "4").replace(
        "chanels", "channels"
    )


def test_wrong_words_are_usage_errors(tmp_path):
    calseq(tmp_path, "validate", "--format", "xml", expect=2)
    calseq(tmp_path, "validate", "--fix", "-", expect=2)


def test_explain_tells_a_code_by_its_number_or_name_and_lists_all(tmp_path):
    out, _ = calseq(tmp_path, "explain", "CS203", expect=0)
    assert out.startswith("error[CS203 unknown-calibration]: ")
    assert "Wrong:\n    calseq: 1\n" in out
    assert calseq(tmp_path, "explain", "Unknown-Calibration", expect=0)[0] == out
    assert len(calseq(tmp_path, "explain", expect=0)[0].splitlines()) > 50
    _, err = calseq(tmp_path, "explain", "unknown-calib", expect=1)
    assert "did you mean 'unknown-calibration'?" in err
    calseq(tmp_path, "explain", "\x1b[2J", expect=1)


def test_tab_knows_the_codes():
    from calseq.cli.options.completion import codes  # noqa: PLC0415 - what a shell would load

    assert [word for word, _ in codes("unknown-c")] == ["unknown-calibration"]
    assert ("CS203", "no calibration of dirigent, nor of this site") in codes("cs2")
