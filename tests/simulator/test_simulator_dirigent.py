import csv
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from calseq.model.rails import Role
from calseq.simulator.misdeeds import DAEMON
from calseq.simulator.supplies import SimulatedBench

INSTRUMENTS = {
    "lv_1": {"default_voltage": 4.0, "default_current": 3.7},
    "hv_1": {"default_voltage": -50, "default_current": 10e-6},
    "ab_1": {},
}
CHANNELS = {"0": {"lv": {"instrument": "lv_1", "channel": 1}, "hv": {"instrument": "hv_1", "channel": 1},
                  "ab": {"instrument": "ab_1"}}}  # fmt: skip
CALIBRATIONS = {
    "sldo_vi_curves": ["lv", "ab"],
    "sldo_vi_curves_GADC": ["lv"],
    "voltage_trimming": [],
    "iv_curve": ["lv", "hv"],
    "calibrate_module": [],
    "custom_sequence": [],
    "custom_calibration": [],
    "crosstalk_method": [],
    "get_module_info": [],
}
ARGUMENTS = {
    "calibrate_module": ["-t", "Tuning_1000"],
    "custom_sequence": ["-s", '["PixelAlive", "GainScan"]'],
}
BIASED = {"calibrate_module", "custom_sequence", "custom_calibration", "crosstalk_method"}
LOG_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING|ERROR) \w+ - .+")


class Stand:
    """A simulated bench with a way to start the stand-in on it."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "out"
        self.started = []
        self.bench = None

    def set_up(self, faults=None, speed=5000):
        self.bench = SimulatedBench.create(
            self.folder / "bench", INSTRUMENTS, CHANNELS, speed=speed, faults=faults or {}
        )
        return self

    def power(self, *moves):
        self.bench.acquire(Role, "test")
        for move in moves:
            getattr(self.bench, move)("test")
        self.bench.release(Role, "test")

    def start(self, calibration, *arguments, given=None, attempt=1, step="", stdin=subprocess.DEVNULL):
        given = CALIBRATIONS[calibration] if given is None else given
        channels = {"0": {role: CHANNELS["0"][role] for role in given}} if given else {}
        instruments = {f"{role}_1": INSTRUMENTS[f"{role}_1"] for role in given}
        child = subprocess.Popen(
            [
                sys.executable, "-m", "calseq.simulator", "-C", "dirigent.toml", "-p", "-l", "-m", "--no-monitoring",
                "--instruments-dict", json.dumps(instruments), "--channels-dict", json.dumps(channels),
                "--directory", str(self.out), calibration, *(arguments or ARGUMENTS.get(calibration, [])),
            ],
            env=os.environ | self.variables(step or calibration, attempt),
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, cwd=self.folder,
        )  # fmt: skip
        self.started.append(child)
        return child

    def variables(self, step, attempt):
        folder = str(self.folder / "bench")
        return {"CALSEQ_SIMULATION": folder, "CALSEQ_STEP": step, "CALSEQ_ATTEMPT": str(attempt)}

    def run(self, *args, **kwargs):
        child = self.start(*args, **kwargs)
        log = child.communicate(timeout=20)[0]
        return child.returncode, log

    def read_until(self, child, text):
        """Wait for a line of a child's log: what was printed up to there."""
        seen = b""
        for line in child.stdout:
            seen += line
            if text in line:
                return seen
        raise AssertionError(f"{text!r} was never printed, but {seen!r}")

    def curve(self):
        return list(csv.DictReader((self.out / "IV_0.csv").read_text().splitlines()))

    def leftovers(self):
        mark = str(self.folder / "bench").encode()
        return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in _bytes(path)]


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def wait_for(true):
    due_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < due_s, "it never came"
        select.select([], [], [], 0.01)


