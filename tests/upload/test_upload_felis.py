"""Results to Panthera through Felis: once each, into one sequence, whatever fails on the way."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from panthera import FAULTS, Panthera
from upload_stand import (
    NAMES,
    PASSWORD,
    adapters,
    copied,
    environment,
    files_with,
    measured,
    measured_files,
    processes_with,
    replan,
    start_upload,
    states,
    until,
    upload,
)

from calseq.upload.felis_process import INSIDE

ONCE = {
    "false": "try that again",
    "garbage": "this is no answer of Panthera's; is 'url:' right, and no log-in or proxy before it?: 'hello'",
    "login-page": ": 'CERN Single Sign-On'",
    "redirect": "sends us elsewhere, as to a log-in (HTTP 302): 'https://login.example.org/?back=felis'",
    "proxy-page": "refuses with HTTP 403: 'Access denied by the proxy of the lab & its friends'",
}
"""What is asked for once, and what is told of it."""

SENT = dict.fromkeys(NAMES, "sent")


def arrived(panthera, run, names=NAMES):
    """Prove that one sequence has these results, in order, as they were measured."""
    ((_, sequence),) = panthera.filled.items()
    assert list(sequence["results"]) == names
    for name, result in sequence["results"].items():
        assert result["files"] == measured_files(run, name)
    return sequence


def test_a_finished_run_arrives_in_one_sequence_in_order_and_byte_by_byte(run, panthera):
    told = upload(run)
    assert told.returncode == 0, told.stderr
    about = arrived(panthera, run)["about"]
    assert (about["title"], about["module"]) == ("Night shift", "C2HQ0")
    assert about["facts"] == ["TBPX", "1x2", "2", True, True, "unspecified"]
    assert about["versions"][1].startswith("dirigent; calseq ")
    assert states(run) == SENT
    assert "all 5 sent" in told.stderr
    assert not (run / "upload" / "scratch").exists()


def test_what_has_arrived_is_never_sent_again(run, panthera):
    upload(run)
    count = len(panthera.requests)
    told = upload(run, password=None)
    assert (told.returncode, len(panthera.requests)) == (0, count), told.stderr


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_one_failure_of_the_database_is_got_over_or_told_and_a_second_upload_completes_it(
    run, panthera, fault, at
):
    panthera.faults = [""] * at + [fault]
    first = upload(run)
    if fault in ONCE:  # a refusal is the server's word, and a page the same at the next try
        assert first.returncode == 5
        assert ONCE[fault] in first.stderr
        assert "again in" not in first.stderr
        first = upload(run)
    assert first.returncode == 0, first.stderr
    arrived(panthera, run)
    assert states(run) == SENT
    empty = len(panthera.sequences) - 1
    assert empty == (at == 0 and fault in ("close-after", "garbage"))
    doubtless = ("false", "slow", "redirect", "proxy-page")
    assert ("may be left in the database" in first.stderr) is (at == 0 and fault not in doubtless)
    repeated = len(panthera.stored) - len(set(panthera.stored))
    assert repeated == (at > 0 and fault in ("close-after", "garbage"))


def test_a_page_that_repeats_the_password_is_told_without_it_wherever_it_is_cut(run, panthera, tmp_path):
    panthera.faults = ["echo"]
    told = upload(run)
    assert told.returncode == 5
    assert "x x ***'" in told.stderr
    assert files_with(tmp_path, "canary-7f3a") == []
    assert "canary-7f3a" not in told.stdout + told.stderr


def test_a_database_that_is_down_is_told_and_everything_waits(template, tmp_path):
    with Panthera(PASSWORD) as gone:
        address = gone.url
    run = copied(template, tmp_path, url=address, seed=2)
    told = upload(run)
    assert told.returncode == 5
    assert "connection refused" in told.stderr
    assert "again in 1 s" in told.stderr
    assert "0 of 5 sent" in told.stderr
    assert f"calseq upload {run.name[:15]}" in told.stderr
    assert set(states(run).values()) == {"given-up"}
    assert "empty sequence" not in told.stderr  # nothing was ever asked


def test_a_wrong_password_is_told_and_kept_nowhere_though_the_database_repeats_it(run, panthera, tmp_path):
    told = upload(run, password="wrong-canary-5521")
    assert told.returncode == 5
    assert "wrong password ***" in told.stderr
    assert files_with(tmp_path, "wrong-canary") == []
    assert len(panthera.requests) == 1, (
        "a wrong password is given once, and not often enough to lock an account"
    )
    assert upload(run).returncode == 0
    arrived(panthera, run)


def test_the_password_is_in_no_file_no_command_line_and_no_environment(run, panthera, tmp_path):
    panthera.slow_s, panthera.faults = 0.5, ["slow"] * 6
    process = start_upload(run, env=environment(TMPDIR=str(tmp_path)))
    until(lambda: adapters(run))
    looks = 0
    while process.poll() is None:
        assert processes_with(PASSWORD) == []
        assert files_with(tmp_path, PASSWORD) == []
        looks += 1
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert looks > 3
    assert PASSWORD not in out + err
    assert files_with(tmp_path, PASSWORD, json.dumps(PASSWORD)[1:-1]) == []
    log = run / "upload" / "felis.log"
    assert "uploading as jdoe with ***" in log.read_text()
    assert "?***\n" in log.read_text(), "a password that is printed in two pieces is taken out, too"
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("victim", ["calseq", "felis"])
def test_after_kill_9_in_the_middle_the_rest_goes_into_the_same_sequence(run, panthera, victim):
    panthera.slow_s, panthera.faults = 1.0, ["", "", "", "slow"]
    process = start_upload(run)
    until(lambda: len(panthera.requests) >= 4)
    for pid in [process.pid] if victim == "calseq" else adapters(run):
        subprocess.run(["kill", "-9", str(pid)], check=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if victim == "calseq" else 5), err
    until(lambda: adapters(run) == [])
    told = upload(run)
    assert told.returncode == 0, told.stderr
    arrived(panthera, run)
    assert panthera.stored.count((1, "00_sldo_vi_curves")) == 1


def test_ctrl_c_stops_at_once_with_everything_recorded(run, panthera):
    panthera.slow_s, panthera.faults = 30.0, ["", "", "slow"]
    process = start_upload(run)
    until(lambda: len(panthera.requests) >= 3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 10
    assert process.returncode == -signal.SIGINT, err
    assert "the same command goes on" in err
    assert (states(run)["00_sldo_vi_curves"], states(run)["02_IVCurve"]) == ("sent", "sending")
    assert upload(run).returncode == 0
    arrived(panthera, run)


def test_a_file_that_was_changed_after_the_run_is_not_sent_and_the_others_are(run, panthera):
    (path,) = (run / "data").glob("*/IV_*.csv")
    path.write_text("better\n")
    told = upload(run)
    assert told.returncode == 5
    assert "02_IVCurve  refused: data/03-iv_curve/IV_C2HQ0.csv was changed after the run" in told.stderr
    arrived(panthera, run, [name for name in NAMES if name != "02_IVCurve"])


def test_a_result_that_felis_does_not_take_keeps_the_others_from_nothing(run, panthera):
    told = upload(run, env=environment(FELIS_DOUBLE="picky"))
    assert told.returncode == 5
    assert "02_IVCurve  refused: Felis does not take it: I-V Curve | Could not find TCanvas" in told.stderr
    arrived(panthera, run, [name for name in NAMES if name != "02_IVCurve"])


def test_what_felis_remarks_is_told(run, panthera):
    told = upload(run, env=environment(FELIS_DOUBLE="insane"))
    assert told.returncode == 0
    assert "00_sldo_vi_curves  sent; Felis finds it not sane: too few points" in told.stderr


def test_a_felis_that_cannot_be_imported_is_told_with_its_reason(run):
    told = upload(run, env=environment(FELIS_DOUBLE="broken"))
    assert told.returncode == 5
    assert "Felis cannot be opened: ImportError: libROOT.so" in told.stderr
    told = upload(run, env=environment(PYTHONPATH=""))
    assert "No module named 'felis'" in told.stderr


def test_a_felis_that_dies_is_told_and_its_results_wait(run, panthera):
    told = upload(run, env=environment(FELIS_DOUBLE="dies"))
    assert told.returncode == 5
    assert "Felis ended before its time (signal 9)" in told.stderr
    assert upload(run).returncode == 0
    arrived(panthera, run)


def test_an_interpreter_that_is_not_there_is_told(run):
    replan(run, '"python": ""', '"python": "/no/python"')
    told = upload(run)
    assert told.returncode == 5
    assert "Felis cannot be started with '/no/python': no such file or directory" in told.stderr


def test_every_module_has_a_sequence_of_its_own(two_modules, tmp_path, panthera):
    run = copied(two_modules, tmp_path, url=panthera.url)
    told = upload(run)
    assert told.returncode == 0, told.stderr
    assert [each["about"]["module"] for each in panthera.sequences.values()] == ["R1Q17", "R1Q18"]
    assert [list(each["results"]) for each in panthera.sequences.values()] == [["00_sldo_vi_curves"]] * 2
    files = [set(each["results"]["00_sldo_vi_curves"]["files"]) for each in panthera.sequences.values()]
    assert [len(each) for each in files] == [2, 2], "a table and a ROOT file of each module"
    assert files[0] != files[1]


# A Felis that takes no address


@pytest.fixture
def old(template, tmp_path, panthera):
    """A run, and the environment of a Felis that goes to its own address, which is `panthera`'s."""
    run = copied(template, tmp_path, seed=3)
    replan(run, "http://127.0.0.1:1/placeholder", "")
    return run, environment(FELIS_DOUBLE="no-address chatty", FELIS_DOUBLE_URL=panthera.url)


