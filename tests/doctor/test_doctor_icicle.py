"""What the doctor learns of icicle by building its cluster, and of icicle's locks; nothing is ever opened."""

import shlex
import sys
import time
from pathlib import Path

import pytest
from doctor_benches import INSTRUMENTS, a_bench, a_machine, an_ordinary_user, examined, named, program

from calseq.doctor import Status
from calseq.doctor.icicle_locks import examine_locks

CONTRACT = Path(__file__).parents[1] / "power" / "refusals"
LV, HV = INSTRUMENTS["lv_1"], INSTRUMENTS["hv_1"]


@pytest.fixture
def look(tmp_path):
    """Examine a bench in mode icicle over the double; give the checks of its power section, by name."""

    def look(instruments=INSTRUMENTS, *, patience_s=20.0, at_import="", environ=None, **keys):
        double = tmp_path / "double"
        double.mkdir(exist_ok=True)
        machine = a_machine(tmp_path)
        given = {
            "ICICLE_DOUBLE": str(double),
            "ICICLE_LOCK_PATH": str(double),
            "ICICLE_DOUBLE_IMPORT": at_import,
        }
        machine.environ.update({**given, **(environ or {})})
        python = program(
            tmp_path / "python", f'PYTHONPATH={CONTRACT} exec {shlex.quote(sys.executable)} "$@"'
        )
        keys = {"dirigent": {"command": "none"}, **keys}
        bench = a_bench(tmp_path, mode="icicle", python=python, instruments=instruments, **keys)
        checks = examined(machine, bench, patience_s=patience_s)
        assert not (double / "opened").exists()
        return [check for check in checks if check.section == "power"]

    return look


def cluster(checks, status=Status.FAILED):
    """Give what was found of the cluster with that status."""
    return [
        (check.finding, check.cure)
        for check in checks
        if (check.name, check.status) == ("icicle cluster", status)
    ]


