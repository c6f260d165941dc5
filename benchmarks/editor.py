"""The editor: how far `calseq lsp`, and yaml-language-server with nothing but the schema, agree with `calseq validate`.

    python benchmarks/editor.py                 with the oldest and the newest version that the tests drive
    python benchmarks/editor.py 1.18.0          with another one

Each version comes from npm into a temporary folder. The files are those of tests/sequence/corpus and
tests/sequence/variant_corpus, one defect each. The same line: one of the editor's marks is on the line to which calseq
points. Nothing else: no other line is marked. Target: at least 95 %; of what a schema can say where there is only that.
"""

import argparse
import shutil
import sys
from pathlib import Path

from measure import ROOT, Figure, scratch_folder, table

sys.path.insert(0, str(ROOT / "tests" / "editor"))

from editor_agreement import BEYOND, IN_THE_SCHEMA, IN_THE_YAML, SEQUENCES, VARIANTS, Agreement, agreement
from language_server import VERSIONS, LanguageServer, NoServer, installed, serving

from calseq.sequence.catalog import builtin

SCHEMA = ROOT / "schemas" / "sequence.schema.json"
STEPS = "calseq: 1\ntitle: T\nsteps:\n"


def figures(versions: tuple[str, ...] = VERSIONS) -> list[Figure]:
    """Measure calseq's own server, and every version of the other."""
    with scratch_folder() as scratch:
        others = [figure for version in versions for figure in _of(version, scratch / version)]
        return [*_own(scratch), *others]


def _own(scratch: Path) -> list[Figure]:
    """Show calseq's own server the files where a site has them, so that it finds the bases of variants."""
    corpora = [(SEQUENCES, "sequences"), (VARIANTS, "variants")]
    figures_ = []
    with serving([sys.executable, "-m", "calseq", "lsp"]) as server:
        for corpus, kind in corpora:
            place = shutil.copytree(corpus, scratch / kind / "sequences")
            found = agreement(server, place, in_place=True)
            told = f"{sum(found.agreed.values())} of {sum(found.files.values())}"
            alone = f"{told}, nothing else marked in {sum(found.alone.values())}: "
            figures_.append(_judged(f"calseq lsp: same line, all {kind}", found.share(), alone))
    return figures_


def _of(version: str, folder: Path) -> list[Figure]:
    with serving(installed(folder, version), SCHEMA) as server:
        sequences, variants = (agreement(server, corpus) for corpus in (SEQUENCES, VARIANTS))
        for line in (*sequences.others, *variants.others):
            print(f"  {version}: {line}", file=sys.stderr)
        named = f"yaml-language-server {version}"
        return [
            Figure(f"{named}: calibrations completed, each with its line of help", _calibrations(server)),
            Figure(f"{named}: calibrations whose options are completed, and no others", _options(server)),
            _agreed(f"{named}: same line, sequences", sequences),
            _agreed(f"{named}: same line, variants", variants),
            Figure(f"{named}: same line, {IN_THE_YAML}", _sum(IN_THE_YAML, sequences, variants)),
            Figure(f"{named}: same line, {BEYOND}", _sum(BEYOND, sequences, variants)),
            _judged(f"{named}: same line, all sequences", sequences.share()),
        ]


def _agreed(what: str, found: Agreement) -> Figure:
    share = found.share([IN_THE_SCHEMA])
    told = f"{found.told(IN_THE_SCHEMA)}, nothing else marked in {found.alone[IN_THE_SCHEMA]}: "
    return _judged(f"{what}, {IN_THE_SCHEMA}", share, told)


def _judged(what: str, share: float, told: str = "") -> Figure:
    return Figure(what, f"{told}{share:.0%}", "≥ 95 %", "met" if share >= 0.95 else "not met")


def _sum(group: str, *parts: Agreement) -> str:
    return f"{sum(part.agreed[group] for part in parts)} of {sum(part.files[group] for part in parts)}"


def _calibrations(server: LanguageServer) -> str:
    offered = server.completions(f"{STEPS}  - calibration: |\n")
    helped = [name for name in builtin().names() if offered.get(name)]
    return f"{len(helped)} of {len(builtin().names())}"


def _options(server: LanguageServer) -> str:
    exact = [
        name
        for name, calibration in builtin().calibrations.items()
        if set(server.completions(f"{STEPS}  - calibration: {name}\n    options:\n      |\n"))
        == set(calibration.options)
    ]
    return f"{len(exact)} of {len(builtin().names())}"


def main() -> None:
    """Measure what was asked for and print its part of the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "versions", nargs="*", metavar="VERSION", help="which; default: " + ", ".join(VERSIONS)
    )
    try:
        print(
            table(figures(tuple(parser.parse_args().versions) or VERSIONS)).replace(
                " (smallest / median)", ""
            )
        )
    except NoServer as missing:
        raise SystemExit(f"editor: {missing}") from missing


if __name__ == "__main__":
    main()
