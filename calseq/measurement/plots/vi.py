"""The plot of the chips' regulators: VIN, VOFS, VDDD and VDDA over the input current."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from calseq.measurement.curves import Trace, ViCurve
from calseq.measurement.plots.colours import DASHES, LINES, MARKERS
from calseq.measurement.plots.figure import (
    POINTS,
    add_legend,
    looks,
    new_figure,
    new_panels,
    no_points,
    svg_of,
    thinned,
)
from calseq.problems.plaintext import printable

MOST_TRACES = 32
_USUAL = ("VIN", "VOFS", "VDDD", "VDDA")
_APART = ("VDDD", "VDDA")
_MARKERS = 120


def draw(curve: ViCurve, title: str) -> str:
    """Draw all traces of a curve; give an inline SVG element.

    What every chip has, such as VDDD, lies close together: it has a panel of its own, in which a chip has a colour.
    """
    shown = sorted(curve.traces, key=_rank)[:MOST_TRACES]
    more = len(curve.traces) - len(shown)
    apart = [name for name in _APART if sum(trace.name == name for trace in shown) > 1]
    if len(apart) == len({trace.name for trace in shown}):
        apart = apart[1:]
    with looks():
        rows = -(-(len({_label(trace, apart) for trace in shown}) + (more > 0)) // 4)
        if not any(trace.points for trace in shown):
            figure, axes = new_figure(title, legend_rows=rows)
            no_points(axes)
            return svg_of(figure, title)
        figure, panels = new_panels(title, rows, len(apart))
        places = dict(zip(apart, panels[1:], strict=True))
        named: dict[str, Any] = {}
        for trace in shown:
            drawn = _line(places.get(trace.name, panels[0]), trace, shown, apart)
            named.setdefault(_label(trace, apart), drawn)
        labels, handles = list(named), list(named.values())
        if more > 0:
            handles.append(panels[0].plot([], [], linestyle="none")[0])
            labels.append(f"and {more} more that are not drawn")
        for axes in panels[1:]:
            axes.locator_params(nbins=5)
        for name, axes in [("", panels[0]), *places.items()]:
            units = [
                trace.unit for trace in shown if (trace.name == name if name else trace.name not in apart)
            ]
            _name_axes(axes, name, list(dict.fromkeys(printable(unit, 16) for unit in units)))
        add_legend(figure, handles, labels, columns=4)
        return svg_of(figure, title)


def _label(trace: Trace, apart: Sequence[str]) -> str:
    """Name a line: by its chip alone where its panel has the name, once for all panels."""
    if not trace.chip:
        return trace.name
    return f"chip {trace.chip}" if trace.name in apart else f"{trace.name} chip {trace.chip}"


def _name_axes(axes: Axes, name: str, units: Sequence[str]) -> None:
    axes.set_xlabel("input current (A)")
    said = f"{name} ({', '.join(units)})" if name else f"value ({', '.join(units)})"
    axes.set_ylabel("voltage (V)" if units == ["V"] and not name else said, parse_math=False)


def _rank(trace: Trace) -> tuple[int, str, int]:
    usual = _USUAL.index(trace.name) if trace.name in _USUAL else len(_USUAL)
    return usual, trace.name, int(trace.chip or -1)


def _line(axes: Axes, trace: Trace, shown: Sequence[Trace], apart: Sequence[str]) -> Any:
    names = list(dict.fromkeys(each.name for each in shown))
    chips = sorted({each.chip for each in shown if each.name == trace.name})
    colour, way = names.index(trace.name), chips.index(trace.chip)
    if trace.name in apart:
        colour = way
    points = thinned(trace.points, (POINTS * 3 // 4 if apart else POINTS) // len(shown))
    style: dict[str, Any] = {
        "color": LINES[colour % len(LINES)],
        "linestyle": DASHES[way % len(DASHES)],
        "marker": MARKERS[(colour + way) % len(MARKERS)],
    }
    every = max(1, len(points) * len(shown) // _MARKERS)
    return axes.plot([x for x, _ in points], [y for _, y in points], markevery=every, **style)[0]
