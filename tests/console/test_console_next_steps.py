"""What is said to type next after a run: only what does something, and it does what is said."""

import shlex

import pytest
from console_runs import a_plan, failed_run, good_run, unsafe_run
from folder_runs import calseq, left, record, write_run
from msgspec.structs import replace

from calseq.console.next_steps import next_words
from calseq.model.request import Request
from calseq.planning.resume_preview import forbidding, preview
from calseq.record.find import run_folders
from calseq.record.status import Phase, Standing, stand


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The folder in which a run was made whose sensor breaks down before its bias; and its summary."""
    place = tmp_path_factory.mktemp("broken")
    words = "panthera --simulate --speed 5000 --no-report --fault iv_curve=breakdown:-40"
    return place, calseq("execute", *words.split(), cwd=place, code=1)[1]


def the_run(place):
    return max(run_folders(place / "runs"))


def test_no_resumption_is_offered_that_would_run_nothing(broken):
    place, summary = broken
    folder = the_run(place)
    status = calseq("status", cwd=place)[0]
    for text in (summary, status):
        assert f"--resume {folder.name}" not in text
        assert f"--resume runs/{folder.name}" not in text
        assert "calseq logs" not in text
        assert "--resume would run nothing" in text
    assert forbidding(preview(folder)).name == "iv_curve"
    assert "0 run" in calseq("execute", "--resume", "--dry-run", cwd=place)[0]


def test_what_is_offered_instead_measures_the_curve_again_and_goes_on(broken):
    place, _ = broken
    before = len(list(run_folders(place / "runs")))
    command, gap, _ = next_words(stand(the_run(place)))[1].partition("   ")
    assert gap
    calseq(*shlex.split(command)[1:], "--no-report", cwd=place)
    folder = the_run(place)
    steps = stand(folder).record.steps
    assert len(list(run_folders(place / "runs"))) == before + 1
    assert [steps[name] for name in ("iv_curve", "tune_1000", "open_bumps")] == ["passed"] * 3


def test_a_resumption_that_would_run_something_is_offered(tmp_path):
    folder = write_run(tmp_path, failed_run(a_plan()))
    assert f"calseq execute --resume {folder.name}   goes on with it" in next_words(stand(folder))
    assert preview(folder).again == ("iv_curve", "tune_1000", "crosstalk_method")


def test_a_folder_that_does_not_tell_it_has_no_prospect(tmp_path):
    assert preview(tmp_path) is None


def logs(standing):
    return [each for each in next_words(standing) if "calseq logs" in each]


def ended(tmp_path, events, **steps):
    made = record(a_plan(), [event for _, event in events(a_plan())], steps=steps, verdict="failed")
    return Standing(tmp_path / made.run, made, Phase.ENDED, left(Phase.ENDED, True))


def test_the_step_whose_log_is_meant_is_named(tmp_path):
    name = ended(tmp_path, failed_run).name
    assert logs(ended(tmp_path, failed_run, a="passed", b="failed", c="skipped")) == [
        f"calseq logs b --run {name}   shows what failed"
    ]
    assert logs(ended(tmp_path, failed_run, a="passed", b="interrupted", c="skipped")) == [
        f"calseq logs b --run {name}   shows how far it came"
    ]


@pytest.mark.parametrize("how", ["passed", "skipped", "left-out", "not-started", "waiting"])
def test_no_log_is_named_where_none_tells_what_failed(tmp_path, how):
    assert logs(ended(tmp_path, failed_run, a="passed", b=how)) == []


def test_after_a_good_run_and_an_unsafe_one_neither_is_offered(tmp_path):
    for events, safe in ((good_run, True), (unsafe_run, False)):
        made = record(a_plan(), [event for _, event in events(a_plan())])
        standing = Standing(tmp_path / made.run, made, Phase.ENDED, left(Phase.ENDED, safe))
        assert not [each for each in next_words(replace(standing)) if "--resume" in each or "logs" in each]


@pytest.mark.parametrize(
    ("bench", "option"), [("", ""), ("/srv/a bench/bench.yaml", " --bench '/srv/a bench/bench.yaml'")]
)
def test_what_switches_off_a_bench_that_is_not_known_to_be_off_names_that_bench(tmp_path, bench, option):
    made = replace(record(a_plan(), []), request=Request("panthera", bench))
    for phase in (Phase.ENDED, Phase.DIED):
        words = next_words(Standing(tmp_path / made.run, made, phase, left(phase, False)))
        assert words[:2] == (
            "read HV and LV at the supplies",
            f"calseq power off{option}   tries HV off, then LV off, and tells what it reads",
        )