def wait_gone(pid):
    """Wait for the end of a process that is not ours."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([handle], [], [], 10)[0]
    os.close(handle)


@pytest.fixture
def stand(tmp_path):
    stand = Stand(tmp_path)
    yield stand
    late = [child for child in stand.started if child.poll() is None]
    for child in late:
        child.kill()
    for child in stand.started:
        child.wait()
        child.stdout.close()
    left = stand.leftovers()
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert not late
    assert not left


def command(*arguments, cwd, **variables):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CALSEQ_")}
    return subprocess.run(
        [sys.executable, "-m", "calseq.simulator", *arguments],
        env=clean | variables, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False,
    )  # fmt: skip


def test_help_lists_every_calibration(tmp_path):
    told = command("--help", cwd=tmp_path)
    assert told.returncode == 0
    assert all(f"  {calibration} " in told.stdout for calibration in CALIBRATIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["iv_curv"], "No such command"),
        (["--no-such-option", "iv_curve"], "No such option"),
        (["iv_curve", "--max-voltage", "high"], "is not a valid float"),
        (["calibrate_module"], "Missing option '-t'"),
        (["custom_sequence", "-s", "PixelAlive"], "not JSON"),
        (["custom_sequence", "-s", "[]"], "not a list of tests"),
        (["custom_sequence", "-s", '["PixelAlive", {"name": "GainScan"}]'], "all strings, or all objects"),
        (["custom_sequence", "-s", '[{"TargetThr": 1}]'], "all strings, or all objects"),
        (["--instruments-dict", "[]", "voltage_trimming"], "not a JSON object"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(tmp_path, arguments, message):
    told = command(*arguments, cwd=tmp_path)
    assert told.returncode == 2
    assert message in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_bench_it_runs_all_the_same_and_says_so(tmp_path):
    told = command("--directory", "out", "get_module_info", cwd=tmp_path)
    assert told.returncode == 0
    assert "no simulated bench is given" in told.stdout
    assert not (tmp_path / "out").exists()


def test_a_bench_that_is_not_there_is_an_error(tmp_path):
    told = command("get_module_info", cwd=tmp_path, CALSEQ_SIMULATION=str(tmp_path / "none"))
    assert told.returncode == 1
    assert "FileNotFoundError" in told.stderr


def test_the_settings_file_gives_defaults_and_the_command_line_wins(tmp_path):
    (tmp_path / "dirigent.toml").write_text(
        "verbosity = 'high'\n[iv_curve]\nmax_voltage = -20\nstep_size = 10\n"
    )
    told = command("-C", "dirigent.toml", "--directory", "out", "iv_curve", "--step-size", "5", cwd=tmp_path)
    assert told.returncode == 0
    assert "Point 5/5: -20 V" in told.stdout


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_every_calibration_runs_with_banners_and_breaks_no_interlock(stand, calibration):
    stand.set_up()
    if not CALIBRATIONS[calibration]:
        stand.power("lv_on", *(["hv_on"] if calibration in BIASED else []))
    code, log = stand.run(calibration)
    banners = re.findall(rb"INFO (\w+) - ===== (\d+)/(\d+) (.+) =====", log)
    assert code == 0
    assert [int(number) for _, number, _, _ in banners] == list(range(1, len(banners) + 1))
    assert {(name, int(count)) for name, _, count, _ in banners} == {(calibration.encode(), len(banners))}
    assert len(banners) >= 1
    assert stand.bench.violations() == ()
    assert stand.bench.readings().all_off is bool(CALIBRATIONS[calibration])


def test_lines_look_like_those_of_dirigent_and_of_its_daq(stand):
    stand.set_up().power("lv_on", "hv_on")
    _, log = stand.run("crosstalk_method")
    own, daq = [], []
    for line in log.splitlines():
        (daq if line.startswith(b"\x1b") else own).append(line)
    assert all(LOG_LINE.fullmatch(line) for line in own)
    for text in (b"Progress: 50.0%", b"INTERNAL_NTC: 21.3 +/- 1.2 C", b"@@@ End of CMSIT miniDAQ @@@"):
        assert any(text in line for line in daq)


def test_a_custom_sequence_has_a_part_and_a_file_per_test(stand):
    stand.set_up().power("lv_on", "hv_on")
    tests = '[{"name": "PixelAlive"}, {"name": "Gain/../Scan", "TargetThr": 1}]'
    code, log = stand.run("custom_sequence", "-s", tests)
    assert code == 0
    assert b"===== 2/2 Gain/../Scan =====" in log
    assert sorted(path.name for path in stand.out.iterdir()) == [
        "Run000001_PixelAlive.root", "Run000002_Gain_.._Scan.root",
    ]  # fmt: skip


def test_runs_are_numbered_after_those_that_are_there(stand):
    stand.set_up().power("lv_on", "hv_on")
    stand.run("crosstalk_method")
    stand.run("crosstalk_method")
    assert sorted(path.name for path in stand.out.iterdir()) == [
        f"Run{number:06d}_PixelAlive.root" for number in range(1, 7)
    ]
    assert b"simulated" in (stand.out / "Run000001_PixelAlive.root").read_bytes()


def test_an_iv_curve_leaves_a_table_a_picture_and_no_breakdown(stand):
    stand.set_up()
    code, log = stand.run("iv_curve", "--max-voltage", "-80", "--step-size", "5", "-w")
    assert code == 0, log
    rows = stand.curve()
    assert [float(row["Voltage (V)"]) for row in rows] == [-5.0 * step for step in range(17)]
    amperes = [abs(float(row["Current (A)"])) for row in rows]
    assert amperes == sorted(amperes)
    assert 1e-8 < amperes[-1] < 1e-5
    assert json.loads((stand.out / "breakdowns.json").read_text()) == {"0": None}
    assert picture_size((stand.out / "IV_0.png").read_bytes()) == (480, 320)


def picture_size(png):
    """Check a PNG picture down to its last pixel."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(body),)
        chunks[body[:4]] = body[4:]
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == height * (1 + 3 * width)
    assert b"\x1f\x4e\xb4" in pixels
    return width, height


