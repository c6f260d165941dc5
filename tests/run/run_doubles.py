"""A bench, its supplies and its children in memory, with a clock of their own and a fault at any call."""

from collections import Counter
from types import SimpleNamespace

from calseq.measurement.curves import IvCurve, IvPoint
from calseq.measurement.witnesses import Breakdowns, Witnesses
from calseq.model import events
from calseq.model.events import ResultFile
from calseq.model.plan import BiasSupply, Environment, Module, Output, Plan, PowerMode, Step
from calseq.model.rails import BIASED, BOTH_OFF, RAIL_RULES, Move, Reading, Readings, Role, StepType
from calseq.power.protocol import PowerFault
from calseq.run.attempt import Look, Results
from calseq.run.executor import execute
from calseq.system.process import Exit, Left, NotStarted
from calseq.system.signals import Stops

TARGET_V = -50.0
HEALTHY = IvCurve("data/IV.csv", "M0", tuple(IvPoint(float(-volts), -1e-7) for volts in range(0, 125, 5)))
GENERAL, CURVE, SLDO, TUNING, BUMPS = StepType


def steps_of(*types, **fields):
    """Steps of these types in this order, each with the same further fields."""
    return tuple(step_of(number, types, **fields) for number in range(1, len(types) + 1))


def step_of(number, types, **fields):
    type_ = types[number - 1]
    rule = RAIL_RULES[type_]
    following = RAIL_RULES[types[number]].before if number < len(types) else BOTH_OFF
    biased = type_ is CURVE and following == BIASED
    after = (BIASED if biased else BOTH_OFF) if rule.driven else rule.before
    known = {
        "number": number,
        "name": f"{type_.value}_{number}",
        "calibration": type_.value,
        "type": type_,
        "summary": "",
        "argv": ("dirigent", type_.value),
        "before": rule.before,
        "after": after,
        "given": tuple(sorted(rule.driven)),
        "needs": (),
        "outputs": (Output("*.csv"),),
        "sweep_end_v": -120.0 if type_ is CURVE else None,
        "stop_grace_s": 180.0,
    }
    return Step(**(known | fields))


def plan_of(steps, mode=PowerMode.SIMULATED, **fields):
    module = Module("0", "M0")
    return Plan("t", "", "b", mode, tuple(steps), (), (module,), (BiasSupply("hv", TARGET_V, (module,), 1e-5),),
                Environment("."), **fields)  # fmt: skip


class Bench:
    """The supplies as they are, whoever drives them; like real ones, without interlocks."""

    def __init__(self, breakdown_v=-200.0):
        self.lv, self.hv, self.volts, self.breakdown_v = False, False, 0.0, breakdown_v
        self.holders = {}
        self.broken = []
        self.record = []

    @property
    def dark(self):
        return not self.lv and not self.hv and abs(self.volts) <= 2.0

    def _drive(self, who, role, what):
        self.record.append(f"{who}: {what}")
        if self.holders.get(role) != who:
            self.broken.append(f"{who}: {what} without holding it")

    def set_lv(self, who, on):
        if on is self.lv:
            return
        self._drive(who, Role.LV, f"LV {'on' if on else 'off'}")
        if self.hv or abs(self.volts) > 2.0:
            self.broken.append(f"{who}: LV switched under HV")
        self.lv = on

    def set_hv(self, who, volts, *, bias=False):
        self._drive(who, Role.HV, f"HV {volts:g}")
        if not self.lv:
            self.broken.append(f"{who}: HV on without LV")
        if bias and abs(volts) >= abs(self.breakdown_v):
            self.broken.append(f"{who}: biased beyond the breakdown")
        self.hv, self.volts = True, volts

    def hv_off(self, who, residual=0.0):
        if self.hv or self.volts:
            self._drive(who, Role.HV, "HV off")
        self.hv, self.volts = False, residual

    def check(self, who, step_type):
        """What a child that is given no supply finds."""
        wanted = RAIL_RULES[step_type].before
        right = (True, wanted == BIASED, TARGET_V if wanted == BIASED else 0.0)
        if (self.lv, self.hv, self.volts) != right:
            self.broken.append(f"{who}: runs {step_type.value} with wrong rails")


