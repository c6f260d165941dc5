"""`calseq digest`: what pins a sequence as an official one."""

import json
from pathlib import Path

from calseq.bench.bench import read_bench
from calseq.bench.find import bench_file
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import results
from calseq.model.verdicts import ExitCode
from calseq.planning.loading import find_sequence, load_sequence
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused, in_order
from calseq.sequence.catalog import builtin
from calseq.sequence.digest import digest as digest_of
from calseq.sequence.digest import meaning


def digest(names: list[str], bench: Path | None, format_: str) -> int:
    """Print the digest of each sequence, or with format json what it is made of."""
    path = bench_file(bench)
    catalog = read_bench(path).catalog if path else builtin()
    problems: list[Problem] = []
    lines: list[str] = []
    for name in names:
        try:
            documents, sequence = load_sequence(find_sequence(name), catalog)
        except Refused as refused:
            problems += refused.problems
            continue
        problems += [problem for each in documents for problem in each.problems if problem.is_error]
        if sequence and format_ == "json":
            lines.append(json.dumps(meaning(sequence), indent=2, sort_keys=True, ensure_ascii=False))
        elif sequence:
            lines.append(digest_of(sequence) + (f"  {printable(name)}" if len(names) > 1 else ""))
    if problems:
        tell_problems(in_order(problems), len(names))
        return int(ExitCode.REFUSED)
    results("\n".join(lines))
    return int(ExitCode.GOOD)
