"""An empty figure with calseq's looks, and the way from it to SVG text; nothing of matplotlib outside is changed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from calseq.measurement.plots.colours import GRID, INK
from calseq.measurement.plots.svg import finished
from calseq.problems.plaintext import printable

WIDTH_IN, HEIGHT_IN = 7.6, 3.9
PANEL_IN = 2.6
LEGEND_ROW_IN = 0.17
TITLE_CHARACTERS, LABEL_CHARACTERS = 90, 60
POINTS = 800
"""So many points are drawn at most, over all curves: a screen shows no more, and a page stays small."""

_LOOKS: dict[Any, Any] = {
    "svg.hashsalt": "calseq",
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10.0,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.6,
    "path.simplify": False,
}


@contextmanager
def looks() -> Iterator[None]:
    """Draw by calseq's settings alone: a user's matplotlibrc does not count, and nothing is left changed."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOKS)
        yield


def new_figure(title: str, legend_rows: int) -> tuple[Figure, Axes]:
    """Give a figure with one pair of axes, and room for a legend below them."""
    figure = Figure(
        figsize=(WIDTH_IN, HEIGHT_IN + LEGEND_ROW_IN * legend_rows), layout="constrained", facecolor="none"
    )
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.set_title(printable(title, TITLE_CHARACTERS), loc="left", parse_math=False)
    return figure, axes


def new_panels(title: str, legend_rows: int, panels: int) -> tuple[Figure, list[Axes]]:
    """Give a figure with one pair of axes, `panels` smaller ones side by side below it, and room for a legend."""
    if not panels:
        figure, axes = new_figure(title, legend_rows)
        return figure, [axes]
    figure = Figure(
        figsize=(WIDTH_IN, HEIGHT_IN + PANEL_IN + LEGEND_ROW_IN * legend_rows),
        layout="constrained",
        facecolor="none",
    )
    FigureCanvasSVG(figure)
    grid = figure.add_gridspec(2, panels, height_ratios=(HEIGHT_IN, PANEL_IN))
    found = [
        figure.add_subplot(grid[0, :]),
        *(figure.add_subplot(grid[1, place]) for place in range(panels)),
    ]
    for axes in found:
        axes.set_facecolor("none")
    found[0].set_title(printable(title, TITLE_CHARACTERS), loc="left", parse_math=False)
    return figure, found


def add_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int) -> None:
    """Put the legend below the axes, where it hides nothing.

    The labels are set afterwards: matplotlib leaves out those that begin with an underscore.
    """
    if not handles:
        return
    legend = figure.legend(
        handles, ["x"] * len(handles), loc="outside lower center", ncols=columns, handlelength=3.4
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(printable(label, LABEL_CHARACTERS))


def no_points(axes: Axes) -> None:
    """Say on empty axes that there is nothing to draw."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", va="center", fontsize=14)


def svg_of(figure: Figure, title: str) -> str:
    """Give a figure as an inline SVG element whose ids nothing else on a page has."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    return finished(text.getvalue(), printable(title))


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Give at most about `most` points in their order; of every piece its ends, its lowest and its highest are kept."""
    if len(points) <= most:
        return list(points)
    size = -(-4 * len(points) // most)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        piece = points[start : start + size]
        places = range(len(piece))
        lowest = min(places, key=lambda place, piece=piece: piece[place][1])  # type: ignore[misc]
        highest = max(places, key=lambda place, piece=piece: piece[place][1])  # type: ignore[misc]
        kept += [piece[place] for place in sorted({0, lowest, highest, len(piece) - 1})]
    return kept