class MemoryPower:
    """The supplies through calseq's eyes. `refuses` counts, per move, how often it still fails."""

    def __init__(self, world, *, refuses=None, residual=0.0, says=None, replaceable=True):
        self.replaceable, self.cut = replaceable, []
        self.world, self.bench = world, world.bench
        self.refuses, self.residual = Counter(refuses or {}), residual
        self.says = says or (lambda readings: readings)
        self.held = set()
        self.gone, self.watched = "", None

    def read(self):
        self.world.call("read")
        return self._reading()

    def _reading(self):
        bench = self.bench
        return self.says(
            Readings(Reading(bench.lv, 4.0 if bench.lv else 0.0), Reading(bench.hv, bench.volts))
        )

    def move(self, move, is_unwanted=lambda: False):
        self.world.call("move")
        if self.refuses[move] > 0:
            self.refuses[move] -= 1
            raise PowerFault(f"{move} refused")
        {
            Move.HV_OFF: lambda: self.bench.hv_off("calseq", self.residual),
            Move.LV_OFF: lambda: self.bench.set_lv("calseq", False),
            Move.LV_ON: lambda: self.bench.set_lv("calseq", True),
            Move.HV_BIAS: lambda: self.bench.set_hv("calseq", TARGET_V, bias=True),
        }[move]()
        return self._reading()

    def hand_over(self, roles):
        self.world.call("hand_over")
        for role in self.held & set(roles):
            self.held.discard(role)
            del self.bench.holders[role]

    def take_back(self, roles):
        self.world.call("take_back")
        for role in {*roles} & {Role.LV, Role.HV} - self.held:
            if role in self.bench.holders:
                raise PowerFault(f"{role} is held by {self.bench.holders[role]}")
            self.bench.holders[role] = "calseq"
            self.held.add(role)
        return self._reading()

    def violations(self):
        self.world.call("violations")
        return tuple(self.bench.broken)

    def watch(self, child):
        self.world.call("watch")
        self.watched = child and child.pid

    def lost(self):
        self.world.call("lost")
        return self.gone

    def cuts(self):
        found, self.cut = tuple(self.cut), []
        return found

    def finish(self):
        """As the guard does it by itself, or another one in its place."""
        self.world.call("finish_power")
        if not self.replaceable:
            return Readings(), f"{self.gone}, and another one could not take its place"
        reasons = []
        for _ in range(3):
            try:
                self.take_back((Role.LV, Role.HV))
            except PowerFault as fault:
                reasons.append(str(fault))
                continue
            for move in (Move.HV_OFF, Move.LV_OFF):
                readings = self._reading()
                if readings.all_off:
                    return readings, ""
                if move is Move.LV_OFF and not readings.hv_gone:
                    break
                try:
                    self.move(move)
                except PowerFault as fault:
                    reasons.append(str(fault))
        if self.held < {Role.LV, Role.HV}:
            return Readings(), "; ".join(reasons)
        return self._reading(), "; ".join(reasons) or ("" if self._reading().all_off else "not confirmed")

    def close(self):
        pass


class Deed:
    """What an attempt's child does. `ends` is when it ends by itself, `prints` when it prints a line, in seconds;
    `deaf` to which signals it is."""

    def __init__(self, code=0, *, ends=10.0, deaf=(), leaves_on=False, output=True, breakdowns=b'{"0": null}', fresh=True, curves=(HEALTHY,), complaint="",
                 not_started="", left=0, deaf_left=False, dies_of="", log=0, free=1 << 40, prints=()):  # fmt: skip
        self.code, self.ends, self.deaf, self.leaves_on = code, ends, set(deaf), leaves_on
        self.complaint = complaint
        self.output, self.breakdowns, self.fresh, self.curves = output, breakdowns, fresh, curves
        self.not_started, self.left, self.deaf_left, self.dies_of = not_started, left, deaf_left, dies_of
        self.log, self.free, self.prints = log, free, prints


GOOD = Deed()