def test_a_felis_without_an_address_sends_all_at_once(old, panthera):
    run, variables = old
    assert upload(run, env=variables).returncode == 0
    arrived(panthera, run)
    assert states(run) == SENT


def test_a_felis_without_an_address_is_refused_where_the_bench_names_one(run, panthera):
    told = upload(run, env=environment(FELIS_DOUBLE="no-address"))
    assert told.returncode == 5
    assert "take 'url:' out of the bench file" in told.stderr
    assert panthera.requests == []


def test_a_clean_refusal_before_the_first_result_is_clear(old, panthera):
    run, variables = old
    told = upload(run, env=variables, password="wrong")
    assert told.returncode == 5
    assert set(states(run).values()) == {"refused"}
    assert upload(run, env=variables).returncode == 0
    arrived(panthera, run)


@pytest.mark.parametrize("fault", ["close-after", "500 500 500", "killed"])
def test_what_nobody_can_tell_is_unclear_and_a_person_decides(old, panthera, fault):
    run, variables = old
    if fault == "killed":
        panthera.slow_s, panthera.faults = 5.0, ["", "slow"]
        process = start_upload(run, env=variables)
        until(lambda: len(panthera.requests) >= 2)
        process.kill()
        process.communicate()
        until(lambda: adapters(run) == [])
    else:
        panthera.faults = ["", *fault.split()]
        assert upload(run, env=variables).returncode == 5
    assert set(states(run).values()) == {"unclear"}
    count = len(panthera.requests)
    told = upload(run, env=variables)
    assert (told.returncode, len(panthera.requests)) == (5, count), "it is not sent again by itself"
    assert "look in Panthera for 'Night shift' of C2HQ0" in told.stderr
    assert "--arrived" in told.stderr
    assert "--again" in told.stderr
    kept = shutil.copytree(run, run.parent / "20260101-000001-kept")
    assert upload(kept, "--arrived", env=variables, password=None).returncode == 0
    assert len(panthera.requests) == count
    assert upload(run, "--again", env=variables).returncode == 0
    assert list(panthera.sequences[2]["results"]) == NAMES
    assert states(run) == states(kept) == SENT


