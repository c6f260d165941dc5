"""`calseq schema`: a JSON schema, of what people write for their editor and of what a run writes for their programs."""

import json
from pathlib import Path

import typer

from calseq.bench.bench import read_bench
from calseq.bench.find import bench_file
from calseq.cli.terminal import results
from calseq.model.verdicts import ExitCode
from calseq.sequence.catalog import builtin

KINDS = ("sequence", "bench", "calibrations", "instruments", "problems", "events", "run", "plan", "report")


def schema(kind: str, bench: Path | None) -> int:
    """Print the schema of a kind of file."""
    if kind not in KINDS:
        raise typer.BadParameter(f"'{kind}' is not one of {', '.join(KINDS)}", param_hint="KIND")
    if kind == "sequence":
        from calseq.sequence.schema import sequence_schema  # noqa: PLC0415

        path = bench_file(bench)
        found = sequence_schema(read_bench(path).catalog if path else builtin())
    else:
        from calseq.documents.schema import stored_schema  # noqa: PLC0415

        found = stored_schema(kind)
    results(json.dumps(found, indent=2, ensure_ascii=False))
    return int(ExitCode.GOOD)