def test_a_sweep_stops_a_step_beyond_the_breakdown_and_reports_it(stand):
    stand.set_up({"iv_curve": "breakdown:-70"})
    stand.run("iv_curve", "-w")
    rows = stand.curve()
    amperes = [float(row["Current (A)"]) for row in rows]
    assert float(rows[-1]["Voltage (V)"]) == -75.0
    assert amperes[-2] / amperes[-3] > 1.2
    assert json.loads((stand.out / "breakdowns.json").read_text()) == {"0": -70.0}
    assert stand.bench.violations() == ()


def test_a_breakdown_before_60_volts_is_not_judged_as_the_real_one_does_not(stand):
    stand.set_up({"iv_curve": "breakdown:-40"})
    stand.run("iv_curve", "-w")
    rows = stand.curve()
    assert json.loads((stand.out / "breakdowns.json").read_text()) == {"0": None}
    assert {float(row["Current (A)"]) for row in rows[-3:]} == {-1e-5}
    assert -60 < float(rows[-1]["Voltage (V)"]) < -50
    stand.power("lv_on", "hv_on")
    assert "beyond the breakdown at -40 V" in stand.bench.violations()[0]


def columns(stand, *names):
    return [tuple(float(row[name]) for name in names) for row in stand.curve()]


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        ("ends:-40", lambda rows: rows[-1][0] == -40),
        ("compliance:-30", lambda rows: rows[-1] == (-30, -1e-5)),
        ("rise:-40", lambda rows: rows[9][1] / rows[8][1] > 1.6),
        ("millivolt", lambda rows: rows[-1][0] == -80_000),
        ("sentinel", lambda rows: [volts for volts, amps in rows if amps == 9.91e37] == [-40, -45, -50, -55, -60]),
    ],
)  # fmt: skip
def test_faults_of_the_curve_are_seen_in_its_file(stand, fault, shows):
    stand.set_up({"iv_curve": fault})
    stand.run("iv_curve", "-w")
    assert shows(columns(stand, "Voltage (V)", "Current (A)"))


def test_fault_drift_writes_what_was_set_and_half_of_it_as_measured(stand):
    stand.set_up({"iv_curve": "drift"})
    stand.run("iv_curve", "-w")
    assert columns(stand, "Voltage set (V)", "Voltage measured (V)")[-1] == (-80, -40)


