"""What the tests of uploads share: finished runs to upload, the command line, and the proof that nothing is left."""

import hashlib
import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import calseq
from calseq.record.journal import with_checksum, without_checksum
from calseq.record.seal import seal

HERE = Path(__file__).resolve().parent
DOUBLES = HERE / "doubles"
CHECKOUT = Path(calseq.__file__).resolve().parent.parent
DOUBLE_BENCH = CHECKOUT / "sequences" / "benches" / "double"
QUADS_BENCH = CHECKOUT / "sequences" / "benches" / "quads"
PASSWORD = 'canary-7f3a"9 b&c'
PATIENCE_S = 60.0
ADDRESS = "http://127.0.0.1:1/placeholder"

STEPS = [
    "sldo_vi_curves",
    "voltage_trimming",
    {"calibration": "iv_curve", "options": {"max_voltage": -80, "step_size": 20}},
    {"calibration": "custom_sequence", "tuning": ["PixelAlive", "ThresholdAdjustment_2000"]},
    "crosstalk_method",
]
NAMES = [
    "00_sldo_vi_curves",
    "02_IVCurve",
    "03_PixelAlive",
    "04_ThresholdAdjustment_2000",
    "05_OpenBumpTest",
]
"""What a run of STEPS has for the database."""

FELIS = {"to": "felis", "user": "jdoe", "url": ADDRESS, "retry_for": "1s", "croc_version": "2"}


def write_bench(folder, upload, *, source=DOUBLE_BENCH, env=None, **more):
    """Write a simulated bench with `upload:`; give its file."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    data = {
        "calseq-bench": 1,
        "name": "test",
        "dirigent": {"config": "dirigent.toml"},
        "instruments": "instruments.json",
        "modules": "modules.json",
        "power": {"mode": "simulated"},
        "simulator": {"speed": 20000},
        **({"upload": upload} if upload else {}),
        **({"env": env} if env else {}),
        **more,
    }
    path = folder / "bench.yaml"
    path.write_text(json.dumps(data))
    return path


def environment(**more):
    """Give the variables of calseq, and of the Felis that it starts."""
    return {**os.environ, "PYTHONPATH": f"{DOUBLES}:{CHECKOUT}", "FELIS_DOUBLE": "chatty", **more}


def measured(folder, upload=FELIS, *, steps=STEPS, source=DOUBLE_BENCH, expect=0, arguments=(), **more):
    """Run steps on a simulated bench; give the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bench(folder, upload, source=source, **more)
    (folder / "s.yaml").write_text(json.dumps({"calseq": 1, "title": "Night shift", "steps": list(steps)}))
    ran = calseq_(["execute", "s.yaml", "--screen", "none", *arguments], cwd=folder)
    assert ran.returncode == expect, ran.stderr
    run = next((folder / "runs").iterdir())
    with_root_files(run)
    return run


def with_root_files(run):
    """Have every table of a run in a ROOT file, too, as dirigent writes it where Felis is: the simulator does not."""
    for table in sorted((run / "data").rglob("*.csv")):
        number = len(list(table.parent.glob("Run*.root"))) + 1
        table.with_name(f"Run{number:06d}_{table.stem}.root").write_bytes(b"root\n" + table.read_bytes())
    seal(run)


def calseq_(arguments, *, cwd, env=None, password=None, **more):
    """Run the command line to its end."""
    told = {"input": password + "\n"} if password is not None else {"stdin": subprocess.DEVNULL}
    argv = [sys.executable, "-m", "calseq", *map(str, arguments)]
    return subprocess.run(
        argv,
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        **told,
        **more,
    )


def upload(run, *arguments, env=None, password=PASSWORD):
    """Upload a run, allowing that it is simulated."""
    words = ["upload", run, "--allow-simulated", *arguments]
    words += ["--password-fd", "0"] if password is not None else []
    return calseq_(words, cwd=run.parent.parent, env=env, password=password)


