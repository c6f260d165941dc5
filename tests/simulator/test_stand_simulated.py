"""Simulated is what is simulated: it says so everywhere, is of the site's own bench, and touches no state of a real one."""

import json
import os
import subprocess
import sys

import msgspec
import pytest
from stands import ONE, until

import calseq
from calseq.model.plan import Instrument
from calseq.model.rails import Role
from calseq.problems.refused import Refused
from calseq.record.memory import newest
from calseq.record.run_folder import read_record

CRASH = "kill -SEGV $$"
QUICK = ("--speed", "5000", "--screen", "none", "--no-report")
STAND_IN = [sys.executable, "-m", "calseq.simulator"]
CALIBRATIONS = """calseq-calibrations: 1
calibrations:
  our_iv:
    type: ivcurve
    summary: the sensor's curve, our way
    needs: [lv, hv]
    flags: [-w]
    options:
      v_end: {type: number, unit: V, flag: --vend}
      step_size: {type: number, unit: V}
      pulses: {type: integer, multiple: true}
    sweep_end: v_end
    outputs: [{files: "*.dat"}, {files: breakdowns.json}]
    curves:
      - files: "*.dat"
        kind: iv
        columns:
          voltage: {headings: ["U, bias"], unit: V}
          current: {headings: ["I bias"], unit: uA}
  our_vi:
    type: sldo
    summary: regulators, our way
    needs: [lv]
    outputs: [{files: "vi_*.csv"}]
    curves:
      - files: "vi_*.csv"
        kind: vi
        columns:
          current: {headings: ["I in"], unit: A}
          VDDD: {headings: ["VDDD of chip {chip}"]}
  bump_scan:
    type: openbumps
    summary: bumps, our way
    needs: [lv, hv]
    options:
      mode: {type: text, choices: [fast, slow]}
      deep: {type: switch}
    outputs: [{files: "Run*_Bumps.root", at_least: 2}, {files: "map_[0-9]?.txt"}, {files: "*.png"}]
  our_tune:
    type: tuning
    summary: tuning, our way
    tuning: {form: tests, flag: --tests}
    outputs: [{files: "*.root", at_least: 3}]
  voltage_trimming:
    options: {fine: {type: switch}, settle: {type: number}}
    outputs: [{files: trim.json}]
"""
OWN = """calseq: 1
title: our own
defaults: {timeout: 60s}
steps:
  - our_vi
  - {calibration: voltage_trimming, options: {fine: true, settle: -3}}
  - {calibration: our_iv, options: {v_end: -70, step_size: 5, pulses: [3, 4]}}
  - {calibration: our_tune, tuning: [Alive, Noise]}
  - {calibration: bump_scan, options: {mode: fast, deep: true}}
  - {calibration: odd_one, type: general, args: [--foo, -1]}
"""


def stand_in(stand, mode, how):
    """Write a bench whose dirigent is the stand-in: by its words, by a script, or by what only its version tells."""
    command = {"words": STAND_IN, "script": ["./played"], "hidden": ["./hidden"]}[how]
    module = {"script": "calseq.simulator", "hidden": '"calseq.simul""ator"'}.get(how)
    if module:
        (stand.folder / how.replace("script", "played")).write_text(
            f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n'
        )
        (stand.folder / command[0]).chmod(0o755)
    upload = {"to": "folder", "folder": "database"}
    stand.bench(dirigent={"command": command}, power=mode, upload=upload)


@pytest.mark.parametrize("how", ["words", "script"])
@pytest.mark.parametrize("mode", ["dirigent", "icicle"])
def test_a_plan_whose_dirigent_is_the_stand_in_says_simulated_in_every_power_mode(stand, mode, how):
    stand_in(stand, {"mode": mode, "python": sys.executable} if mode == "icicle" else {"mode": mode}, how)
    for form, sign in (
        ("text", " SIMULATED  one tuning"),
        ("sh", "# SIMULATED"),
        ("json", '"stand_in": true'),
    ):
        code, told = stand.calseq("plan", "one.yaml", "--format", form)
        assert (code, sign in told) == (0, True), told


@pytest.mark.parametrize("how", ["words", "script", "hidden"])
def test_a_run_whose_dirigent_is_the_stand_in_is_simulated_in_every_record_and_never_sent(stand, how):
    stand_in(stand, {"mode": "dirigent"}, how)
    code, told = stand.calseq("execute", "one.yaml", "--screen", "plain")
    assert code == 0, told
    assert "SIMULATED run of one tuning" in told
    assert "PASSED (SIMULATED)" in told
    assert "not queued for folder: SIMULATED" in told
    (folder,) = stand.folders()
    assert read_record(folder).simulated
    assert "SIMULATED" in (folder / "report.html").read_text()
    for words in (["status"], ["runs"], ["logs"]):
        assert "SIMULATED" in stand.calseq(*words)[1], words
    assert json.loads(stand.calseq("status", "--format", "json")[1])["simulated"] is True
    code, told = stand.calseq("upload", folder.name)
    assert (code, "SIMULATED" in told) == (3, True), told
    assert not (stand.folder / "database").exists()


