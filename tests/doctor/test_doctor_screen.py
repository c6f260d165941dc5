"""What a person, a script and a shell see of the doctor."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from doctor_benches import (
    bench_file,
    program,
    python_environ,
    right_dirigent,
    simulated_bench_file,
    true_dirigent,
)

from calseq.cli.commands.doctor import doctor, doctor_text, verdict_line
from calseq.console.line import text_of
from calseq.doctor import Check, Status

CALL = "import sys; from pathlib import Path; from calseq.cli.commands.doctor import doctor; "
CALL += "sys.exit(doctor(Path(sys.argv[1]), 'text'))"

CHECKS = [
    Check("machine", "calseq", Status.OK, "0.1.0 in /opt/calseq"),
    Check("machine", "session", Status.WARNING, "not inside tmux, screen or a systemd scope", "`tmux new -s calseq`"),
    Check("bench", "power mode", Status.OK, "SIMULATED: nothing real is measured"),
    Check("dirigent", "project", Status.FAILED, "/usr/bin/dirigent is not the dirigent of CMS: its --help does not list iv_curve", "another project installs that name: `which -a dirigent` lists all, set `dirigent: {command: ...}`"),
    Check("dirigent", "sldo_vi_curves_GADC", Status.WARNING, "this dirigent has no --start-current", "in the site's calibrations file: `sldo_vi_curves_GADC: {options: {start_current: null}}`"),
    Check("instruments", "µ-hv", Status.FAILED, "hv: Keithley2410, ASRL/dev/ttyUSB0::INSTR: you may not read and write /dev/ttyUSB0", "`sudo usermod -aG dialout $USER`, then log in again"),
    Check("power", "icicle", Status.SKIPPED, "not used in power mode dirigent"),
]  # fmt: skip


def drawn(width: int, *, color: bool = False, ascii: bool = False) -> str:  # noqa: A002
    return "".join(piece + "\n" for piece in doctor_text(CHECKS, width, color=color, ascii=ascii))


@pytest.mark.parametrize("width", [100, 80, 36])
def test_the_screen_at_a_width_wraps_and_cuts_nothing(golden, width):
    text = drawn(width)
    long = [line for line in text.splitlines() if len(line) > width]
    assert all(line.strip().startswith(("`", "→ `")) for line in long)
    for check in CHECKS:
        for word in f"{check.finding} {check.cure}".split():
            assert word in text
    golden(f"screen-{width}.txt", text)


def test_the_screen_in_ascii_and_in_colours(golden):
    text = drawn(80, ascii=True)
    assert text.isascii()
    golden("screen-ascii.txt", text)
    assert "\x1b[1;33mSIMULATED: nothing real is measured\x1b[0m" in drawn(80, color=True)


def test_a_section_is_shown_before_the_next_check_is_made():
    def checks():
        yield CHECKS[0]
        raise KeyboardInterrupt

    pieces = doctor_text(checks(), 80, color=False, ascii=False)
    assert next(pieces) == "machine\n  ✓ calseq            0.1.0 in /opt/calseq"


@pytest.mark.parametrize(
    ("checks", "bench", "says"),
    [
        (CHECKS, True, "this bench cannot run yet: 2 failed, 2 warnings, 2 ok, 1 skipped"),
        (CHECKS[:2], True, "this bench can run: 1 warning, 1 ok"),
        (CHECKS[:2], False, "no bench was looked at: 1 warning, 1 ok"),
        (CHECKS[3:4], False, "something is to be mended: 1 failed"),
    ],
)
def test_the_last_line_answers_the_question(checks, bench, says):
    assert text_of(verdict_line(checks, bench=bench, simulated=False)) == says


def good_bench(folder: Path) -> Path:
    right_dirigent(folder)
    return bench_file(folder)


def good_environ(folder: Path) -> dict[str, str]:
    return {**python_environ(), "PH2ACF_BASE_DIR": str(folder)}


def test_a_bench_that_can_run_exits_0(tmp_path, capsys):
    assert doctor(good_bench(tmp_path), "text", good_environ(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert out.splitlines()[-1].startswith("this bench can run: ")


def test_the_simulated_bench_says_so_on_its_last_line(tmp_path, capsys):
    environ = {**python_environ(), "PATH": "/none"}
    assert doctor(simulated_bench_file(tmp_path), "text", environ) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("this bench can run, SIMULATED: ")


def test_a_bench_that_fails_a_check_exits_1(tmp_path, capsys):
    assert doctor(bench_file(tmp_path), "text", good_environ(tmp_path)) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("this bench cannot run yet: 1 failed, ")


def test_a_bench_that_is_refused_exits_3_with_its_problems_and_the_machine_is_still_looked_at(
    tmp_path, capsys
):
    path = bench_file(tmp_path, runs=7, modules="gone.json")
    assert doctor(path, "text", good_environ(tmp_path)) == 3
    out, err = capsys.readouterr()
    assert "CS201" in err
    assert "CS101" in err
    assert err.rstrip().endswith("2 errors in 1 of 2 files")
    assert f"→ `calseq validate {path}`" in out
    assert "lock folder" in out
    assert "the bench file that says which is refused" in out


def test_a_bench_file_that_is_not_there_exits_3(tmp_path, capsys):
    assert doctor(tmp_path / "none.yaml", "text", good_environ(tmp_path)) == 3
    assert "CS101" in capsys.readouterr().err


def test_a_fault_that_the_simulator_does_not_know_refuses_the_bench(tmp_path, capsys):
    path = bench_file(tmp_path, mode="simulated", simulator={"faults": {"iv_curve": "nonsense"}})
    assert doctor(path, "text", good_environ(tmp_path)) == 3
    assert "CS416" in capsys.readouterr().err


def test_without_a_bench_the_machine_is_looked_at_and_how_to_give_one_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctor(None, "text", {"PATH": "/none"}) == 0
    out = capsys.readouterr().out
    assert "`calseq doctor --bench FILE`, or go to a folder with a bench.yaml" in out
    assert out.splitlines()[-1].startswith("no bench was looked at: ")


def test_the_bench_that_is_near_is_taken(tmp_path, capsys, monkeypatch):
    good_bench(tmp_path)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert doctor(None, "text", good_environ(tmp_path)) == 0
    assert f"{tmp_path}/bench.yaml\n" in capsys.readouterr().out


def test_json_has_every_check_with_its_words(tmp_path, capsys):
    assert doctor(bench_file(tmp_path), "json", good_environ(tmp_path)) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["format"] == 1
    assert {"section", "name", "status", "finding", "cure"} == set(report["checks"][0])
    failed = [check for check in report["checks"] if check["status"] == "failed"]
    assert [(check["section"], check["name"]) for check in failed] == [("dirigent", "program")]
    assert {check["status"] for check in report["checks"]} <= {"ok", "warning", "failed", "skipped"}


def test_json_of_a_refused_bench_says_that_it_is(tmp_path, capsys):
    assert doctor(tmp_path / "none.yaml", "json", good_environ(tmp_path)) == 3
    out, err = capsys.readouterr()
    assert "CS101" in err
    checks = json.loads(out)["checks"]
    assert [check["name"] for check in checks if check["status"] == "failed"] == ["bench"]


@pytest.mark.parametrize("format_", ["text", "json"])
def test_hostile_text_from_a_program_or_the_environment_reaches_no_terminal(tmp_path, capsys, format_):
    hostile = "printf '\\033[2J\\342\\200\\256\\377evil\\n'"
    right_dirigent(tmp_path, before=f'case "$1" in --version) {hostile}; exit 0;; esac')
    environ = {**good_environ(tmp_path), "PH2ACF_BASE_DIR": "/\x1b[2J\udcff"}
    assert doctor(bench_file(tmp_path), format_, environ) == 1
    out = capsys.readouterr().out
    assert "evil" in out
    assert "\\\\e[2J" in out if format_ == "json" else "\\e[2J" in out
    assert all(char.isprintable() or char == "\n" for char in out)


def start(path: Path, mark: str, **environ: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "CALSEQ_TEST": mark, "PYTHONUNBUFFERED": "1", **environ}
    return subprocess.Popen(
        [sys.executable, "-c", CALL, str(path)],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def still_there(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"CALSEQ_TEST={mark}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append((path / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_the_program_that_it_waits_for(tmp_path, number, code):
    program(tmp_path / "bin" / "dirigent", "exec sleep 600")
    mark = f"{os.getpid()}-{number.name}"
    with start(bench_file(tmp_path), mark) as running:
        for text in running.stdout:
            if "program" in text:
                break
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert running.returncode == code
    assert f"stopped by {'Ctrl-C' if number is signal.SIGINT else number.name}" in err
    assert "this bench" not in out
    assert still_there(mark) == []


def test_what_a_dirigent_leaves_behind_is_ended(tmp_path):
    true_dirigent(tmp_path, before="setsid sleep 600 >/dev/null 2>&1 &")
    mark = f"{os.getpid()}-left"
    with start(bench_file(tmp_path), mark, PH2ACF_BASE_DIR=str(tmp_path)) as running:
        _out, err = running.communicate(timeout=20)
    assert (running.returncode, err) == (0, "")
    assert still_there(mark) == []


def test_a_screen_that_can_show_only_ascii_gets_only_that(tmp_path):
    mark = f"{os.getpid()}-ascii"
    path = good_bench(tmp_path)
    with start(path, mark, PYTHONIOENCODING="ascii", PH2ACF_BASE_DIR=str(tmp_path)) as running:
        out, _err = running.communicate(timeout=20)
    assert running.returncode == 0
    assert out.isascii()
    assert "shows only ASCII" in out
