"""The dirigent that a run would start: is it there, is it the one of CMS, and can calseq drive it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from calseq.bench.bench import FLAGS, Bench
from calseq.doctor.calibrations import compare
from calseq.doctor.checks import Check, Status, failed, ok, quoted, skipped
from calseq.doctor.probe import Answer, Asking
from calseq.model.plan import PowerMode
from calseq.planning.compiler import SIMULATED_DIRIGENT
from calseq.sequence.catalog import Catalog, builtin

_SIGN_OF_CMS = "iv_curve"
_OWNED = ("--instruments-dict", "--channels-dict", "--directory")


class _Dirigent(Struct, frozen=True):
    """The dirigent that a run would start, and what calseq would ask of it."""

    command: tuple[str, ...]
    config: Path | None
    flags: tuple[str, ...]
    catalog: Catalog
    simulated: bool = False

    def empty_handed(self, folder: str) -> tuple[str, ...]:
        """Give the command with the global options that leave no instrument in its hands."""
        config = ("-C", str(self.config)) if self.config else ()
        owned = zip(_OWNED, ("{}", "{}", folder), strict=True)
        return (*self.command, *config, *(word for pair in owned for word in pair))


def examine_dirigent(bench: Bench | None, refused: str, ask: Asking) -> Iterator[Check]:
    """Ask the bench's dirigent, or the one on the PATH, for its help, its version and each calibration's help."""
    if refused:
        yield skipped("program", "the bench file that says which is refused")
    elif bench is None:
        yield from map(_softened, _examined(_Dirigent(("dirigent",), None, FLAGS, builtin()), ask))
    else:
        simulated = bench.mode is PowerMode.SIMULATED
        command = SIMULATED_DIRIGENT if simulated else bench.command
        yield from _examined(_Dirigent(command, bench.config, bench.flags, bench.catalog, simulated), ask)


def _softened(check: Check) -> Check:
    """A bench may name another dirigent: what is wrong with this one keeps nothing from running."""
    return replace(check, status=Status.WARNING) if check.status is Status.FAILED else check


def _examined(dirigent: _Dirigent, ask: Asking) -> Iterator[Check]:
    found = ask.find(dirigent.command[0])
    if found is None:
        yield _not_found(dirigent.command[0], ask)
        return
    yield ok("program", " ".join((found, *dirigent.command[1:])))
    told = ask.one(*dirigent.command, "--help")
    unlike = _unlike_cms(told, found)
    if unlike:
        yield unlike
        return
    whose = "SIMULATED, calseq's stand-in" if dirigent.simulated else "the one of CMS"
    yield ok("project", f"{whose}: its --help lists {_SIGN_OF_CMS}")
    yield _version(ask.one(*dirigent.command, "--version"))
    yield _options(dirigent, told)
    yield from _calibrations(dirigent, told, ask)


def _not_found(program: str, ask: Asking) -> Check:
    there = ask.find(program, mode=os.F_OK)
    if there:
        return failed("program", f"{there} may not be executed", f"`chmod +x {quoted(there)}`")
    cure = "source dirigent's environment first, or set `dirigent: {command: ...}` in the bench file"
    return failed("program", f"'{program}' is not found", cure)


def _unlike_cms(told: Answer, found: str) -> Check | None:
    """Say what tells it from the dirigent of CMS, if anything does."""
    if told.not_started:
        cure = f"see that it runs in your shell, and its interpreter: `head -1 {quoted(found)}`"
        return failed("project", told.not_started, cure)
    if told.exit is None:
        finding = f"'{found} --help' {told.ending} and was ended"
        return failed("project", finding, f"see what it waits for: `{quoted(found)} --help`")
    if not told.lacks(_SIGN_OF_CMS):
        return None
    if not told.is_good:
        finding = f"'{found} --help' {told.ending}"
        return failed("project", finding, "source dirigent's environment first: what it needs is not there")
    finding = f"{found} is not the dirigent of CMS: its --help does not list {_SIGN_OF_CMS}"
    cure = "another project installs that name: `which -a dirigent` lists all, set `dirigent: {command: ...}`"
    return failed("project", finding, cure)


def _version(told: Answer) -> Check:
    if told.is_good and told.lines:
        return ok("version", told.lines[0][:200])
    return skipped("version", "it does not tell its version")


def _options(dirigent: _Dirigent, told: Answer) -> Check:
    config = ("-C",) if dirigent.config else ()
    lost = [option for option in (*config, *_OWNED) if told.lacks(option)]
    if lost:
        finding = f"this dirigent has no {', '.join(lost)}, without which calseq cannot drive it"
        return failed("options", finding, "use a dirigent whose `dirigent --help` lists them")
    flags = [flag for flag in dirigent.flags if flag.startswith("-")]
    unknown = [flag for flag in flags if told.lacks(flag.partition("=")[0])]
    if unknown:
        known = ", ".join(flag for flag in dirigent.flags if flag not in unknown)
        finding = f"this dirigent has no {', '.join(unknown)}, which every call is given"
        return failed("options", finding, f"in the bench file: `dirigent: {{flags: [{known}]}}`")
    return ok("options", f"knows {' '.join((*config, *flags, *_OWNED))}")


def _calibrations(dirigent: _Dirigent, told: Answer, ask: Asking) -> Iterator[Check]:
    """Ask every calibration for its help, a few at once, if it can be kept from the instruments."""
    if any(told.lacks(option) for option in _OWNED):
        yield skipped("calibrations", "without these options their help could reach for the instruments")
        return
    calibrations = list(dirigent.catalog.calibrations.values())
    with tempfile.TemporaryDirectory(prefix="calseq-doctor-") as folder:
        command = dirigent.empty_handed(folder)
        answers = ask.all([(*command, calibration.name, "--help") for calibration in calibrations])
    if len(answers) == len(calibrations):  # else a stop was asked for
        yield from compare(list(zip(calibrations, answers, strict=True)), told)
