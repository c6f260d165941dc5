"""The bell and the window's title: on a terminal where somebody sits, and in no other place."""

import io
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from simulated_runs import a_plan, failed_run, good_run, stamped, unsafe_run

from calseq.console.live import Live
from calseq.console.writer import Outlet
from calseq.model.events import PowerFailed, Stamped, StopAsked
from calseq.record.view import begin

NOWHERE = Path("/nowhere")
KEEP, GIVE_BACK = "\x1b[22;2t", "\x1b]2;\a\x1b[23;2t"


def drawn(events, plan=None, *, signs=True, encoding="utf-8"):
    """Draw each of these events; give what reached the terminal."""
    stream = io.StringIO()
    out = Outlet(stream, None, encoding)
    live = Live(out, begin(plan or a_plan()), NOWHERE, lambda: (80, 24), color=False, signs=signs)
    for each in stamped(events):
        live.see(each)
        live.show(each.t)
    live.hide()
    return stream.getvalue()


def bells(text):
    """Count the bells that ring: the one at the end of a title does not."""
    return text.count("\a") - text.count("\x1b]2;")


def titles(text):
    return [part.partition("\a")[0] for part in text.split("\x1b]2;")[1:]]


def test_the_title_follows_the_steps_and_is_given_back():
    text = drawn(good_run(a_plan()))
    said = list(dict.fromkeys(titles(text)))
    assert [title for title in said if "/" in title] == [
        f"calseq Panthera {number}/5 {name}"
        for number, name in enumerate(
            ("sldo_vi_curves", "voltage_trimming", "iv_curve", "tune_1000", "crosstalk_method"), 1
        )
    ]
    assert "calseq Panthera making safe" in said
    assert text.index(KEEP) < text.index("\x1b]2;calseq")
    assert text.count(KEEP) == text.count(GIVE_BACK) == 1
    assert text.index(GIVE_BACK) > text.rindex("\x1b]2;calseq")


@pytest.mark.parametrize(
    ("events", "count"), [(good_run, 1), (failed_run, 1), (unsafe_run, 4)], ids=["good", "failed", "unsafe"]
)
def test_the_bell_rings_at_the_end_and_for_what_is_grave(events, count):
    assert bells(drawn(events(a_plan()))) == count


def test_a_supply_that_fails_rings_at_once():
    stream = io.StringIO()
    live = Live(
        Outlet(stream, None, "utf-8"), begin(a_plan()), NOWHERE, lambda: (80, 24), color=False, signs=True
    )
    live.see(Stamped(1, 0.0, 0.0, StopAsked("SIGINT", 1)))
    assert stream.getvalue() == ""
    live.see(Stamped(2, 0.0, 0.0, PowerFailed("it does not answer")))
    assert stream.getvalue() == "\a"


def test_without_signs_there_are_none():
    text = drawn(unsafe_run(a_plan()), signs=False)
    assert "\a" not in text
    assert "\x1b]" not in text
    assert KEEP not in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_escape_gets_into_a_title(encoding):
    plan = a_plan(title="a\x1b]0;evil\a\x9c\n\u202eb")
    plan = replace(plan, steps=(replace(plan.steps[0], name="s\a\x1b\\"),))
    for title in titles(drawn(good_run(a_plan())[:4], plan, encoding=encoding)):
        assert title.isprintable()
        assert "\x1b" not in title


def on_a_terminal(folder, **environ):
    """Run a sequence on a real terminal; give all that reached it."""
    person, program = pty.openpty()
    argv = [
        sys.executable,
        "-m",
        "calseq",
        "execute",
        "sensor_iv",
        "--simulate",
        "--speed",
        "500",
        "--runs",
        "runs",
    ]
    known = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=known | environ,
        stdin=program,
        stdout=program,
        stderr=program,
        start_new_session=True,
    )
    os.close(program)
    seen = b""
    with suppress(OSError):  # a terminal whose program has ended
        while more := os.read(person, 65536):
            seen += more
    os.close(person)
    assert process.wait(30) == 0, seen
    return seen.decode()


def test_a_terminal_gets_title_and_bell(tmp_path):
    text = on_a_terminal(tmp_path, TERM="xterm-256color")
    assert "\x1b]2;calseq Sensor IV 1/1 iv_curve\a" in text
    assert GIVE_BACK in text
    assert bells(text) == 1


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}], ids=["dumb", "CI"])
def test_a_dumb_terminal_and_a_robot_get_neither(tmp_path, environ):
    text = on_a_terminal(tmp_path, **environ)
    assert "\a" not in text
    assert "\x1b]" not in text
