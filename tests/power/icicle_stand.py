"""A test stand in power mode icicle, whole but for the hardware: the real command line over a double of icicle.

dirigent is a script that opens the instruments it is given, as the real one does, and leaves what an IV curve
leaves; `PAUSE_S` in its environment is how long it takes.
"""

import json
import subprocess
import sys

from guard_bench import CONTRACT
from guarded_runs import Guarded

DIRIGENT = """
import ast, fcntl, json, os, sys, time
words = sys.argv[1:]
if words == ["--help"]:
    raise SystemExit(print("Commands: iv_curve sldo_vi_curves"))
name = next(word for word in words if word in ("iv_curve", "get_module_info", "crosstalk_method"))
given = ast.literal_eval(words[words.index("--instruments-dict") + 1]) if "--instruments-dict" in words else {}
for instrument in given:
    fcntl.flock(os.open(f"{os.environ['ICICLE_DOUBLE']}/handle-{instrument}", os.O_RDWR | os.O_CREAT), 6)
print("measuring", flush=True)
time.sleep(float(os.environ.get("PAUSE_S", "0")))
place = words[words.index("--directory") + 1]
if name == "crosstalk_method":
    for number in range(3):
        open(f"{place}/Run{number}_Crosstalk.root", "w").write("hits")
if name == "iv_curve":
    open(f"{place}/breakdowns.json", "w").write(json.dumps({"0": -120.0}))
    rows = "".join(f"{-volts},{-1e-7 - 1e-9 * volts}\\n" for volts in range(0, 125, 5))
    open(f"{place}/IV.csv", "w").write("Voltage (V),Current (A)\\n" + rows)
    open(f"{place}/IV.png", "w").write("a picture")
"""
CURVE = {"calibration": "iv_curve", "options": {"max_voltage": -80}}
CROSSTALK = {"calibration": "crosstalk_method"}


class IcicleStand(Guarded):
    """A folder with a bench in mode icicle, whose guard runs under `python` over the double."""

    def __init__(self, folder, python=sys.executable, speed=2000.0):
        super().__init__(folder)
        self.double = folder / "double"
        self.double.mkdir()
        (folder / "dirigent.py").write_text(DIRIGENT)
        wrapper = folder / "python"
        wrapper.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={CONTRACT} ICICLE_DOUBLE={self.double} "
            f'ICICLE_DOUBLE_SPEED={speed}\nexec {python} "$@"\n'
        )
        wrapper.chmod(0o755)
        lines = {
            "dirigent": {"command": [sys.executable, str(folder / "dirigent.py")]},
            "power": {"mode": "icicle", "python": str(wrapper)},
            "env": {"ICICLE_DOUBLE": str(self.double)},
        }
        self.bench = self.bench_file("icicle", "icicle", lines=lines)

    def record(self):
        path = self.double / "actions.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def on_now(self):
        """Give the outputs that are on, by the double's own word."""
        outputs = json.loads((self.double / "bench.json").read_text())
        return sorted(name for name, state in outputs.items() if state["on"])

    def switched(self):
        return [(line["output"], line["on"]) for line in self.record() if line["action"] == "state"]

    def prove_order(self):
        """No interlock was broken, nothing switched off hard, and HV went off before LV."""
        assert [line["violations"] for line in self.record() if line.get("violations")] == []
        assert "open-refused" not in [line["action"] for line in self.record()], (
            "two had an instrument at once"
        )
        assert self.switched()[-2:] == [("hv_1:1", False), ("lv_1:1", False)]
        assert self.on_now() == []

    def switch_on_by_hand(self):
        """Bias the module outside of calseq, as somebody at the front panels may."""
        code = (
            "from icicle.instrument_cluster import InstrumentCluster; import json\n"
            f"entry = json.load(open({str(self.bench.parent / 'instruments.json')!r}))\n"
            "del entry['instruments']['ab_1'], entry['channels']['0']['ab']\n"
            "cluster = InstrumentCluster(entry['instruments'], entry['channels']).__enter__()\n"
            "cluster.lv_on(); cluster.hv_on()\n"
        )
        subprocess.run([str(self.folder / "python"), "-c", code], check=True, capture_output=True)
