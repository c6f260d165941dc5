"""The command line of the stand-in for `dirigent`, as the real one has it."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from calseq.rails import Role
from calseq.simulator import faults, outputs, script, sweep
from calseq.simulator.faults import FAULTS, Misbehaviour
from calseq.simulator.script import SCRIPTS, Script
from calseq.simulator.session import Session, module_names
from calseq.simulator.supplies import SimulatedBench, SupplyError

BENCH_VARIABLE = "CALSEQ_SIMULATION"
STEP_VARIABLE = "CALSEQ_STEP"
ATTEMPT_VARIABLE = "CALSEQ_ATTEMPT"

_DEFAULT_SPEED = 200.0
_NO_BREAKDOWN_V = -200.0
_COMPLIANCE_A = 1e-5

_EPILOG = "\b\nFaults that a step of the simulated bench can be given:\n" + "\n".join(
    f"  {name:<22}{text}" for name, text in FAULTS.items()
)


class Globals(Struct, frozen=True):
    """What the global options say."""

    directory: Path
    instruments: Mapping[str, Any] | None
    channels: Mapping[str, Any] | None
    modules: Mapping[str, str]


def _object(_ctx: click.Context, _param: click.Parameter, text: str | None) -> dict[str, Any] | None:
    """Read an option's value that is a JSON object."""
    if text is None:
        return None
    data = _json(text)
    if not isinstance(data, dict):
        raise click.BadParameter("not a JSON object")
    return data


def _tests(_ctx: click.Context, _param: click.Parameter, text: str) -> list[str]:
    """Read a JSON list of tests and give their names: if one is an object, all have to be."""
    tests = _json(text)
    if not isinstance(tests, list) or not tests:
        raise click.BadParameter("not a list of tests")
    if all(isinstance(test, str) for test in tests):
        return tests
    if all(isinstance(test, dict) and isinstance(test.get("name"), str) for test in tests):
        return [test["name"] for test in tests]
    raise click.BadParameter("tests are all strings, or all objects with a name")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None


@click.group(epilog=_EPILOG, context_settings={"max_content_width": 110})
@click.option("-C", "--config", type=click.Path(path_type=Path), help="The file with all settings.")
@click.option("-p", "p", is_flag=True, help="Accepted; its meaning is not known.")
@click.option("-l", "l", is_flag=True, help="Accepted; its meaning is not known.")
@click.option("-m", "m", is_flag=True, help="Accepted; its meaning is not known.")
@click.option("--no-monitoring", is_flag=True, help="Accepted; nothing is monitored here.")
@click.option(
    "--instruments-dict", callback=_object, metavar="JSON", help="The instruments that may be touched."
)
@click.option(
    "--channels-dict", callback=_object, metavar="JSON", help="The modules and which instruments serve them."
)
@click.option("--directory", type=click.Path(path_type=Path), help="Where results are written.")
@click.option("--module-json", type=click.Path(path_type=Path), help="The modules.")
@click.option("--instruments", help="Accepted: the instruments are those of the simulated bench.")
@click.option("--ipaddress", help="Accepted; nothing is contacted.")
@click.option("--verbosity", help="Accepted.")
@click.option("--ph2-dir", help="Accepted.")
@click.option("--felis/--no-felis", help="Accepted; nothing is uploaded.")
@click.version_option("0 (simulated by calseq)", prog_name="dirigent")
@click.pass_context
def dirigent(ctx: click.Context, /, **options: Any) -> None:
    """Test modules of the CMS Inner Tracker. SIMULATED: a stand-in that touches no hardware."""
    settings = _settings(options["config"])
    ctx.default_map = {name: table for name, table in settings.items() if isinstance(table, dict)}
    module_json = options["module_json"] or settings.get("module_json")
    ctx.obj = Globals(
        directory=(options["directory"] or Path("Results")).absolute(),
        instruments=options["instruments_dict"],
        channels=options["channels_dict"],
        modules=_modules(Path(module_json)) if module_json else {},
    )


