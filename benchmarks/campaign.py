"""The fault campaign: random sequences, random faults, random moments, and what the bench itself says afterwards.

    python benchmarks/campaign.py                              1000 runs, two at a time; about two hours
    python benchmarks/campaign.py --runs 100 --seed 7          a short one, and the same again
    python benchmarks/campaign.py --only kill-guard --keep DIR  one kind of fault; keep the folders of what failed
    python benchmarks/campaign.py --minutes 5                  start no run after that
    python benchmarks/campaign.py --plant hv-left --runs 4     calseq with a bug in it, which has to be found

Every run is the real command line on the simulated bench, or on the double of icicle (`late-answer`): a shipped or a
random sequence at a random moment of which something is done to it. A moment is a number of bytes in the bench's own
power record, in the guard's or in the run's journal, or a step's first breath, each with a few milliseconds on top. Run
N of seed S is the same sequence, fault and moment every time; where in the program it then hits is the machine's.

Each is judged from outside, by the bench's own record, the files of the run and the kernel's times: no interlock
violation; HV off, and LV off after it, read from the bench's state; safe at most so many seconds after the fault; the
exit code, run.json and events.jsonl say the same and do not claim what is not so; no bias that the curve's own file, read
anew, does not allow; no child before the record of its step's start; SIGINT as every child's first signal; HV off by
the end of each step whose child had it; no process left, guard and daemons included. When supplies refuse, what is asked is exit
code 4, the marker, and the instruments by name. A killed calseq has no exit code: then the guard's last words are what
has to be true. A killed guard is replaced: the run has failed, and off is confirmed.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harm.cases import KINDS, case_of  # noqa: E402
from harm.plants import PLANTS  # noqa: E402
from harm.trial import Finding, Trial, bad  # noqa: E402


def table(findings: list[Finding]) -> str:
    """Write the counts per kind of fault as Markdown."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.case.kind].append(finding)
    lines = [
        "| fault | runs | hit | exit codes | violations | left powered | worst time to safe | untruthful | processes left |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, some in [*sorted(by_kind.items()), ("all", findings)]:
        codes = Counter("killed" if one.code == -9 else str(one.code) for one in some)
        times = [one.to_safe_s for one in some if one.to_safe_s is not None and not one.excused]
        row = [
            kind,
            len(some),
            sum(one.hit for one in some),
            ", ".join(f"{code}: {count}" for code, count in codes.most_common()),
            sum(one.violations for one in some),
            sum(one.powered for one in some),
            f"{max(times):.2f} s" if times else "-",
            sum(bool(one.untrue) for one in some),
            sum(len(one.left) for one in some),
        ]
        lines.append(f"| {' | '.join(map(str, row))} |")
    excused = [one for one in findings if one.excused]
    four = sum(one.code == 4 for one in excused)
    lines.append(f"\nsupplies that refuse: {len(excused)} runs, of which {four} ended with exit code 4")
    return "\n".join(lines)


def campaign(options: argparse.Namespace, place: Path, say: Callable[[str], None]) -> list[Finding]:
    """Carry all runs out, a few at a time."""
    stop_s = time.monotonic() + options.minutes * 60
    findings: list[Finding] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        if time.monotonic() > stop_s:
            return
        plant = PLANTS.get(options.plant)
        case = case_of(options.seed, number, options.speed, options.only or (plant.kind if plant else ""))
        trial = Trial(case, place / str(number), plant)
        try:
            finding = trial.run()
        except Exception as error:
            finding = trial.finding
            finding.untrue.append(f"the campaign: {type(error).__name__}: {error}")
        wrong = bad(finding, options.within)
        with lock:
            findings.append(finding)
            if wrong:
                what = ", ".join(filter(None, (case.kind, case.where, case.what, case.then, *case.faults)))
                say(f"run {number} ({what}): {'; '.join(wrong)}")
            elif not len(findings) % 50:
                say(f"{len(findings)} runs")
        if not wrong or not options.keep:
            shutil.rmtree(place / str(number), ignore_errors=True)

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(one, range(options.start, options.start + options.runs)))
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Do harm to runs on the simulator, and see what it does to the bench."
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0, help="the number of the first run")
    parser.add_argument("--minutes", type=float, default=120.0, help="start no run after that time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=int, default=5000, help="of the simulator")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--within", type=float, default=15.0, help="seconds after a fault until the bench has to be safe"
    )
    parser.add_argument(
        "--only", default="", choices=("", *sorted(set(KINDS))), help="this kind of fault alone"
    )
    parser.add_argument(
        "--plant", default="", choices=("", *PLANTS), help="start calseq, or its guard, with this bug in it"
    )
    parser.add_argument("--keep", type=Path, help="keep the folders of runs that failed there")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        findings = campaign(
            options, options.keep or Path(scratch), lambda text: print(text, file=sys.stderr, flush=True)
        )
    print(
        f"seed {options.seed}, speed {options.speed}, {len(findings)} runs in {time.monotonic() - began_s:.0f} s\n"
    )
    print(table(findings))
    failed = sum(bool(bad(finding, options.within)) for finding in findings)
    print(f"\n{failed} runs did not end as they must" if failed else "\nall runs ended as they must")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