# TLS


@pytest.fixture
def tls(panthera, tmp_path):
    """Put a certificate that nobody vouches for before the database; give its file."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    panthera.server.socket = context.wrap_socket(panthera.server.socket, server_side=True)
    return certificate


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_nobody_vouches_for_gets_no_password(template, tmp_path, panthera, tls):
    run = copied(template, tmp_path, url=panthera.url.replace("http:", "https:"), seed=4)
    told = upload(run)
    assert told.returncode == 5
    assert "certificate cannot be checked" in told.stderr
    assert panthera.requests == []
    replan(run, '"ca_file": ""', f'"ca_file": "{tls}"')
    (run / "upload.jsonl").unlink()
    told = upload(run)
    assert told.returncode == 0, told.stderr
    arrived(panthera, run)


# The file that runs where Felis is


def interpreters():
    from guard_bench import interpreters as found  # noqa: PLC0415

    return found()


@pytest.mark.parametrize("version", interpreters())
def test_felis_is_called_from_every_python_since_3_8(template, tmp_path, panthera, version):
    run = copied(template, tmp_path, url=panthera.url, seed=5)
    replan(run, '"python": ""', f'"python": "{interpreters()[version]}"')
    told = upload(run)
    assert told.returncode == 0, told.stderr + (run / "upload" / "felis.log").read_text()
    arrived(panthera, run)


def test_the_file_that_runs_where_felis_is_needs_the_standard_library_alone():
    import ast  # noqa: PLC0415

    nodes = ast.walk(ast.parse(INSIDE.read_text()))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    froms = [
        node.module for node in ast.walk(ast.parse(INSIDE.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    assert {name.partition(".")[0] for name in (*names, *froms)} <= set(sys.stdlib_module_names)


def test_nothing_in_the_clear_goes_through_a_proxy(run, panthera):
    """Neither what Felis says to the relay nor what the relay says to a database on this machine."""
    told = upload(
        run, env=environment(HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9", NO_PROXY="x")
    )
    assert told.returncode == 0, told.stderr
    arrived(panthera, run)


def test_a_run_measured_with_a_scan_that_nobody_knows_says_so_and_sends_the_rest(tmp_path, panthera):
    steps = [{"calibration": "custom_sequence", "tuning": ["NewScan", "PixelAlive"]}]
    upload_ = {"to": "felis", "user": "jdoe", "url": panthera.url, "retry_for": "0s"}
    run = measured(tmp_path / "x", upload_, steps=steps)
    told = upload(run)
    assert told.returncode == 5
    assert "'NewScan' is no scan that is known" in told.stderr
    assert "all 1 sent" in told.stderr
    arrived(panthera, run, ["01_PixelAlive"])