def test_fault_two_files_leaves_a_second_one_below(stand):
    stand.set_up({"iv_curve": "two-files"})
    stand.run("iv_curve", "-w")
    found = {
        str(path.relative_to(stand.out)): json.loads(path.read_text()) for path in stand.out.rglob("*.json")
    }
    assert found == {"breakdowns.json": {"0": None}, "later/breakdowns.json": {"0": -30.0}}


def test_breakdowns_are_written_only_when_asked_for(stand):
    stand.set_up()
    stand.run("iv_curve", "--max-voltage", "-20")
    assert sorted(path.name for path in stand.out.iterdir()) == ["IV_0.csv", "IV_0.png"]


def test_a_sweep_may_be_positive_and_go_both_ways(stand):
    stand.set_up()
    stand.run("iv_curve", "--max-voltage", "-20", "--step-size", "10", "--positive", "--both-ways")
    rows = stand.curve()
    assert [float(row["Voltage (V)"]) for row in rows] == [0, 10, 20, 10, 0]


def test_files_carry_the_name_of_the_module(stand):
    stand.set_up()
    (stand.folder / "dirigent.toml").write_text("module_json = 'modules.json'\n")
    hybrid = {"RD53Bv2": {"info": {"module_name": "C2HQ0"}, "0": {"Lane": 0}}}
    (stand.folder / "modules.json").write_text(json.dumps({"Hybrid": {"0": hybrid}}))
    stand.run("sldo_vi_curves")
    table = (stand.out / "sldo_vi_curves_C2HQ0.csv").read_text().splitlines()
    assert table[0].startswith("Current (A),Voltage (V),VIN,VOFS,VDDD_ROC0,VDDA_ROC0,")
    assert len(table) == 26


def test_an_iv_curve_without_its_supplies_fails(stand):
    stand.set_up()
    code, log = stand.run("iv_curve", given=["lv"])
    assert code == 1
    assert b"needs hv, which was not given" in log
    assert stand.bench.readings().all_off


def test_a_tuning_that_is_given_supplies_switches_them_itself(stand):
    stand.set_up()
    code, _ = stand.run("custom_calibration", given=["lv", "hv"])
    actions = [action["action"] for action in stand.bench.actions()]
    order = [action for action in actions if action != "hv-step"]
    assert code == 0
    assert order == ["acquire", "lv-on", "hv-on", "hv-off", "lv-off", "release"]
    assert stand.bench.violations() == ()


def test_without_the_dictionaries_everything_is_opened_as_the_real_one_does(stand):
    stand.set_up()
    variables = stand.variables("voltage_trimming", 1)
    told = command("--directory", "out", "voltage_trimming", cwd=stand.folder, **variables)
    assert told.returncode == 0
    assert "opened lv_1, hv_1, ab_1" in told.stdout


def test_a_calibration_on_wrong_rails_is_caught(stand):
    stand.set_up()
    stand.run("voltage_trimming", step="trim")
    assert stand.bench.violations() == (
        "dirigent trim: runs a calibration of type general while lv_1:1 is off",
    )


def test_a_rail_moved_under_a_running_calibration_is_caught(stand):
    stand.set_up({"voltage_trimming": "prompt"}).power("lv_on")
    child = stand.start("voltage_trimming", stdin=subprocess.PIPE)
    stand.read_until(child, b"simulated fault: prompt")
    stand.power("hv_on")
    child.communicate(b"Y\n", timeout=20)
    assert child.returncode == 0
    assert stand.bench.violations() == (
        "dirigent voltage_trimming: runs a calibration of type general while hv_1:1 is on at -50 V",
    )


def test_an_instrument_that_somebody_holds_cannot_be_opened(stand):
    stand.set_up()
    stand.bench.acquire([Role.HV], "calseq")
    code, log = stand.run("iv_curve")
    assert code == 1
    assert b"hv_1 is held by calseq" in log
    assert len(stand.bench.violations()) == 1


