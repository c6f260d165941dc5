"""Unknown is remembered: across reboots, lock folders and archives, until it is read back as off or taken over by name."""

import json
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stands import IS_ROOT, NOBODY, as_user, until

from calseq.record.aftermath import PowerState, Settled
from calseq.record.memory import is_met, is_unknown, newest, note_settled
from calseq.record.run_folder import SETTLED
from calseq.record.status import Phase, stand
from calseq.system.locks import BenchLock, Ended

CRASH = "kill -SEGV $$"


def reboot(tmp_path_factory):
    """Give what a start has for locks after a reboot: an empty folder."""
    return str(tmp_path_factory.mktemp("locks"))


@pytest.fixture
def afresh(tmp_path_factory):
    return reboot(tmp_path_factory)


def test_an_unsafe_end_outlives_a_reboot(stand, afresh):
    code, told = stand.execute("--acknowledge", act=CRASH)
    assert (code, "HARDWARE STATE UNKNOWN" in told) == (4, True)
    for folder in (os.environ["CALSEQ_LOCKS"], afresh):
        code, told = stand.execute(CALSEQ_LOCKS=folder)
        assert (code, "CS418" in told) == (3, True), told
        for word in ("HV: hv_1 at", "LV: lv_1 at", stand.lv("hv"), stand.folders()[0].name):
            assert word in " ".join(told.split())
    assert len(stand.folders()) == 1, "what was refused leaves no run"
    assert list(os.scandir(afresh)) == [], "nor a lock"


def test_who_takes_it_upon_himself_is_noted_and_the_next_run_starts_by_itself(stand, afresh):
    stand.execute(act=CRASH)
    first = stand.folders()[0]
    assert stand.execute("--acknowledge", "--operator", "ann", CALSEQ_LOCKS=afresh)[0] == 0
    settled = json.loads((first / SETTLED).read_text())
    assert (settled["by"], settled["confirmed"], settled["run"]) == ("ann", False, stand.folders()[1].name)
    standing = stand_of(first)
    assert (standing.safe, standing.power.taken_over) == (None, "ann")
    assert stand.execute(CALSEQ_LOCKS=afresh)[0] == 0
    assert "ann started another run" in stand.calseq("runs")[1]
    assert "proves" not in stand.calseq("runs", "verify", first.name)[1]
    assert stand.calseq("runs", "verify", first.name)[0] == 0, "what was done later is beside the seal"


def stand_of(folder):
    return stand(folder)


def test_a_run_elsewhere_is_remembered_by_the_lock_and_one_that_was_archived_is_told_as_missing(stand):
    assert stand.execute("--runs", "elsewhere", act=CRASH)[0] == 4
    code, told = stand.execute()
    assert (code, "CS418" in told, "missing" in told) == (3, True, False), told
    shutil.move(stand.folder / "elsewhere", stand.folder / "archive")
    code, told = stand.execute()
    assert (code, "is missing" in " ".join(told.split())) == (3, True), told
    assert stand.execute("--acknowledge")[0] == 0
    assert stand.execute()[0] == 0


def test_a_safe_end_that_was_archived_or_deleted_blocks_nothing_and_leaves_no_lock_file(stand, afresh):
    assert stand.execute("--runs", "elsewhere", CALSEQ_LOCKS=afresh)[0] == 0
    shutil.rmtree(stand.folder / "elsewhere")
    assert list(os.scandir(afresh)) == []
    assert stand.execute(CALSEQ_LOCKS=afresh)[0] == 0


def test_a_run_that_goes_on_is_refused_also_where_its_locks_are_not_seen(stand, afresh):
    """Another lock folder, as of another container; without the kernel's own names, which containers have apart."""
    stand.bench("other", lv=stand.lv("other"), hv=stand.lv("hv"))
    first = stand.begun(bench="other", before=("unshare", "-n") if not os.geteuid() else ())
    code, told = stand.execute(CALSEQ_LOCKS=afresh)
    assert (code, "CS413" in told) == (3, True), told
    code, told = stand.execute("--acknowledge", CALSEQ_LOCKS=afresh)
    assert (code, "CS413" in told) == (3, True), "nobody can take that upon himself"
    assert stand.go(first) == 0
    assert stand.execute(CALSEQ_LOCKS=afresh)[0] == 0


