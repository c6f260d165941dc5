"""Where runs are to be looked for: in the folder that was named, or in that of the bench that is near."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from calseq.bench.find import bench_file, is_shipped_bench

if TYPE_CHECKING:
    from calseq.bench.bench import Bench


class Where(Struct, frozen=True):
    """Where runs are to be looked for, as it was typed."""

    runs: Path | None = None
    bench: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of runs: the one that was named, else the bench's, else the near bench's, else `runs` here.

        The bundled bench lies with the program: its runs are where the near bench's are.
        """
        if self.runs is not None:
            return self.runs.expanduser().absolute()
        bench = bench_file(self.bench)
        if self.bench and bench and is_shipped_bench(bench):
            bench = bench_file(None)
        if bench is None or is_shipped_bench(bench):
            return Path("runs").absolute()
        # reading a bench takes a tenth of a second: only where there is one
        from calseq.bench.bench import runs_of as runs_of_file  # noqa: PLC0415

        return runs_of_file(bench)


def runs_of(bench: "Bench") -> Path:
    """Folder of the runs of a bench: of the bundled one where they are looked for from here."""
    return Where().folder if is_shipped_bench(Path(bench.document.path)) else bench.runs


def near(path: Path) -> Path:
    """Give a path as it is written from here, if it lies below."""
    with suppress(ValueError, OSError):
        return path.relative_to(Path.cwd())
    return path
