"""Start-up: `calseq --help` against `python -c pass` of the same interpreter.

    python benchmarks/startup.py [--repeats 40]

Target: at most 7 times as long. `calseq --version` is shown beside it.
"""

from measure import CALSEQ, PYTHON, Figure, alone, alternate, environment, ratio, scratch_folder, seconds

REPEATS = 40


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Measure."""
    with scratch_folder() as scratch:
        env = environment(scratch)
        times = alternate(
            {
                "pass": lambda: seconds([PYTHON, "-c", "pass"], env),
                "help": lambda: seconds([CALSEQ, "--help"], env),
                "version": lambda: seconds([CALSEQ, "--version"], env),
            },
            repeats,
        )
    version = times["version"].best / times["pass"].best
    return [
        ratio("`calseq --help` against `python -c pass`", times["help"], times["pass"], 7),
        Figure("`calseq --version` against `python -c pass`", f"{version:.2f}× ({times['version'].ms()})"),
    ]


if __name__ == "__main__":
    alone(__doc__, figures, REPEATS)
