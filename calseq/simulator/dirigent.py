"""The command line of the stand-in for `dirigent`, as the real one has it."""

import json
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import click

from calseq.model.plan import STAND_IN_SAYS
from calseq.sequence.catalog import Calibration
from calseq.simulator import script, site
from calseq.simulator.faults import FAULTS
from calseq.simulator.play import (
    Globals,
    described_by_site,
    open_session,
    play,
    play_curve,
    play_of_site,
    play_scan,
    play_sldo,
)
from calseq.simulator.script import SCRIPTS
from calseq.simulator.session import module_names

_EPILOG = "\b\nFaults that a step of the simulated bench can be given:\n" + "\n".join(
    f"  {name:<22}{text}" for name, text in FAULTS.items()
)


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


class _Dirigent(click.Group):
    """The calibrations of the real one, and those that a site's catalogue adds or changes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_named()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own, described = super().get_command(ctx, cmd_name), described_by_site(cmd_name)
        if described is None:
            return own
        return _of_site(described) if own is None else _widened(own, described)


def _named() -> tuple[str, ...]:
    try:
        return site.named()
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _widened(own: click.Command, described: Calibration) -> click.Command:
    """Give a calibration that takes what a site's has besides; as its catalogue has checked it, anything goes."""
    wider = copy(own)
    wider.allow_extra_args = wider.ignore_unknown_options = True
    wider.params = [_respelt(param, described) for param in own.params]
    return wider


def _respelt(param: click.Parameter, described: Calibration) -> click.Parameter:
    """Give an option under the flag, too, that a site's dirigent has for it."""
    option = described.options.get(param.name or "")
    if option is None or option.flag in param.opts:
        return param
    other = copy(param)
    other.opts = [*param.opts, option.flag]
    return other


_TYPES: Mapping[str, Any] = {"number": click.FLOAT, "integer": click.INT, "text": click.STRING}


def _of_site(described: Calibration) -> click.Command:
    """Make the command of a calibration that only the site knows, with the options of its catalogue."""
    params: list[click.Parameter] = [
        click.Option(
            [option.flag, name],
            type=click.Choice(option.choices) if option.choices else _TYPES.get(option.type),
            is_flag=True if option.type == "switch" else None,
            multiple=option.multiple,
            help=option.description,
        )
        for name, option in described.options.items()
    ]
    tuning = described.tuning
    if tuning and tuning.flag:
        read = _tests if tuning.form == "tests" else None
        params.append(click.Option([tuning.flag, "_tuning"], required=True, callback=read, metavar="STR"))

    def play(**options: Any) -> None:
        play_of_site(described, click.get_current_context().obj, options)

    return click.Command(
        described.name,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        callback=play,
        params=params,
        help=described.summary,
    )


@click.group(cls=_Dirigent, epilog=_EPILOG, context_settings={"max_content_width": 110})
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
@click.version_option(f"0 ({STAND_IN_SAYS})", prog_name="dirigent")
@click.pass_context
def dirigent(ctx: click.Context, /, **options: Any) -> None:
    """Test modules of the CMS Inner Tracker. SIMULATED: a stand-in that touches no hardware."""
    settings = _settings(options["config"])
    ctx.default_map = {name: table for name, table in settings.items() if isinstance(table, dict)}
    module_json = options["module_json"] or settings.get("module_json") or "modules.json"
    ctx.obj = Globals(
        directory=(options["directory"] or Path("Results")).absolute(),
        instruments=options["instruments_dict"],
        channels=options["channels_dict"],
        modules=_modules(Path(module_json)),
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
    sign = -1.0 if options["positive"] else 1.0
    planned = script.voltages(
        options["start_voltage"] * sign or 0.0, options["max_voltage"] * sign or 0.0, options["step_size"]
    )
    session = open_session("iv_curve", settings)
    play_curve(
        session,
        settings,
        SCRIPTS["iv_curve"],
        planned,
        both_ways=options["both_ways"],
        breakdowns=options["write_breakdowns"],
    )


def _currents(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--monitor-from", type=float, help="Accepted.")(command)
    command = click.option("--final-current", type=float, default=1.0, show_default=True)(command)
    return click.option("--start-current", type=float, default=6.0, show_default=True)(command)


@dirigent.command("sldo_vi_curves")
@_currents
@click.pass_obj
def sldo_vi_curves(settings: Globals, /, **options: Any) -> None:
    """Measure the chips' regulators with the probe card."""
    play_sldo("sldo_vi_curves", settings, options)


@dirigent.command("sldo_vi_curves_GADC")
@_currents
@click.pass_obj
def sldo_vi_curves_gadc(settings: Globals, /, **options: Any) -> None:
    """Measure the chips' regulators with the chips' own converters."""
    play_sldo("sldo_vi_curves_GADC", settings, options)


@dirigent.command("voltage_trimming")
@click.pass_obj
def voltage_trimming(settings: Globals, /) -> None:
    """Trim the digital and analogue supply voltages of the chips."""
    play(open_session("voltage_trimming", settings), SCRIPTS["voltage_trimming"], list)


@dirigent.command("calibrate_module")
@click.option("-t", "tuning", required=True, metavar="STR", help="The tuning to carry out.")
@click.pass_obj
def calibrate_module(settings: Globals, /, tuning: str) -> None:
    """Tune a module."""
    session = open_session("calibrate_module", settings)
    session.say(f"tuning: {tuning}")
    play_scan(session, settings, SCRIPTS["calibrate_module"])


@dirigent.command("custom_sequence")
@click.option("-s", "tests", required=True, callback=_tests, metavar="JSON", help="The tests to run.")
@click.pass_obj
def custom_sequence(settings: Globals, /, tests: list[str]) -> None:
    """Run a list of tests."""
    play_scan(open_session("custom_sequence", settings), settings, script.custom(tests))


@dirigent.command(
    "custom_calibration", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.pass_obj
def custom_calibration(settings: Globals, /) -> None:
    """Tune a module in a way of one's own; any arguments are accepted."""
    play_scan(open_session("custom_calibration", settings), settings, SCRIPTS["custom_calibration"])


@dirigent.command("crosstalk_method")
@click.pass_obj
def crosstalk_method(settings: Globals, /) -> None:
    """Look for open bumps by crosstalk."""
    play_scan(open_session("crosstalk_method", settings), settings, SCRIPTS["crosstalk_method"])


@dirigent.command("get_module_info")
@click.option("-r", "trim_bits", type=int, help="Accepted: nothing is overwritten.")
@click.option("-e", "efuse_codes", type=int, help="Accepted: nothing is overwritten.")
@click.pass_obj
def get_module_info(settings: Globals, /, **_options: Any) -> None:
    """Read what the chips tell about themselves."""
    play(open_session("get_module_info", settings), SCRIPTS["get_module_info"], list)


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
