import io
from datetime import UTC
from pathlib import Path

from console_runs import (
    a_plan,
    a_step,
    failed_run,
    good_run,
    resumed_run,
    stamped,
    step_start,
    stopped,
    unsafe_run,
    until_tuning,
)

from calseq.console.plain import Plain
from calseq.console.writer import Outlet
from calseq.model.plan import PowerMode
from calseq.record.view import begin


def told(events, plan=None, *, encoding="utf-8"):
    plan = plan or a_plan()
    stream = io.StringIO()
    plain = Plain(Outlet(stream, None, encoding), begin(plan), Path("/nowhere"), zone=UTC)
    for each in stamped(events(plan)):
        plain.see(each)
    return stream.getvalue()


def test_a_good_a_failed_a_stopped_and_an_unsafe_run_in_lines(golden):
    for name, events in {
        "good": good_run,
        "failed": failed_run,
        "stopped": lambda plan: stopped(plan, 3),
        "unsafe": unsafe_run,
        "resumed": resumed_run,
    }.items():
        golden(f"plain-{name}.txt", told(events))


def test_a_run_whose_rails_nobody_controls_reports_no_switching(golden):
    text = told(good_run, a_plan(mode=PowerMode.DIRIGENT))
    assert "switched" not in text
    golden("plain-dirigent.txt", text)


def test_every_line_has_its_time_and_is_printable_whatever_the_names():
    hostile = "\x1b[2J[/foo]\u202e\n"
    step = a_step(1, "calibrate_module", name=hostile)
    plan = a_plan((step,), title=hostile, bench=hostile)
    text = told(
        lambda plan: [*until_tuning(a_plan())[:2], *step_start(plan.steps[0], 5, parts=(hostile,))], plan
    )
    for line in text.splitlines():
        assert line.startswith("2026-11-23 ")
        assert line.isprintable()
    assert "\\e[2J[/foo]\\u202e\\n" in text


def test_a_stream_that_is_not_utf8_gets_ascii():
    step = a_step(1, "calibrate_module", name="è")
    text = told(lambda plan: step_start(plan.steps[0], 5), a_plan((step,)), encoding="ascii")
    assert "step 1/1 \\xe8 started" in text


def test_a_heartbeat_comes_when_nothing_was_said_for_a_while(tmp_path):
    plan = a_plan()
    log = tmp_path / "steps" / "04-tune_1000" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("hello\n")
    stream = io.StringIO()
    plain = Plain(Outlet(stream, None, "utf-8"), begin(plan), tmp_path, zone=UTC)
    for each in stamped(until_tuning(plan)):
        plain.see(each)
    said = len(stream.getvalue())
    assert plain.show(460.0) <= 60
    plain.show(511.9)
    assert stream.getvalue()[said:] == ""
    plain.show(512.0)
    plain.show(513.0)
    assert stream.getvalue()[said:] == (
        "2026-11-23 02:08:32  step 4/5 tune_1000 has run for 1m 02s, usually 40m, "
        "2/2 ThresholdAdjustment_1000, silent for 52s\n"
    )


def test_there_is_no_heartbeat_between_steps():
    plan = a_plan()
    stream = io.StringIO()
    plain = Plain(Outlet(stream, None, "utf-8"), begin(plan), Path("/nowhere"), zone=UTC)
    plain.show(1000.0)
    assert stream.getvalue() == ""
