"""By whose word the results of a run go where they go: the run's own bench as it was, or one that is named."""

import shlex
from functools import cache
from pathlib import Path

from calseq.bench.bench import BenchReading, read_bench
from calseq.bench.find import bench_file
from calseq.cli.where_runs import Where, near
from calseq.model.destinations import Upload
from calseq.problems import codes
from calseq.problems.plaintext import printable, word
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.upload.enqueue import bound
from calseq.upload.entries import Queued
from calseq.upload.ledger import Ledger, is_finished


def of_bench(where: Where) -> Upload | None:
    """Give what the bench of today says, if there is one that can be read.

    Raises:
        Refused: it was named, and cannot be read or does not say where results go.
    """
    path = bench_file(where.bench)
    if path is None:
        return None
    reading = _reading(path)
    upload = reading.bench.upload if reading.bench else None
    if where.bench and upload is None:
        if reading.bench is None:
            raise Refused(reading.problems)
        message = f"{printable(str(where.bench))} does not say where results go"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message, "add 'upload:' to it")])
    return upload


def by_word_of(wanted: Queued, today: Upload | None) -> str:
    """Say who says where results go: `today` is what a bench says that was asked now."""
    bench = wanted.upload.bench
    if not bench:
        return ""
    shown = near(Path(bench))
    return f"{shown} says so" if wanted.upload is today else f"as {shown} said when it was run"


def otherwise(wanted: Queued, ledger: Ledger, today: Upload | None, typed: str) -> str:
    """Say what the bench file that a run was made with says by now, if that matters; nobody switches to it unasked.

    `typed` is `calseq upload FOLDER`.
    """
    path = Path(wanted.upload.bench)
    if wanted.upload is today or not wanted.upload.bench or is_finished(ledger, wanted) or not path.is_file():
        return ""
    shown = printable(str(near(path)))
    bench = _reading(path).bench
    if bench is None:
        return f"  {shown} cannot be understood now: calseq validate {word(str(near(path)))}"
    if bench.upload is None:
        return f"  {shown} does not say any more where results go"
    what = _difference(wanted.upload, bench.upload)
    if not what:
        return ""
    why = bound(ledger, bench.upload)
    follows = f", but {why}" if why else f"; {typed} --bench {shlex.quote(shown)} goes by that"
    return printable(f"  {shown} {what}{follows}", 800)


def _difference(then: Upload, now: Upload) -> str:
    if not now.is_at(then):
        return f"says otherwise now: {now.destination}"
    keys = ", ".join(f"'{key}:'" for key in then.differs(now))
    return f"says otherwise now, in {keys}" if keys else ""


@cache
def _reading(path: Path) -> BenchReading:
    return read_bench(path)
