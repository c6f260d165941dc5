"""Which programs of that name the doctor takes for dirigent, and what it says of the others."""

import shlex
import time

import pytest
from doctor_benches import (
    a_bench,
    a_machine,
    examined,
    faults,
    named,
    program,
    right_dirigent,
    true_dirigent,
)

from calseq.doctor import Status
from calseq.problems.plaintext import printable


@pytest.fixture
def look(tmp_path):
    """Examine a bench whose dirigent is there already."""

    def look(*, patience_s=20.0, **keys):
        return examined(a_machine(tmp_path), a_bench(tmp_path, **keys), patience_s=patience_s)

    return look


def test_the_right_one_is_known_by_its_help_with_its_version_and_all_of_the_catalogue(tmp_path, look):
    path = true_dirigent(tmp_path)
    checks = look()
    assert faults(checks) == []
    assert named(checks, "program").finding == str(path)
    assert named(checks, "project").finding == "the one of CMS: its --help lists iv_curve"
    assert named(checks, "version").finding == "dirigent, version 0 (simulated by calseq)"
    assert named(checks, "calibrations").finding == "all 9 are as the catalogue has them, with 14 options"


def test_no_call_leaves_an_instrument_in_its_hands(tmp_path, look):
    log = tmp_path / "calls"
    right_dirigent(tmp_path, before=f'echo "$@" >> {shlex.quote(str(log))}')
    assert faults(look()) == []
    calls = log.read_text().splitlines()
    assert {"--help", "--version"} < set(calls)
    others = [call for call in calls if call not in ("--help", "--version")]
    assert len(others) == 9
    for call in others:
        assert "--instruments-dict {} --channels-dict {}" in call
        assert call.endswith(" --help")


def test_one_that_cannot_be_kept_from_the_instruments_is_not_asked_for_its_calibrations(tmp_path, look):
    log = tmp_path / "calls"
    right_dirigent(
        tmp_path, before=f'echo "$@" >> {shlex.quote(str(log))}', after="sed /--instruments-dict/d"
    )
    checks = look()
    options = named(checks, "options")
    assert options.status is Status.FAILED
    assert "has no --instruments-dict" in options.finding
    assert named(checks, "calibrations").status is Status.SKIPPED
    assert log.read_text().splitlines() == ["--help", "--version"]


def test_a_stranger_of_that_name_is_told_apart(tmp_path, look):
    program(tmp_path / "bin" / "dirigent", "echo 'dirigent: conducts your containers'")
    checks = look()
    assert named(checks, "project").status is Status.FAILED
    assert "is not the dirigent of CMS: its --help does not list iv_curve" in named(checks, "project").finding
    assert "which -a dirigent" in named(checks, "project").cure
    assert not [check for check in checks if check.name in ("version", "calibrations")]


def test_one_that_is_not_there_is_told_with_where_to_say_it(look):
    check = named(look(dirigent={"command": "no-such-dirigent"}), "program")
    assert (check.status, check.finding) == (Status.FAILED, "'no-such-dirigent' is not found")
    assert "source dirigent's environment" in check.cure


@pytest.mark.parametrize("on_path", [True, False])
def test_one_that_may_not_be_executed_is_told_with_the_command_that_lets_it(tmp_path, on_path):
    path = program(tmp_path / "my bin" / "dirigent", "exit 0")
    path.chmod(0o644)
    machine = a_machine(tmp_path)
    machine.environ["PATH"] = str(path.parent)
    command = "dirigent" if on_path else str(path)
    check = named(examined(machine, a_bench(tmp_path, dirigent={"command": command})), "program")
    assert (check.status, check.finding) == (Status.FAILED, f"{path} may not be executed")
    assert check.cure == f"`chmod +x '{path}'`"


def test_one_whose_interpreter_is_gone_is_not_started(tmp_path, look):
    path = program(tmp_path / "bin" / "dirigent", "")
    path.write_text("#!/no/such/python\n")
    check = named(look(), "project")
    assert check.status is Status.FAILED
    shown = printable(str(path), 80)
    assert check.finding == f"cannot start '{shown}': the interpreter that its first line names is not there"
    assert f"head -1 {path}" in check.cure


def test_one_that_breaks_off_says_its_own_last_word(tmp_path, look):
    program(tmp_path / "bin" / "dirigent", "echo 'ImportError: libPh_Ph2_System.so' >&2; exit 1")
    check = named(look(), "project")
    assert check.finding.endswith("ended with exit code 1: ImportError: libPh_Ph2_System.so")
    assert "source dirigent's environment" in check.cure


HANGING = {
    "gentle": "exec sleep 600",
    "stubborn": "trap '' TERM INT; while :; do sleep 1; done",
    "with a helper in a session of its own": "setsid sleep 600 & sleep 600",
}


@pytest.mark.parametrize("body", HANGING.values(), ids=HANGING.keys())
def test_one_that_hangs_is_ended_with_all_it_started(tmp_path, look, body):
    program(tmp_path / "bin" / "dirigent", body)
    began = time.monotonic()
    check = named(look(patience_s=0.3), "project")
    assert check.status is Status.FAILED
    assert "did not end in 0.3 s and was ended" in check.finding
    assert time.monotonic() - began < 5


def test_one_that_prints_for_ever_is_ended_long_before_the_disk_is_full(tmp_path, look):
    program(tmp_path / "bin" / "dirigent", "exec yes")
    began = time.monotonic()
    assert named(look(), "project").status is Status.FAILED
    assert time.monotonic() - began < 5