def test_the_newest_run_of_each_instrument_counts(stand):
    stand.bench("first", lv=stand.lv("1"), hv=stand.lv("hv"))
    stand.bench("two", lv=stand.lv("2"), hv=stand.lv("other hv"))
    assert stand.execute(bench="first", act=CRASH)[0] == 4
    assert stand.execute(bench="two")[0] == 0
    stand.bench("three", lv=stand.lv("2"), hv=stand.lv("hv"))
    code, told = stand.execute(bench="three", CALSEQ_LOCKS=os.environ["CALSEQ_LOCKS"])
    assert (code, "CS418" in told) == (3, True), "its HV is the one that was left unknown"
    assert stand.execute(bench="two")[0] == 0


def test_what_was_read_back_as_off_since_counts_and_not_before_the_run_was_gone_on_with(stand):
    stand.execute(act=CRASH)
    (folder,) = stand.folders()
    resources = [stand.lv(), stand.lv("hv")]
    assert [is_unknown(each) for each in newest([stand.runs], resources)] == [True]
    early = Settled("2020-01-01T00:00:00+00:00", "calseq power off", confirmed=True)
    assert note_settled([stand.runs], resources, early)
    assert stand_of(folder).safe is False, "that was another time"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    assert note_settled([stand.runs], resources, Settled(now, "calseq power off", confirmed=True))
    standing = stand_of(folder)
    assert (standing.safe, standing.power.state) == (True, PowerState.OFF)
    assert standing.power.words == "HV off, LV off: confirmed by calseq power off"
    assert stand.execute()[0] == 0


def test_every_reader_says_the_same_of_a_run_that_was_killed_with_its_child(stand, afresh):
    process = stand.begun()
    (folder,) = stand.folders()
    guard = json.loads((folder / "guard.jsonl").read_text().splitlines()[0])["pid"]
    child = [json.loads(line) for line in (folder / "guard.jsonl").read_text().splitlines()]
    pids = [line["pid"] for line in child if line["event"] == "child" and line["pid"]]
    for pid in (process.pid, guard, *pids):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    stand.end()
    until(lambda: stand_of(folder).phase is Phase.DIED)
    words = "cannot say whether HV and LV are off: look at the supplies"
    address = f"HV: hv_1, Keithley2410 at {stand.lv('hv')}"
    code, told = stand.execute(CALSEQ_LOCKS=afresh)
    assert (code, "CS418" in told) == (3, True)
    said = {
        "status": stand.calseq("status", folder.name),
        "attach": stand.calseq("attach", folder.name),
        "stop": stand.calseq("stop", folder.name),
        "runs": stand.calseq("runs"),
        "report": stand.calseq("report", folder.name, "--format", "markdown", "--output", "-"),
    }
    for command, (code, text) in said.items():
        plain = " ".join(text.replace("\\", "").split())
        assert "HARDWARE STATE UNKNOWN" in plain, command
        assert words in plain, command
        assert "switches its supplies off itself" not in plain, command
        if command in ("status", "attach", "stop"):
            assert " ".join(address.split()) in plain.replace("HV hv_1", "HV: hv_1"), command
        if command in ("stop", "attach"):
            assert code == 4, command
    assert said["status"][1].startswith("HARDWARE STATE UNKNOWN")
    for words_ in (("status", folder.name), ("runs",)):
        told = json.loads(stand.calseq(*words_, "--format", "json")[1])
        entry = told["runs"][0] if "runs" in told else told
        assert entry["safe"] is False
    rails = json.loads(stand.calseq("status", folder.name, "--format", "json")[1])["rails"]
    assert (rails["safe"], rails["state"]) == (False, "unknown")
    assert words in rails["words"]
    facts = json.loads(stand.calseq("report", folder.name, "--format", "json", "--output", "-")[1])
    assert (facts["power"]["state"], words in facts["power"]["said"]) == ("unknown", True)


def test_a_run_is_found_by_the_name_that_another_program_gave_it(stand):
    assert stand.execute("--job", "elab:4711/a")[0] == 2
    assert stand.execute("--job", "elab:4711")[0] == 0
    assert stand.execute()[0] == 0
    told = json.loads(stand.calseq("status", "elab:4711", "--format", "json")[1])
    assert (told["job"], told["run"]) == ("elab:4711", stand.folders()[0].name)
    assert stand.calseq("status", "elab:471")[0] == 3


# --- Another user, who may not look into the folder


OTHER = 1
"""Another user than NOBODY: neither may look into the other's run folders."""


