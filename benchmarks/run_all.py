"""Run every benchmark and print the table of benchmarks/README.md. Takes about 15 minutes.

    python benchmarks/run_all.py [startup validate per_step idle bench_time record archive]

One after another, since they would disturb each other; leave the machine alone meanwhile.
"""

import argparse
import datetime
import os
import platform
import sys
from importlib import import_module

from measure import table

BENCHMARKS = ("startup", "validate", "per_step", "idle", "bench_time", "record", "archive")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmarks", nargs="*", metavar="NAME", help="which; default: all")
    wanted = parser.parse_args().benchmarks or BENCHMARKS
    if unknown := set(wanted) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    python = ".".join(platform.python_version_tuple()[:2])
    print(f"{os.cpu_count()} cores, Python {python}, {datetime.datetime.now().astimezone():%Y-%m-%d}")
    for name in wanted:
        print(f"{name} …", file=sys.stderr)
        print(f"\n### `python benchmarks/{name}.py`\n\n{table(import_module(name).figures())}", flush=True)


if __name__ == "__main__":
    main()