def test_sigint_in_mid_sweep_ramps_down_and_exits_with_130(stand):
    stand.set_up({"iv_curve": "hang"}, speed=1000)
    child = stand.start("iv_curve")
    stand.read_until(child, b"simulated fault: hang")
    assert stand.bench.readings().hv.on
    child.send_signal(signal.SIGINT)
    log = child.communicate(timeout=20)[0]
    assert child.returncode == 130
    assert b"HV is ramped to 0 V and off" in log
    assert stand.bench.readings().all_off
    assert stand.bench.violations() == ()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_killed_in_mid_sweep_leaves_the_supplies_as_they_were(stand, number):
    stand.set_up({"iv_curve": "hang"})
    child = stand.start("iv_curve")
    stand.read_until(child, b"simulated fault: hang")
    child.send_signal(number)
    assert child.wait(20) == -number
    left = stand.bench.readings()
    assert left.lv.on
    assert left.hv.voltage_v < -20
    stand.power("hv_off", "lv_off")
    assert stand.bench.violations() == ()


def test_what_is_left_on_hv_keeps_lv_on(stand):
    stand.set_up({"power": "hv-residual:-3"})
    code, log = stand.run("iv_curve")
    assert code == 1
    assert b"LV stays on" in log
    assert stand.bench.readings().lv.on
    assert stand.bench.violations() == ()


@pytest.mark.parametrize("code", [1, 3, 255])
def test_fault_exit_ends_with_that_code_and_supplies_off(stand, code):
    stand.set_up({"iv_curve": f"exit:{code}"})
    assert stand.run("iv_curve")[0] == code
    assert stand.bench.readings().all_off
    assert not stand.out.exists()


def test_fault_of_one_attempt_spares_the_next(stand):
    stand.set_up({"trim": "exit:3@1"}).power("lv_on")
    assert stand.run("voltage_trimming", step="trim", attempt=1)[0] == 3
    assert stand.run("voltage_trimming", step="trim", attempt=2)[0] == 0


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "TERM", "KILL", "INT", "HUP"])
def test_fault_signal_dies_of_it(stand, name):
    stand.set_up({"get_module_info": f"signal:{name}"}).power("lv_on")
    assert stand.run("get_module_info")[0] == -signal.Signals[f"SIG{name}"]


def test_fault_stubborn_ignores_sigint_and_dies_of_sigterm(stand):
    stand.set_up({"voltage_trimming": "stubborn"}).power("lv_on")
    child = stand.start("voltage_trimming")
    stand.read_until(child, b"simulated fault: stubborn")
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == -signal.SIGTERM


def test_fault_unkillable_dies_only_of_sigkill(stand):
    stand.set_up({"voltage_trimming": "unkillable"}).power("lv_on")
    child = stand.start("voltage_trimming")
    stand.read_until(child, b"simulated fault: unkillable")
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGKILL)
    assert child.wait(20) == -signal.SIGKILL


def test_fault_stop_stops_until_continued(stand):
    stand.set_up({"voltage_trimming": "stop"}).power("lv_on")
    child = stand.start("voltage_trimming")
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    child.send_signal(signal.SIGCONT)
    child.communicate(timeout=20)
    assert child.returncode == 0


def test_fault_sleep_takes_real_time(stand):
    stand.set_up({"voltage_trimming": "sleep:0.3"}).power("lv_on")
    begun = time.monotonic()
    assert stand.run("voltage_trimming")[0] == 0
    assert time.monotonic() - begun >= 0.3


def test_fault_prompt_fails_at_the_end_of_stdin(stand):
    stand.set_up({"voltage_trimming": "prompt"}).power("lv_on")
    code, log = stand.run("voltage_trimming")
    assert code == 1
    assert b"[Y] to continue" in log
    assert b"BadStatusForOperationError" in log


def test_fault_flood_prints_that_many_bytes(stand):
    stand.set_up({"voltage_trimming": "flood:3MB"}).power("lv_on")
    code, log = stand.run("voltage_trimming")
    assert code == 0
    assert 3_000_000 < len(log) < 3_010_000