class ScriptedAttempt:
    """An attempt whose child only says what it would do, and does to the bench what it would do to it."""

    def __init__(self, world, step, number, deed):
        self.log, self.directory, self.limit = f"steps/{step.id}/log.txt", f"data/{step.id}", 0
        self.world, self.step, self.deed = world, step, deed
        self.who = f"{step.name}#{number}"
        self.began_s, self.exit, self.signals, self.finished = None, None, [], False
        self.left_over = []

    @property
    def alive(self):
        return self.began_s is not None and self.exit is None

    def start(self):
        self.world.call("start")
        if self.deed.not_started:
            raise NotStarted(self.deed.not_started)
        self.began_s = self.world.now
        bench = self.world.bench
        for role in self.step.given:
            if role in bench.holders:
                bench.broken.append(f"{self.who}: {role} is held by {bench.holders[role]}")
            bench.holders[role] = self.who
        if Role.LV in self.step.given:
            bench.set_lv(self.who, True)
            if Role.HV in self.step.given:
                bench.set_hv(self.who, -30.0)
        else:
            bench.check(self.who, self.step.type)
        return 4000

    def poll(self):
        self.world.call("poll")
        if self.alive and self.world.now >= self.began_s + self.deed.ends:
            self._end(Exit(signal=self.deed.dies_of) if self.deed.dies_of else Exit(code=self.deed.code))
        return self.exit

    def _end(self, exit_):
        self.exit = exit_
        self.left_over = [Left(4100 + n, "daemon") for n in range(self.deed.left)]
        bench = self.world.bench
        gentle = exit_.signal is None and not self.deed.leaves_on
        if Role.HV in self.step.given and gentle:
            bench.hv_off(self.who)
        if Role.LV in self.step.given and gentle:
            bench.set_lv(self.who, False)
        for role in self.step.given:
            del bench.holders[role]

    def send(self, number):
        self.world.call("send")
        self.signals.append(number.name)
        if self.alive and number.name not in self.deed.deaf:
            self._end(Exit(code=130) if number.name == "SIGINT" else Exit(signal=number.name))

    def left(self):
        self.world.call("left")
        return list(self.left_over)

    def end_left(self, number):
        self.world.call("end_left")
        if (number.name == "SIGKILL" and self.deed.deaf_left is not None) or not self.deed.deaf_left:
            self.left_over = [] if self.deed.deaf_left is not None else self.left_over

    def finish(self):
        self.world.call("finish")
        self.finished = True

    def look(self):
        self.world.call("look")
        printed = sum(at_s <= self.world.now - self.began_s for at_s in self.deed.prints)
        return Look(self.deed.log + 10 * printed, self.deed.free)

    def outputs(self, wanted):
        self.world.call("outputs")
        return (("data/a.csv",), "") if self.deed.output else ((), "no '*.csv' was written")

    def complaint(self, patterns):
        self.world.call("complaint")
        return self.deed.complaint

    def witnesses(self, modules):
        self.world.call("witnesses")
        return Witnesses(Breakdowns(self.deed.breakdowns, self.deed.fresh), self.deed.curves, "c" * 64)

    def results(self, limit_s):
        self.world.call("results")
        self.granted_s = limit_s
        return Results((ResultFile("Run1.root", 4, "0" * 64),), 2)

    def last_lines(self, count):
        return ("the last line",)


class Asked(Stops):
    """Stops that pass the world's time, and do what is due at a moment."""

    def __init__(self, world):
        super().__init__(lambda: world.now)
        self.world = world

    def pause(self, timeout_s):
        self.world.call("pause")
        self.world.pass_time(timeout_s)


class World:
    """All of it, with what raises: `raises` is (name of a call, which one, what)."""

    def __init__(self, *, raises=None, breakdown_v=-200.0, at=None, stop_at_event=None, **power):
        self.now = 0.0
        self.bench = Bench(breakdown_v)
        self.power = MemoryPower(self, **power)
        self.stops = Asked(self)
        self.raises = raises
        self.at = sorted((at or {}).items())
        self.stop_at_event = stop_at_event
        self.calls, self.events, self.attempts = Counter(), [], []

    def call(self, name):
        self.calls[name] += 1
        if self.raises and self.raises[0] == name and self.raises[1] == self.calls[name]:
            raise self.raises[2]

    def pass_time(self, seconds):
        due = self.now + max(seconds, 0.001)
        while self.at and self.at[0][0] <= due:
            self.now, signal = max(self.now, self.at[0][0]), self.at.pop(0)[1]
            self.stops.ask(signal)
            due = self.now
        self.now = due

    def emit(self, event):
        self.events.append(event)
        if self.stop_at_event == len(self.events):
            self.stops.ask("SIGINT")
        self.call("emit")

    def run(self, plan, deeds=None, beginning=None):
        """Run a plan; `deeds` gives the deed of a step and attempt, else all is well."""
        deeds = deeds or {}

        def prepare(step, number):
            self.call("prepare")
            deed = deeds.get((step.number, number)) or deeds.get(step.number) or deeds.get("all") or GOOD
            self.attempts.append(ScriptedAttempt(self, step, number, deed))
            return self.attempts[-1]

        power = self.power if plan.controls_rails else None
        if power:
            power.held = {Role.LV, Role.HV}
            self.bench.holders = dict.fromkeys(power.held, "calseq")
        return execute(
            plan, prepare=prepare, power=power, emit=self.emit, clock=lambda: self.now, stops=self.stops,
            beginning=beginning,
        )  # fmt: skip

    def of(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def verdicts(self):
        """The last word on every step."""
        told = {}
        for event in self.of(events.StepEnded, events.StepSkipped):
            told[event.step] = "skipped" if isinstance(event, events.StepSkipped) else event.verdict.value
        return tuple(told.get(number) for number in sorted(told))

    @property
    def moved(self):
        return [event.move.value for event in self.of(events.RailMoved)]


def ran(types, deeds=None, plan_fields=None, world=None, **fields):
    """Run steps of these types; give what there is to be looked at."""
    world = world or World()
    outcome = world.run(plan_of(steps_of(*types, **fields), **(plan_fields or {})), deeds)
    return SimpleNamespace(world=world, outcome=outcome, code=int(outcome.exit_code))
