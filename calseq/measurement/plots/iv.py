"""The plot of IV curves: current over reverse bias, with what its figures are read off at."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from msgspec import Struct

from calseq.measurement.curves import IvCurve
from calseq.measurement.iv import MARKED_V, TOLERANCE_V, biased
from calseq.measurement.plots.colours import BAD, MARK, line_style
from calseq.measurement.plots.figure import POINTS, add_legend, looks, new_figure, no_points, svg_of, thinned

MOST_CURVES = 16
_MARKERS = 64
_DECADES = 100.0
_JUDGED_FROM_V = 1.0
"""At no bias the current is nothing but noise, which would make every axis logarithmic."""

_NEAR = 0.3
"""A compliance is drawn if the currents come near it; else it would press them flat."""


class Marks(Struct, frozen=True):
    """What is marked beside the curves; voltages of either sign."""

    working_v: float | None = None
    compliance_a: float | None = None
    breakdown_v: float | None = None


Points = list[tuple[float, float]]


def draw(curves: Sequence[tuple[str, IvCurve]], area_cm2: float | None, marks: Marks, title: str) -> str:
    """Draw curves with their labels and marks; give an inline SVG element."""
    shown = [(label, _points(curve, marks.working_v)) for label, curve in curves[:MOST_CURVES]]
    more = len(curves) - len(shown)
    with looks():
        figure, axes = new_figure(title, legend_rows=-(-(len(shown) + 4) // 2))
        if not any(points for _, points in shown):
            no_points(axes)
            return svg_of(figure, title)
        logarithmic = is_logarithmic([points for _, points in shown])
        kept = [[point for point in points if point[1] > 0 or not logarithmic] for _, points in shown]
        drawn = [_line(axes, points, place, len(shown)) for place, points in enumerate(kept)]
        _scale(axes, shown, area_cm2, logarithmic=logarithmic)
        marked = _marks(axes, shown, marks)
        labels = [label for label, _ in shown] + [label for _, label in marked]
        handles = drawn + [handle for handle, _ in marked]
        if more > 0:
            handles.append(axes.plot([], [], linestyle="none")[0])
            labels.append(f"and {more} more that are not drawn")
        add_legend(figure, handles, labels, columns=2)
        return svg_of(figure, title)


def is_logarithmic(curves: Sequence[Points]) -> bool:
    """Decide for a logarithmic axis: the currents beyond 1 V span more than two decades. Zero has no place on it."""
    currents = [
        current for points in curves for bias_v, current in points if current and abs(bias_v) > _JUDGED_FROM_V
    ]
    return bool(currents) and max(currents) > _DECADES * min(currents)


def _points(curve: IvCurve, working_v: float | None) -> Points:
    return [(each.bias_v, each.current_a * 1e6) for each in biased(curve.points, working_v)]


def _line(axes: Axes, points: Points, place: int, of: int) -> Any:
    """Draw one of `of` lines, which share the points and the markers that there may be."""
    drawn = thinned(points, POINTS // of)
    every = max(1, len(drawn) * of // _MARKERS)
    style: Any = line_style(place)
    return axes.plot([x for x, _ in drawn], [y for _, y in drawn], markevery=every, **style)[0]


def _scale(
    axes: Axes, shown: Sequence[tuple[str, Points]], area_cm2: float | None, *, logarithmic: bool
) -> None:
    plain = FuncFormatter(lambda value, _: f"{value:.6g}")
    axes.set_xlabel("reverse bias (V)")
    axes.set_ylabel("current (µA)" + (", logarithmic" if logarithmic else ""))
    voltages = [x for _, points in shown for x, _ in points]
    low, high = min(0.0, *voltages), max(voltages)
    room = 0.02 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    if logarithmic:
        axes.set_yscale("log")
    else:
        top = max(y for _, points in shown for _, y in points)
        axes.set_ylim(0.0, 1.06 * top or 1.0)
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(NullFormatter())
    if area_cm2:
        right = _density_axis(axes, area_cm2)
        right.set_ylabel(f"µA/cm² (of {area_cm2:g} cm²)")
        right.yaxis.set_major_formatter(plain)
        right.yaxis.set_minor_formatter(NullFormatter())
        right.grid(visible=False)


def _density_axis(axes: Axes, area: float) -> Any:
    there: Any = lambda current: current / area  # noqa: E731 - matplotlib hands over arrays
    back: Any = lambda density: density * area  # noqa: E731
    return axes.secondary_yaxis("right", functions=(there, back))


def _marks(axes: Axes, shown: Sequence[tuple[str, Points]], marks: Marks) -> list[tuple[Any, str]]:
    """Draw what is marked, and give it with its words. What lies outside the plot is only said."""
    reached_v = max(x for _, points in shown for x, _ in points) + TOLERANCE_V
    top = max(y for _, points in shown for _, y in points)
    thin: dict[str, Any] = {"color": MARK, "linewidth": 0.9, "linestyle": (0, (1, 2))}
    at = [bias_v for bias_v in MARKED_V if bias_v <= reached_v]
    handles = [axes.axvline(bias_v, **thin) for bias_v in at]
    marked = [(handles[0], " and ".join(f"{bias_v:g} V" for bias_v in at))] if handles else []
    if marks.working_v:
        working_v = abs(marks.working_v)
        style: dict[str, Any] = {"color": MARK, "linewidth": 1.1, "linestyle": (0, (7, 2, 1, 2))}
        marked.append(_vertical(axes, working_v, reached_v, f"working point {working_v:g} V", style))
    if marks.breakdown_v is not None:
        found_v = abs(marks.breakdown_v)
        style = {"color": BAD, "linewidth": 1.6, "linestyle": (0, (4, 2))}
        marked.append(_vertical(axes, found_v, reached_v, f"breakdown {found_v:g} V", style))
    if marks.compliance_a:
        limit = abs(marks.compliance_a) * 1e6
        style = {"color": BAD, "linewidth": 1.1, "linestyle": (0, (1, 1.5))}
        if top >= _NEAR * limit:
            marked.append((axes.axhline(limit, **style), f"compliance {limit:g} µA"))
            axes.set_ylim(top=max(axes.get_ylim()[1], 1.06 * limit))
        else:
            marked.append((axes.plot([], [], **style)[0], f"compliance {limit:g} µA, above the plot"))
    return marked


def _vertical(
    axes: Axes, bias_v: float, reached_v: float, label: str, style: dict[str, Any]
) -> tuple[Any, str]:
    if bias_v <= reached_v:
        return axes.axvline(bias_v, **style), label
    return axes.plot([], [], **style)[0], f"{label}, not reached"
