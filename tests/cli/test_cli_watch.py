"""`calseq runs`, `status`, `logs` and TAB beside run folders that nobody works in."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cli_runs import SHIPPED
from console_runs import a_plan, failed_run, good_run, unsafe_run, until_tuning
from folder_runs import NAME, calseq, guard_says, write_run

from calseq.cli.commands.logs import start_of_last

HOSTILE = b"one\n\x1b]0;owned\x07\x1b[31mred\x1b[0m [/foo] \xff\n 10%\r 20%\r 30%\n\x9b2Jlast"


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    write_run(folder, good_run(a_plan()), name="20261121-020000-panthera-c2hq0")
    write_run(folder, failed_run(a_plan()), name="20261122-020000-panthera-rh0007", module="RH0007",
              logs={"03-iv_curve": b"first\n", "03-iv_curve.2": HOSTILE, "01-sldo_vi_curves": b"x\n"})  # fmt: skip
    guard_says(write_run(folder, until_tuning(a_plan())), confirmed=True)
    (folder / "20261124-020000-broken").mkdir()
    (folder / "20261124-020000-broken" / "run.json").write_text("{")
    return folder


def names(told):
    return [line.split()[0] for line in told.splitlines()[1:]]


def test_runs_are_listed_newest_first_with_the_damaged(runs):
    told, said = calseq("runs", cwd=runs.parent)
    assert names(told) == ["20261124-020000-broken", "20261123-020000", "20261122-020000", "20261121-020000"]
    assert said == f"all runs in {runs}\na run that died goes on with: calseq execute --resume RUN\n"


@pytest.mark.parametrize(
    ("words", "listed", "said"),
    [
        (["-n", "1"], ["20261124-020000-broken"], "the latest 1 in"),
        (["--failed"], ["20261124-020000-broken", "20261123-020000", "20261122-020000"], "all such runs in"),
        (["--module", "rh"], ["20261122-020000"], "all such runs in"),
        (["--module", "nobody"], [], "no such run in"),
    ],
)
def test_runs_are_chosen(runs, words, listed, said):
    told, footer = calseq("runs", *words, cwd=runs.parent)
    assert names(told) == listed
    assert said in footer


def test_runs_as_json_are_read_by_programs(runs):
    told = json.loads(calseq("runs", "--format", "json", cwd=runs.parent)[0])
    assert told["format"] == 1
    assert [(run["run"][:8], run["state"], run.get("safe")) for run in told["runs"]] == [
        ("20261124", "damaged", None),
        ("20261123", "died", True),
        ("20261122", "ended", True),
        ("20261121", "ended", True),
    ]
    assert told["runs"][2]["failed"] == ["iv_curve failed"]


def test_the_runs_are_those_of_the_bench_that_is_near_even_if_its_file_is_half_written(tmp_path):
    write_run(tmp_path / "elsewhere", good_run(a_plan()))
    (tmp_path / "below").mkdir()
    bench = tmp_path / "bench.yaml"
    bench.write_text("runs: elsewhere\nnam")
    assert "no run in" in calseq("runs", cwd=tmp_path / "below")[1]  # not YAML any more: what is beside it
    bench.write_text("runs: elsewhere\ninstruments: none.json\n")
    assert names(calseq("runs", cwd=tmp_path / "below")[0]) == ["20261123-020000"]
    assert names(calseq("runs", "--bench", bench, cwd="/")[0]) == ["20261123-020000"]
    assert names(calseq("runs", "--runs", "elsewhere", cwd=tmp_path)[0]) == ["20261123-020000"]
    shipped = SHIPPED / "benches" / "double" / "bench.yaml"
    # runs of the bundled bench lie with those of the bench that is near
    assert names(calseq("runs", "--bench", shipped, cwd=tmp_path / "below")[0]) == ["20261123-020000"]


@pytest.mark.parametrize(
    "words", [["status"], ["attach"], ["logs"], ["stop", "20261124"], ["status", "20261124"]]
)
def test_a_damaged_run_is_said_to_be_one(runs, words):
    _, said = calseq(*words, cwd=runs.parent, code=3)
    assert "20261124-020000-broken: run.json is damaged" in said


def test_without_any_run_it_is_said_where_was_looked(tmp_path):
    for words in (["status"], ["attach"], ["logs"]):
        assert f"there is no run in {tmp_path}/runs" in calseq(*words, cwd=tmp_path, code=3)[1]
    assert calseq("stop", cwd=tmp_path)[0] == f"nothing runs in {tmp_path}/runs\n"


def test_a_damaged_plan_or_journal_is_told_and_the_log_can_still_be_read(runs):
    folder = runs / "20261122-020000-panthera-rh0007"
    (folder / "plan.json").write_text("{")
    assert "plan.json cannot be read" in calseq("status", "20261122", cwd=runs.parent, code=3)[1]
    assert "CS423" in calseq("logs", "--run", "20261122", cwd=runs.parent, code=3)[1]
    assert calseq("logs", "iv_curve", "--run", "20261122", cwd=runs.parent)[0].startswith("one\n")


def test_a_status_of_a_damaged_journal_says_what_cannot_be_used(runs):
    folder = runs / "20261122-020000-panthera-rh0007"
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join([*lines[:2], b"{}\n", *lines[3:], b'{"seq":']))
    told, _ = calseq("status", "20261122", cwd=runs.parent)
    assert "note     events.jsonl: line 3 cannot be used: its checksum does not fit" in told
    assert "events.jsonl: its last line is torn" in told


def test_where_off_was_not_confirmed_stop_says_so(tmp_path):
    write_run(tmp_path / "runs", unsafe_run(a_plan()))
    told, said = calseq("stop", NAME, cwd=tmp_path, code=4)
    assert told == f"{NAME} does not run\n"
    assert "HARDWARE STATE UNKNOWN" in said
    assert "HARDWARE STATE UNKNOWN" in calseq("stop", cwd=tmp_path)[1]


# --- logs ---


def test_the_log_of_the_failed_step_comes_first_of_its_last_attempt_byte_by_byte(runs):
    done = subprocess.run(
        [sys.executable, "-m", "calseq", "logs", "--run", "20261122"],
        cwd=runs.parent,
        capture_output=True,
        check=True,
    )
    assert done.stdout == HOSTILE
    assert b"step 3 iv_curve, attempt 2: " in done.stderr


@pytest.mark.parametrize("step", ["sldo_vi_curves", "1", "01-sldo_vi_curves"])
def test_a_step_is_found_by_name_and_number(runs, step):
    assert calseq("logs", step, "--run", "20261122", cwd=runs.parent)[0] == "x\n"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("iv_curv", "did you mean 'iv_curve'?"),
        ("9", "one of 1 sldo_vi_curves, 2 voltage_trimming, 3 iv_curve"),
    ],
)
def test_a_step_that_is_none_is_refused(runs, step, said):
    told = calseq("logs", step, "--run", "20261122", cwd=runs.parent, code=3)[1]
    assert "CS307" in told
    assert said in told


def test_a_step_without_a_log_is_said_to_have_none(runs):
    assert (
        "step 5 crosstalk_method has not run yet"
        in calseq("logs", "5", "--run", "20261122", cwd=runs.parent)[1]
    )


@pytest.mark.parametrize(
    ("count", "left"), [(0, b""), (1, b"\x9b2Jlast"), (2, b" 10%\r 20%\r 30%\n\x9b2Jlast"), (99, HOSTILE)]
)
def test_the_last_lines_of_a_log(tmp_path, count, left):
    path = tmp_path / "log.txt"
    path.write_bytes(HOSTILE)
    assert HOSTILE[start_of_last(path, count) :] == left


def test_the_last_lines_of_a_long_log_are_found_from_its_end(tmp_path):
    path = tmp_path / "log.txt"
    lines = [b"%d " % number + b"x" * (number % 5000) + b"\n" for number in range(2000)]
    path.write_bytes(b"".join(lines))
    for count in (1, 7, 300, 1999, 2000, 2001):
        assert path.read_bytes()[start_of_last(path, count) :] == b"".join(lines[-count:])


def on_a_terminal(*words, cwd):
    """Run a command with its output on a terminal; give all that was written to it."""
    person, program = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "calseq", *words], cwd=cwd, stdout=program, stderr=subprocess.DEVNULL
    )
    os.close(program)
    seen = b""
    with suppress(OSError):
        while octets := os.read(person, 65536):
            seen += octets
    os.close(person)
    assert done.wait(20) == 0
    return seen


def test_on_a_terminal_no_control_byte_of_a_log_arrives(runs):
    seen = on_a_terminal("logs", "--run", "20261122", cwd=runs.parent)
    assert seen.decode().splitlines() == ["one", "red [/foo] \ufffd", " 30%", "\ufffd2Jlast"]


def test_on_a_terminal_the_last_hundred_lines_are_shown(tmp_path):
    log = b"".join(b"line %d\n" % number for number in range(1000))
    write_run(tmp_path / "runs", failed_run(a_plan()), logs={"03-iv_curve": log})
    assert on_a_terminal("logs", cwd=tmp_path).split(b"\r\n")[0] == b"line 900"
    assert calseq("logs", cwd=tmp_path)[0].encode() == log


def test_colours_are_for_terminals(runs):
    assert (
        b"\x1b[" in on_a_terminal("status", "20261122", cwd=runs.parent)
        or os.environ.get("TERM", "dumb") == "dumb"
    )
    assert "\x1b" not in calseq("status", "20261122", cwd=runs.parent)[0]


# --- TAB ---


def offered(cwd, *typed):
    """Give what TAB offers behind the words that are typed."""
    program = Path(sys.executable).parent / "calseq"
    words = ["calseq", *typed]
    done = subprocess.run(
        [program], cwd=cwd, capture_output=True, text=True, check=False,
        env=os.environ | {"_CALSEQ_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
    )  # fmt: skip
    return [word for word in done.stdout.split() if not word.startswith("-")]


ALL = [
    "20261124-020000-broken",
    "20261123-020000-panthera-c2hq0",
    "20261122-020000-panthera-rh0007",
    "20261121-020000-panthera-c2hq0",
]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["status", ""], ["latest", *ALL]),
        (["attach", "20261122"], ALL[2:3]),
        (["stop", "20261123"], ALL[1:2]),
        (["logs", "--run", "2026112"], ALL),
        (["runs", "verify", "20261121"], ALL[3:]),
        (["logs", "--run", "20261122", "iv"], ["iv_curve"]),
        (["status", "nothing"], []),
    ],
)
def test_tab_offers_runs_newest_first_and_steps(runs, typed, words):
    assert offered(runs.parent, *typed) == words


def test_tab_looks_where_it_is_told_to_look(runs, tmp_path):
    assert offered("/", "status", "--runs", str(runs), "20261122") == ALL[2:3]
    assert offered(tmp_path / "runs", "logs", "") == []


def test_help_names_what_can_be_typed():
    for command in ("status", "attach", "logs", "stop", "runs"):
        told, _ = calseq(command, "--help", cwd="/")
        assert re.search(r"--runs\s+DIR", told)
