"""One run per instrument, kept by whoever of it lives; and what `calseq power` says and does beside it."""

import json
import os
import signal
import subprocess
from itertools import pairwise

from guarded_runs import (
    BIASED,
    CURVE,
    child_of,
    guard_pid,
    in_fault,
    kill,
    prove_dark,
    said,
    stand,
    step,
    torn_off,
    until,
    words,
)

from calseq.simulator.state import born
from calseq.system.locks import holders_now, lock_folder

assert stand  # a fixture

TRIM = step("voltage_trimming")


def resources(bench):
    entries = json.loads((bench.parent / "instruments.json").read_text())["instruments"]
    return [entry["resource"] for entry in entries.values()]


def test_where_dirigent_holds_the_supplies_a_killed_calseq_lets_it_ramp_down(stand):
    bench, supplies = stand.driven(faults={"iv_curve": "hang"})
    run = stand.on(bench, CURVE)
    in_fault(run)
    run.process.kill()
    guard = guard_pid(run)
    until(lambda: not born(guard) and not born(child_of_any(run)))
    prove_dark(supplies)
    off = [line["who"] for line in supplies.actions() if line["action"] == "hv-off"]
    assert off == ["dirigent iv_curve"]
    assert said(run)[-1]["confirmed"] is None, "the guard cannot read what it does not hold"
    assert holders_now(resources(bench)) == []


def child_of_any(run):
    return next(line["pid"] for line in said(run) if line["event"] == "child" and line["pid"])


def test_a_second_run_is_refused_and_told_who_has_the_bench(stand):
    bench, _ = stand.driven(faults={"iv_curve": "hang"})
    first = stand.on(bench, CURVE)
    in_fault(first)
    second = stand.on(bench, TRIM, name="other.yaml")
    assert second.end() == 3
    told = " ".join(second.told.split())
    for word in (
        first.record["run"],
        first.record["operator"],
        f"pid {first.process.pid}",
        first.record["started"],
    ):
        assert word in told
    assert "CS413" in told
    assert len(list(stand.runs.glob("*"))) == 1
    code, out, _ = stand.calseq("power", "status", "--bench", bench)
    assert code == 0
    assert first.record["run"] in out
    first.press()
    assert first.end() == -signal.SIGINT
    assert holders_now(resources(bench)) == []
    third = stand.on(bench, TRIM, name="other.yaml")
    assert third.end() == 0


def test_a_lock_whose_file_was_deleted_still_holds(stand):
    bench, _ = stand.driven(faults={"iv_curve": "hang"})
    first = stand.on(bench, CURVE)
    in_fault(first)
    ours = [path for path in lock_folder().glob("calseq-*.lock") if str(first.folder) in path.read_text()]
    assert len(ours) == 3
    for path in ours:
        path.unlink()
    second = stand.on(bench, TRIM, name="other.yaml")
    assert second.end() == 3
    assert "lock file was deleted" in " ".join(second.told.split())
    first.press(signal.SIGINT)
    assert first.end() == -signal.SIGINT
    assert stand.on(bench, TRIM, name="other.yaml").end() == 0


def test_of_two_that_start_at_once_one_wins(stand):
    bench, _ = stand.driven()
    for number in range(10):
        both = [stand.on(bench, TRIM, name=f"{number}-{name}.yaml") for name in "ab"]
        codes = sorted(run.end() for run in both)
        assert codes in ([0, 0], [0, 3]), "the second may have come when the first had ended"
        for run in both:
            assert run.process.returncode == 0 or "CS413" in run.told
    overlaps = [folder for folder in stand.runs.glob("*") if (folder / "events.jsonl").exists()]
    spans = sorted(span(folder) for folder in overlaps)
    assert all(one[1] <= other[0] for one, other in pairwise(spans)), "two at a time"


