import fcntl
import io
import itertools
import os
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from console_runs import a_plan, a_step, good_run, stamped, step_start, stopped, until_tuning

from calseq.console.live import Live
from calseq.console.screen import Dark, ScreenLostError, Threaded, open_screen, suits_live
from calseq.console.writer import Outlet, outlet
from calseq.model.events import Stamped, StepProgressed, StopAsked
from calseq.record.view import begin, fold

TERM = {"TERM": "xterm-256color"}
HERE = Path(__file__).parent
PYTHON_PATH = {"PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1])))}


@contextmanager
def writing_to(descriptor, encoding="utf-8"):
    """A stream as a program has it; its closing is the fixture's business."""
    stream = open(descriptor, "w", encoding=encoding, errors="strict", closefd=False)  # noqa: SIM115
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()


def set_size(descriptor, columns, rows):
    termios.tcsetwinsize(descriptor, (rows, columns))


class Reader(threading.Thread):
    """A person's terminal: reads all that comes, and can be asked to wait for something."""

    def __init__(self, descriptor):
        super().__init__(daemon=True)
        # its own: a number that a test has closed is soon another test's terminal
        self.descriptor = os.dup(descriptor)
        self.seen = b""
        self.more = threading.Condition()
        self.start()

    def run(self):
        with suppress(OSError):
            while octets := os.read(self.descriptor, 4096):
                with self.more:
                    self.seen += octets
                    self.more.notify_all()
        os.close(self.descriptor)

    def wait_for(self, octets, timeout_s=20.0):
        with self.more:
            assert self.more.wait_for(lambda: octets in self.seen, timeout_s), self.seen


class Recorder:
    """An artist that draws nothing and remembers what was asked of it."""

    def __init__(self, *, period_s=1.0, held=None, error=None):
        self.calls = []
        self.seen = []
        self.period_s = period_s
        self.held = held
        self.error = error
        self.drawn = threading.Event()

    def see(self, stamped):
        self.seen.append(stamped)
        return isinstance(stamped.event, StopAsked)

    def show(self, now_t):
        if self.held:
            self.held.wait()
        if self.error:
            raise self.error
        self.calls.append((time.monotonic(), now_t))
        self.drawn.set()
        return self.period_s

    def hide(self, parting=""):
        self.calls.append(("hide", parting))

    def parting(self):
        return "goes on"


def progress(seq, t=1.0):
    return Stamped(seq, 0.0, t, StepProgressed(1, 1, 1, 2, "x"))


def test_importing_the_console_and_plain_output_needs_no_rich():
    code = (
        "import sys, io, pathlib\n"
        "import calseq.console, calseq.console.screen, calseq.console.summary, calseq.console.planview\n"
        "from console_runs import a_plan, good_run, stamped\n"
        "screen = calseq.console.screen.open_screen(sys.stdout, a_plan(), pathlib.Path('.'), environ={})\n"
        "for each in stamped(good_run(a_plan())): screen(each)\n"
        "assert screen.close()\n"
        "assert 'rich' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=PYTHON_PATH, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "step 3/5 iv_curve started (attempt 2)" in done.stdout


def test_pictures_are_for_terminals_that_can_show_them(terminal):
    with writing_to(terminal["program"]) as stream:
        assert suits_live(stream, TERM)
        assert not suits_live(stream, {"TERM": "dumb"})
        assert not suits_live(stream, {})
        assert not suits_live(stream, {**TERM, "CI": "true"})
    assert not suits_live(stream, TERM)
    assert not suits_live(io.StringIO(), TERM)


def test_no_screen_is_a_screen_too(tmp_path):
    screen = open_screen(io.StringIO(), a_plan(), tmp_path, mode="none", environ={})
    assert isinstance(screen, Dark)
    screen(progress(1))
    screen.hang_up()
    screen.resume()
    assert screen.suspend()
    assert screen.close()


def test_a_live_run_on_a_terminal_and_the_terminal_as_it_was_afterwards(terminal, tmp_path):
    set_size(terminal["program"], 80, 24)
    log = tmp_path / "steps" / "04-tune_1000" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"\x1b]0;owned\x07\x1b[31mhello\x1b[0m [/foo] \xff\n")
    reader = Reader(terminal["person"])
    with writing_to(terminal["program"]) as stream:
        screen = open_screen(stream, a_plan(), tmp_path, environ=TERM)
        for each in stamped(until_tuning(a_plan())):
            screen(each)
        reader.wait_for("│ ".encode())
        reader.wait_for(b"hello [/foo] ")
        reader.wait_for(b"ThresholdAdjustment_")
        assert screen.close()
    assert b"owned" not in reader.seen
    assert reader.seen.startswith(b"\x1b[?1049h\x1b[?25l")
    reader.wait_for(b"\x1b[?25h\x1b[?1049l")


def test_a_terminal_of_another_encoding_gets_ascii_and_no_colour_when_told(terminal, tmp_path):
    set_size(terminal["program"], 80, 24)
    reader = Reader(terminal["person"])
    with writing_to(terminal["program"], "latin-1") as stream:
        screen = open_screen(stream, a_plan(title="Pañ"), tmp_path, environ={**TERM, "NO_COLOR": "1"})
        for each in stamped(until_tuning(a_plan())):
            screen(each)
        reader.wait_for(b"Pa\\xf1")
        reader.wait_for(b"tune_1000")
        assert screen.close()
    reader.wait_for(b"\x1b[?1049l")
    assert reader.seen.isascii()
    assert b"\x1b[31m" not in reader.seen
    assert b"\x1b[32m" not in reader.seen


@pytest.mark.parametrize("mode", ["live", "plain"])
def test_a_terminal_stopped_by_ctrl_s_delays_nothing(terminal, tmp_path, mode):
    plan = a_plan(tuple(a_step(n, "voltage_trimming", name=f"s{n}") for n in range(1, 1001)))
    termios.tcflow(terminal["program"], termios.TCOOFF)
    with writing_to(terminal["program"]) as stream:
        screen = open_screen(stream, plan, tmp_path, mode=mode, environ=TERM)
        longest_s = 0.0
        for step in plan.steps:
            for _, event in step_start(step, 1.0):
                before = time.perf_counter()
                screen(Stamped(step.number, 0.0, float(step.number), event))
                longest_s = max(longest_s, time.perf_counter() - before)
        before = time.perf_counter()
        assert not screen.suspend(0.1)
        assert not screen.close(0.2)
        assert time.perf_counter() - before < 2.0
        assert longest_s < 0.5
        # after Ctrl-Q, all that waited is shown and the terminal given back
        reader = Reader(terminal["person"])
        termios.tcflow(terminal["program"], termios.TCOON)
        assert screen.close(5.0)
    reader.wait_for({"live": b"\x1b[?1049l", "plain": b"step 1000/1000 s1000 started"}[mode])


def test_a_program_ends_though_its_terminal_is_stuck(terminal):
    termios.tcflow(terminal["program"], termios.TCOOFF)
    code = (
        "import sys, pathlib, threading\n"
        "from calseq.console.screen import open_screen\n"
        "from console_runs import a_plan, a_step\n"
        "drawing = threading.Event()\n"
        "size = lambda: drawing.set() or (200, 100)\n"
        "steps = tuple(a_step(n, 'voltage_trimming', name=f's{n}' * 20) for n in range(1, 100))\n"
        "environ = {'TERM': 'xterm'}\n"
        "screen = open_screen(sys.stdout, a_plan(steps), pathlib.Path('.'), environ=environ, size=size)\n"
        "assert drawing.wait(10)\n"
        "print('shut' if screen.close(1.0) else 'stuck', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=PYTHON_PATH,
        stdin=subprocess.DEVNULL,
        stdout=terminal["program"],
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr.split()) == (0, [b"stuck"])


def calls_that_raise(screen, count):
    """Call the screen with events that are worth a line; give what it said of its loss."""
    lost = []
    for each in stamped(until_tuning(a_plan()))[:count]:
        try:
            screen(each)
        except ScreenLostError as error:
            lost.append(str(error).split(":")[0])
    return lost


@pytest.mark.parametrize("mode", ["live", "plain"])
def test_a_terminal_that_has_gone_is_told_once_and_breaks_nothing(tmp_path, mode):
    person, program = os.openpty()
    os.close(person)
    with writing_to(program) as stream:
        screen = open_screen(stream, a_plan(), tmp_path, mode=mode, environ=TERM)
        # the thread may find out before, at or after the first event
        lost = calls_that_raise(screen, 1)
        assert screen.close()
        assert lost + calls_that_raise(screen, 2) == ["OSError"]
        assert screen.suspend()
        screen.resume()
        assert screen.close()
    os.close(program)


def test_a_full_device_and_a_closed_pipe_break_nothing(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    for descriptor in (writing, full):
        with writing_to(descriptor) as stream:
            screen = open_screen(stream, a_plan(), tmp_path, mode="plain", environ={})
            lost = calls_that_raise(screen, 1)
            assert screen.close()
            assert len(lost + calls_that_raise(screen, 2)) == 1
        os.close(descriptor)


def test_a_pipe_that_does_not_block_still_gets_everything(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    plan = a_plan()
    with writing_to(writing) as stream:
        screen = open_screen(stream, plan, tmp_path, mode="plain", environ={})
        for _, each in itertools.product(range(20), stamped(good_run(plan))):
            screen(each)
        reader = Reader(reading)
        assert screen.close(5.0)
    os.close(writing)
    reader.join(5.0)
    os.close(reading)
    assert reader.seen.count(b"the run has passed") == 20


def test_pictures_come_once_a_second_however_many_events_there_are():
    artist = Recorder()
    screen = Threaded(artist, time.monotonic)
    end = time.monotonic() + 1.3
    for seq in itertools.count(1):
        screen(progress(seq))
        if time.monotonic() > end:
            break
    assert screen.close()
    assert 1 <= len([each for each in artist.calls if each[0] != "hide"]) <= 2


def test_the_answer_to_ctrl_c_does_not_wait_for_the_next_picture():
    artist = Recorder(period_s=60.0)
    screen = Threaded(artist, time.monotonic)
    assert artist.drawn.wait(5.0)
    artist.drawn.clear()
    screen(Stamped(1, 0.0, 1.0, StopAsked("Ctrl-C", 1)))
    assert artist.drawn.wait(5.0)
    assert screen.close()


def test_the_clock_of_a_run_is_found_from_its_events_or_given():
    for started, expected in ((None, 400.0), (100.0, 900.0)):
        artist = Recorder(period_s=0.0)
        screen = Threaded(artist, lambda: 1000.0, started)
        for each in (progress(1, 0.0), progress(2, 400.0), Stamped(3, 0.0, 399.0, StopAsked("Ctrl-C", 1))):
            screen(each)
        assert screen.close()
        assert artist.calls[-2][1] == expected


def test_progress_is_dropped_first_when_nobody_reads():
    gate = threading.Event()
    artist = Recorder(held=gate)
    screen = Threaded(artist, time.monotonic)
    for seq in range(5000):
        screen(progress(seq))
    screen(Stamped(5001, 0.0, 1.0, StopAsked("Ctrl-C", 1)))
    assert not screen.close(0.05)
    gate.set()
    assert screen.close(5.0)
    assert len(artist.seen) < 1100
    assert isinstance(artist.seen[-1].event, StopAsked)


def test_a_fault_in_drawing_is_told_and_the_terminal_given_back():
    artist = Recorder(error=KeyError("x"))
    screen = Threaded(artist, time.monotonic)
    assert screen.close()
    assert artist.calls == [("hide", "")]
    with pytest.raises(ScreenLostError, match="KeyError"):
        screen(progress(1))


def test_suspended_means_hidden_until_resumed():
    artist = Recorder(period_s=0.01)
    screen = Threaded(artist, time.monotonic)
    assert artist.drawn.wait(5.0)
    assert screen.suspend(5.0)
    assert artist.calls[-1] == ("hide", "goes on")
    count = len(artist.calls)
    screen(progress(1))
    artist.drawn.clear()
    assert len(artist.calls) == count
    screen.resume()
    assert artist.drawn.wait(5.0)
    assert artist.seen
    assert screen.close()
    assert artist.calls[-1] == ("hide", "")


def test_after_a_hang_up_nothing_is_written():
    artist = Recorder()
    screen = Threaded(artist, time.monotonic)
    assert artist.drawn.wait(5.0)
    screen.hang_up()
    assert screen.close()
    assert ("hide", "") not in artist.calls
    screen(progress(1))


def test_a_terminal_may_change_its_size_at_any_time(terminal, tmp_path):
    sizes = iter([(1, 1), (20, 3), (0, 0), (500, 100), (80, 24)])
    last = (80, 24)
    reader = Reader(terminal["person"])

    with writing_to(terminal["program"]) as stream:
        view = begin(a_plan())
        for each in stamped(stopped(a_plan())):
            view = fold(view, each)
        live = Live(outlet(stream), view, tmp_path, lambda: next(sizes, last), color=True)
        for now in range(30):
            live.show(700.0 + now)
        live.hide(live.parting())
    reader.wait_for(b"step 4 tune_1000 goes on")


def test_only_lines_that_changed_are_sent(tmp_path):

    stream = io.StringIO()
    live = Live(Outlet(stream, None, "utf-8"), begin(a_plan()), tmp_path, lambda: (80, 24), color=True)
    live.show(0.0)
    whole = len(stream.getvalue())
    live.show(1.0)
    assert 0 < len(stream.getvalue()) - whole < 200
