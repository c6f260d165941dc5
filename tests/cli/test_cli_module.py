"""`--module` names the one module of a bench without modules.json, wherever a run is shown or sent; never for the bias."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from calseq.bench.find import shipped_bench
from calseq.model.plan import from_json, named


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A simulated bench of one channel without modules.json, and a run on it of module MOD7."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(shipped_bench().parent, site, dirs_exist_ok=True)
    (site / "modules.json").unlink()
    bench = site / "bench.yaml"
    bench.write_text(
        bench.read_text().replace("modules: modules.json\n", "").replace("speed: 200", "speed: 20000")
    )
    calseq(site, "execute", "sensor_iv", "--module", "MOD7")
    return site


def calseq(site, *words):
    """Run a command in a folder; give what it wrote to stdout."""
    environ = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"}
    argv = [sys.executable, "-m", "calseq", *words]
    done = subprocess.run(argv, cwd=site, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_report_comparison_and_dry_run_have_the_name(site):
    page = calseq(site, "report", "--output", "-")
    assert "MOD7" in page
    assert "channel 0</" not in page
    assert "modules.json: channel 0" not in page
    told = json.loads(calseq(site, "report", "--format", "json"))
    assert [curve["module"] for step in told["steps"] for curve in step["curves"]] == ["MOD7"]
    assert "\nMOD7  IV" in calseq(site, "compare", "latest", "latest")
    shown = calseq(site, "execute", "sensor_iv", "--module", "MOD7", "--dry-run")
    assert "module MOD7 · 1 step" in " ".join(shown.split())


def test_the_plan_that_is_run_and_its_bias_know_no_name(site):
    [folder] = (site / "runs").iterdir()
    assert folder.name.endswith("-mod7")
    plan = from_json((folder / "plan.json").read_bytes())
    assert [module.name for supply in plan.supplies for module in (*plan.modules, *supply.modules)] == [
        "",
        "",
    ]
    assert named(plan, "MOD7").supplies == plan.supplies
    assert named(plan, "MOD7").modules[0].name == "MOD7"
    assert named(named(plan, "MOD7"), "MOD8").modules[0].name == "MOD7"
