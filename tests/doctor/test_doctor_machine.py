"""What the doctor says of the machine, of a bench's own files, and of icicle."""

import shlex
import sys
import threading

import pytest
from doctor_benches import (
    a_bench,
    a_machine,
    examined,
    faults,
    named,
    program,
    python_environ,
    right_dirigent,
    simulated_bench_file,
)

from calseq.bench.bench import read_bench
from calseq.doctor import Machine, Status, this_machine
from calseq.doctor.folders import within


def machine_check(machine: Machine, name: str):
    return named(examined(machine, None), name)


def test_this_machine_is_read_from_the_kernel():
    machine = this_machine({"A": "b"}, "utf-8")
    assert " / " in machine.mounts
    assert machine.environ == {"A": "b"}


def test_a_lock_folder_on_a_local_disk_is_good_and_the_first_that_can_be_written_counts(tmp_path):
    machine = a_machine(tmp_path)
    locks = machine.lock_folders[0]
    machine = a_machine(tmp_path, lock_folders=(tmp_path / "none", locks))
    check = machine_check(machine, "lock folder")
    assert (check.status, check.finding) == (Status.OK, f"{locks} (ext4)")


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "afs", "fuse.sshfs", "fuse", "cifs", "lustre"])
def test_a_lock_folder_on_a_disk_of_the_network_is_refused(tmp_path, kind):
    mounts = f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {tmp_path} rw shared:1 - {kind} server:/x rw\n"
    check = machine_check(a_machine(tmp_path, mounts=mounts), "lock folder")
    assert check.status is Status.FAILED
    assert f"is not on a local disk ({kind})" in check.finding
    assert check.cure.startswith("`sudo mount -t tmpfs")


def test_the_deepest_mount_decides_and_the_last_of_two_at_one_place(tmp_path):
    place = str(tmp_path / "lock").replace(" ", "\\040")
    mounts = [f"1 0 0:1 / {tmp_path} rw - nfs4 s:/x rw", f"2 1 0:2 / {place} rw - nfs4 s:/y rw"]
    mounts += [f"3 1 0:3 / {place} rw - tmpfs tmpfs rw", "4 0 0:4 / / rw - nfs4 s:/z rw"]
    mounts += [f"5 1 0:5 / {place}er rw - nfs4 s:/w rw", "torn"]
    check = machine_check(a_machine(tmp_path, mounts="\n".join(mounts)), "lock folder")
    assert check.finding.endswith("(tmpfs)")


def test_no_lock_folder_at_all_is_failed_with_the_command_that_makes_one(tmp_path):
    check = machine_check(a_machine(tmp_path, lock_folders=(tmp_path / "my locks",)), "lock folder")
    assert (check.status, check.cure) == (Status.FAILED, f"`sudo mkdir -p -m 1777 '{tmp_path / 'my locks'}'`")


def test_a_lock_folder_that_others_cannot_write_is_a_doubt(tmp_path):
    machine = a_machine(tmp_path)
    machine.lock_folders[0].chmod(0o755)
    assert machine_check(machine, "lock folder").status is Status.WARNING


def test_a_screen_without_utf8_is_a_doubt(tmp_path):
    check = machine_check(a_machine(tmp_path, encoding="ascii"), "terminal")
    assert (check.status, check.cure) == (Status.WARNING, "`export LC_ALL=C.UTF-8`")


@pytest.mark.parametrize(
    ("environ", "cgroups", "status"),
    [
        ({"TMUX": "x"}, "", Status.OK),
        ({"STY": "1.pts"}, "", Status.OK),
        ({}, "0::/user.slice/user-1.slice/user@1.service/app.slice/run-r1f.scope\n", Status.OK),
        ({}, "1:name=systemd:/system.slice/calseq.service\n", Status.OK),
        ({}, "0::/user.slice/user-1.slice/session-3.scope\n", Status.WARNING),
        ({}, "0::/user.slice/user-1.slice/user@1.service\n", Status.WARNING),
        ({}, "0::/system.slice/sshd.service\n", Status.WARNING),
        ({}, "0::/\n", Status.WARNING),
    ],
)
def test_only_what_outlives_a_login_is_a_good_session(tmp_path, environ, cgroups, status):
    machine = a_machine(tmp_path, environ={"PATH": "/usr/bin:/bin", **environ}, cgroups=cgroups)
    assert machine_check(machine, "session").status is status