def of(user, **variables):
    """Give how a user of this number runs calseq; who runs these tests does where only root may choose."""
    return {"before": as_user(user), "HOME": "/nonexistent", **variables}


def shared_locks(stand, name):
    """Give a new folder of locks that every user may write to."""
    folder = stand.folder / name
    folder.mkdir()
    folder.chmod(0o1777)
    return str(folder)


def test_another_user_is_told_by_the_lock_of_a_run_that_ended_unknown(stand):
    first = of(NOBODY, CALSEQ_LOCKS=shared_locks(stand, "locks"))
    second = {**first, **of(OTHER)}
    assert stand.execute(act=CRASH, **first)[0] == 4
    (folder,) = stand.folders()
    code, told = stand.execute(**second)
    told = " ".join(told.split())
    assert (code, "CS418" in told, folder.name in told) == (3, True, True), told
    assert "it was not confirmed that HV and LV are off" in told
    assert ("may not be read from here: permission denied" in told) is IS_ROOT
    assert stand.execute("--acknowledge", "--operator", "bea", **second)[0] == 0
    assert stand.execute(**second)[0] == 0, "the run of this user is newer"
    assert stand.execute(**first)[0] == 0, "so it is to the other, whose own folder could not be written"


def test_another_user_is_told_where_neither_lock_nor_folder_can_be_read(stand):
    first = of(NOBODY, CALSEQ_LOCKS=shared_locks(stand, "before"))
    second = of(OTHER, CALSEQ_LOCKS=shared_locks(stand, "after a reboot"))
    assert stand.execute(act=CRASH, **first)[0] == 4
    (folder,) = stand.folders()
    code, told = stand.execute(**second)
    told = " ".join(told.split())
    assert (code, "CS418" in told, folder.name in told) == (3, True, True), told
    if IS_ROOT:
        assert "which may have been on this bench: it belongs to" in told
        assert "may not be read: it cannot be seen from here" in told
        assert "ask whom it belongs to, or share the runs: 'group:' in the bench file" in told
    assert f"HV: hv_1 at {stand.lv('hv')}" in told
    assert stand.execute("--acknowledge", **second)[0] == 0
    assert stand.execute(**second)[0] == 0


def test_two_users_whose_runs_end_well_are_never_asked(stand):
    locks = shared_locks(stand, "locks")
    for user in (NOBODY, OTHER, NOBODY, OTHER):
        code, told = stand.execute(**of(user, CALSEQ_LOCKS=locks))
        assert code == 0, told


def test_a_folder_of_runs_that_may_not_be_read_is_told(stand):
    first = of(NOBODY, CALSEQ_LOCKS=shared_locks(stand, "before"))
    second = of(OTHER, CALSEQ_LOCKS=shared_locks(stand, "after a reboot"))
    assert stand.execute(act=CRASH, **first)[0] == 4
    (stand.folder / "mine").mkdir()
    (stand.folder / "mine").chmod(0o1777)
    for mode in (0o700, 0o711):
        stand.runs.chmod(mode)
        code, told = stand.execute("--runs", "mine", **second)
        assert (code, "CS418" in told) == (3, True), told
    stand.runs.chmod(0o1777)


@pytest.mark.parametrize(
    ("parent", "folder", "met"),
    [(0o755, 0o700, True), (0o700, 0o700, False), (0o755, 0o755, False), (0o770, 0o2750, False), (0o775, 0o2750, True)],
)  # fmt: skip
def test_the_lock_of_a_safe_end_stays_where_others_find_a_folder_that_they_may_not_read(
    tmp_path, parent, folder, met
):
    (tmp_path / "runs" / "r").mkdir(parents=True)
    (tmp_path / "runs" / "r").chmod(folder)
    (tmp_path / "runs").chmod(parent)
    assert is_met(tmp_path / "runs" / "r", str(tmp_path / "runs")) is met
    assert not is_met(tmp_path / "runs" / "r", str(tmp_path)), "they do not look there"
    assert is_met(tmp_path / "runs" / "gone", str(tmp_path / "runs")), "in doubt it stays"
    (tmp_path / "runs").chmod(0o700)


# --- What is read of one supply says nothing of another


def soon():
    return datetime.now(UTC).replace(year=2090).isoformat(timespec="seconds")


def read_back(locks, *resources):
    """Leave what a 'power off' on these supplies leaves in their locks."""
    lock = BenchLock(resources, Path(locks))
    lock.claim(run="power off", user="u", pid=1, since=soon(), folder="")
    lock.conclude(Ended.SAFE, keep=True)
    lock.release()