def test_one_that_wants_an_answer_gets_none(tmp_path, look):
    program(tmp_path / "bin" / "dirigent", 'read answer || { echo "no answer"; exit 3; }')
    assert "ended with exit code 3: no answer" in named(look(), "project").finding


def test_an_option_that_it_lacks_is_named_with_the_lines_for_the_sites_file(tmp_path, look):
    right_dirigent(tmp_path, after="sed -e /--both-ways/d -e /--temp-mon/d")
    checks = look()
    assert faults(checks) == [named(checks, "iv_curve")]
    check = named(checks, "iv_curve")
    assert check.status is Status.WARNING
    assert check.finding == "this dirigent has no --both-ways, --temp-mon"
    assert "iv_curve: {options: {both_ways: null, temp_mon: null}}" in check.cure
    assert named(checks, "calibrations").finding.startswith("8 of 9 are as the catalogue has them")


def test_the_cure_for_a_lacking_option_cures_it(tmp_path, look):
    right_dirigent(tmp_path, after="sed /--both-ways/d")
    site = tmp_path / "calibrations.yaml"
    site.write_text("calseq-calibrations: 1\ncalibrations:\n  iv_curve: {options: {both_ways: null}}\n")
    assert faults(look(calibrations=site.name)) == []


def test_an_argument_that_every_run_gives_must_be_there(tmp_path, look):
    right_dirigent(tmp_path, after="sed -e 's/-w, //' -e 's/  -s JSON/  -q JSON/'")
    checks = look()
    curve, tests = named(checks, "iv_curve"), named(checks, "custom_sequence")
    assert (curve.status, tests.status) == (Status.FAILED, Status.FAILED)
    assert "has no -w, which is given at every run" in curve.finding
    assert curve.cure.endswith("`iv_curve: {flags: []}`")
    assert tests.cure.endswith("`custom_sequence: {tuning: {form: tests, flag: ...}}`")


def test_a_flag_of_every_call_that_it_lacks_is_failed_with_the_flags_it_has(tmp_path, look):
    right_dirigent(tmp_path, after="sed /--no-monitoring/d")
    check = named(look(), "options")
    assert check.status is Status.FAILED
    assert check.cure == "in the bench file: `dirigent: {flags: [-p, -l, -m]}`"


def test_calibrations_that_it_does_not_know_are_named(tmp_path, look):
    refusal = "echo \"Error: No such command '$x'.\" >&2; exit 2"
    right_dirigent(
        tmp_path,
        before=f'for x in "$@"; do case $x in voltage_trimming|crosstalk_method) {refusal};; esac; done',
    )
    checks = look()
    assert faults(checks) == [named(checks, "unknown")]
    assert (
        named(checks, "unknown").finding == "this dirigent does not know voltage_trimming, crosstalk_method"
    )
    assert named(checks, "calibrations").finding.startswith("7 of 9 ")


def test_a_reason_that_silences_many_calibrations_is_told_once(tmp_path, look):
    right_dirigent(tmp_path, before='case "$*" in *directory*) echo "Error: bad config" >&2; exit 1;; esac')
    checks = look()
    check = named(checks, "no help")
    assert check.finding.startswith("the help of iv_curve, sldo_vi_curves, ")
    assert check.finding.endswith(" ended with exit code 1: Error: bad config")
    assert not [check for check in checks if check.name == "calibrations"]


def test_a_calibration_whose_help_hangs_keeps_nobody_waiting(tmp_path, look):
    right_dirigent(tmp_path, before='case "$*" in *voltage_trimming*) exec sleep 600;; esac')
    check = named(look(patience_s=1.5), "no help")
    assert check.finding == "the help of voltage_trimming did not end in 1.5 s"


def test_one_that_does_not_tell_its_version_is_no_worse_for_it(tmp_path, look):
    right_dirigent(tmp_path, before='case "$1" in --version) exit 2;; esac')
    checks = look()
    assert faults(checks) == []
    assert named(checks, "version").status is Status.SKIPPED


def test_a_calibration_of_the_site_is_asked_for_too(tmp_path, look):
    right_dirigent(tmp_path)
    entry = "{type: general, summary: ours, needs: [lv]}"
    (tmp_path / "site.yaml").write_text(f"calseq-calibrations: 1\ncalibrations: {{source_scan: {entry}}}\n")
    assert "source_scan" in named(look(calibrations="site.yaml"), "unknown").finding


def test_it_is_found_and_run_with_the_benchs_own_variables(tmp_path):
    right_dirigent(tmp_path)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    bench = a_bench(tmp_path, dirigent={"command": "dirigent"}, env={"PATH": path})
    assert faults(examined(a_machine(tmp_path), bench)) == []


def test_a_command_of_several_words_is_asked_as_a_run_would_start_it(tmp_path, look):
    program(tmp_path / "bin" / "with", 'shift; exec "$@"')
    words = ["bin/with", "environment", str(right_dirigent(tmp_path))]
    checks = look(dirigent={"command": words})
    assert faults(checks) == []
    assert named(checks, "program").finding.startswith(f"{tmp_path}/bin/with environment ")


def test_without_a_bench_a_missing_dirigent_is_a_doubt_and_no_failure(tmp_path):
    machine = a_machine(tmp_path)
    machine.environ["PATH"] = str(tmp_path)
    assert named(examined(machine, None), "program").status is Status.WARNING