def test_ph2_acf_is_sourced_if_its_folder_or_its_program_is_there(tmp_path):
    right_dirigent(tmp_path)
    program(tmp_path / "acf" / "CMSITminiDAQ", "exit 0")
    path = "/usr/bin:/bin"
    cases = [
        ({"PATH": path, "PH2ACF_BASE_DIR": str(tmp_path)}, Status.OK),
        ({"PATH": f"{path}:{tmp_path / 'acf'}"}, Status.OK),
        ({"PATH": path, "PH2ACF_BASE_DIR": str(tmp_path / "gone")}, Status.FAILED),
        ({"PATH": path}, Status.FAILED),
    ]
    for environ, status in cases:
        machine = a_machine(tmp_path, environ={"TMUX": "1", **environ})
        assert named(examined(machine, a_bench(tmp_path)), "Ph2_ACF").status is status
    assert machine_check(a_machine(tmp_path, environ={"PATH": path}), "Ph2_ACF").status is Status.WARNING


def test_ph2_acf_may_be_named_by_the_bench_or_by_dirigent_toml(tmp_path):
    right_dirigent(tmp_path)
    machine = a_machine(tmp_path, environ={"PATH": "/usr/bin:/bin", "TMUX": "1"})
    bench = a_bench(tmp_path, env={"PH2ACF_BASE_DIR": str(tmp_path)})
    assert named(examined(machine, bench), "Ph2_ACF").finding == f"sourced: {tmp_path}"
    (tmp_path / "dirigent.toml").write_text("ph2_dir = '/opt/acf'\n")
    bench = a_bench(
        tmp_path, dirigent={"command": str(tmp_path / "bin" / "dirigent"), "config": "dirigent.toml"}
    )
    checks = examined(machine, bench)
    assert "dirigent.toml names /opt/acf" in named(checks, "Ph2_ACF").finding
    assert named(checks, "dirigent.toml").status is Status.OK
    assert faults(checks) == []


def test_a_simulated_bench_is_examined_with_the_stand_in_and_says_so(tmp_path):
    machine = a_machine(tmp_path, environ={**python_environ(), "PATH": "/none", "TMUX": "1"})
    checks = examined(machine, read_bench(simulated_bench_file(tmp_path)).bench)
    assert faults(checks) == []
    assert named(checks, "power mode").finding.startswith("SIMULATED")
    assert named(checks, "project").finding.startswith("SIMULATED")
    assert named(checks, "hv_1").status is Status.SKIPPED
    assert named(checks, "icicle").finding == "not used in power mode simulated"
    assert named(checks, "modules.json").finding == "C2HQ0 on channel 0"


def bench_check(tmp_path, name: str, **keys):
    """Look at the bench's own files only: its dirigent is not there."""
    return named(examined(a_machine(tmp_path), a_bench(tmp_path, **keys)), name)


def test_a_working_folder_that_is_not_there_is_failed_with_the_command_that_makes_it(tmp_path):
    check = bench_check(tmp_path, "working folder", dirigent={"command": "none", "cwd": "a b"})
    assert (check.status, check.cure) == (Status.FAILED, f"`mkdir -p '{tmp_path}/a b'`")


def test_files_that_a_bench_need_not_name_are_told_as_not_looked_at(tmp_path):
    assert bench_check(tmp_path, "dirigent.toml").status is Status.SKIPPED
    assert bench_check(tmp_path, "modules.json").cure == "set `modules: modules.json` in the bench file"