def test_a_power_off_on_a_bench_that_shares_only_the_lv_supply_settles_nothing_of_the_hv(stand, afresh):
    stand.execute(act=CRASH, CALSEQ_LOCKS=afresh)
    (folder,) = stand.folders()
    shared = [stand.lv(), stand.lv("another hv")]
    assert not note_settled([stand.runs], shared, Settled(soon(), "calseq power off", confirmed=True))
    assert not (folder / SETTLED).exists()
    assert stand_of(folder).safe is False
    read_back(afresh, *shared)
    code, told = stand.execute(CALSEQ_LOCKS=afresh)
    assert (code, "CS418" in told) == (3, True), told
    read_back(afresh, stand.lv(), stand.lv("hv"))
    assert stand.execute(CALSEQ_LOCKS=afresh)[0] == 0


# --- What is no word of a run


def lock_of(stand, resource):
    """Path of the lock of a resource, which is not there, in a folder that every user may write to."""
    place = Path(shared_locks(stand, "locks"))
    lock = BenchLock([resource], place)
    (path,) = place.glob("calseq-*.lock")
    lock.release()
    assert not path.exists()
    return path


@pytest.mark.parametrize("text", ["somebody's", "{}", '{"resource": "R"', "\0" * 80])
def test_a_lock_with_a_text_that_no_run_wrote_is_told_and_not_written_until_somebody_takes_it_on(stand, text):
    path = lock_of(stand, stand.lv("hv"))
    locks = {"CALSEQ_LOCKS": str(path.parent)}
    path.write_text(text)
    code, told = stand.execute(**locks)
    told = " ".join(told.split())
    assert (code, "CS418" in told) == (3, True), told
    assert f"{path}, where the lock of an instrument belongs, has no text of a lock; it belongs to" in told
    assert path.read_text() == text
    assert "instrument lock" in stand.calseq("doctor", "--bench", "bench.yaml", **locks)[1]
    assert stand.execute("--acknowledge", **locks)[0] == 0
    assert stand.execute(**locks)[0] == 0
    assert "instrument lock" not in stand.calseq("doctor", "--bench", "bench.yaml", **locks)[1]


def test_a_lock_that_may_not_be_opened_is_told_with_its_owner(stand):
    path = lock_of(stand, stand.lv("hv"))
    stranger = of(NOBODY, CALSEQ_LOCKS=str(path.parent))
    path.touch()
    path.chmod(0o600 if IS_ROOT else 0)
    for words in (("power", "status"), ("power", "off"), ("execute", "one.yaml", "--screen", "none")):
        code, told = stand.calseq(*words, "--bench", "bench.yaml", **stranger)
        told = " ".join(told.split())
        assert (code, "CS413" in told) == (3, True), told
        assert f"{path}, where the lock of an instrument belongs, cannot be opened: permission denied" in told
        assert "it belongs to" in told
    assert "cannot be opened" in stand.calseq("doctor", "--bench", "bench.yaml", **stranger)[1]


def test_a_fifo_in_the_place_of_a_lock_is_told_by_the_doctor(stand):
    path = lock_of(stand, stand.lv())
    os.mkfifo(path)
    code, told = stand.calseq("doctor", "--bench", "bench.yaml", CALSEQ_LOCKS=str(path.parent))
    assert code != 0
    assert "is no lock but a fifo; it belongs to" in " ".join(told.split())


def test_a_run_that_touched_nothing_by_its_own_word_is_unknown_if_its_guard_says_so(stand):
    """Supplies that were opened after calseq had given them up: its guard had to leave them safe, and could not."""
    stand.execute()
    (folder,) = stand.folders()
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "verdict": "failed", "exit_code": 3}))
    assert stand_of(folder).power.state is PowerState.UNTOUCHED
    with (folder / "guard.jsonl").open("a") as guard:
        guard.write(
            json.dumps({"time": "2026-01-01T00:00:00Z", "event": "unknown", "confirmed": False}) + "\n"
        )
    assert stand_of(folder).safe is False
    assert stand.execute()[0] == 3
    with (folder / "guard.jsonl").open("a") as guard:
        guard.write(json.dumps({"time": "2026-01-01T00:01:00Z", "event": "ended", "confirmed": True}) + "\n")
    assert stand_of(folder).power.state is PowerState.UNTOUCHED
    assert stand.execute()[0] == 0