def test_a_run_that_was_recorded_as_real_is_not_sent_if_its_plan_calls_the_stand_in(stand):
    stand_in(stand, {"mode": "dirigent"}, "words")
    assert stand.execute()[0] == 0
    (folder,) = stand.folders()
    record = msgspec.structs.replace(read_record(folder), simulated=False)
    (folder / "run.json").write_bytes(msgspec.json.encode(record))
    code, told = stand.calseq("upload", folder.name)
    assert (code, "SIMULATED" in told) == (3, True), told
    assert stand.calseq("upload", "--all")[0] == 0, "nor is it due"
    assert not (stand.folder / "database").exists()


def test_a_dirigent_that_only_speaks_of_the_simulator_in_its_arguments_is_real(stand):
    stand.bench(name="simulator-lab")
    assert "SIMULATED" not in stand.calseq("plan", "one.yaml", "--bench", "simulator-lab.yaml")[1]
    assert stand.execute(bench="simulator-lab")[0] == 0
    assert not read_record(stand.folders()[0]).simulated


def test_simulate_means_the_bench_that_is_near_and_builtin_the_bundled_one(stand, tmp_path):
    (stand.folder / "below").mkdir()
    (stand.folder / "below" / "one.yaml").write_text(ONE)
    near = stand.calseq("plan", "below/one.yaml", "--simulate")[1]
    assert "simulated: bench bench of bench.yaml; --bench builtin is the bundled one" in near
    assert stand.lv() in near
    bundled = stand.calseq("plan", "one.yaml", "--simulate", "--bench", "builtin")[1]
    assert "bench simulated-double" in bundled
    assert stand.lv() not in bundled
    stand.bench("other", lv=stand.lv("other"))
    assert stand.lv("other") in stand.calseq("plan", "one.yaml", "--simulate", "--bench", "other.yaml")[1]
    assert "C2HQ0" in near, "modules are the site's"


def test_what_was_simulated_is_found_where_runs_are_looked_for(stand):
    stand.bench(runs="elsewhere")
    for words in (["one.yaml", "--simulate"], ["panthera", "--simulate", "--bench", "builtin"]):
        code, told = stand.calseq("execute", *words, *QUICK)
        assert code == 0, told
        latest = max((stand.folder / "elsewhere").iterdir())
        assert "SIMULATED" in stand.calseq("runs")[1]
        assert latest.name in stand.calseq("status")[1]
        assert str(latest) in stand.calseq("logs")[1]