@dirigent.command("iv_curve")
@click.option("-i", "--start-voltage", type=float, default=0.0, show_default=True)
@click.option("-f", "--max-voltage", type=float, default=-80.0, show_default=True)
@click.option("-s", "--step-size", type=click.FloatRange(min=0.1), default=5.0, show_default=True)
@click.option("-d", "--delay", type=click.FloatRange(min=0.0), default=1.0, help="Accepted.")
@click.option("-b", "--both-ways", is_flag=True)
@click.option("-p", "--positive", is_flag=True)
@click.option("-P", "--plot", is_flag=True, help="Accepted: a picture is always written.")
@click.option("-t", "--temp-mon", is_flag=True, help="Accepted.")
@click.option("-v", "--temp-voltage", type=float, help="Accepted.")
@click.option("-w", "--write-breakdowns", is_flag=True)
@click.pass_obj
def iv_curve(settings: Globals, /, **options: Any) -> None:
    """Measure the leakage current of the sensors against their bias."""
    session = _session("iv_curve", settings)
    breakdown_v = _breakdown_v(session)
    sign = -1.0 if options["positive"] else 1.0
    planned = script.voltages(
        options["start_voltage"] * sign or 0.0, options["max_voltage"] * sign or 0.0, options["step_size"]
    )
    names, limit_a = _names(session, settings), _limit_a(session)
    swept = {
        channel: sweep.measure(planned, breakdown_v, name, limit_a, session.faults)
        for channel, name in names.items()
    }
    found = {channel: sweep.first_breakdown(readings) for channel, readings in swept.items()}
    if options["both_ways"]:
        swept = {channel: [*readings, *readings[-2::-1]] for channel, readings in swept.items()}
    longest = max(swept.values(), key=len)

    def leave() -> list[str]:
        files: dict[str, bytes] = {}
        for channel, name in names.items():
            files |= outputs.iv_curve(name, swept[channel], session.faults)
        if options["write_breakdowns"]:
            files |= outputs.breakdowns(found, session.faults)
        return outputs.write(files, settings.directory, session.faults)

    _run(session, SCRIPTS["iv_curve"].with_points([each.set_v for each in longest]), leave)


def _sldo(calibration: str, settings: Globals, start_a: float, final_a: float) -> None:
    session = _session(calibration, settings)
    currents = script.currents(start_a, final_a)

    def leave() -> list[str]:
        files: dict[str, bytes] = {}
        for name in _names(session, settings).values():
            files |= outputs.sldo_curve(name, currents, calibration)
        return outputs.write(files, settings.directory, session.faults)

    _run(session, SCRIPTS[calibration].with_points(currents), leave)


