"""What a dirigent's own help says of the calibrations that the catalogue has."""

from collections.abc import Iterator, Sequence

from calseq.doctor.checks import Check, failed, ok, warning
from calseq.doctor.probe import Answer
from calseq.sequence.catalog import Calibration

_SITE = "in the file that `calibrations:` of the bench file names"


def compare(told: Sequence[tuple[Calibration, Answer]], listed: Answer) -> Iterator[Check]:
    """Compare every calibration with its own help, and with the help of dirigent itself, which lists them."""
    lacking = {each.name: _lacking(each, answer) for each, answer in told if answer.is_good}
    silent = {each.name: answer for each, answer in told if not answer.is_good}
    unknown = [name for name, answer in silent.items() if _is_unknown(name, answer, listed)]
    agreeing = [each for each, _ in told if lacking.get(each.name) == []]
    if agreeing:
        yield _agreeing(agreeing, len(told))
    for checks in lacking.values():
        yield from checks
    if unknown:
        cure = "leave them out of sequences; what goes by another name here, add in the site's calibrations"
        yield warning("unknown", f"this dirigent does not know {', '.join(unknown)}", cure)
    yield from _silent({name: answer.ending for name, answer in silent.items() if name not in unknown})


def _is_unknown(name: str, answer: Answer, listed: Answer) -> bool:
    return "no such command" in answer.text.lower() or listed.lacks(name)


def _agreeing(agreeing: Sequence[Calibration], total: int) -> Check:
    which = f"all {total}" if len(agreeing) == total else f"{len(agreeing)} of {total}"
    options = sum(len(_always(each)) + len(each.options) for each in agreeing)
    return ok("calibrations", f"{which} are as the catalogue has them, with {options} options")


def _lacking(calibration: Calibration, told: Answer) -> list[Check]:
    """Say which options of the catalogue this dirigent lacks; those that it is always given would fail every run."""
    name, checks = calibration.name, []
    always = [flag for flag in _always(calibration) if told.lacks(flag)]
    if always:
        finding = f"this dirigent has no {', '.join(always)}, which is given at every run"
        checks.append(failed(name, finding, f"{_SITE}: `{name}: {_corrected(calibration, always)}`"))
    lost = [option for option in calibration.options.values() if told.lacks(option.flag)]
    if lost:
        finding = f"this dirigent has no {', '.join(option.flag for option in lost)}"
        gone = ", ".join(f"{option.name}: null" for option in lost)
        cure = f"{_SITE}: `{name}: {{options: {{{gone}}}}}`, or its flag as it is here"
        checks.append(warning(name, finding, cure))
    return checks


def _always(calibration: Calibration) -> list[str]:
    """Give the options that it is given at every run."""
    tuning = [calibration.tuning.flag] if calibration.tuning and calibration.tuning.flag else []
    return [*(flag.partition("=")[0] for flag in calibration.flags if flag.startswith("-")), *tuning]


def _corrected(calibration: Calibration, lost: Sequence[str]) -> str:
    if calibration.tuning and calibration.tuning.flag in lost:
        return f"{{tuning: {{form: {calibration.tuning.form}, flag: ...}}}}"
    kept = ", ".join(flag for flag in calibration.flags if flag not in lost)
    return f"{{flags: [{kept}]}}"


def _silent(endings: dict[str, str]) -> Iterator[Check]:
    """Say what kept calibrations from telling their options, once for all that were kept by the same."""
    for ending in dict.fromkeys(endings.values()):
        names = [name for name, its in endings.items() if its == ending]
        finding = f"the help of {', '.join(names)} {ending}"
        yield warning("no help", finding, f"see what is wrong: `dirigent {names[0]} --help`")
