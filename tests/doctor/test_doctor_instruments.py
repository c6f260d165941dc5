"""What the doctor says of instruments by their addresses alone: nothing is opened and nothing is contacted."""

import grp
import os
import pty
import socket
import stat
from pathlib import Path

import pytest
from doctor_benches import (
    INSTRUMENTS,
    a_bench,
    a_machine,
    an_ordinary_user,
    bench_file,
    examined,
    faults,
    named,
)

from calseq.bench.bench import read_bench
from calseq.doctor import Status


@pytest.fixture
def device():
    """A real character device, which a test may damage."""
    person, program = pty.openpty()
    yield Path(os.ttyname(program))
    os.close(person)
    os.close(program)


def with_board(tmp_path, resource: str, **keys):
    """Make a bench whose adapter board is at this address; its dirigent is not there."""
    board = {"class": "AdcBoard", "resource": resource, **keys}
    return a_bench(tmp_path, instruments={**INSTRUMENTS, "ab_1": board}, dirigent={"command": "none"})


def looked_at(tmp_path, resource: str, **keys):
    """Look at a bench whose adapter board is at this address."""
    return examined(a_machine(tmp_path), with_board(tmp_path, resource, **keys))


def check_of(tmp_path, resource: str, **keys):
    return named(looked_at(tmp_path, resource, **keys), "ab_1")


def test_instruments_come_by_role_with_class_and_address(tmp_path):
    checks = [check for check in looked_at(tmp_path, "GPIB0::4::INSTR") if check.section == "instruments"]
    assert [check.name for check in checks] == ["lv_1", "hv_1", "ab_1"]
    assert checks[1].finding.startswith("hv: Keithley2410, TCPIP::192.0.2.23::5025::SOCKET: ")


@pytest.mark.parametrize("form", ["ASRL{}::INSTR", "asrl{}::INSTR", "{}"])
def test_a_device_that_may_be_read_and_written_is_good(tmp_path, device, form):
    device.chmod(0o666)
    machine, bench = a_machine(tmp_path), with_board(tmp_path, form.format(device))
    with an_ordinary_user():
        check = named(examined(machine, bench), "ab_1")
    assert (check.status, check.cure) == (Status.OK, "")
    assert check.finding.endswith("readable and writable")


def test_a_device_of_a_group_is_cured_by_joining_it(tmp_path, device):
    if os.geteuid() == 0:
        os.chown(device, 0, grp.getgrnam("dialout").gr_gid)
    device.chmod(0o060)
    machine, bench = a_machine(tmp_path), with_board(tmp_path, f"ASRL{device}::INSTR")
    group = grp.getgrgid(device.stat().st_gid).gr_name
    with an_ordinary_user():
        check = named(examined(machine, bench), "ab_1")
    assert check.status is Status.FAILED
    assert f"you may not read and write {device}" in check.finding
    assert check.cure == f"`sudo usermod -aG {group} $USER`, then log in again"


def test_nobody_is_told_to_join_a_group_that_may_not_do_it_either(tmp_path, device):
    machine, bench = a_machine(tmp_path), with_board(tmp_path, f"ASRL{device}::INSTR")
    device.chmod(0o000)
    with an_ordinary_user():
        assert named(examined(machine, bench), "ab_1").cure.startswith("add a udev rule: `KERNEL==")
    if os.geteuid() == 0:
        os.chown(device, 0, 0)
        device.chmod(0o660)
        with an_ordinary_user():
            assert named(examined(machine, bench), "ab_1").cure.startswith("add a udev rule: `KERNEL==")


def test_folders_that_a_user_cannot_even_look_into_are_failed_in_words(tmp_path):
    machine, closed = a_machine(tmp_path), tmp_path / "closed"
    (closed / "cwd").mkdir(parents=True)
    bench = a_bench(tmp_path, dirigent={"command": "none", "cwd": "closed/cwd"}, runs="closed/runs")
    closed.chmod(0o000)
    with an_ordinary_user():
        checks = examined(machine, bench)
    closed.chmod(0o700)
    assert named(checks, "working folder").status is Status.FAILED
    assert named(checks, "runs folder").finding.endswith("cannot be written: permission denied")