def _currents(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--monitor-from", type=float, help="Accepted.")(command)
    command = click.option("--final-current", type=float, default=1.0, show_default=True)(command)
    return click.option("--start-current", type=float, default=6.0, show_default=True)(command)


@dirigent.command("sldo_vi_curves")
@_currents
@click.pass_obj
def sldo_vi_curves(settings: Globals, /, **options: Any) -> None:
    """Measure the chips' regulators with the probe card."""
    _sldo("sldo_vi_curves", settings, options["start_current"], options["final_current"])


@dirigent.command("sldo_vi_curves_GADC")
@_currents
@click.pass_obj
def sldo_vi_curves_gadc(settings: Globals, /, **options: Any) -> None:
    """Measure the chips' regulators with the chips' own converters."""
    _sldo("sldo_vi_curves_GADC", settings, options["start_current"], options["final_current"])


@dirigent.command("voltage_trimming")
@click.pass_obj
def voltage_trimming(settings: Globals, /) -> None:
    """Trim the digital and analogue supply voltages of the chips."""
    _run(_session("voltage_trimming", settings), SCRIPTS["voltage_trimming"], list)


@dirigent.command("calibrate_module")
@click.option("-t", "tuning", required=True, metavar="STR", help="The tuning to carry out.")
@click.pass_obj
def calibrate_module(settings: Globals, /, tuning: str) -> None:
    """Tune a module."""
    session = _session("calibrate_module", settings)
    session.say(f"tuning: {tuning}")
    _scan(session, settings, SCRIPTS["calibrate_module"])


@dirigent.command("custom_sequence")
@click.option("-s", "tests", required=True, callback=_tests, metavar="JSON", help="The tests to run.")
@click.pass_obj
def custom_sequence(settings: Globals, /, tests: list[str]) -> None:
    """Run a list of tests."""
    _scan(_session("custom_sequence", settings), settings, script.custom(tests))


@dirigent.command(
    "custom_calibration", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.pass_obj
def custom_calibration(settings: Globals, /) -> None:
    """Tune a module in a way of one's own; any arguments are accepted."""
    _scan(_session("custom_calibration", settings), settings, SCRIPTS["custom_calibration"])


@dirigent.command("crosstalk_method")
@click.pass_obj
def crosstalk_method(settings: Globals, /) -> None:
    """Look for open bumps by crosstalk."""
    _scan(_session("crosstalk_method", settings), settings, SCRIPTS["crosstalk_method"])


@dirigent.command("get_module_info")
@click.option("-r", "trim_bits", type=int, help="Accepted: nothing is overwritten.")
@click.option("-e", "efuse_codes", type=int, help="Accepted: nothing is overwritten.")
@click.pass_obj
def get_module_info(settings: Globals, /, **_options: Any) -> None:
    """Read what the chips tell about themselves."""
    _run(_session("get_module_info", settings), SCRIPTS["get_module_info"], list)


def main() -> None:
    """Run the stand-in `dirigent`."""
    try:
        code = dirigent.main(prog_name="dirigent", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    raise SystemExit(code)


def _scan(session: Session, settings: Globals, what: Script) -> None:
    def leave() -> list[str]:
        return outputs.write(outputs.runs(what.parts, settings.directory), settings.directory, session.faults)

    _run(session, what, leave)


def _run(session: Session, what: Script, leave: Callable[[], list[str]]) -> None:
    raise SystemExit(session.run(what, leave))


def _session(calibration: str, settings: Globals) -> Session:
    """Give a calibration its bench and its faults, as the environment names them."""
    step = os.environ.get(STEP_VARIABLE) or calibration
    who = f"dirigent {step}"
    folder = os.environ.get(BENCH_VARIABLE)
    if not folder:
        return Session(calibration, who, None, Misbehaviour(), _DEFAULT_SPEED)
    bench = _bench(Path(folder), settings)
    attempt = int(os.environ.get(ATTEMPT_VARIABLE) or 1)
    misbehaviour = faults.of_step(bench.faults, step, calibration, attempt)
    return Session(calibration, who, bench, misbehaviour, bench.speed)


def _bench(folder: Path, settings: Globals) -> SimulatedBench:
    """Open the bench; what no option restricts is given whole, as the real one reads instruments.json."""
    try:
        bench = SimulatedBench.open(folder)
        instruments = bench.instruments if settings.instruments is None else settings.instruments
        channels = bench.channels if settings.channels is None else settings.channels
        return bench.given(instruments, channels)
    except (OSError, ValueError, AttributeError, SupplyError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from None


def _breakdown_v(session: Session) -> float:
    """Give the breakdown voltage of this IV curve, which the sensors then keep."""
    fault = session.faults.value("breakdown")
    if session.bench is None:
        return _NO_BREAKDOWN_V
    breakdown_v = session.bench.breakdown_v if fault is None else fault
    session.bench.set_breakdown(breakdown_v)
    return breakdown_v


def _limit_a(session: Session) -> float:
    """Give the compliance of the HV supply that a sweep drives, the least of several; in amperes."""
    outputs_ = session.bench.whole.of(Role.HV) if session.bench else ()
    return min((abs(output.amps) for output in outputs_ if output.amps), default=_COMPLIANCE_A)


def _names(session: Session, settings: Globals) -> dict[str, str]:
    """Give the modules that are measured: names by channel, a channel's number where no name is known."""
    channels = list(session.bench.channels) if session.bench else list(settings.channels or {})
    return {channel: settings.modules.get(channel, channel) for channel in channels or ["0"]}


def _settings(config: Path | None) -> dict[str, Any]:
    if config is None or not config.is_file():
        return {}
    import tomllib  # noqa: PLC0415 - only a start with a file pays for it

    try:
        return tomllib.loads(config.read_text())
    except ValueError as error:
        raise click.UsageError(f"{config}: {error}") from None


def _modules(path: Path) -> dict[str, str]:
    try:
        return module_names(json.loads(path.read_bytes())["Hybrid"])
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
