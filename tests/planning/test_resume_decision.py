"""What is kept, from events alone: never more than what is proved to have passed, whatever became of the file."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from run_doubles import BUMPS, CURVE, GENERAL, SLDO, TUNING, Deed, World, plan_of, steps_of

from calseq.console.resumption import resumption_text
from calseq.measurement.curves import IvCurve, IvPoint
from calseq.measurement.witnesses import Breakdowns, Witnesses
from calseq.model import events
from calseq.model.events import RunEnded, RunResumed, Stamped, StepEnded, StepSkipped, StepStarted
from calseq.model.plan import Dictionaries, Environment, InputFile, Simulation
from calseq.model.verdicts import RunVerdict, Verdict
from calseq.planning.resumption import differences, resume
from calseq.record.journal import cut_tail, encode, scan
from calseq.record.past import Past, past
from calseq.run.executor import Beginning

PLAN = plan_of(steps_of(GENERAL, CURVE, TUNING, BUMPS))
NAMES = [step.name for step in PLAN.steps]
MEASURED = IvCurve("data/02-c/IV.csv", "", tuple(IvPoint(float(-volts), -1e-7) for volts in range(0, 125, 5)))


def left(content, curves_sha256="c" * 64):
    """Make what a curve left: a breakdowns.json, and a healthy sensor's curve."""
    return Witnesses(Breakdowns(content), (MEASURED,), curves_sha256)


FOUND = left(b'{"0": -120}')


def started(name, attempt=1):
    return StepStarted(NAMES.index(name) + 1, name, attempt, "log", f"data/{name}.{attempt}")


def ended(name, verdict=Verdict.PASSED, attempt=1, **fields):
    return StepEnded(NAMES.index(name) + 1, name, attempt, verdict, 1.5, **fields)


def resumed(kept=(), again=()):
    return RunResumed(1, "me", "0", "plan.2.json", "d2", tuple(kept), tuple(again))


def told(*happened):
    return [Stamped(n, 100.0 + n, float(n), event) for n, event in enumerate(happened, 1)]


def lines(*happened):
    return b"".join(map(encode, told(*happened)))


def tried(name, verdict=Verdict.PASSED, attempt=1, **fields):
    return started(name, attempt), ended(name, verdict, attempt, **fields)


G, C, T, B = NAMES
CURVED = {"breakdowns_sha256": FOUND.breakdowns.sha256, "curves_sha256": "c" * 64}
STORY = (*tried(G), *tried(C, **CURVED), *tried(T, Verdict.FAILED), *tried(T, attempt=2), started(B))


# --- the past ---


def test_the_last_word_on_a_step_counts():
    found = past(told(*STORY))
    assert [*found.passed] == [G, C, T]
    assert found.attempts == {G: 1, C: 1, T: 2, B: 1}
    assert found.passed[T].directory == f"data/{T}.2"
    assert found.fates[B] == "interrupted in attempt 1: it has no end"
    assert (found.seq, found.t) == (len(STORY), len(STORY))


@pytest.mark.parametrize(
    ("later", "fate"),
    [
        ((started(G, 2),), "interrupted in attempt 2: it has no end"),
        (tried(G, Verdict.FAILED, 2, reason="exit code 3"), "failed: exit code 3"),
        ((StepSkipped(1, G, "no bias"),), "skipped: no bias"),
        ((resumed([C]),), "changed, and has not passed since"),
    ],
    ids=["started again", "failed", "skipped", "to run again"],
)
def test_a_step_that_passed_once_is_not_kept_if_something_followed(later, fate):
    found = past(told(*tried(G), *tried(C), *later))
    assert [*found.passed] == [C]
    assert found.fates[G] == fate


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.PASSED])
def test_no_other_verdict_is_kept(verdict):
    assert past(told(*tried(G, verdict))).passed == {}


def test_a_pass_without_a_beginning_is_no_proof():
    assert past(told(ended(G))).passed == {}


def test_the_plan_in_force_is_the_last_that_was_told():
    assert (past([]).plan, past([]).digest) == ("plan.json", "")
    found = past(told(*tried(G), resumed([G])))
    assert (found.plan, found.digest) == ("plan.2.json", "d2")