def test_a_missing_device_is_told_with_those_that_are_there(tmp_path):
    folder = tmp_path / "dev"
    folder.mkdir()
    (folder / "ttyUSB1").write_text("")
    bench = a_bench(
        tmp_path,
        instruments={
            **INSTRUMENTS,
            "ab_1": {"class": "AdcBoard", "resource": f"ASRL{folder}/ttyUSB0::INSTR"},
        },
    )
    check = named(examined(a_machine(tmp_path), bench), "ab_1")
    assert check.status is Status.FAILED
    assert f"{folder}/ttyUSB0 is not there" in check.finding
    assert f"present: {folder}/ttyUSB1;" in check.cure


def test_a_file_is_no_device(tmp_path):
    bench = a_bench(
        tmp_path,
        instruments={**INSTRUMENTS, "ab_1": {"class": "AdcBoard", "resource": f"ASRL{__file__}::INSTR"}},
    )
    check = named(examined(a_machine(tmp_path), bench), "ab_1")
    assert check.finding.endswith(f"{__file__} is no device")


@pytest.mark.parametrize(
    "resource",
    [
        "TCPIP::192.0.2.24::9221::SOCKET",
        "TCPIP0::192.0.2.22::INSTR",
        "TCPIP::supply.lab.example::inst0::INSTR",
        "tcpip::supply-1::hislip0",
        "TCPIP::[2001:db8::1]::5025::SOCKET",
    ],
)
def test_a_network_address_that_is_well_formed_is_good(tmp_path, resource):
    assert check_of(tmp_path, resource).finding.endswith(": well formed, not contacted")


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        ("TCPIP", "not of the form"),
        ("TCPIP::", "not of the form"),
        ("TCPIP::::9221::SOCKET", "not of the form"),
        ("TCPIP::192.0.2.22:9221::SOCKET", "not of the form"),
        ("TCPIP::192.0.2.22::port::SOCKET", "not of the form"),
        ("TCPIP::192.0.2.22::99999::SOCKET", "there is no port 99999"),
        ("TCPIP::192.0.2.22::0::SOCKET", "there is no port 0"),
        ("TCPIP::192.0.2.256::9221::SOCKET", "192.0.2.256 is no IP address"),
        ("TCPIP::192.0.2::9221::SOCKET", "192.0.2 is no IP address"),
    ],
)
def test_a_network_address_that_cannot_be_one_is_failed_with_an_example(tmp_path, resource, says):
    check = check_of(tmp_path, resource)
    assert check.status is Status.FAILED
    assert says in check.finding
    assert "`TCPIP::192.168.0.22::9221::SOCKET`" in check.cure


