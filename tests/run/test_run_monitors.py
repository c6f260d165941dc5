"""Monitors look before the first move and all through a run; one that finds something amiss ends it, or warns."""

import os
import sys
import time
from pathlib import Path

import pytest

from calseq.model.events import MonitorRead
from calseq.model.plan import Monitor
from calseq.run.monitors import Probe, Watchers
from calseq.system.process import NotStarted


class Site:
    """A clock that is set by hand, and real commands."""

    def __init__(self, *monitors):
        self.now_s, self.said = 100.0, []
        self.watchers = Watchers(monitors, start=self.start, tell=self.said.append, clock=lambda: self.now_s)

    def start(self, monitor, at_s):
        return Probe(monitor, cwd="/", environment=dict(os.environ), at_s=at_s)

    def look_until(self, count):
        due_s = time.monotonic() + 20
        while len(self.said) < count and time.monotonic() < due_s:
            self.watchers.look()
        assert len(self.said) == count
        return self.watchers.look()


def monitor(code, **fields):
    return Monitor("dew point", (sys.executable, "-c", code), **fields)


def children_of_us():
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = children_of_us()
    yield
    assert children_of_us() <= before


def test_what_a_monitor_prints_goes_to_the_record():
    site = Site(monitor("print('3.2 C')"))
    assert site.watchers.first(time.sleep) == ""
    assert site.said == [MonitorRead("dew point", True, "3.2 C")]


def test_a_monitor_that_says_no_ends_the_run_with_its_own_words():
    site = Site(monitor("print('wet'); raise SystemExit(3)"))
    assert site.watchers.first(time.sleep) == "monitor 'dew point' says stop (exit code 3: wet)"
    assert not site.said[0].ok


def test_a_monitor_that_only_warns_ends_nothing():
    site = Site(monitor("raise SystemExit(1)", on_failure="warn"))
    assert site.watchers.first(time.sleep) == ""
    assert site.said == [MonitorRead("dew point", False, "", "exit code 1")]


def test_a_monitor_looks_again_after_its_interval_and_not_before():
    site = Site(monitor("pass", every_s=10.0))
    site.look_until(1)
    site.now_s += 9.9
    assert site.look_until(1) == ""
    site.now_s += 0.2
    site.look_until(2)


def test_a_monitor_that_does_not_answer_in_time_is_ended_and_counts_as_no():
    site = Site(monitor("import time; time.sleep(60)", timeout_s=5.0))
    site.watchers.look()
    site.now_s += 5.0
    assert site.look_until(1) == "monitor 'dew point' says stop (no answer within 5 s)"


def test_a_monitor_that_cannot_be_started_counts_as_no():
    site = Site(Monitor("door", ("/nowhere/door",)))
    assert "monitor 'door' says stop (cannot start '/nowhere/door'" in site.watchers.first(time.sleep)


def test_closing_ends_a_look_that_is_under_way():
    site = Site(monitor("import time; time.sleep(60)"))
    site.watchers.look()
    site.watchers.close()
    assert site.said == []


def test_a_probe_says_why_it_could_not_start():
    with pytest.raises(NotStarted, match="cannot start"):
        Probe(Monitor("door", ("/nowhere/door",)), cwd="/", environment={}, at_s=0.0)
