"""`calseq init`: a folder to start a site with."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from calseq.bench.site import FIRST, bench_name, site_files
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import results
from calseq.cli.writing import cannot_write, write_new
from calseq.model.verdicts import ExitCode
from calseq.problems.plaintext import printable, word
from calseq.problems.refused import Refused
from calseq.sequence.catalog import builtin
from calseq.sequence.schema import sequence_schema
from calseq.system.assets import schemas

_KNOWN = ("instruments.json", "modules.json", "dirigent.toml")


def init(folder: Path) -> int:
    """Write what a site starts with; what is there already stays as it is."""
    try:
        lines = list(_made(folder))
    except Refused as refused:
        tell_problems(refused.problems)
        return int(ExitCode.REFUSED)
    results("\n".join(lines))
    return int(ExitCode.GOOD)


def _made(folder: Path) -> Iterator[str]:
    found = _found(folder)
    files = site_files(bench_name(folder.absolute().resolve().name), found, dict(_schemas()))
    for name, text in files.items():
        path = folder / name
        if os.path.lexists(path):
            yield f"left  {_shown(path)}, which is there already"
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path.parent, error) from error
        write_new(path, text)
        yield f"wrote {_shown(path)}"
    yield ""
    yield from _next(folder, found)


def _found(folder: Path) -> dict[str, str]:
    """Find what a bench is made of, in the folder and in the one above it; give it as seen from the folder."""
    places = [("", folder), ("../", folder.absolute().parent)]
    return {
        name: next(prefix + name for prefix, place in places if (place / name).is_file())
        for name in _KNOWN
        if any((place / name).is_file() for _, place in places)
    }


def _schemas() -> Iterator[tuple[str, str]]:
    for path in sorted(schemas().glob("*.schema.json")):
        text = path.read_text(encoding="utf-8")
        if path.name == "sequence.schema.json":
            text = json.dumps(sequence_schema(builtin()), indent=2, ensure_ascii=False) + "\n"
        yield path.name, text


def _next(folder: Path, found: dict[str, str]) -> Iterator[str]:
    if "instruments.json" in found:
        yield f"next: look through {_shown(folder / 'bench.yaml')}, which points to {found['instruments.json']}"
    else:
        yield f"next: put your addresses into {_shown(folder / 'instruments.json')}, where it says REPLACE-ME"
    yield f"      try it on the simulator: calseq execute {word(str(folder / FIRST))} --simulate"
    yield f"      see what is missing:     calseq doctor --bench {word(str(folder / 'bench.yaml'))}"


def _shown(path: Path) -> str:
    return printable(str(path))