def start_upload(run, *arguments, env=None, password=PASSWORD):
    """Start an upload; give its process, which has heard the password."""
    argv = [
        sys.executable,
        "-m",
        "calseq",
        "upload",
        str(run),
        "--allow-simulated",
        "--password-fd",
        "0",
        *arguments,
    ]
    process = subprocess.Popen(
        argv, cwd=run.parent.parent, env=env or environment(), text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(password + "\n")
    process.stdin.flush()
    return process


def copied(template, place, *, url="", seed=None, name="20260101-000000-copy"):
    """Make another run of one: at another address, and with data of its own; its record and its seal fit."""
    run = place / "runs" / name
    shutil.copytree(template, run)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "run": name}))
    if seed is not None:
        dice = random.Random(seed)
        for path in sorted(each for each in (run / "data").rglob("*") if each.is_file()):
            path.write_bytes(dice.randbytes(dice.randrange(1, 20000)))
    replan(run, ADDRESS, url or ADDRESS)
    return run


def replan(run, old, new):
    """Have the run made with another plan: all that vouches for it says so."""
    plan = run / "plan.json"
    plan.write_text(plan.read_text().replace(old, new))
    digest = hashlib.sha256(plan.read_bytes()).hexdigest()
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "digest": digest}))
    journal = run / "events.jsonl"
    first, rest = journal.read_bytes().split(b"\n", 1)
    body = first.rpartition(b',"crc":"')[0].replace(record["digest"].encode(), digest.encode())
    journal.write_bytes(with_checksum(body) + rest)
    seal(run)


def pointed(template, tmp_path, receiver, seed=1, name="20260101-000000-copy", bench=None):
    """Copy the run with another receiver."""
    run = copied(template, tmp_path, seed=seed, name=name)
    text = (run / "plan.json").read_text()
    plan = json.loads(text)
    plan["upload"] |= {
        "receiver": receiver,
        "retry_for_s": 1.0,
        "bench": str(bench or tmp_path / "bench.yaml"),
    }
    replan(run, text, json.dumps(plan))
    return run


def entries(run):
    """Read upload.jsonl without calseq's own reading of it."""
    return [without_checksum(line) for line in (run / "upload.jsonl").read_bytes().splitlines(keepends=True)]


def states(run):
    """Give the last state of each result."""
    found = {}
    for entry in entries(run):
        if entry["entry"] == "queued":
            found = {each["name"]: found.get(each["name"], "queued") for each in entry["results"]}
        if entry["entry"] == "marked":
            found |= dict.fromkeys(entry["names"], entry["state"])
    return found


def measured_files(run, name):
    """Give the content of a queued result's files, from the run folder, by name."""
    queued = [entry for entry in entries(run) if entry["entry"] == "queued"][-1]
    result = next(each for each in queued["results"] if each["name"] == name)
    return {Path(each["path"]).name: (run / each["path"]).read_bytes() for each in result["files"]}


def processes_with(text):
    """Give the processes that have a text in their command line or environment, this one left out."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        if int(place.name) == os.getpid():
            continue
        content = b"".join(read(place / name) for name in ("cmdline", "environ"))
        if text.encode() in content:
            found.append(int(place.name))
    return found


def adapters(run):
    """Give the processes in which Felis works for a run: their working folder is its scratch."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        if b"inside_felis.py" in read(place / "cmdline"):
            try:
                if str(run) in str((place / "cwd").readlink()):
                    found.append(int(place.name))
            except OSError:
                pass
    return found


def files_with(folder, *texts):
    """Give the files below a folder that have one of these texts in them, or in their name."""
    found = []
    # os.walk passes over what goes away meanwhile
    for path in (Path(root, name) for root, folders, names in os.walk(folder) for name in (*folders, *names)):
        content = str(path).encode() + (read(path) if path.is_file() else b"")
        found += [path for text in texts if text.encode() in content]
    return found


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def until(condition, patience_s=PATIENCE_S):
    """Wait for a condition to hold, and give what it gave."""
    due = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < due, "it did not come to that in time"
        select.select([], [], [], 0.003)
    return found