@pytest.mark.parametrize(
    ("after", "is_over"),
    [
        ((RunEnded(RunVerdict.PASSED, 0, 1.0),), True),
        ((RunEnded(RunVerdict.PASSED, 0, 1.0), events.ListenerDropped("screen", "gone")), True),
        ((RunEnded(RunVerdict.FAILED, 1, 1.0),), False),
        ((RunEnded(RunVerdict.PASSED, 0, 1.0), resumed(NAMES)), False),
        ((), False),
    ],
)
def test_a_run_is_over_when_all_passed_and_its_last_end_was_good(after, is_over):
    happened = [event for name in NAMES for event in tried(name, **CURVED)]
    found = past(told(*happened, *after))
    assert resume(found, PLAN, PLAN, {C: FOUND}).is_over is is_over


# --- damage: every cut, every bit ---


def truth(content):
    """What passed by whole lines of a journal, read without any of calseq."""
    passed = {}
    for line in content.split(b"\n")[:-1]:
        data = json.loads(line)
        if data["event"] in ("step-started", "step-ended"):
            passed[data["name"]] = data.get("verdict") == "passed"
    return {name for name, good in passed.items() if good}


def test_a_journal_cut_at_any_byte_keeps_what_whole_lines_say_and_no_more():
    content = lines(*STORY)
    for cut in range(len(content) + 1):
        reading = scan(content[:cut])
        found = past(reading.stamped)
        assert reading.torn is (reading.wrong != "")
        assert reading.good_bytes == content[:cut].rfind(b"\n") + 1
        assert {*found.passed} == truth(content[:cut])
        again = resume(found, PLAN, PLAN, {C: FOUND}).again
        assert {*again} == {*NAMES} - truth(content[:cut])


SMALL = lines(*tried(G), started(C))


def test_no_flipped_bit_makes_a_step_pass():
    good = scan(SMALL).stamped
    for place in range(len(SMALL) * 8):
        content = bytearray(SMALL)
        content[place // 8] ^= 1 << place % 8
        reading = scan(bytes(content))
        assert reading.stamped == good[: len(reading.stamped)], place
        assert reading.wrong, place
        whole = SMALL[: reading.good_bytes]
        assert {*past(reading.stamped).passed} == truth(whole), place


@given(st.data())
def test_no_damage_of_any_kind_makes_a_step_pass(data):
    content = bytearray(lines(*STORY))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=6) | st.just(bytes(600)) | st.just(b"\n"))
        content[start : start + data.draw(st.integers(0, 40))] = piece
    reading = scan(bytes(content))
    assert reading.stamped == tuple(told(*STORY))[: len(reading.stamped)]
    assert {*past(reading.stamped).passed} == truth(lines(*STORY)[: reading.good_bytes])


def test_damage_with_good_lines_behind_it_is_not_a_torn_end():
    content = lines(*STORY)
    broken = content.replace(b'"attempt":1', b'"attempt":9', 1)
    assert (scan(broken).wrong != "", scan(broken).torn) == (True, False)
    last = content[: content.rindex(b"\n", 0, -1) + 1] + b"\0" * 4096
    assert scan(last).torn


def test_a_torn_end_is_copied_before_it_is_cut_off_and_never_over_another(tmp_path):
    path = tmp_path / "events.jsonl"
    content = lines(*STORY)
    for number in (1, 2):
        path.write_bytes(content + b"torn %d" % number)
        cut_tail(path, scan(path.read_bytes()).good_bytes)
        assert path.read_bytes() == content
    assert (tmp_path / "events.torn-1.jsonl").read_bytes() == b"torn 1"
    assert (tmp_path / "events.torn-2.jsonl").read_bytes() == b"torn 2"


# --- what changed ---

WIRING = Dictionaries(
    {"lv_1": {"default_voltage": 4.0}, "hv_1": {"default_voltage": -50}, "ab_1": {}},
    {"0": {"lv": {"instrument": "lv_1"}, "hv": {"instrument": "hv_1"}, "ab": {"instrument": "ab_1"}}},
)
WIRED = replace(
    PLAN, wiring=WIRING, inputs=(InputFile("dirigent", "/d.toml", "a"), InputFile("sequence", "/s", "a"))
)