def span(folder):
    """Give when the guard of a run opened and ended: its run had the bench at least that long."""
    lines = [json.loads(line) for line in (folder / "guard.jsonl").read_text().splitlines()]
    return lines[0]["time"], lines[-1]["time"]


def test_two_benches_without_a_common_instrument_run_side_by_side(stand):
    one, _ = stand.driven("one", address=f"{stand.address}-1", faults={"iv_curve": "hang"})
    two, _ = stand.driven("two", address=f"{stand.address}-2")
    first = stand.on(one, CURVE)
    in_fault(first)
    second = stand.on(two, CURVE, name="two.yaml", runs=stand.folder / "runs2")
    assert second.end() == 0
    assert first.process.poll() is None
    first.press()
    assert first.end() == -signal.SIGINT


def test_a_bench_in_another_folder_with_one_common_instrument_is_the_same(stand):
    one, _ = stand.driven("one", faults={"iv_curve": "hang"})
    two, _ = stand.driven("two")
    first = stand.on(one, CURVE)
    in_fault(first)
    assert stand.on(two, TRIM, name="two.yaml").end() == 3
    first.press()
    assert first.end() == -signal.SIGINT


def test_the_lock_outlives_a_killed_calseq_as_long_as_its_child(stand):
    bench, supplies = stand.driven(faults={"iv_curve": "stubborn"})
    run = stand.on(bench, CURVE)
    in_fault(run)
    child, guard = child_of(run), guard_pid(run)
    run.process.kill()
    run.process.wait()
    assert born(child)
    assert stand.on(bench, TRIM, name="other.yaml").end() == 3
    kill(guard)
    until(lambda: not born(guard))
    assert stand.on(bench, TRIM, name="other.yaml").end() == 3
    assert holders_now(resources(bench))
    kill(child)
    until(lambda: holders_now(resources(bench)) == [])
    assert not supplies.readings().all_off, "nobody was left to switch it off"


def test_after_all_are_dead_the_next_run_refuses_until_somebody_takes_it_upon_himself(stand):
    bench, supplies = stand.driven(faults={"iv_curve": "hang"})
    run = stand.on(bench, CURVE)
    in_fault(run)
    kill(run.process.pid, guard_pid(run), child_of(run))
    run.process.wait()
    until(lambda: holders_now(resources(bench)) == [])
    refused = stand.on(bench, TRIM, name="other.yaml")
    assert refused.end() == 3
    assert "CS418" in refused.told
    assert run.record["run"] in " ".join(refused.told.split())
    assert "--acknowledge" in refused.told
    code, _, told = stand.calseq("power", "off", "--bench", bench)
    assert code == 4
    assert "hv_1" in told
    supplies.acquire(["lv", "hv"], "operator")
    supplies.hv_off("operator")
    supplies.lv_off("operator")
    supplies.release(["lv", "hv"], "operator")
    again = stand.on(bench, TRIM, name="other.yaml", arguments=["--acknowledge"])
    assert again.end() == 0, again.told
    assert stand.on(bench, TRIM, name="other.yaml").end() == 0, "its end was a safe one"


# --- calseq power, on a simulated bench ---


def test_power_before_any_run(stand):
    bench = stand.bench_file()
    for action in ("status", "off"):
        code, out, _ = stand.calseq("power", action, "--bench", bench)
        assert (code, "HV off, LV off" in out) == (0, True)
    assert not stand.runs.exists()


def test_power_without_a_bench_is_refused(stand):
    assert stand.calseq("power", "status")[0] == 3
    assert stand.calseq("power", "on")[0] == 2


def test_power_status_after_a_run(stand):
    bench = stand.bench_file()
    assert stand.on(bench, TRIM).end() == 0
    code, out, _ = stand.calseq("power", "status", "--bench", bench)
    assert (code, "HV reads off" in out, "LV reads off" in out) == (0, True, True), out