def test_nothing_is_contacted(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        assert check_of(tmp_path, f"TCPIP::127.0.0.1::{server.getsockname()[1]}::SOCKET").status is Status.OK
        with pytest.raises(TimeoutError):
            server.accept()


def test_other_buses_are_left_to_visa_and_an_unknown_form_is_no_failure(tmp_path):
    assert check_of(tmp_path, "USB0::1510::9232::12::INSTR").status is Status.OK
    assert check_of(tmp_path, "ASRL3::INSTR").status is Status.OK
    assert check_of(tmp_path, "192.0.2.40:8080").status is Status.SKIPPED


def test_a_simulated_instrument_on_a_real_bench_is_shown_loudly(tmp_path):
    checks = looked_at(tmp_path, "ASRL/dev/none::INSTR", sim=True)
    check = named(checks, "ab_1")
    assert check.status is Status.WARNING
    assert check.finding.endswith("SIMULATED, nothing real is read")
    assert check.cure == f'delete `"sim": true` of ab_1 in {tmp_path}/instruments.json'


def test_two_instruments_at_one_device_are_refused_by_whatever_name_they_have_it(tmp_path, device):
    link = tmp_path / "by-id"
    link.symlink_to(device)
    instruments = {
        **INSTRUMENTS,
        "ab_1": {"class": "AdcBoard", "resource": f"ASRL{device}::INSTR"},
        "hb_1": {"class": "PSIHVBox", "resource": f"ASRL{link}::INSTR"},
    }
    (refusal,) = read_bench(bench_file(tmp_path, instruments=instruments)).problems
    assert (refusal.code.id, refusal.message) == ("CS470", "'hb_1' is at the address of 'ab_1'")


def test_two_instruments_at_one_network_address_are_refused_and_simulated_ones_are_not(tmp_path):
    address = INSTRUMENTS["lv_1"]["resource"].lower()
    board = {"class": "AdcBoard", "resource": address}
    path = bench_file(tmp_path, instruments={**INSTRUMENTS, "ab_1": board})
    assert [problem.code.id for problem in read_bench(path).problems] == ["CS470"]
    path = bench_file(tmp_path, instruments={**INSTRUMENTS, "ab_1": {**board, "sim": True}})
    assert read_bench(path).problems == []


def test_looking_at_a_device_does_not_change_it(tmp_path, device):
    device.chmod(0o666)
    before = device.stat()
    check_of(tmp_path, f"ASRL{device}::INSTR")
    after = device.stat()
    assert (before.st_atime_ns, stat.S_IMODE(before.st_mode)) == (
        after.st_atime_ns,
        stat.S_IMODE(after.st_mode),
    )
    assert not [
        check for check in faults(looked_at(tmp_path, f"ASRL{device}::INSTR")) if check.name == "ab_1"
    ]


@pytest.mark.parametrize(
    "resource", ["TCPIP::REPLACE-ME-LV-ADDRESS::9221::SOCKET", "ASRL/dev/REPLACE-ME::INSTR"]
)
def test_what_a_new_site_has_for_an_address_is_failed(tmp_path, resource):
    check = check_of(tmp_path, resource)
    assert check.status is Status.FAILED
    assert check.finding.endswith(f": '{resource}' is no address yet")
    assert "instruments.json" in check.cure


@pytest.mark.parametrize(
    ("stated", "status", "says"),
    [
        ("", Status.WARNING, "a plan with bias is refused"),
        ("closed", Status.OK, "its channels are closed in every run, says the bench file"),
        ("ask", Status.OK, "a run with bias needs --hv-box-closed"),
    ],
)
def test_an_hv_box_is_named_with_what_it_means(tmp_path, stated, status, says):
    box = {"class": "PSIHVBox", "resource": "TCPIP::192.0.2.9::9221::SOCKET"}
    keys = {"hv_box": stated} if stated else {}
    bench = a_bench(tmp_path, instruments={**INSTRUMENTS, "hb_1": box}, dirigent={"command": "none"}, **keys)
    check = named(examined(a_machine(tmp_path), bench), "HV box")
    assert check.status is status
    assert "hb_1 (PSIHVBox): calseq does not control it, bias is read at the supply" in check.finding
    assert says in check.finding
    assert ("hv_box: closed" in check.cure) is (status is Status.WARNING)


def test_an_instrument_that_no_channel_uses_is_told_with_the_entry_that_is_missing(tmp_path):
    spare = {**INSTRUMENTS["hv_1"], "resource": "TCPIP::192.0.2.99::5025::SOCKET"}
    bench = a_bench(tmp_path, instruments={**INSTRUMENTS, "hv_2": spare}, dirigent={"command": "none"})
    check = named(examined(a_machine(tmp_path), bench), "hv_2")
    assert check.status is Status.WARNING
    assert '`"hv": {"instrument": "hv_2", "channel": 1}`' in check.cure