def test_a_bench_that_icicle_takes_is_good_and_leaves_nothing(tmp_path, look):
    checks = look()
    assert [check.status for check in checks] == [Status.OK] * 3
    assert named(checks, "icicle").finding.startswith("2.1.0, with Python 3.")
    assert named(checks, "icicle cluster").finding == (
        f"takes lv_1, hv_1 as {tmp_path}/instruments.json has them; nothing was opened"
    )
    assert list((tmp_path / "double").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says", "cure"),
    [
        ({"class": "Keithley2400"}, "KeyError: 'Keithley2400'", "classes of this icicle: AdcBoard, Keithley2410, TTITSX"),
        ({"label": "ours", "PARITY": 3}, "ValueError: The provided variable PARITY to the object", "delete `PARITY`"),
        ({"class": "Exits"}, "SystemExit: no licence", "correct hv_1"),
        ({"class": "Crashes"}, "it ended the process, with signal 6", "correct hv_1"),
        ({"class": "Leaves"}, "it ended the process, with exit code 7", "correct hv_1"),
        ({"class": "Asks"}, "EOFError", "correct hv_1"),
        ({"class": "NeedsVisa"}, "ModuleNotFoundError: No module named 'pyvisa_that_is_not_there'", "install what"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_icicle_refuses_of_a_supply_is_told_once_in_its_own_words(look, change, says, cure):
    checks = look({"lv_1": LV, "hv_1": {**HV, **change}})
    ((found, mends),) = cluster(checks)
    assert found.startswith(f"icicle refuses hv_1: {says}")
    assert cure in mends
    assert cluster(checks, Status.OK)[0][0].startswith("takes lv_1 as ")


def test_a_supply_whose_class_hangs_is_a_finding_and_the_next_is_still_tried(look):
    began = time.monotonic()
    checks = look({"hv_1": {**HV, "class": "Hangs"}, "lv_1": LV}, patience_s=8.0)
    assert cluster(checks)[0][0] == "icicle refuses hv_1: it did not end in 2 s"
    assert cluster(checks, Status.OK)[0][0].startswith("takes lv_1 as ")
    assert time.monotonic() - began < 20


def test_an_icicle_that_takes_all_the_time_there_is_is_told_with_where_it_was(look):
    checks = look({"hv_1": {**HV, "class": "Hangs"}, "lv_1": LV}, patience_s=4.0, at_import="time.sleep(3.5)")
    assert cluster(checks)[0][0] == "building hv_1 did not end in 4 s"


def test_a_slow_import_is_waited_for(look):
    assert cluster(look(at_import="time.sleep(1)"), Status.OK)


def test_what_icicle_takes_one_by_one_and_not_together_is_told(tmp_path, look):
    """Two names of one host are two addresses for calseq; this icicle knows better."""
    checks = look(environ={"ICICLE_DOUBLE_ONE": "1"})
    assert cluster(checks)[0][0].startswith(
        "icicle refuses all supplies together: ValueError: The provided variable"
    )


def test_a_board_that_icicle_does_not_know_is_a_doubt(tmp_path, look):
    board = {"class": "ETHProbecard", "resource": "TCPIP::192.0.2.24::9221::SOCKET"}
    ((found, cure),) = cluster(look({**INSTRUMENTS, "ab_1": board}), Status.WARNING)
    assert found == "icicle refuses ab_1: KeyError: 'ETHProbecard'; a child that is given it fails"
    assert cure.startswith("its class is ETHProbecard; the classes of this icicle: ")


def test_a_channel_that_an_instrument_has_not_is_told(tmp_path, look):
    wires = {"0": {"lv": {"instrument": "lv_1", "channel": 1}, "hv": {"instrument": "hv_1", "channel": 2}}}
    instruments = {"lv_1": LV, "hv_1": {**HV, "class": "Keithley2470"}}  # calseq does not know what it has
    ((found, cure),) = cluster(look(instruments, channels=wires))
    assert found.startswith("icicle refuses hv_1: ChannelError: Channel 2 does not exist")
    assert "`channel` of hv_1" in cure


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ("del InstrumentCluster.lv_on_module", "lv_on_module()"),
        ("InstrumentCluster.lv_off_module = lambda self, which: None", "lv_off_module(module)"),
        (
            "InstrumentCluster.__init__ = lambda self, hv=None, lv=None: None",
            "InstrumentCluster(instrument_dict=...)",
        ),
    ],
)
def test_methods_and_arguments_that_this_icicle_has_not_are_named(look, lost, says):
    checks = look(at_import=f"at_the_end = {lost!r}")
    check = named(checks, "icicle methods")
    assert check.status is Status.FAILED
    assert says in check.finding
    assert cluster(checks) == cluster(checks, Status.OK) == []


def test_an_output_that_cannot_be_switched_is_told_without_asking_it(look):
    ((found, _),) = cluster(look({"lv_1": LV, "hv_1": {**HV, "class": "Unswitchable"}}))
    assert found == "icicle's hv_1 has no hv_1:hv.state, which calseq uses"


def test_locks_that_a_run_has_meanwhile_stay(tmp_path, look):
    """icicle takes the lock files away that were not there when it began; a run may hold them by then."""
    lock = tmp_path / "double" / "TCPIP----192.0.2.23----5025----SOCKET"
    look(at_import=f"open({str(lock)!r}, 'w')")
    assert lock.exists()


def test_the_interpreter_gets_of_the_benchs_variables_what_the_guard_gets(tmp_path, look):
    """The guard is given icicle's own settings of `env:` and no others: PYTHONPATH in it does not help."""
    at_import = "assert os.environ.get('ICICLE_MINE') == '1' and 'OTHER' not in os.environ"
    assert cluster(look(at_import=at_import, env={"ICICLE_MINE": "1", "OTHER": "2"}), Status.OK)


@pytest.fixture
def locks(tmp_path, monkeypatch):
    """Look at a folder of locks, by a path that an ordinary user can follow."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    bench = a_bench(tmp_path, mode="icicle")

    def locks(name):
        with an_ordinary_user():
            return examine_locks(bench, {"ICICLE_LOCK_PATH": name})

    return locks


def test_a_folder_of_icicles_locks_that_is_missing_or_closed_is_failed_with_the_command_that_mends_it(
    tmp_path, locks
):
    check = locks("none")
    assert (check.status, check.cure) == (Status.FAILED, "`sudo mkdir -p -m 1777 none`")
    (tmp_path / "closed").mkdir(0o555)
    check = locks("closed")
    assert check.status is Status.FAILED
    assert check.cure.startswith("`sudo chmod 1777 closed`; or name another")


def test_another_users_lock_of_a_supply_is_failed(tmp_path, locks):
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    assert locks("locks").finding == "locks can be written"
    lock = folder / "TCPIP----192.0.2.23----5025----SOCKET"
    lock.touch()
    lock.chmod(0o444)
    check = locks("locks")
    assert check.status is Status.FAILED
    assert check.cure == "when nobody uses the supply: `sudo rm locks/TCPIP----192.0.2.23----5025----SOCKET`"


def test_a_bench_may_name_the_folder_and_mutexes_need_none(tmp_path, look):
    check = named(look(env={"ICICLE_LOCK_PATH": str(tmp_path / "of the bench")}), "icicle's locks")
    assert f"{tmp_path}/of the bench" in check.finding
    assert named(look(env={"ICICLE_LOCK_TYPE": "MUTEX"}), "icicle's locks").status is Status.SKIPPED