def test_fault_longline_is_one_line(stand):
    stand.set_up({"voltage_trimming": "longline:200kB"}).power("lv_on")
    _, log = stand.run("voltage_trimming")
    assert max(len(line) for line in log.split(b"\n")) == 200_000


def test_fault_garbage_is_neither_text_nor_harmless(stand):
    stand.set_up({"voltage_trimming": "garbage"}).power("lv_on")
    code, log = stand.run("voltage_trimming")
    assert code == 0
    assert all(part in log for part in (b"\x00", b"\r", b"\x1b]0;owned\x07", b"\x1b[2J"))
    with pytest.raises(UnicodeDecodeError):
        log.decode()


def test_fault_close_output_goes_on_after_the_end_of_its_output(stand):
    stand.set_up({"voltage_trimming": "close-output+hang"}).power("lv_on")
    child = stand.start("voltage_trimming")
    assert child.stdout.read() == b""
    assert child.poll() is None
    child.terminate()
    assert child.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize(("fault", "survives"), [("grandchild", False), ("grandchild-stubborn", True)])
def test_fault_grandchild_outlives_the_child_and_keeps_its_output_open(stand, fault, survives):
    stand.set_up({"voltage_trimming": fault}).power("lv_on")
    child = stand.start("voltage_trimming")
    pid = int(re.search(rb"left process (\d+) behind", stand.read_until(child, b"behind"))[1])
    try:
        assert child.wait(20) == 0
        assert os.getsid(pid) != child.pid
        assert (
            Path(f"/proc/{pid}/fd/1").readlink() == Path(f"/proc/self/fd/{child.stdout.fileno()}").readlink()
        )
        os.kill(pid, signal.SIGTERM)
        if not survives:
            wait_gone(pid)
        assert bool(stand.leftovers()) is survives
    finally:
        if survives:
            os.kill(pid, signal.SIGKILL)
        wait_gone(pid)


def test_fault_daemon_leaves_a_process_with_nothing_on_it_that_tells_whose_it_is(stand):
    stand.set_up({"voltage_trimming": "daemon"}).power("lv_on")
    child = stand.start("voltage_trimming")
    pid = int(re.search(rb"left process (\d+) behind", stand.read_until(child, b"behind"))[1])
    try:
        assert child.wait(20) == 0
        wait_for(lambda: DAEMON in Path(f"/proc/{pid}/cmdline").read_text())
        assert os.getsid(pid) != child.pid
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert list(Path(f"/proc/{pid}/fd").iterdir()) == []
    finally:
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid)


def test_fault_no_output_leaves_nothing_and_ends_well(stand):
    stand.set_up({"iv_curve": "no-output"})
    assert stand.run("iv_curve", "-w")[0] == 0
    assert not stand.out.exists()


def test_fault_empty_output_leaves_empty_files(stand):
    stand.set_up({"iv_curve": "empty-output"})
    assert stand.run("iv_curve", "-w")[0] == 0
    assert {path.name: path.stat().st_size for path in stand.out.iterdir()} == {
        "IV_0.csv": 0, "IV_0.png": 0, "breakdowns.json": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("breakdowns-malformed", '{"0": '),
        ("breakdowns-nan", '{"0": NaN}'),
        ("breakdowns-other", '{"97": -70.0}'),
        ("breakdowns-magnitude", '{"0": 70.0}'),
        ("breakdowns-stale", '{"0": -70.0}'),
        ("breakdowns-missing", None),
    ],
)
def test_faults_of_breakdowns(stand, fault, text):
    stand.set_up({"iv_curve": f"breakdown:-70+{fault}"})
    assert stand.run("iv_curve", "-w")[0] == 0
    file = stand.out / "breakdowns.json"
    assert (file.read_text() if file.exists() else None) == text
    if text:
        age_s = time.time() - file.stat().st_mtime
        assert (age_s > 3000) is (fault == "breakdowns-stale")
    assert (stand.out / "IV_0.csv").stat().st_size > 0