def test_a_channel_without_a_module_name_is_a_doubt(tmp_path):
    (tmp_path / "modules.json").write_text('{"Hybrid": {"1": {}}}')
    check = bench_check(tmp_path, "modules.json", modules="modules.json")
    assert check.status is Status.WARNING
    assert "no module_name for channel 0" in check.finding


def test_runs_that_cannot_be_written_are_failed_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    check = bench_check(tmp_path, "runs folder", runs="file/runs")
    assert check.status is Status.FAILED
    assert check.finding.endswith("cannot be written: not a directory")
    check = bench_check(tmp_path, "runs folder", runs="new/runs")
    assert (check.status, check.finding) == (Status.OK, f"{tmp_path}/new/runs, which the first run makes")
    assert not (tmp_path / "new").exists()


def test_a_disk_without_room_for_two_full_logs_is_a_doubt(tmp_path):
    assert bench_check(tmp_path, "free disk", log_limit_mb=1).status is Status.OK
    check = bench_check(tmp_path, "free disk", log_limit_mb=1 << 20)
    assert check.status is Status.WARNING
    assert "less than two full logs of a step (1024.0 GiB each)" in check.finding
    assert f"du -sh {tmp_path}/runs/*" in check.cure


def test_a_disk_that_does_not_answer_is_not_waited_for():
    never = threading.Event()
    assert within(0.05, never.wait) is None
    never.set()
    assert within(5, lambda: 7) == 7


def icicle_python(folder, cluster: str = "class InstrumentCluster: pass\n", version: str = "2.1.0"):
    """Make an interpreter that has a package icicle."""
    (folder / "site" / "icicle").mkdir(parents=True)
    (folder / "site" / "icicle" / "__init__.py").write_text("print('hello from icicle')\n")
    (folder / "site" / "icicle" / "instrument_cluster.py").write_text(cluster)
    about = folder / "site" / f"icicle-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: icicle\nVersion: {version}\n")
    return program(folder / "python", f'PYTHONPATH={folder / "site"} exec {shlex.quote(sys.executable)} "$@"')


def icicle_check(tmp_path, python, patience_s=20.0):
    bench = a_bench(tmp_path, mode="icicle", python=python, dirigent={"command": "none"})
    return named(examined(a_machine(tmp_path), bench, patience_s=patience_s), "icicle")


def test_icicle_is_found_in_the_interpreter_of_the_bench_with_its_version(tmp_path):
    check = icicle_check(tmp_path, icicle_python(tmp_path))
    assert check.status is Status.OK
    assert check.finding.startswith("2.1.0, with Python 3.")


def test_an_interpreter_without_icicle_is_failed_whatever_lies_in_the_working_folder(tmp_path):
    (tmp_path / "icicle").mkdir()
    (tmp_path / "icicle" / "__init__.py").write_text("")
    (tmp_path / "icicle" / "instrument_cluster.py").write_text("class InstrumentCluster: pass\n")
    check = icicle_check(tmp_path, "")
    assert check.status is Status.FAILED
    assert check.finding.endswith("cannot import it: ModuleNotFoundError: No module named 'icicle'")
    assert "power: {python: ...}" in check.cure


def test_an_icicle_without_its_cluster_or_that_hangs_is_failed(tmp_path):
    broken = icicle_python(tmp_path / "a", cluster="")
    assert "cannot import name 'InstrumentCluster'" in icicle_check(tmp_path, broken).finding
    hanging = icicle_python(tmp_path / "b", cluster="import time; time.sleep(600)")
    assert "did not end in 0.5 s" in icicle_check(tmp_path, hanging, patience_s=0.5).finding


def test_an_interpreter_that_is_missing_or_too_old_for_the_guard_is_failed(tmp_path):
    assert "no such file" in icicle_check(tmp_path, tmp_path / "none").finding
    old = program(tmp_path / "old", "echo calseq-python 3.6.8; exit 1")
    assert "is Python 3.6.8; calseq's guard needs 3.8 or later" in icicle_check(tmp_path, old).finding
