"""Watching a child: one signal per stage, each reason with its own word, by an injected clock."""

import pytest
from run_doubles import CURVE, GENERAL, Deed, World, ran

from calseq.model import events
from calseq.model.verdicts import Verdict
from calseq.run.supervision import Ending, Stage
from calseq.system.process import Exit
from calseq.system.signals import Stops

INF = 1e9
DEAF = {"SIGINT", "SIGTERM"}


def sent(world):
    """The signals of the only child, each with the second at which it was told."""
    return world.attempts[0].signals


def last(world):
    return world.of(events.StepEnded)[-1]


@pytest.mark.parametrize(
    ("deaf", "signals", "ends_s"),
    [
        ((), ["SIGINT"], 60),
        ({"SIGINT"}, ["SIGINT", "SIGTERM"], 240),
        (DEAF, ["SIGINT", "SIGTERM", "SIGKILL"], 270),
    ],
)
def test_a_time_out_ends_a_child_stage_by_stage_with_its_graces(deaf, signals, ends_s):
    run = ran((GENERAL,), {1: Deed(ends=INF, deaf=deaf)}, timeout_s=60.0)
    ended = last(run.world)
    assert sent(run.world) == signals
    assert (ended.verdict, ended.reason) == (Verdict.TIMED_OUT, "timed out after 60 s")
    assert ends_s <= ended.duration_s < ends_s + 2
    assert run.world.bench.dark


@pytest.mark.parametrize(
    ("presses", "deaf", "signals", "ends_s"),
    [
        ({5: "SIGINT"}, (), ["SIGINT"], 5),
        ({5: "SIGINT", 7: "SIGINT"}, {"SIGINT"}, ["SIGINT", "SIGTERM"], 7),
        ({5: "SIGINT", 7: "SIGINT", 9: "SIGINT"}, DEAF, ["SIGINT", "SIGTERM", "SIGKILL"], 9),
        ({5: "SIGINT", 7: "SIGINT", 9: "SIGINT", 9.5: "SIGINT"}, DEAF, ["SIGINT", "SIGTERM", "SIGKILL"], 9),
        ({5: "SIGTERM"}, {"SIGINT"}, ["SIGINT", "SIGTERM"], 185),
        ({5: "SIGTERM", 7: "SIGTERM", 9: "SIGQUIT"}, {"SIGINT"}, ["SIGINT", "SIGTERM"], 185),
        ({5 + n / 100: "SIGTERM" for n in range(100)}, {"SIGINT"}, ["SIGINT", "SIGTERM"], 185),
        ({5 + n / 30: "SIGINT" for n in range(90)}, {"SIGINT"}, ["SIGINT", "SIGTERM"], 185),
        ({5: "SIGTERM", 5.05: "SIGINT"}, {"SIGINT"}, ["SIGINT", "SIGTERM"], 185),
    ],
    ids=["once", "twice", "thrice", "more", "term", "terms", "term storm", "key held down", "both at once"],
)
def test_presses_escalate_and_a_storm_does_not(presses, deaf, signals, ends_s):
    run = ran((GENERAL, GENERAL), {1: Deed(ends=INF, deaf=deaf)}, world=World(at=presses))
    assert sent(run.world) == signals
    assert ends_s <= last(run.world).duration_s < ends_s + 2
    assert run.world.verdicts == ("interrupted", "skipped")
    assert run.world.bench.dark


def test_exit_0_after_a_stop_is_interrupted():
    world = World(at={5: "SIGINT"})
    run = ran((GENERAL,), {1: Deed(ends=5.5, deaf=DEAF)}, world=world)
    assert (last(world).verdict, last(world).exit_code) == (Verdict.INTERRUPTED, 0)
    assert run.code == 130


def test_exit_0_after_a_time_out_is_timed_out():
    run = ran((GENERAL,), {1: Deed(ends=61, deaf=DEAF)}, timeout_s=60.0)
    assert (last(run.world).verdict, last(run.world).exit_code) == (Verdict.TIMED_OUT, 0)