def with_entry(name, **fields):
    instruments = {**WIRING.instruments, name: fields}
    return replace(WIRED, wiring=Dictionaries(instruments, WIRING.channels))


def with_step(which, **fields):
    steps = tuple(replace(step, **fields) if step.name == which else step for step in WIRED.steps)
    return replace(WIRED, steps=steps)


def changed_in(new):
    return {step.name: differences(WIRED, new, step) for step in new.steps if differences(WIRED, new, step)}


@pytest.mark.parametrize(
    ("new", "changes"),
    [
        (WIRED, {}),
        (with_step(T, timeout_s=1.0, retries=4, usual_s=3.0, line=9, stop_grace_s=60.0, number=7), {}),
        (with_step(T, argv=("dirigent", "x")), {T: ("command: tuning is now x",)}),
        (with_step(T, outputs=()), {T: ("files it must leave",)}),
        (with_step(T, type=BUMPS), {T: ("calibration",)}),
        (with_step(C, sweep_end_v=-90.0), {C: ("end of the sweep",)}),
        (with_step(T, name="new"), {"new": ("it was not in the plan",)}),
        (with_entry("hv_1", default_voltage=-60), dict.fromkeys((C, T, B), ("instruments",))),
        (with_entry("lv_1", default_voltage=5.0), dict.fromkeys(NAMES, ("instruments",))),
        (with_entry("ab_1", resource="x"), {}),
        (replace(WIRED, environment=Environment("/other")), dict.fromkeys(NAMES, ("environment",))),
        (replace(WIRED, inputs=(InputFile("dirigent", "/d.toml", "b"),)), dict.fromkeys(NAMES, ("dirigent.toml",))),
        (replace(WIRED, inputs=(*WIRED.inputs[:1], InputFile("sequence", "/s", "b"))), {}),
        (replace(WIRED, simulation=Simulation(9.0, {T: "hang"})), {T: ("simulated fault",)}),
    ],
)  # fmt: skip
def test_what_a_step_does_is_compared_and_nothing_else(new, changes):
    assert changed_in(new) == changes


def test_a_changed_step_is_never_kept():
    found = past(told(*tried(G), *tried(T)))
    row = resume(found, WIRED, with_step(T, argv=("dirigent", "x")), {}).rows[2]
    assert (row.kept, row.why) == (None, "changed: command: tuning is now x")


def test_another_dirigent_keeps_nothing():
    found = past(told(*tried(G), *tried(T)))
    assert resume(found, PLAN, PLAN, {}, ("dirigent",)).kept == ()


def test_what_is_left_out_is_neither_kept_nor_run():
    new = replace(PLAN, steps=(replace(PLAN.steps[0], left_out="--skip x"), *PLAN.steps[1:]))
    resumption = resume(past(told(*tried(G))), PLAN, new, {})
    assert G not in (*resumption.kept, *resumption.again)


# --- the bias ---


def sha(content):
    return {"breakdowns_sha256": Breakdowns(content).sha256}


@pytest.mark.parametrize(
    ("now", "recorded", "allowed", "reason"),
    [
        (FOUND, CURVED, True, "breakdown at -120 V, bias is -50 V"),
        (left(b'{"0": -119}'), CURVED, False, "its sha256 differs"),
        (left(b""), CURVED, False, "its sha256 differs"),
        (left(None), CURVED, False, "is gone"),
        (FOUND, {}, False, "nothing proves which breakdowns.json"),
        (FOUND, CURVED | {"curves_sha256": ""}, False, "nothing proves which curves"),
        (left(b'{"0": -120}', "d" * 64), CURVED, False, "their sha256 differs"),
        (left(b'{"0": -120}', ""), CURVED, False, "their sha256 differs"),
        (left(b'{"0": -40}'), CURVED | sha(b'{"0": -40}'), False, "not safely below"),
        (left(b'{"0": null}'), CURVED | sha(b'{"0": null}'), True, "no breakdown found"),
        (
            replace(left(b'{"0": null}'), curves=()),
            CURVED | sha(b'{"0": null}'),
            False,
            "there is no curve",
        ),
    ],
)
def test_the_decision_is_taken_again_and_every_doubt_means_no(now, recorded, allowed, reason):
    found = past(told(*tried(C, **recorded)))
    decided = resume(found, PLAN, PLAN, {C: now}).decided
    assert [(each.step, each.allowed) for each in decided] == [(2, allowed)]
    assert reason in decided[0].reason


