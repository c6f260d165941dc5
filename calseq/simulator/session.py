"""One calibration as the stand-in runs it: supplies opened, measured, switched off, closed."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from calseq.model.rails import V_SAFE, Role, StepType
from calseq.simulator import script as scripts
from calseq.simulator.faults import Misbehaviour
from calseq.simulator.misdeeds import BadStatusForOperationError, Ended, misbehave, prepare
from calseq.simulator.script import Cue, Script
from calseq.simulator.supplies import SimulatedBench, SupplyError

_HV_OFF_WAIT_S = 4.0
_LV_OFF_WAIT_S = 6.0
_NEEDED = {StepType.IVCURVE: {Role.LV, Role.HV}, StepType.SLDO: {Role.LV}}


class Session(Struct):
    """A run of one calibration on the supplies it was given; without a `bench` it only takes its time."""

    calibration: str
    who: str
    bench: SimulatedBench | None
    faults: Misbehaviour = field(default_factory=Misbehaviour)
    speed: float = 200.0

    @property
    def given(self) -> set[Role]:
        """The roles whose supplies this calibration may drive."""
        return {output.role for output in self.bench.wiring.outputs} if self.bench else set()

    def run(self, script: Script, leave: Callable[[], list[str]]) -> int:
        """Run the calibration, let it `leave` its files, and give the exit code."""
        prepare(self.faults)
        if self.bench is None:
            self.say("no simulated bench is given: nothing is switched")
        try:
            with _Opened(self):
                self._measure(script, leave)
        except KeyboardInterrupt:
            self.say("interrupted", "WARNING")
            return 130
        except Ended as end:
            return end.code
        except (SupplyError, BadStatusForOperationError, OSError) as error:
            self.say(f"{type(error).__name__}: {error}", "ERROR")
            return 1
        return 0

    def say(self, text: str, level: str = "INFO") -> None:
        """Print a line of dirigent's log."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        _print(f"{now} {level} {self.calibration} - {text}")

    def pause(self, seconds: float) -> None:
        """Let some time pass, at the bench's speed."""
        time.sleep(seconds / self.speed)

    def _measure(self, script: Script, leave: Callable[[], list[str]]) -> None:
        right = self._switch_on(script.type)
        self._play(script)
        if right and self.bench and not self.given:
            self.bench.check_step(script.type, self.who)
        for name in leave():
            self.say(f"wrote {name}")

    def _switch_on(self, step_type: StepType) -> bool:
        """Bring what is given to where the calibration needs it; tell whether what is not given is there."""
        if self.bench is None:
            return True
        missing = _NEEDED.get(step_type, set()) - self.given
        if missing:
            raise SupplyError(f"{self.calibration} needs {', '.join(sorted(missing))}, which was not given")
        if not self.given:
            return self.bench.check_step(step_type, self.who)
        if Role.LV in self.given:
            self.bench.lv_on(self.who)
        if Role.HV in self.given and step_type in (StepType.TUNING, StepType.OPENBUMPS):
            self.bench.hv_on(self.who)
        return True

    def _play(self, script: Script) -> None:
        """Print each cue when it is due; halfway, go wrong if a fault says so."""
        begun = time.monotonic()
        length_s = max(script.seconds - self._switching_s(script), 1.0) / self.speed
        halfway = False
        for cue in scripts.cues(script):
            time.sleep(max(0.0, begun + cue.at * length_s - time.monotonic()))
            self._give(cue, script.type)
            if cue.at >= 0.5 and not halfway:
                halfway = True
                misbehave(self.faults, self.say)
        time.sleep(max(0.0, begun + length_s - time.monotonic()))
        if not halfway:
            misbehave(self.faults, self.say)

    def _switching_s(self, script: Script) -> float:
        """Give how much of a calibration's usual time goes into switching what it was given."""
        ramp_v = abs(script.points[-1]) if script.type is StepType.IVCURVE and script.points else 0.0
        return ramp_v / 5.0 + _HV_OFF_WAIT_S + _LV_OFF_WAIT_S if script.points else 0.0

    def _give(self, cue: Cue, step_type: StepType) -> None:
        if cue.point is not None and self.bench is not None:
            if step_type is StepType.IVCURVE:
                self.bench.set_hv(self.who, cue.point)
            else:
                self.bench.set_lv(self.who, amps=cue.point)
        if cue.raw:
            _print(f"\x1b[1m\x1b[34m|{time.strftime('%H:%M:%S')}|I|\x1b[0m{cue.text}")
        else:
            self.say(cue.text)


class _Opened(Struct, frozen=True):
    """The instruments given to a session, open; at the end off as icicle's cluster does it, then closed."""

    session: Session

    def __enter__(self) -> None:
        bench = self.session.bench
        if bench is not None and bench.instruments:
            bench.acquire(Role, self.session.who)
            self.session.say(f"opened {', '.join(bench.instruments)}")

    def __exit__(self, *_: object) -> None:
        session, bench = self.session, self.session.bench
        if bench is None or not bench.instruments:
            return
        try:
            if session.given:
                self._off(bench)
        finally:
            bench.release(Role, session.who)

    def _off(self, bench: SimulatedBench) -> None:
        session = self.session
        if Role.HV in session.given:
            bench.hv_off(session.who)
            session.say("HV is ramped to 0 V and off")
            session.pause(_HV_OFF_WAIT_S)
            left_v = abs(bench.readings().hv.voltage_v or 0.0)
            if left_v > V_SAFE:
                raise SupplyError(f"{left_v:g} V are left on HV: LV stays on")
        if Role.LV in session.given:
            bench.lv_off(session.who)
            session.say("LV is off")
            session.pause(_LV_OFF_WAIT_S)


def module_names(hybrids: Mapping[str, object]) -> dict[str, str]:
    """Give the names of modules by their channel, from the contents of modules.json as far as they tell."""
    return {
        channel: str(chip["info"].get("module_name", channel))
        for channel, hybrid in hybrids.items()
        if isinstance(hybrid, dict)
        for chip in hybrid.values()
        if isinstance(chip, dict) and isinstance(chip.get("info"), dict)
    }


def _print(line: str) -> None:
    """Print a line; as with `logging`, an output that is closed or full stops nothing."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
