"""The simulated supplies of a bench, shared by all who open its folder, with a record of every move."""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from calseq.model.rails import Reading, Readings, Role, StepType
from calseq.simulator import faults as misbehaviours
from calseq.simulator import interlocks
from calseq.simulator.faults import Misbehaviour
from calseq.simulator.interlocks import HARD_OFF_V, Level
from calseq.simulator.sensor import leakage_a
from calseq.simulator.state import Exchange, Holder, State, StateFiles, SupplyError
from calseq.simulator.wiring import Channels, Instruments, Output, Wiring, wire

__all__ = ["SimulatedBench", "SupplyError"]

SETUP = "setup.json"


class SimulatedBench(Struct, frozen=True):
    """A bench of simulated supplies in a folder.

    Every move is a locked update of the folder's state. Like real supplies these have no interlocks: what
    breaks one is recorded and happens all the same. `wiring` is what this opener may move, `whole` all
    there is.
    """

    files: StateFiles
    instruments: Instruments
    channels: Channels
    wiring: Wiring
    whole: Wiring
    speed: float
    faults: Mapping[str, str]
    breakdown_v: float
    power: Misbehaviour

    @classmethod
    def create(
        cls,
        folder: Path,
        instruments: Instruments,
        channels: Channels,
        *,
        speed: float,
        faults: Mapping[str, str] | None = None,
        breakdown_v: float = -200.0,
    ) -> "SimulatedBench":
        """Make a bench in a folder, everything off; a bench that is there already is not overwritten.

        Raises:
            ValueError: the dictionaries, the speed or the faults make no sense.
            FileExistsError: there is a bench already.
        """
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be above 0, and is {speed}")
        misbehaviours.check(faults or {})
        wiring = wire(instruments, channels)
        folder.mkdir(parents=True, exist_ok=True)
        setup = {
            "instruments": instruments,
            "channels": channels,
            "speed": speed,
            "faults": dict(faults or {}),
            "breakdown_v": breakdown_v,
        }
        with (folder / SETUP).open("x") as file:
            json.dump(setup, file, indent=1)
        levels = {output.name: Level() for output in wiring.outputs}
        StateFiles(folder).create(State(levels, breakdown_v))
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> "SimulatedBench":
        """Open an existing bench."""
        setup = json.loads((folder / SETUP).read_bytes())
        wiring = wire(setup["instruments"], setup["channels"])
        power = misbehaviours.of_power(setup["faults"])
        return cls(StateFiles(folder), wiring=wiring, whole=wiring, power=power, **setup)

    def given(self, instruments: Instruments, channels: Channels) -> "SimulatedBench":
        """The same bench, restricted to the instruments and channels that these two dictionaries name.

        Raises:
            SupplyError: they name an instrument or an output that this bench does not have.
        """
        wiring = wire(instruments, channels)
        outputs = {output.name for output in self.whole.outputs}
        for name in [*instruments, *(output.name for output in wiring.outputs)]:
            if name not in self.whole.roles and name not in outputs:
                raise SupplyError(f"{name}: no such instrument on the simulated bench")
        return SimulatedBench(
            self.files, instruments, channels, wiring, self.whole,
            self.speed, self.faults, self.breakdown_v, self.power,
        )  # fmt: skip

    def acquire(self, roles: Iterable[Role], who: str) -> None:
        """Open the instruments of these roles for this process: all of them or, if one is held, none.

        Raises:
            SupplyError: another live process holds one; that it was tried is an interlock violation.
        """
        names = self.wiring.instruments(roles)
        me = Holder.me(who)
        with self.files.exchange() as exchange:
            held = _held_by_others(exchange.state, names)
            exchange.record(who, "acquire", held, instruments=names)
            if held:
                raise SupplyError("; ".join(held))
            exchange.state.holders.update(dict.fromkeys(names, me))

    def release(self, roles: Iterable[Role], who: str) -> None:
        """Close this process's handles on the instruments of these roles."""
        names = self.wiring.instruments(roles)
        with self.files.exchange() as exchange:
            holders = exchange.state.holders
            mine = [name for name in names if name in holders and holders[name].is_me]
            for name in mine:
                del holders[name]
            if mine:
                exchange.record(who, "release", instruments=mine)

    def readings(self) -> Readings:
        """Read both rails; over several outputs, the one furthest from safe."""
        if "unreadable" in self.power:
            return Readings()
        levels = self.files.read().levels
        hv = _furthest([levels[output.name] for output in self.wiring.of(Role.HV)])
        if "hv-reads-nan" in self.power:
            hv = Reading(hv.on, math.nan, hv.current_a)
        return Readings(_furthest([levels[output.name] for output in self.wiring.of(Role.LV)]), hv)

    def outputs(self, role: Role) -> dict[str, Reading]:
        """Read each output of a rail; none where they cannot be read."""
        if "unreadable" in self.power:
            return {}
        levels = self.files.read().levels
        each = {output.name: levels[output.name] for output in self.wiring.of(role)}
        return {name: Reading(level.on, level.volts, level.amps) for name, level in each.items()}

    def lv_on(self, who: str) -> None:
        """Switch LV on at the defaults of each output."""
        self._answer("lv-on")
        self._set_lv(who, {output: (output.volts, output.amps) for output in self.wiring.of(Role.LV)})

    def set_lv(self, who: str, *, amps: float | None = None, volts: float | None = None) -> None:
        """Drive LV to a current or a voltage, as a sweep does; what is not given stays at its default."""
        wanted = {
            output: (output.volts if volts is None else volts, output.amps if amps is None else amps)
            for output in self.wiring.of(Role.LV)
        }
        self._set_lv(who, wanted)

    def lv_off(self, who: str) -> None:
        """Switch LV off."""
        self._answer("lv-off")
        if not any(level.on for level in self._levels(Role.LV)):
            return
        with self.files.exchange() as exchange:
            for output in self.wiring.of(Role.LV):
                if exchange.state.levels[output.name].on:
                    broken = interlocks.lv_moved(self.whole, exchange.state.levels, output, "switched off")
                    _move(exchange, who, "lv-off", output, Level(), broken=broken)

    def hv_on(self, who: str, volts: float | None = None) -> None:
        """Switch HV on and ramp it to a voltage, by default each output to its own."""
        self._answer("hv-on")
        targets = {output: output.volts if volts is None else volts for output in self.wiring.of(Role.HV)}
        self._drive_hv(who, targets, biasing=True)

    def set_hv(self, who: str, volts: float) -> None:
        """Drive HV to a point of an IV sweep, which may lie beyond the breakdown voltage."""
        self._drive_hv(who, dict.fromkeys(self.wiring.of(Role.HV), volts), biasing=False)

    def hv_off(self, who: str, *, ramp: bool = True) -> None:
        """Ramp HV to 0 V and switch it off; without the ramp that is hard, and above 10 V a violation."""
        self._answer("hv-off")
        levels = self.files.read().levels
        outputs = [output for output in self.wiring.of(Role.HV) if levels[output.name].on]
        if ramp:
            high = [output for output in outputs if abs(levels[output.name].volts) > HARD_OFF_V]
            self._ramp(who, dict.fromkeys(high, 0.0), biasing=False)
        if not outputs:
            return
        left = Level(False, self.power.value("hv-residual") or 0.0)
        with self.files.exchange() as exchange:
            for output in outputs:
                broken = interlocks.hv_cut(exchange.state.levels, output)
                _move(exchange, who, "hv-off", output, left, broken=broken)

    def check_step(self, step_type: StepType, who: str) -> bool:
        """Tell whether the rails are right for a calibration that was not given them; if not, record it."""
        with self.files.exchange() as exchange:
            broken = interlocks.step_run(self.whole, exchange.state.levels, step_type)
            exchange.record(who, "check-step", broken, type=step_type.value)
        return not broken

    def set_breakdown(self, volts: float) -> None:
        """Give the sensors another breakdown voltage."""
        with self.files.exchange() as exchange:
            exchange.state.breakdown_v = volts

    def violations(self) -> tuple[str, ...]:
        """Give every interlock violation so far, by anybody, oldest first."""
        return tuple(text for line in self.files.lines() for text in line.get("violations", ()))

    def actions(self) -> list[dict[str, Any]]:
        """Give the whole power record, oldest first."""
        return self.files.lines()

    def _levels(self, role: Role) -> list[Level]:
        levels = self.files.read().levels
        return [levels[output.name] for output in self.wiring.of(role)]

    def _answer(self, move: str) -> None:
        if not self.power.faults:
            return
        if move == "hv-off" and "hv-off-hangs" in self.power:
            time.sleep(self.power.value("hv-off-hangs") or 60.0)
            raise SupplyError("hv-off: simulated time-out")
        for kind in (f"{move}-fails", "fails-once"):
            if kind in self.power and self._fails_again(kind):
                raise SupplyError(f"{move}: simulated failure ({kind})")

    def _fails_again(self, kind: str) -> bool:
        times = 1.0 if kind == "fails-once" else self.power.value(kind)
        with self.files.exchange() as exchange:
            failed = exchange.state.failures.get(kind, 0)
            exchange.state.failures[kind] = failed + 1
        return times is None or failed < times

    def _set_lv(self, who: str, wanted: Mapping[Output, tuple[float, float]]) -> None:
        levels = self.files.read().levels
        goals = {output: Level(True, *values) for output, values in wanted.items()}
        goals = {output: level for output, level in goals.items() if levels[output.name] != level}
        if not goals:
            return
        with self.files.exchange() as exchange:
            for output, level in goals.items():
                was_on = exchange.state.levels[output.name].on
                what, action = ("changed", "lv-set") if was_on else ("switched on", "lv-on")
                broken = interlocks.lv_moved(self.whole, exchange.state.levels, output, what)
                _move(exchange, who, action, output, level, broken=broken)

    def _drive_hv(self, who: str, targets: Mapping[Output, float], *, biasing: bool) -> None:
        levels = self.files.read().levels
        off = [output for output in targets if not levels[output.name].on]
        if off:
            with self.files.exchange() as exchange:
                for output in off:
                    level = exchange.state.levels[output.name]
                    broken = interlocks.hv_raised(self.whole, exchange.state.levels, output)
                    _move(exchange, who, "hv-on", output, Level(True, level.volts, level.amps), broken=broken)
        self._ramp(who, targets, biasing=biasing, told=off)

    def _ramp(
        self, who: str, targets: Mapping[Output, float], *, biasing: bool, told: Sequence[Output] = ()
    ) -> None:
        """Ramp all outputs together, a step and a pause at a time. Those `told` need not hear of LV again."""
        noted = set(told)
        levels = self.files.read().levels
        left = {output: volts for output, volts in targets.items() if levels[output.name].volts != volts}
        while left:
            with self.files.exchange() as exchange:
                for output, volts in left.items():
                    self._step_hv(exchange, output, volts, who=who, biasing=biasing, noted=noted)
                levels = exchange.state.levels
            time.sleep(max(output.delay_s for output in left) / self.speed)
            left = {output: volts for output, volts in left.items() if levels[output.name].volts != volts}

    def _step_hv(
        self,
        exchange: Exchange,
        output: Output,
        target: float,
        *,
        who: str,
        biasing: bool,
        noted: set[Output],
    ) -> None:
        state = exchange.state
        present = state.levels[output.name].volts
        volts = present + max(-output.step_v, min(output.step_v, target - present))
        broken = interlocks.hv_biased(state.levels, output, volts, state.breakdown_v) if biasing else []
        if abs(volts) > abs(present) and output not in noted:
            broken += interlocks.hv_raised(self.whole, state.levels, output)
            noted.add(output)
        amps = sum(leakage_a(volts, state.breakdown_v, module) for module in output.modules)
        compliance = abs(output.amps)
        level = Level(True, volts, max(-compliance, min(compliance, amps)))
        _move(exchange, who, "hv-step", output, level, broken=broken)


