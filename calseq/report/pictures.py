"""The pictures of a run: its curves drawn anew, and those that dirigent left, put into the page or linked from it."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from calseq.measurement.curves import IvCurve, NotUnderstood, ViCurve
from calseq.measurement.iv import figures_in, module_of
from calseq.measurement.plots import HOW_TO_INSTALL, iv_svg, vi_svg
from calseq.model.plan import Plan
from calseq.report.files import PICTURE_BYTES, PICTURES_BYTES, Listed, read_picture
from calseq.report.ivtable import Rows, breakdown_v, iv_line, iv_rows
from calseq.report.run_data import Dossier
from calseq.report.steps import StepStory, told_in

_NO_MATPLOTLIB = f"not drawn: matplotlib is not installed ({HOW_TO_INSTALL})"


class Table(Struct, frozen=True):
    """Figures of a curve: what it is of, the file it was read from, and label, value and note of each figure."""

    name: str
    file: Listed
    rows: Rows


class Drawing(Struct, frozen=True):
    """A plot and the tables beside it. Without an `svg` it was not drawn, and `note` says why.

    `anchor` is what links lead to it by; the first of a step has one.
    """

    title: str
    step: int
    tables: tuple[Table, ...]
    svg: str = ""
    note: str = ""
    anchor: str = ""


class Picture(Struct, frozen=True):
    """A picture among a step's outputs: its content as a `data:` URI, or why it is only linked."""

    step: str
    file: Listed
    uri: str = ""
    note: str = ""


def drawings(
    dossier: Dossier, most: int, may_go_on: Callable[[], bool], *, draws: bool
) -> tuple[Drawing, ...]:
    """Give the plots and figures of the curves of a run's steps, `most` of them at most; drawn if `draws`.

    Raises:
        InterruptedError: somebody asked to stop.
    """
    found: list[Drawing] = []
    for draw in _plots(dossier, draws=draws):
        if len(found) >= most:
            break
        if not may_go_on():
            raise InterruptedError("stopped")
        found.append(draw())
    return tuple(found)


def sensors(dossier: Dossier) -> tuple[tuple[str, str, str], ...]:
    """Give for every module its name, its latest IV curve in a line, and the anchor of that curve."""
    found: dict[str, tuple[str, str, str]] = {}
    for story in dossier.steps:
        for curve in story.curves:
            if isinstance(curve, IvCurve):
                told = told_in(story, curve, dossier.plan)
                module = module_of(curve, dossier.plan)
                name = module.name if module and module.name else curve.module or story.step.name
                line = iv_line(figures_in(curve, dossier.plan), told)
                bad = f" ({story.step.name} {story.state})" if story.is_bad else ""
                found[name] = (name, line + bad, anchor_of(story))
    return tuple(found.values())


def anchor_of(story: StepStory) -> str:
    """Give the anchor of a step's IV curves."""
    return f"curve-{story.step.number}"


def plots_of(story: StepStory) -> int:
    """Give how many plots the curves of a step make: one of all its sensor IVs, and one per SLDO curve."""
    return any(isinstance(each, IvCurve) for each in story.curves) + sum(
        isinstance(each, ViCurve) for each in story.curves
    )


def not_understood(dossier: Dossier) -> tuple[NotUnderstood, ...]:
    """Give the files of curves that were not understood."""
    return tuple(each for story in dossier.steps for each in story.curves if isinstance(each, NotUnderstood))


def pictures(dossier: Dossier, *, embed: bool) -> tuple[Picture, ...]:
    """Give the pictures that the steps left; if they are to be embedded, with their content up to the limits."""
    found: list[Picture] = []
    room_bytes = PICTURES_BYTES
    for story in dossier.steps:
        for file in story.listing.files:
            if not file.is_picture:
                continue
            picture = _picture(dossier.folder, story, file, room_bytes) if embed else _linked(story, file)
            room_bytes -= file.size_bytes if picture.uri else 0
            found.append(picture)
    return tuple(found)


def _linked(story: StepStory, file: Listed, note: str = "") -> Picture:
    return Picture(story.step.name, file, note=note)


