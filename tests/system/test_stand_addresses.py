"""One supply is one supply, however its address is written, and what its lock does not reach is said."""

import os
import pty
from pathlib import Path

import pytest
from stands import IS_ROOT

from calseq.problems.refused import Refused
from calseq.system.addresses import names, shared
from calseq.system.containers import out_of_reach
from calseq.system.locks import BenchLock, Ended, holders_now


def one(address, other):
    return bool(set(names(address)) & set(names(other)))


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("TCPIP::192.0.2.7::9221::SOCKET", "TCPIP0::192.0.2.7::9221::SOCKET"),
        ("TCPIP::192.0.2.7::9221::SOCKET", "tcpip::192.0.2.7::9221::socket"),
        ("TCPIP::192.0.2.7::9221::SOCKET", " TCPIP::192.0.2.7::09221::SOCKET "),
        ("TCPIP::192.0.2.7::9221::SOCKET", "TCPIP1::192.0.2.7::9221::SOCKET"),
        ("TCPIP::lv.lab::9221::SOCKET", "TCPIP::LV.lab.::9221::SOCKET"),
        ("TCPIP::192.0.2.7::INSTR", "TCPIP0::192.0.2.7"),
        ("TCPIP::192.0.2.7::INSTR", "TCPIP::192.0.2.7::inst0::INSTR"),
        ("TCPIP::[2001:db8::1]::INSTR", "TCPIP::[2001:DB8:0::1]::INSTR"),
        ("GPIB::24::INSTR", "gpib0::24"),
        ("GPIB0::24::0::INSTR", "GPIB0::24::INSTR"),
        ("USB::0x05E6::0x2410::01234::INSTR", "USB0::1510::9232::01234::0::INSTR"),
        ("ASRL/dev/ttyUSB70::INSTR", "ASRL/dev/ttyUSB70"),
        ("ASRL/dev/ttyUSB70::INSTR", "/dev/ttyUSB70"),
        ("asrl/dev/ttyUSB70::instr", "ASRL/dev/../dev/ttyUSB70::INSTR"),
        ("ASRL1::INSTR", "asrl1"),
        ("ASRL1::INSTR", "ASRL/dev/ttyS0::INSTR"),
        ("my supply", "MY SUPPLY"),
    ],
)
def test_one_instrument_has_a_name_in_common_with_itself(address, other):
    assert one(address, other)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("TCPIP::192.0.2.7::9221::SOCKET", "TCPIP::192.0.2.8::9221::SOCKET"),
        ("TCPIP::192.0.2.7::9221::SOCKET", "TCPIP::192.0.2.7::9222::SOCKET"),
        ("TCPIP::192.0.2.7::inst0::INSTR", "TCPIP::192.0.2.7::inst1::INSTR"),
        ("TCPIP::192.0.2.7::gpib0,5::INSTR", "TCPIP::192.0.2.7::gpib0,6::INSTR"),
        ("GPIB0::24::INSTR", "GPIB1::24::INSTR"),
        ("GPIB0::24::INSTR", "GPIB0::24::1::INSTR"),
        ("USB::0x05E6::0x2410::01234::INSTR", "USB::0x05E6::0x2410::01235::INSTR"),
        ("ASRL/dev/ttyUSB0::INSTR", "ASRL/dev/ttyUSB1::INSTR"),
        ("ASRL/dev/ttyusb70::INSTR", "ASRL/dev/ttyUSB70::INSTR"),
        ("ASRL1::INSTR", "ASRL2::INSTR"),
        ("one", "other"),
    ],
)
def test_two_instruments_have_no_name_in_common(address, other):
    assert not one(address, other)


def test_a_device_is_known_by_what_its_links_lead_to_and_by_its_number(tmp_path):
    person, program = pty.openpty()
    device = os.ttyname(program)
    (tmp_path / "by-id").symlink_to(device)
    try:
        assert one(f"ASRL{tmp_path}/by-id::INSTR", f"ASRL{device}::INSTR")
        number = Path(device).stat().st_rdev
        assert f"device {os.major(number)}:{os.minor(number)}" in names(f"ASRL{device}::INSTR")
        # the same device by a name that links say nothing of
        assert one(f"ASRL{tmp_path}/by-id::INSTR", f"ASRL/proc/self/fd/{program}::INSTR")
    finally:
        os.close(person)
        os.close(program)


def test_where_no_device_may_be_looked_at_an_address_has_the_name_that_is_written():
    assert names("ASRL/dev/stdin::INSTR", lambda _: ()) == ("/dev/stdin",)
    assert list(shared({"a": "R", "b": "S", "c": "r"}, lambda _: ())) == [("a", "c")]