@pytest.mark.parametrize("mode", ["dirigent", "icicle"])
def test_a_sites_own_calibrations_are_played_as_its_catalogue_has_them(stand, mode):
    stand.bench(
        calibrations="cal.yaml",
        power={"mode": mode, **({"python": sys.executable} if mode == "icicle" else {})},
        env={"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
    )
    (stand.folder / "cal.yaml").write_text(CALIBRATIONS)
    (stand.folder / "own.yaml").write_text(OWN)
    code, told = stand.calseq("execute", "own.yaml", "--simulate", *QUICK)
    assert code == 0, told
    (folder,) = stand.folders()
    assert set(read_record(folder).steps.values()) == {"passed"}
    assert "bias     allowed: no breakdown found, bias is -50 V; curve of C2HQ0 reached 70 V" in told
    left = {path.name for path in (folder / "data").rglob("*") if path.is_file()}
    assert {"our_iv_C2HQ0.dat", "breakdowns.json", "trim.json", "map_01.txt", "Run000002_Bumps.root"} <= left
    curve = json.loads(stand.calseq("compare", "--format", "json", folder.name, folder.name)[1])
    assert "not understood" not in json.dumps(curve)
    log = (folder / "steps" / "04-our_tune" / "log.txt").read_text()
    assert "1/2 Alive" in log
    assert stand.calseq("execute", "own.yaml", "--simulate", "--fault", "bump_scan=no-output", *QUICK)[0] == 1


def test_the_stand_in_lists_a_sites_calibrations_and_refuses_what_they_do_not_take(stand):
    (stand.folder / "cal.yaml").write_text(CALIBRATIONS)

    def played(*words):
        around = {**os.environ, "CALSEQ_CALIBRATIONS": "cal.yaml"}
        argv = [*STAND_IN, *words]
        told = subprocess.run(argv, cwd=stand.folder, env=around, capture_output=True, text=True, timeout=60)
        return told.returncode, told.stdout + told.stderr

    assert "bumps, our way" in played("--help")[1]
    code, told = played("bump_scan", "--mode", "sideways")
    assert (code, "sideways" in told) == (2, True)
    code, told = played("no_such_scan")
    assert (code, "No such command" in told) == (2, True)
    (stand.folder / "cal.yaml").unlink()
    code, told = played("bump_scan")
    assert (code, "Traceback" in told) == (1, False)


def test_a_simulated_run_neither_clears_nor_makes_an_unknown_state_of_real_supplies(stand):
    assert stand.execute(act=CRASH)[0] == 4
    assert stand.execute()[0] == 3
    code, told = stand.calseq("execute", "one.yaml", "--simulate", *QUICK)
    assert code == 0, told
    assert stand.execute("--simulate", "--acknowledge", "--speed", "5000")[0] == 0
    code, told = stand.execute()
    assert (code, "CS418" in told) == (3, True), "what nobody confirmed is as unknown as before"
    assert stand.execute("--acknowledge")[0] == 0
    code, told = stand.execute("--simulate", "--fault", "calibrate_module=signal:SEGV", "--speed", "5000")
    assert (code, "HARDWARE STATE UNKNOWN" in told) == (4, True), "a rehearsal of a bad end"
    assert "--acknowledge" not in stand.calseq("status")[1]
    assert stand.execute()[0] == 0
    assert stand.execute("--simulate", "--speed", "5000")[0] == 0


def test_a_simulated_run_and_a_real_one_do_not_wait_for_each_other(stand):
    real = stand.begun()
    assert stand.execute("--simulate", "--speed", "5000")[0] == 0
    assert stand.go(real) == 0
    (stand.folder / "go").unlink()
    (stand.folder / "in").unlink()
    fault = ("--fault", "calibrate_module=sleep:60", "--speed", "5000")
    present = set(stand.folders())
    rehearsal = stand.start("execute", "one.yaml", "--simulate", *fault, "--screen", "none", "--no-report")
    until(lambda: any("sleep" in path.read_text() for path in stand.runs.glob("*/steps/*/log.txt")))
    assert stand.execute()[0] == 0
    again = stand.begun()
    code, told = stand.calseq("stop")
    (name,) = (each.name for each in set(stand.folders()) - present if read_record(each).simulated)
    assert (code, f"calseq stop {name}  # SIMULATED" in told) == (3, True), told
    assert stand.go(again) == 0
    rehearsal.terminate()
    assert rehearsal.wait(60) != 4


def test_no_number_of_simulated_runs_hides_what_a_real_one_left(tmp_path):
    runs = tmp_path / "runs"
    real = {
        "mode": "dirigent",
        "instruments": [Instrument("hv", "K", "TCPIP::h::1::SOCKET", (Role.HV,), ("0",))],
    }
    played = {**real, "rehearses": "dirigent"}
    for number, plan in enumerate([real, *[{**real, "mode": "simulated"}] * 600, *[played] * 600]):
        folder = runs / f"2026010{1 + number // 1000}-{number:06d}-run"
        folder.mkdir(parents=True)
        (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
        (folder / "run.json").write_text("{")
    (found,) = newest([runs], ["TCPIP::h::1::SOCKET"])
    assert found.folder.name.endswith("-000000-run")


def test_power_mode_dirigent_is_rehearsed_as_it_is_and_needs_no_acknowledgement(stand):
    code, told = stand.calseq("plan", "one.yaml", "--simulate")
    assert (code, "power by dirigent, rehearsed on the simulator" in told) == (0, True), told
    assert "lv hv" in told
    assert "HV, LV: not controlled" in told
    for _ in range(2):
        code, told = stand.calseq("execute", "one.yaml", "--simulate", *QUICK)
        assert (code, "PASSED (SIMULATED)" in told) == (0, True), told
    moves = (stand.folders()[-1] / "simulated" / "power.jsonl").read_text()
    assert "hv" in moves
    assert "violations" not in moves


def test_a_real_run_is_not_gone_on_with_as_a_simulated_one(stand):
    assert stand.execute(act="exit 3")[0] == 1
    bench = json.loads((stand.folder / "bench.yaml").read_text())
    (stand.folder / "bench.yaml").write_text(json.dumps({**bench, "power": {"mode": "simulated"}}))
    code, told = stand.calseq("execute", "--resume", "--yes", "--acknowledge")
    assert (code, "was real" in told) == (3, True), told


def test_python_simulates_any_plan_and_the_bench_that_is_near(stand, tmp_path):
    path = stand.bench(power={"mode": "icicle", "python": "/no/such/python"})
    bench = calseq.load_bench(path)
    plan = calseq.compile_plan(calseq.load(stand.folder / "one.yaml", bench=bench), bench)
    assert not plan.simulated
    result = calseq.execute(plan, runs=tmp_path / "runs", report=False, simulate=True)
    assert (result.outcome.exit_code, result.record.simulated) == (0, True)
    assert result.record.mode == "simulated"
    assert calseq.load_bench("builtin", simulate=True).name == "simulated-double"
    assert calseq.load_bench(path, simulate=True).name == "bench"
    with pytest.raises(Refused):
        calseq.load_bench(tmp_path / "builtin", simulate=True)
