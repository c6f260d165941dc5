"""Calibrations that only the site knows, as its catalogue describes them: what the stand-in plays beside dirigent's own."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from calseq.model.rails import StepType
from calseq.sequence.catalog import Calibration, Catalog, adhoc, builtin, with_site
from calseq.simulator.script import SCRIPTS, Script

CATALOG_VARIABLE = "CALSEQ_CALIBRATIONS"
"""Names the site's calibrations file."""

TYPE_VARIABLE = "CALSEQ_TYPE"
"""Names the type of a step's calibration, which is all that is known of one that only its sequence has."""

_USUAL_S = 60.0
_LIKE = {
    StepType.IVCURVE: "iv_curve",
    StepType.SLDO: "sldo_vi_curves",
    StepType.OPENBUMPS: "crosstalk_method",
}


def named() -> tuple[str, ...]:
    """Give the names of the calibrations that the site adds or changes.

    Raises:
        OSError: its file cannot be read.
    """
    return tuple(sorted(_catalog().site))


def described(name: str) -> Calibration | None:
    """Calibration as the site, or the step that is run, describes it; None of one that is dirigent's own.

    Raises:
        OSError: the site's file cannot be read.
        ValueError: the type is none.
    """
    catalog = _catalog()
    if name in catalog.site:
        return catalog.calibrations.get(name)
    type_ = os.environ.get(TYPE_VARIABLE)
    if name in builtin().calibrations or not type_:
        return None
    found, like = adhoc(name, StepType(type_)), builtin().calibrations["iv_curve"]
    is_curve = found.type is StepType.IVCURVE
    return replace(found, options=like.options, sweep_end=like.sweep_end) if is_curve else found


def script(calibration: Calibration, parts: Sequence[str] = ()) -> Script:
    """Give what a calibration prints and when; `parts` are the tests of a tuning."""
    like = SCRIPTS.get(_LIKE.get(calibration.type, ""))
    scanned = calibration.type in (StepType.TUNING, StepType.OPENBUMPS)
    usual = (calibration.name,) if scanned else ("Configure chips", "Measure", "Write results")
    return Script(
        calibration.name,
        calibration.type,
        calibration.usual_s or _USUAL_S,
        tuple(parts) or (like.parts if like else usual),
        scanned=scanned,
        unit=like.unit if like else "",
    )


def sweep(calibration: Calibration, options: Mapping[str, object]) -> tuple[float, float, float]:
    """Give start, end and step of an IV curve in volts, by the options that a site's calibration has for them."""
    turned = -1.0 if calibration.sweep_positive and options.get(calibration.sweep_positive) else 1.0
    start_v, end_v = _number(options, "start_voltage", 0.0), _number(options, calibration.sweep_end, -80.0)
    return start_v * turned or 0.0, end_v * turned or 0.0, abs(_number(options, "step_size", 5.0)) or 5.0


def _number(options: Mapping[str, object], name: str, default: float) -> float:
    value = options.get(name)
    return float(value) if isinstance(value, (int, float)) else default


@cache
def _catalog() -> Catalog:
    path = os.environ.get(CATALOG_VARIABLE)
    if not path:
        return builtin()
    from calseq.documents.document import open_text  # noqa: PLC0415 - only a site with calibrations of its own pays for it
    from calseq.documents.yaml_reader import read_yaml  # noqa: PLC0415

    document = read_yaml(open_text(Path(path)))
    if document.is_refused:
        raise OSError(f"{path}: {document.problems[0].message}")
    return with_site(document)
