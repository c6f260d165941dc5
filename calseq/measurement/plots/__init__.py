"""Plots of curves as SVG text for a page. The only door of matplotlib, which is optional."""

from collections.abc import Sequence
from importlib.util import find_spec

from calseq.measurement.curves import IvCurve, ViCurve
from calseq.measurement.plots.quiet import quietly

HOW_TO_INSTALL = "pip install 'matplotlib>=3.8'"


def can_plot() -> bool:
    """Whether matplotlib is installed; it is not imported for that."""
    return find_spec("matplotlib") is not None


def iv_svg(
    curves: Sequence[tuple[str, IvCurve]],
    *,
    area_cm2: float | None,
    working_v: float | None,
    compliance_a: float | None,
    breakdown_v: float | None,
    title: str,
) -> str:
    """Draw the IV curves of a sensor, each with its label, over the reverse bias.

    Marks stand at 25 V and 80 V, at the working point, at the breakdown and at the supply's compliance. The current's
    axis is logarithmic if the currents beyond 1 V span more than two decades.

    Raises:
        ImportError: matplotlib is not installed.
    """
    with quietly():
        from calseq.measurement.plots.iv import Marks, draw  # noqa: PLC0415

        return draw(curves, area_cm2, Marks(working_v, compliance_a, breakdown_v), title)


def vi_svg(curve: ViCurve, *, title: str) -> str:
    """Draw what the chips' regulators give over their input current.

    Raises:
        ImportError: matplotlib is not installed.
    """
    with quietly():
        from calseq.measurement.plots.vi import draw  # noqa: PLC0415

        return draw(curve, title)