def _held_by_others(state: State, names: Iterable[str]) -> list[str]:
    holders = {name: state.holders[name] for name in names if name in state.holders}
    return [
        f"{name} is held by {holder.who} (pid {holder.pid})"
        for name, holder in holders.items()
        if not holder.is_me and holder.alive
    ]


def _move(
    exchange: Exchange, who: str, action: str, output: Output, level: Level, *, broken: Sequence[str]
) -> None:
    """Put an output to a level, whatever that breaks; only a handle of another process prevents it.

    Raises:
        SupplyError: another live process holds the instrument.
    """
    held = _held_by_others(exchange.state, [output.instrument])
    holder = exchange.state.holders.get(output.instrument)
    unheld = [] if held or (holder and holder.is_me) else [f"{output.name} moved without holding it"]
    facts = {"supply": output.name, "on": level.on, "volts": level.volts, "amps": level.amps}
    if held:
        exchange.record(who, f"{action}-refused", held, supply=output.name)
        raise SupplyError("; ".join(held))
    exchange.record(who, action, [*broken, *unheld], **facts)
    exchange.state.levels[output.name] = level


def _furthest(levels: Sequence[Level]) -> Reading:
    if not levels:
        return Reading(False, 0.0, 0.0)
    on = {level.on for level in levels}
    return Reading(
        on.pop() if len(on) == 1 else None,  # half of the outputs on is neither on nor off
        max((level.volts for level in levels), key=abs),
        max((level.amps for level in levels), key=abs),
    )