def test_a_curve_that_runs_again_decides_itself():
    found = past(told(*tried(G), *tried(C, Verdict.FAILED)))
    assert resume(found, PLAN, PLAN, {C: FOUND}).decided == ()


def test_what_a_kept_decision_will_skip_is_not_said_to_run():
    found = past(told(*tried(G), *tried(C)))
    resumption = resume(found, PLAN, PLAN, {})
    assert (resumption.again, resumption.barred) == ((), (T, B))
    assert not resumption.is_over
    shown = resumption_text(resumption, "", Path("run"), 200, color=False, ascii=True)
    assert "2 of 4 steps are kept, 0 run, 2 are skipped for lack of bias" in shown
    assert shown.count("to skip") == 2
    assert "no bias: nothing proves which breakdowns.json" in shown
    assert "to run" not in shown


def test_a_curve_that_runs_again_bars_nothing():
    found = past(told(*tried(G), *tried(C, Verdict.FAILED)))
    assert resume(found, PLAN, PLAN, {}).again == (C, T, B)


# --- the executor that goes on ---


def gone_on(kept, deeds=None, **fields):
    """Run PLAN with these steps kept; `fields` are of the beginning."""
    found = past(told(*(event for name in kept for event in tried(name, **CURVED))))
    resumption = resume(found, PLAN, PLAN, {C: FOUND})
    beginning = Beginning(
        kept={each.step: each for each in resumption.kept_events()},
        decided={each.step: each for each in resumption.decided},
        **fields,
    )
    world = World()
    outcome = world.run(PLAN, deeds, beginning=beginning)
    assert world.bench.dark
    assert world.bench.broken == []
    return world, outcome


@pytest.mark.parametrize("count", range(5))
def test_kept_steps_are_told_and_not_run_and_the_rails_start_from_off(count):
    world, outcome = gone_on(NAMES[:count])
    assert outcome.exit_code == 0
    assert [event.name for event in world.of(events.StepKept)] == NAMES[:count]
    assert [event.name for event in world.of(StepStarted)] == NAMES[count:]
    assert len(world.of(events.BiasDecided)) == 1
    assert ("hv-bias" in world.moved) is (count < 4)
    assert isinstance(world.events[-1], RunEnded)


def test_a_kept_curve_without_bias_skips_what_needs_it():
    found = past(told(*tried(G), *tried(C)))
    resumption = resume(found, PLAN, PLAN, {})
    beginning = Beginning(
        {e.step: e for e in resumption.kept_events()}, {e.step: e for e in resumption.decided}
    )
    world = World()
    assert world.run(PLAN, beginning=beginning).exit_code == 1
    assert [event.name for event in world.of(StepSkipped)] == [T, B]
    assert world.moved == []


def test_attempts_go_on_counting_and_time_goes_on():
    world, _ = gone_on((), {1: Deed(3)}, first_attempts={1: 4}, elapsed_s=1000.0)
    assert [event.attempt for event in world.of(StepStarted)] == [4]
    assert world.of(RunEnded)[0].duration_s > 1000.0


def test_left_out_steps_are_told_and_the_run_passes():
    steps = [replace(step, left_out="--skip it") if step.number in (1, 3) else step for step in PLAN.steps]
    world = World()
    assert world.run(replace(PLAN, steps=tuple(steps))).exit_code == 0
    assert [event.reason for event in world.of(events.StepLeftOut)] == ["--skip it"] * 2
    assert [event.name for event in world.of(StepStarted)] == [C, B]


def test_an_empty_past_keeps_nothing():
    assert resume(Past(), PLAN, PLAN, {}).again == tuple(NAMES)


def test_a_plan_without_its_supplies_still_compares():
    plan = plan_of(steps_of(SLDO))
    assert differences(plan, plan, plan.steps[0]) == ()
