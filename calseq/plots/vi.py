"""The plot of the chips' regulators: VIN, VOFS, VDDD and VDDA over the input current."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from calseq.curves import Trace, ViCurve
from calseq.plaintext import printable
from calseq.plots.colours import DASHES, LINES, MARKERS
from calseq.plots.figure import POINTS, add_legend, looks, new_figure, no_points, svg_of, thinned

MOST_TRACES = 32
_USUAL = ("VIN", "VOFS", "VDDD", "VDDA")
_MARKERS = 120


def draw(curve: ViCurve, title: str) -> str:
    """Draw all traces of a curve; give an inline SVG element. A quantity has a colour, a chip a dash and a marker."""
    shown = sorted(curve.traces, key=_rank)[:MOST_TRACES]
    more = len(curve.traces) - len(shown)
    with looks():
        figure, axes = new_figure(title, legend_rows=-(-(len(shown) + (more > 0)) // 4))
        if not any(trace.points for trace in shown):
            no_points(axes)
            return svg_of(figure, title)
        handles = [_line(axes, trace, shown) for trace in shown]
        labels = [f"{trace.name} chip {trace.chip}" if trace.chip else trace.name for trace in shown]
        if more > 0:
            handles.append(axes.plot([], [], linestyle="none")[0])
            labels.append(f"and {more} more that are not drawn")
        units = list(dict.fromkeys(printable(trace.unit, 16) for trace in shown))
        axes.set_xlabel("input current (A)")
        axes.set_ylabel("voltage (V)" if units == ["V"] else f"value ({', '.join(units)})", parse_math=False)
        add_legend(figure, handles, labels, columns=4)
        return svg_of(figure, title)


def _rank(trace: Trace) -> tuple[int, str, int]:
    usual = _USUAL.index(trace.name) if trace.name in _USUAL else len(_USUAL)
    return usual, trace.name, int(trace.chip or -1)


def _line(axes: Axes, trace: Trace, shown: Sequence[Trace]) -> Any:
    names = list(dict.fromkeys(each.name for each in shown))
    chips = sorted({each.chip for each in shown if each.name == trace.name})
    colour, way = names.index(trace.name), chips.index(trace.chip)
    points = thinned(trace.points, POINTS // len(shown))
    style: dict[str, Any] = {
        "color": LINES[colour % len(LINES)],
        "linestyle": DASHES[way % len(DASHES)],
        "marker": MARKERS[(colour + way) % len(MARKERS)],
    }
    every = max(1, len(points) * len(shown) // _MARKERS)
    return axes.plot([x for x, _ in points], [y for _, y in points], markevery=every, **style)[0]