def _picture(folder: Path, story: StepStory, file: Listed, room_bytes: int) -> Picture:
    if file.size_bytes > PICTURE_BYTES:
        return _linked(story, file, f"larger than {PICTURE_BYTES // 1000} kB: only linked")
    if file.size_bytes > room_bytes:
        return _linked(story, file, f"beyond {PICTURES_BYTES // 1_000_000} MB of pictures: only linked")
    read = read_picture(folder, file.name)
    if read is None:
        return _linked(story, file, "no PNG or JPEG picture by its content: only linked")
    media, content = read
    return Picture(story.step.name, file, f"data:{media};base64,{b64encode(content).decode()}")


def _plots(dossier: Dossier, *, draws: bool) -> Iterator[Callable[[], Drawing]]:
    sizes = {file.name: file for story in dossier.steps for file in story.listing.files}
    for story in dossier.steps:
        curves = tuple(each for each in story.curves if isinstance(each, IvCurve))
        if curves:
            yield lambda story=story, curves=curves: _iv(story, curves, dossier.plan, sizes, draws=draws)  # type: ignore[misc]
        for curve in story.curves:
            if isinstance(curve, ViCurve):
                yield lambda story=story, curve=curve: _vi(story, curve, sizes, draws=draws)  # type: ignore[misc]


def _iv(
    story: StepStory,
    curves: Sequence[IvCurve],
    plan: Plan,
    sizes: Mapping[str, Listed],
    *,
    draws: bool,
) -> Drawing:
    """Give the IV curves of all modules in one plot, and the figures of each. Lines are drawn for what all share."""
    read = [(figures_in(curve, plan), told_in(story, curve, plan)) for curve in curves]
    found = [figures for figures, _ in read]
    title = f"Sensor IV, step {story.step.number} {story.step.name}"
    names = [curve.module or curve.file.rpartition("/")[2] for curve in curves]
    svg, note = _drawn(
        lambda: iv_svg(
            list(zip(names, curves, strict=True)),
            area_cm2=_shared(each.area_cm2 for each in found),
            working_v=_shared(each.working_v for each in found),
            compliance_a=_shared(each.compliance_a for each in found),
            breakdown_v=_shared(breakdown_v(*each) for each in read),
            title=title,
        ),
        draws=draws,
    )
    tables = tuple(
        Table(name, sizes.get(curve.file, Listed(curve.file, 0)), iv_rows(*each))
        for name, curve, each in zip(names, curves, read, strict=True)
    )
    return Drawing(title, story.step.number, tables, svg, note, anchor_of(story))


def _shared(values: Iterable[float | None]) -> float | None:
    """Give what all have in common."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _vi(story: StepStory, curve: ViCurve, sizes: Mapping[str, Listed], *, draws: bool) -> Drawing:
    name = curve.module or curve.file.rpartition("/")[2]
    title = f"SLDO curves, step {story.step.number} {story.step.name}, {name}"
    svg, note = _drawn(lambda: vi_svg(curve, title=title), draws=draws)
    table = Table(name, sizes.get(curve.file, Listed(curve.file, 0)), _vi_rows(curve))
    return Drawing(title, story.step.number, (table,), svg, note)


def _vi_rows(curve: ViCurve) -> Rows:
    """Give the end points of every trace, chip by chip: where it was at the lowest and at the highest current."""
    rows = []
    for trace in sorted(curve.traces, key=lambda each: int(each.chip or -1)):
        if trace.points:
            low, high = min(trace.points), max(trace.points)
            value = f"{low[1]:.3g} to {high[1]:.3g} {trace.unit}"
            name = f"{trace.name} chip {trace.chip}" if trace.chip else trace.name
            rows.append((name, value, f"at {low[0]:.3g} A to {high[0]:.3g} A"))
    return tuple(rows)


def _drawn(draw: Callable[[], str], *, draws: bool) -> tuple[str, str]:
    """Draw, or say why not: a plot that fails must not take the page with it."""
    if not draws:
        return "", _NO_MATPLOTLIB
    try:
        return draw(), ""
    except Exception as error:  # noqa: BLE001 - whatever a drawing library raises
        return "", f"not drawn: {type(error).__name__}: {error}"
