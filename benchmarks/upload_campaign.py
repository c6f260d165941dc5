"""The upload campaign: a database that fails at random, calseq and Felis killed at random moments, until all is sent.

    python benchmarks/upload_campaign.py                        200 queues, two at a time; about 15 minutes
    python benchmarks/upload_campaign.py --queues 10 --seed 7   a short one, and the same again
    python benchmarks/upload_campaign.py --keep DIR             keep the folders of what went wrong

Each queue is a finished run on the simulated bench, with random data of its own, and `calseq upload` with the contract
doubles of Felis and Panthera (tests/upload/doubles). Every request to the database may fail: HTTP 500, a refusal, a
closed connection before or after it was stored, a slow answer, garbage. While it works, calseq, or the Felis that it
started, gets `kill -9` at a moment drawn evenly. Queue N of seed S has the same data and draws the same moments every
time; where in the program they hit is the machine's.

Each is judged from outside: by the database's own memory, each result arrived in exactly one sequence, in order and
byte-identical; every empty sequence there is told of; the record says the same; the password is in no file, no command
line and no environment; no process and no scratch folder is left.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests" / "upload", ROOT / "tests" / "upload" / "doubles"):
    sys.path.insert(0, str(place))

from panthera import Panthera  # noqa: E402
from upload_stand import (  # noqa: E402
    NAMES,
    PASSWORD,
    adapters,
    copied,
    entries,
    environment,
    files_with,
    measured,
    measured_files,
    processes_with,
    read,
    replan,
    start_upload,
    states,
    until,
)

from calseq.upload.queue import read_queue  # noqa: E402

MOST_ATTEMPTS = 80
LONGEST_S = 1.6
"""An upload in which nothing fails takes about so long."""
HALVES = (PASSWORD.partition('"')[0], PASSWORD)


@dataclass
class Finding:
    """What came of one queue."""

    number: int
    attempts: int = 0
    kills: Counter = field(default_factory=Counter)
    posts: int = 0
    repeated: int = 0
    empty: int = 0
    looks: int = 0
    wrong: list = field(default_factory=list)


class Trial:
    """One queue, worked through against all that is done to it."""

    def __init__(self, number: int, seed: int, template: Path, place: Path) -> None:
        self.dice = random.Random(f"{seed}/{number}")
        self.number, self.seed, self.place = number, seed, place
        self.template = template
        self.finding = Finding(number)

    def run(self) -> Finding:
        probability = self.dice.choice((0.0, 0.1, 0.25, 0.4))
        with Panthera(PASSWORD, probability=probability, seed=f"{self.seed}/{self.number}") as database:
            run = copied(
                self.template,
                self.place,
                url=database.url,
                seed=f"{self.seed}/{self.number}",
                name=f"20260101-{self.number:06d}-campaign",
            )
            wait = self.dice.choice(("0.0", "0.0", "0.0", "1.0"))
            replan(run, '"retry_for_s": 1.0', f'"retry_for_s": {wait}')
            temporary = self.place / "tmp"
            temporary.mkdir()
            variables = environment(TMPDIR=str(temporary))
            code = None
            while code != 0 and self.finding.attempts < MOST_ATTEMPTS:
                if self.finding.attempts > MOST_ATTEMPTS // 2:
                    database.probability = 0.0
                code = self.attempt(run, variables)
            if code != 0:
                self.finding.wrong.append(f"not done after {self.finding.attempts} attempts: {code}")
            else:
                self.judge(run, database, temporary)
        return self.finding

    def attempt(self, run: Path, variables: dict) -> int | None:
        """Start an upload, and perhaps kill something of it; give its exit code."""
        self.finding.attempts += 1
        victim = self.dice.choice(("", "", "calseq", "calseq", "felis"))
        moment_s = self.dice.uniform(0.0, LONGEST_S)
        process = start_upload(run, env=variables)
        began = time.monotonic()
        told = threading.Thread(target=process.stderr.read, daemon=True)
        told.start()
        killed = False
        while process.poll() is None:
            self.look(run, process.pid)
            if victim and not killed and time.monotonic() - began >= moment_s:
                killed = self.kill(victim, process, run)
            time.sleep(0.02)
            if time.monotonic() - began > 60:
                self.finding.wrong.append("an upload hangs")
                process.kill()
        told.join(5)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        code = process.wait()
        until(lambda: not adapters(run), 10)
        if code not in (0, 5, -signal.SIGKILL):
            self.finding.wrong.append(f"exit code {code}")
        return code

    def kill(self, victim: str, process, run: Path) -> bool:
        pids = [process.pid] if victim == "calseq" else adapters(run)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.finding.kills[victim] += 1
        return bool(pids)

    def look(self, run: Path, pid: int) -> None:
        """Look for the password where everybody may look."""
        self.finding.looks += 1
        for each in (pid, *adapters(run)):
            for name in ("cmdline", "environ"):
                if PASSWORD.encode() in read(Path(f"/proc/{each}/{name}")):
                    self.finding.wrong.append(f"the password is in {name} of {each}")

    def judge(self, run: Path, database: Panthera, temporary: Path) -> None:
        wrong = self.finding.wrong
        self.finding.posts = len(database.stored)
        self.finding.repeated = len(database.stored) - len(set(database.stored))
        filled, empty = database.filled, len(database.sequences) - len(database.filled)
        self.finding.empty = empty
        ledger = read_queue(run)
        if len(filled) != 1:
            wrong.append(f"{len(filled)} sequences have results")
        for number, sequence in filled.items():
            results = sequence["results"]
            if list(results) != NAMES:
                wrong.append(f"sequence {number} has {list(results)}")
            for name, result in results.items():
                if result["files"] != measured_files(run, name):
                    wrong.append(f"{name} is not what was measured")
            if ledger.sequence("C2HQ0").number != number:
                wrong.append("the record names another sequence")
        told = sum(ledger.sequence(module).maybe_empty for module in ledger.modules)
        if empty > told:
            wrong.append(f"{empty} sequences are empty, and {told} are told of")
        if states(run) != dict.fromkeys(NAMES, "sent"):
            wrong.append(f"the record says {states(run)}")
        sent = Counter(
            name
            for entry in entries(run)
            if entry["entry"] == "marked" and entry["state"] == "sent"
            for name in entry["names"]
        )
        if set(sent.values()) != {1}:
            wrong.append(f"recorded as sent: {dict(sent)}")
        leaks = files_with(self.place, *HALVES)
        if leaks:
            wrong.append(f"the password is in {leaks}")
        if list(temporary.iterdir()) or (run / "upload" / "scratch").exists():
            wrong.append("something temporary is left")
        if left := processes_with(str(run)):
            wrong.append(f"processes are left: {left}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queues", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="calseq-upload-") as name:
        base = Path(name)
        template = measured(base / "template")

        def trial(number: int) -> Finding:
            place = base / str(number)
            finding = Trial(number, options.seed, template, place).run()
            for each in finding.wrong:
                print(f"queue {number}: {each}", flush=True)
            if finding.wrong and options.keep:
                shutil.copytree(place, options.keep / str(number), symlinks=True)
            shutil.rmtree(place, ignore_errors=True)
            return finding

        with ThreadPoolExecutor(options.at_once) as pool:
            findings = list(pool.map(trial, range(options.queues)))
    print(summary(findings, time.monotonic() - began))
    return int(any(finding.wrong for finding in findings))


def summary(findings: list, took_s: float) -> str:
    kills = sum((finding.kills for finding in findings), Counter())
    total = {
        name: sum(getattr(finding, name) for finding in findings)
        for name in ("attempts", "posts", "repeated", "empty", "looks")
    }
    return "\n".join(
        [
            f"{len(findings)} queues of {len(NAMES)} results, {total['attempts']} uploads, {took_s:.0f} s",
            f"killed: calseq {kills['calseq']} times, Felis {kills['felis']} times",
            f"stored by the database: {total['posts']}, of which {total['repeated']} again into the same place",
            f"empty sequences left there, all told of: {total['empty']}",
            f"looks at command lines and environments: {total['looks']}",
            f"wrong: {sum(bool(finding.wrong) for finding in findings)}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
