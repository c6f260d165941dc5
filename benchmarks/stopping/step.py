"""The step: a program that holds a simulated HV and ramps it down when asked politely; Python >= 3.8, alone.

    step.py FOLDER [...]     HV on, hold for 60 s, ramp down; SIGINT or SIGTERM ramp down at once (2 s)
    step.py FOLDER off       what a runner's clean-up hook may call: ramp down whatever is still on
    step.py FOLDER --help    what calseq asks dirigent before a run

FOLDER/hv.json is the supply: it keeps its voltage whatever happens to a process. FOLDER/step.json has the step's
pid. FOLDER/asked comes when the step was asked, and has the pid that asked; FOLDER/ramped when its own ramp reached
0; FOLDER/hook when a hook found HV on. The step says one line and is quiet afterwards, so that a runner's broken
pipe never counts against the runner.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

HELD_V = -350.0
HOLD_S = 60.0
RAMP_S = 2.0
RAMP_STEPS = 20

folder = Path(sys.argv[1])


def write(name, data):
    scratch = folder / ("%s.%d" % (name, os.getpid()))  # noqa: UP031 - as old as dirigent's Python may be
    scratch.write_text(json.dumps(data))
    scratch.replace(folder / name)


def ramp_down(who):
    present_v = json.loads((folder / "hv.json").read_text())["volts"]
    for number in range(RAMP_STEPS - 1, -1, -1):
        time.sleep(RAMP_S / RAMP_STEPS)
        write("hv.json", {"volts": present_v * number / RAMP_STEPS, "who": who})


def hold():
    polite = (signal.SIGINT, signal.SIGTERM)
    for number in polite:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, polite)
    write("hv.json", {"volts": HELD_V, "who": "step"})
    write("step.json", {"pid": os.getpid()})
    print("HV is on", flush=True)
    asked = signal.sigtimedwait(polite, HOLD_S)
    if asked:
        write("asked", {"signal": signal.Signals(asked.si_signo).name, "pid": asked.si_pid})
    ramp_down("step")
    write("ramped", os.getpid())
    return 1 if asked else 0


if "--help" in sys.argv:
    print("Commands: iv_curve")
elif sys.argv[2:] == ["off"]:
    if json.loads((folder / "hv.json").read_text())["volts"]:
        write("hook", os.getpid())
        ramp_down("hook")
else:
    sys.exit(hold())
