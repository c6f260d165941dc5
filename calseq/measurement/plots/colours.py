"""Colours by role. Drawn are stand-ins; in the SVG each becomes a CSS variable, so that the page decides."""

INK, GRID, MARK, BAD = "#010101", "#010102", "#010103", "#010104"

_LINES = ("#0072b2", "#c04a00", "#007a5a", "#a8437e", "#3a7ca5", "#8a6400", "#555555", "#6a3d9a")
LINES = tuple(f"#01020{number}" for number in range(1, len(_LINES) + 1))
"""Lines differ in dash and marker too: nobody needs to tell their colours apart."""

DASHES = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (9, 3)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)), (0, (8, 2, 2, 2)))  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

VARIABLES = {
    INK: "var(--plot-ink, #1a1a1a)",
    GRID: "var(--plot-grid, #d9d9d9)",
    MARK: "var(--plot-mark, #6b6b6b)",
    BAD: "var(--plot-bad, #b3261e)",
    **{
        stand_in: f"var(--plot-{number}, {colour})"
        for number, (stand_in, colour) in enumerate(zip(LINES, _LINES, strict=True), 1)
    },
}
"""What each stand-in becomes: a variable of the page's style sheet, with the colour for a page that has none."""


def line_style(place: int) -> dict[str, object]:
    """Give how the line at a place looks; the ninth looks like the first with another dash, and so on."""
    round_, at = divmod(place, len(LINES))
    return {
        "color": LINES[at],
        "linestyle": DASHES[(at + 3 * round_) % len(DASHES)],
        "marker": MARKERS[(at + round_) % len(MARKERS)],
    }
