"""A step whose log says that it failed has failed, whatever its exit code."""

import os
import sys

import pytest
from cli_runs import SHIPPED as PLACE
from cli_runs import Stand, end_all
from run_doubles import CURVE, GENERAL, Deed, ran

from calseq.run.complaints import complaint

ABORTING = "===== Aborting ====="
SHIPPED = (ABORTING, "terminate called after throwing an instance of", "uhal::exception::")
QUOTED = "line 3 of its log says '2025-10-07 12:57:24 ERROR iv_curve - ===== Aborting ====='"


def said(tmp_path, content, patterns=SHIPPED):
    path = tmp_path / "log.txt"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return complaint(descriptor, patterns)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ""),
        (b"all well\n" * 5, ""),
        (b"one\ntwo\n2025-10-07 12:57:24 ERROR iv_curve - ===== Aborting =====\nthree\n", QUOTED),
        (b"one\n\x1b[31m===== Aborting =====\x1b[0m\n", "line 2 of its log says '===== Aborting ====='"),
        (b"===== Aborting =====", "line 1 of its log says '===== Aborting ====='"),
        (b"\xff\xfe ===== Aborting ===== \x00\n", "line 1 of its log says "),
        (
            b"Progress: 1%\rProgress: 2%\r===== Aborting =====\n",
            "line 1 of its log says '===== Aborting ====='",
        ),
        (b"E 12:00 uhal::exception::UdpTimeout: no answer\n", "uhal::exception::UdpTimeout: no answer'"),
        (b"ERROR: 0 problems\nE line that is harmless\n===== 3/3 Done =====\n", ""),
    ],
)
def test_the_first_line_that_says_so_is_quoted_with_its_number(tmp_path, content, words):
    found = said(tmp_path, content)
    assert words in found
    assert bool(found) is bool(words)


@pytest.mark.parametrize("shift", range(-24, 25, 6))
def test_a_text_across_the_parts_in_which_a_log_is_read_is_found(tmp_path, shift):
    before = b"x" * 99 + b"\n"
    size = (1 << 20) + shift
    content = before * (size // 100) + b"y" * (size % 100) + ABORTING.encode() + b"\n"
    assert f"line {size // 100 + 1} of its log says " in said(tmp_path, content)


def test_what_nobody_asks_for_is_not_looked_for(tmp_path):
    assert said(tmp_path, ABORTING.encode(), ()) == ""
    assert said(tmp_path, ABORTING.encode(), ("",)) == ""


@pytest.mark.parametrize("kind", [GENERAL, CURVE])
def test_such_a_step_fails_and_biases_nothing(kind):
    run = ran((kind, GENERAL), {1: Deed(complaint=QUOTED)})
    assert run.code == 1
    assert run.outcome.reason == f"{kind.value}_1 failed"
    assert run.world.bench.dark
    assert not any("HV -50" in line for line in run.world.bench.record)


@pytest.fixture
def stand(tmp_path):
    stand = Stand(tmp_path)
    yield stand
    end_all(stand)


DIRIGENT = """
import sys
if "--help" in sys.argv:
    raise SystemExit(print("Commands: iv_curve sldo_vi_curves"))
print("2025-10-07 12:57:24 INFO get_module_info - begin")
print({line!r})
"""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("2025-10-07 12:57:25 ERROR get_module_info - ===== Aborting =====", 1),
        ("ERROR: harmless, of its own", 0),
    ],
)
def test_exit_code_0_is_not_all_that_counts(stand, line, code):

    double = PLACE / "benches" / "double"
    (stand.folder / "dirigent.py").write_text(DIRIGENT.format(line=line))
    (stand.folder / "bench.yaml").write_text(
        "calseq-bench: 1\nname: here\n"
        f'dirigent: {{command: ["{sys.executable}", "{stand.folder / "dirigent.py"}"], config: "{double / "dirigent.toml"}"}}\n'
        f'instruments: "{double / "instruments.json"}"\nmodules: "{double / "modules.json"}"\n'
        f'power: {{mode: dirigent}}\nruns: "{stand.runs}"\nlocks: "{stand.folder}"\n'
    )
    sequence = stand.write({"calibration": "get_module_info", "timeout": "1m"})
    words = [sys.executable, "-m", "calseq", "execute", "--no-report", sequence, "--screen", "none"]
    run = stand.launch([*words, "--bench", str(stand.folder / "bench.yaml"), "--runs", str(stand.runs)])
    assert run.end() == code, run.told
    (ended,) = [event for event in run.events if type(event).__name__ == "StepEnded"]
    quoted = f"line 2 of its log says '{line}'"
    assert ended.reason == (quoted if code else "")