def test_a_child_that_timed_out_keeps_that_word_when_it_is_also_stopped():
    world = World(at={61: "SIGINT", 62: "SIGINT"})
    run = ran((GENERAL,), {1: Deed(ends=INF, deaf={"SIGINT"})}, timeout_s=60.0, world=world)
    assert last(world).verdict is Verdict.TIMED_OUT
    assert sent(world) == ["SIGINT", "SIGTERM"]
    assert last(world).duration_s < 64
    assert run.code == 130


def test_a_log_beyond_its_limit_ends_the_child():
    run = ran((GENERAL,), {1: Deed(ends=INF, log=2 << 20)}, {"log_limit_bytes": 1 << 20})
    assert "its log passed 1 MiB" in last(run.world).reason
    assert run.world.verdicts == ("failed",)


def test_a_disk_that_is_almost_full_ends_the_child_and_the_run():
    run = ran((GENERAL, GENERAL), {1: Deed(ends=INF, free=50 << 20)}, on_failure="continue", retries=2)
    assert "the disk is almost full: 50 MiB are left" in last(run.world).reason
    assert run.world.verdicts == ("failed", "skipped")


@pytest.mark.parametrize("deaf", [False, True])
def test_what_a_child_leaves_behind_is_ended_and_told_before_the_next_step(deaf):
    run = ran((GENERAL, GENERAL), {1: Deed(left=2, deaf_left=deaf)})
    told = run.world.of(events.LeftoversEnded)[0]
    assert told.processes == ("daemon (4100)", "daemon (4101)")
    assert run.code == 0


def test_what_cannot_be_ended_ends_the_run():
    run = ran((GENERAL, GENERAL), {1: Deed(left=1, deaf_left=None)})
    assert run.world.of(events.LeftoversEnded) == []
    assert "left daemon (4100) behind, and it could not be ended" in run.outcome.reason
    assert run.world.verdicts == ("passed", "skipped")
    assert run.world.bench.dark


def test_a_child_that_even_sigkill_does_not_end_does_not_keep_the_bench_from_being_made_safe():
    deaf = {*DEAF, "SIGKILL"}
    run = ran((GENERAL, GENERAL), {1: Deed(ends=INF, deaf=deaf)}, timeout_s=60.0)
    assert sent(run.world) == ["SIGINT", "SIGTERM", "SIGKILL"]
    assert "even SIGKILL did not end it" in last(run.world).reason
    assert run.world.verdicts == ("timed-out", "skipped")
    assert not run.world.bench.lv


def test_such_a_child_that_holds_the_supplies_leaves_them_unknown():
    run = ran((CURVE,), {1: Deed(ends=INF, deaf={*DEAF, "SIGKILL"})}, timeout_s=60.0)
    assert run.code == 4
    assert "held by" in run.outcome.reason


def test_a_wait_for_an_end_never_spins():
    run = ran((GENERAL,), {1: Deed(ends=3600.0)})
    assert run.world.calls["pause"] <= 3600 + 10


@pytest.mark.parametrize("why", list(Verdict))
@pytest.mark.parametrize("stage", Stage)
def test_what_calseq_ended_has_calseqs_reason(why, stage):
    assert Ending(None, why, "because", stage).judged() == (why, "because")


def test_a_lost_exit_code_is_not_success():
    assert Ending(Exit()).judged()[0] is Verdict.FAILED
    assert Ending().judged()[0] is Verdict.NOT_STARTED


@pytest.mark.parametrize("code", range(1, 256))
def test_every_exit_code_but_0_is_a_failure_with_its_number(code):
    verdict, reason = Ending(Exit(code=code)).judged()
    assert verdict is Verdict.FAILED
    assert reason.startswith(f"exit code {code}")


def test_stops_only_rise():
    now = [0.0]
    stops = Stops(lambda: now[0])
    levels = []
    for cause in ["SIGTERM", "SIGHUP", "SIGINT", "SIGTERM", "SIGINT", "SIGINT", "SIGINT"]:
        now[0] += 1
        stops.ask(cause)
        levels.append(stops.level)
    assert levels == [1, 1, 2, 2, 3, 3, 3]
    assert stops.cause == "SIGTERM"