def test_a_lock_holds_the_instrument_by_all_its_names(tmp_path):
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to("ttyUSB0")
    by_id, plain = f"ASRL{tmp_path}/by-id::INSTR", f"{tmp_path}/ttyUSB0"
    held = BenchLock([by_id], tmp_path)
    try:
        held.claim(run="r", user="u", pid=1, since="2026-01-01T00:00:00+00:00", folder="")
        assert {holder.run for holder in holders_now([plain], tmp_path)} == {"r"}
        with pytest.raises(Refused, match="is held by run r of u, pid 1"):
            BenchLock([plain], tmp_path)
    finally:
        held.release()
    BenchLock([plain], tmp_path).release()


def test_a_folder_of_locks_that_cannot_be_written_is_refused_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(Refused) as refused:
        BenchLock(["R"], tmp_path / "none")
    assert refused.value.problems[0].cure.endswith(f"mkdir -m 1777 {tmp_path}/none")


def test_a_safe_end_leaves_no_lock_file_and_another_end_does(tmp_path):
    for ended, left in ((Ended.SAFE, 0), (Ended.UNKNOWN, 1)):
        lock = BenchLock(["R"], tmp_path)
        lock.claim(run="r", user="u", pid=1, since="2026-01-01T00:00:00+00:00", folder="/f")
        lock.conclude(ended)
        lock.release()
        assert len(list(tmp_path.glob("calseq-*.lock"))) == left


@pytest.mark.parametrize("way", ["link", "no ::INSTR", "board", "letters"])
def test_a_second_run_on_one_supply_is_refused_by_whatever_address(stand, way):
    port = stand.folder / "ttyUSB0"
    port.touch()
    (stand.folder / "by-id").symlink_to("ttyUSB0")
    stand.bench(hv=f"ASRL{port}::INSTR")
    other = {
        "link": {"lv": stand.lv("b"), "hv": f"ASRL{stand.folder}/by-id::INSTR"},
        "no ::INSTR": {"lv": stand.lv("b"), "hv": f"ASRL{port}"},
        "board": {"lv": stand.lv().replace("TCPIP", "TCPIP0"), "hv": stand.lv("c")},
        "letters": {"lv": stand.lv().lower(), "hv": stand.lv("c")},
    }[way]
    stand.bench("other", **other)
    first = stand.begun()
    code, told = stand.execute(bench="other")
    assert (code, "CS413" in told) == (3, True), told
    assert stand.go(first) == 0
    assert stand.execute(bench="other", act="true")[0] == 0


def test_a_container_is_known_by_its_namespace_its_mark_or_its_mounts(tmp_path):
    locks = tmp_path / "run" / "lock"
    locks.mkdir(parents=True)
    namespaces = tmp_path / "proc" / "self" / "ns"
    namespaces.mkdir(parents=True)
    assert out_of_reach(locks, tmp_path) == ""
    (namespaces / "pid").symlink_to("pid:[4026531836]")
    assert out_of_reach(locks, tmp_path) == ""
    there = tmp_path / "proc/1/root" / str(locks).lstrip("/")
    there.parent.mkdir(parents=True)
    there.symlink_to(locks)
    assert out_of_reach(locks, tmp_path) == ""
    there.unlink()
    there.mkdir()
    assert "mounted for this process" in out_of_reach(locks, tmp_path)
    (tmp_path / ".dockerenv").touch()
    assert "/.dockerenv" in out_of_reach(locks, tmp_path)
    (namespaces / "pid").unlink()
    (namespaces / "pid").symlink_to("pid:[4026532000]")
    assert "a namespace of processes of its own" in out_of_reach(locks, tmp_path)


def test_a_start_says_what_its_locks_do_not_reach_unless_their_folder_is_shared_on_purpose(stand):
    """As root in mounts of its own; else as this machine is."""
    own = ("unshare", "-m") if IS_ROOT else ()
    mounted = "mount -t tmpfs none /run/lock && " if IS_ROOT else ""
    before = (*own, "sh", "-c", f'{mounted}exec "$@"', "sh")
    code, told = stand.execute(before=before, CALSEQ_LOCKS="")
    assert code == 0, told
    assert ("CS471" in told) is bool(IS_ROOT or out_of_reach(Path("/run/lock")))
    locks = stand.folder / "locks"
    locks.mkdir(mode=0o777)
    stand.bench("shared", locks="locks")
    code, told = stand.execute(bench="shared", before=before, CALSEQ_LOCKS="")
    assert (code, "CS471" in told) == (0, False), told


def test_a_folder_of_locks_that_is_shared_holds_from_one_container_to_the_other(stand):
    """Two mounts and networks of their own, so that neither /run/lock nor the kernel's names are common."""
    (stand.folder / "locks").mkdir(mode=0o777)
    stand.bench(locks="locks")
    apart = ("unshare", "-m", "-n") if IS_ROOT else ()
    first = stand.begun(before=apart, CALSEQ_LOCKS="")
    code, told = stand.execute(before=apart, CALSEQ_LOCKS="")
    assert code == 3, told
    assert "is held by run" in told
    assert stand.go(first) == 0