def test_power_off_asks_a_live_run_to_stop_first(stand):
    bench = stand.bench_file()
    run = stand.on(bench, *BIASED, arguments=["--fault", "tuning=hang"])
    in_fault(run)
    code, out, _ = stand.calseq("power", "status", "--bench", bench)
    assert (code, run.record["run"] in out) == (0, True)
    code, out, told = stand.calseq("power", "off", "--bench", bench)
    assert code == 0, told
    assert "asking run" in told
    assert "confirmed" in out
    assert run.end() == -signal.SIGTERM
    run.prove()
    prove_dark(run.bench)


def test_power_off_after_a_killed_calseq_waits_for_its_guard(stand):
    bench = stand.bench_file()
    run = stand.on(bench, *BIASED, arguments=["--fault", "iv_curve=hang"])
    in_fault(run)
    run.process.kill()
    run.process.wait()
    code, out, told = stand.calseq("power", "off", "--bench", bench)
    assert code == 0, told
    assert "confirmed" in out
    torn_off(run)
    prove_dark(run.bench)


def test_power_off_after_all_were_killed(stand):
    bench = stand.bench_file()
    run = stand.on(bench, *BIASED, arguments=["--fault", "tuning=hang"])
    in_fault(run)
    kill(run.process.pid, guard_pid(run), child_of(run))
    run.process.wait()
    until(lambda: not born(guard_pid(run)))
    assert not run.bench.readings().all_off
    code, out, told = stand.calseq("power", "status", "--bench", bench)
    assert code == 0
    assert "HV reads on" in out
    assert "calseq power off" in told
    assert not run.bench.readings().all_off, "reading touches nothing"
    code, out, told = stand.calseq("power", "off", "--bench", bench)
    assert (code, "confirmed" in out) == (0, True), told
    prove_dark(run.bench)


def test_power_off_asks_a_child_that_nobody_watches_any_more(stand):
    bench = stand.bench_file()
    run = stand.on(bench, *BIASED, arguments=["--fault", "iv_curve=hang"])
    in_fault(run)
    child = child_of(run)
    kill(run.process.pid, guard_pid(run))
    run.process.wait()
    until(lambda: not born(guard_pid(run)))
    assert born(child)
    code, _, told = stand.calseq("power", "off", "--bench", bench)
    assert code == 0, told
    assert not born(child)
    prove_dark(run.bench)


def test_power_off_says_when_it_cannot(stand):
    bench = stand.bench_file()
    run = stand.on(bench, *BIASED, arguments=["--fault", "iv_curve=hang", "--fault", "power=lv-off-fails"])
    in_fault(run)
    kill(run.process.pid, guard_pid(run), child_of(run))
    run.process.wait()
    until(lambda: not born(guard_pid(run)))
    code, _, told = stand.calseq("power", "off", "--bench", bench)
    assert code == 4
    for word in ("HARDWARE STATE UNKNOWN", "hv_1", "lv_1", "SOCKET"):
        assert word in told
    assert "goes on trying every 30 s, for an hour" in told
    readings = run.bench.readings()
    assert (readings.hv.on, readings.lv.on) == (False, True)
    trying = words(next(stand.runs.glob("*-power-off")) / "guard.jsonl")[0]["pid"]
    assert born(trying)
    os.kill(trying, signal.SIGTERM)
    until(lambda: not born(trying))


def test_power_off_leaves_a_stranger_alone_who_has_the_pid_of_a_dead_run(stand):
    bench = stand.bench_file()
    run = stand.on(bench, *BIASED, arguments=["--fault", "tuning=hang"])
    in_fault(run)
    kill(run.process.pid, guard_pid(run), child_of(run))
    run.process.wait()
    until(lambda: not born(guard_pid(run)))
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        record = run.record | {"pid": stranger.pid, "started": "2026-01-01T00:00:00+00:00"}
        (run.folder / "run.json").write_text(json.dumps(record))
        code, _, told = stand.calseq("power", "off", "--bench", bench)
        assert code == 0, told
        assert "asking" not in told
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    prove_dark(run.bench)
