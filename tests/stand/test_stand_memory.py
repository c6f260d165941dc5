"""Unknown is remembered: across reboots, lock folders and archives, until it is read back as off or taken over by name."""

import json
import os
import shutil
import signal
from datetime import UTC, datetime

import pytest
from stands import until

from calseq.aftermath import SETTLED, PowerState, Settled
from calseq.memory import is_unknown, newest, note_settled
from calseq.standing import Phase, stand

CRASH = "kill -SEGV $$"


def locks():
    return list(os.scandir(os.environ["CALSEQ_LOCKS"]))


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


def test_a_safe_end_that_was_archived_or_deleted_blocks_nothing_and_leaves_no_lock_file(stand):
    present = len(locks())
    assert stand.execute("--runs", "elsewhere")[0] == 0
    shutil.rmtree(stand.folder / "elsewhere")
    assert len(locks()) == present
    assert stand.execute()[0] == 0


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
