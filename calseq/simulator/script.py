"""What each calibration prints, and when: cues spread over the time that it takes."""

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from calseq.model.rails import StepType

_GREEN, _PLAIN = "\x1b[1m\x1b[32m", "\x1b[0m"
_TICKS = (25, 50, 75, 100)

TUNING_SCANS = (
    "PixelAlive", "ThresholdAdjustment_2000", "ThresholdEqualization", "InjectionDelay", "NoiseScan",
    "ThresholdAdjustment_1000", "SCurveScan_800", "PixelAlive_90percent",
)  # fmt: skip


class Cue(Struct, frozen=True):
    """Something due at a fraction `at` of the measurement: a supply driven to a `point`, then a text.

    A `raw` text is printed as Ph2_ACF prints its own; any other becomes a line of dirigent's log.
    """

    at: float
    text: str
    raw: bool = False
    point: float | None = None


class Script(Struct, frozen=True):
    """A calibration: its type, its full-speed duration and the titles of its parts.

    `scanned` says that each part is a scan of Ph2_ACF; `points` are driven one after another in part 2.
    """

    calibration: str
    type: StepType
    seconds: float
    parts: tuple[str, ...]
    scanned: bool = False
    points: tuple[float, ...] = ()
    unit: str = ""

    def with_points(self, points: Sequence[float]) -> "Script":
        """Give the same script with a sweep over these points."""
        return replace(self, points=tuple(points))


_SLDO = ("Switch low voltage on", "Sweep input current", "Write VI curves")

SCRIPTS = {
    script.calibration: script
    for script in (
        Script("sldo_vi_curves", StepType.SLDO, 90, _SLDO, unit="A"),
        Script("sldo_vi_curves_GADC", StepType.SLDO, 120, _SLDO, unit="A"),
        Script(
            "voltage_trimming",
            StepType.GENERAL,
            120,
            ("Configure chips", "Sweep VDDD trim bits", "Sweep VDDA trim bits", "Choose trim bits"),
        ),
        Script(
            "iv_curve",
            StepType.IVCURVE,
            180,
            ("Switch low voltage on", "Sweep sensor bias", "Find breakdown voltages"),
            unit="V",
        ),
        Script("calibrate_module", StepType.TUNING, 2400, TUNING_SCANS, scanned=True),
        Script("custom_sequence", StepType.TUNING, 180, (), scanned=True),
        Script("custom_calibration", StepType.TUNING, 600, ("CustomCalibration",), scanned=True),
        Script("crosstalk_method", StepType.OPENBUMPS, 300, ("PixelAlive",) * 3, scanned=True),
        Script(
            "get_module_info",
            StepType.GENERAL,
            20,
            ("Read e-fuse codes", "Compare with modules.json", "Replace trim bit settings in modules.json"),
        ),
    )
}
"""Every calibration of the real command line, by name."""


def custom(tests: Sequence[str]) -> Script:
    """Give the script of a custom sequence: its tests are its parts, and each takes its time."""
    script = SCRIPTS["custom_sequence"]
    return replace(script, parts=tuple(tests), seconds=script.seconds * max(len(tests), 1))


def voltages(start: float, stop: float, step: float) -> list[float]:
    """Give the points of an IV sweep to its end."""
    signed = math.copysign(abs(step), stop - start)
    count = math.floor(abs(stop - start) / abs(step) + 1e-9)
    return [start + signed * index for index in range(count + 1)]


def currents(start: float, stop: float, count: int = 25) -> list[float]:
    """Give the points of a current sweep, evenly spaced."""
    return [start + (stop - start) * index / (count - 1) for index in range(count)]


def cues(script: Script) -> Iterator[Cue]:
    """Give everything a calibration prints, in order."""
    count = len(script.parts)
    for index, title in enumerate(script.parts):
        start, share = index / count, 1.0 / count
        yield Cue(start, f"===== {index + 1}/{count} {title} =====")
        if script.scanned:
            yield from _scan(title, start, share)
        elif index == 1 and script.points:
            yield from _sweep(script, start, share)
        else:
            yield from _chips(start, share)


def _chips(start: float, share: float) -> Iterator[Cue]:
    for chip in range(4):
        yield Cue(start + share * (chip + 1) / 5, f"Chip {chip}: done")


def _sweep(script: Script, start: float, share: float) -> Iterator[Cue]:
    count = len(script.points)
    for index, point in enumerate(script.points):
        at = start + share * index / count
        yield Cue(at, f"Point {index + 1}/{count}: {point:.4g} {script.unit}", point=point)


def _scan(title: str, start: float, share: float) -> Iterator[Cue]:
    yield Cue(start, f"{_GREEN}[{title}] Configuring 4 chips{_PLAIN}", raw=True)
    yield Cue(start + 0.1 * share, "INTERNAL_NTC: 21.3 +/- 1.2 C", raw=True)
    for tick in _TICKS:
        at = start + share * (0.1 + 0.8 * tick / 100)
        yield Cue(at, f"{_GREEN}Progress: {tick}.0%{_PLAIN}", raw=True)
    yield Cue(start + 0.95 * share, "@@@ End of CMSIT miniDAQ @@@", raw=True)
