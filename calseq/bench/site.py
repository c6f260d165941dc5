"""The folder that a site starts with: its bench, a first sequence, and what its editor and its GitLab check them with."""

import json
import re
from collections.abc import Mapping

from calseq.documents.yaml_writer import scalar
from calseq.sequence.catalog import builtin
from calseq.sequence.template import STARTING, starting_sequence

FIRST = "sequences/first.yaml"
REPLACE = "REPLACE-ME"
"""Stands where only the site knows what belongs there."""

_BENCH = """\
# yaml-language-server: $schema=schemas/bench.schema.json
# A test stand. Paths are relative to this file. 'calseq validate' checks it, 'calseq doctor' tells what is missing.
calseq-bench: 1
name: {name}  # as records show it

# how dirigent is started; source its environment before you start calseq
dirigent:
  command: dirigent  # the program, or a list of it and its first arguments
{config}
  flags: [-p, -l, -m, --no-monitoring]  # global flags of every call
  cwd: .  # its working folder; relative paths in dirigent.toml depend on it

# environment variables for dirigent, added to the inherited ones
# env: {{PH2ACF_BASE_DIR: /opt/Ph2_ACF}}

# what is connected to what{example}
instruments: {instruments}
{modules}

# calibrations of your own, and what differs here from what calseq knows
# calibrations: calibrations.yaml

# who moves the supplies between the steps:
#   dirigent   every child is given what its type needs and switches it itself; calseq controls no rail
#   icicle     calseq holds LV and HV, through icicle; needs 'python', an interpreter that has it
#   simulated  the bundled simulator: nothing real is measured
power: {{mode: dirigent}}

# how breakdowns.json writes voltages: 'same' with their sign, 'magnitude' without
bias: {{sign: same}}

# an HV box between supply and sensors, which calseq does not control: its channels are closed in every run, or 'ask'
# hv_box: closed

# no voltage beyond this may be asked for, by whatever sequence
# limits: {{hv: -80}}

# the group of users who may read the run folders
# group: lab

# the folder of the locks, where several containers share one
# locks: /run/lock

# commands that watch the surroundings before and during a run; exit code 0 is good
# monitors:
#   - {{name: dew point, command: [./dewpoint, --below, "5"], every: 10s, timeout: 5s, on_failure: stop}}

# a command that is run after a run has ended, told how by CALSEQ_* variables
# on_finish: {{command: [./tell, night-shift], timeout: 30s}}

# where results go after a run that passed: felis (Panthera), command or folder; 'calseq upload' sends them
# upload: {{to: felis, user: your-name}}

# official sequences, by the digest that 'calseq digest FILE' prints
# official: {{panthera: "sha256:…"}}

# where run folders go, and from which size on the log of a step stops it
runs: runs
log_limit_mb: 4096
"""

_INSTRUMENTS = {
    "instruments": {
        "lv_1": {
            "class": "TTITSX",
            "resource": f"TCPIP::{REPLACE}-LV-ADDRESS::9221::SOCKET",
            "default_voltage": 4.0,
            "default_current": 3.7,
        },
        "hv_1": {
            "class": "Keithley2410",
            "resource": f"ASRL/dev/{REPLACE}-HV-PORT::INSTR",
            "default_voltage": -50,
            "default_current": 10e-6,
        },
        "ab_1": {"class": "ETHProbecard", "resource": f"ASRL/dev/{REPLACE}-PROBE-CARD-PORT::INSTR"},
    },
    "channels": {
        "0": {
            "lv": {"instrument": "lv_1", "channel": 1},
            "hv": {"instrument": "hv_1", "channel": 1},
            "ab": {"instrument": "ab_1"},
        }
    },
}

_PRE_COMMIT = """\
# 'pre-commit install' makes git check sequences and benches before every commit
repos:
  - repo: local
    hooks:
      - id: calseq-validate
        name: calseq validate
        entry: calseq validate
        language: system
        files: ^(sequences/.*|bench|calibrations)\\.ya?ml$
"""

_GITLAB = f"""\
variables:
  CALSEQ: git+https://{REPLACE}/calseq.git  # where your calseq comes from: what pip is to install

validate:
  image: python:3.12
  script:
    - pip install "$CALSEQ"
    - calseq validate
"""

_EDITOR = {
    "yaml.schemas": {
        "./schemas/sequence.schema.json": "sequences/*.yaml",
        "./schemas/bench.schema.json": "bench.yaml",
        "./schemas/calibrations.schema.json": "calibrations.yaml",
    }
}

TASKS = {
    "version": "2.0.0",
    "tasks": [
        {
            "label": "calseq validate",
            "type": "process",
            "command": "calseq",
            "args": ["validate", "--format", "concise"],
            "problemMatcher": {
                "owner": "calseq",
                "fileLocation": ["relative", "${workspaceFolder}"],
                "pattern": {
                    "regexp": "^(.+?):(\\d+):(\\d+): (CS\\d+) (warning: )?(.*)$",
                    "file": 1,
                    "line": 2,
                    "column": 3,
                    "code": 4,
                    "message": 6,
                },
            },
        }
    ],
}
"""A task for VS Code, which starts no language server by itself: the words of validate in its list of problems."""


def site_files(name: str, found: Mapping[str, str], schemas: Mapping[str, str]) -> dict[str, str]:
    """Give the text of every file of a new site by its path.

    `found` tells, by name, where an instruments.json, modules.json or dirigent.toml is already; `schemas` are
    the texts of the schemas by file name.
    """
    chosen = [builtin().calibrations[each] for each in STARTING]
    files = {FIRST: starting_sequence(chosen, "First", "../schemas/sequence.schema.json")}
    files["bench.yaml"] = _bench(name, found)
    if "instruments.json" not in found:
        files["instruments.json"] = json.dumps(_INSTRUMENTS, indent=2) + "\n"
    files |= {f"schemas/{file}": text for file, text in schemas.items()}
    files[".vscode/settings.json"] = json.dumps(_EDITOR, indent=2) + "\n"
    files[".vscode/tasks.json"] = json.dumps(TASKS, indent=2) + "\n"
    files[".pre-commit-config.yaml"] = _PRE_COMMIT
    files[".gitlab-ci.yml"] = _GITLAB
    return files


def bench_name(folder: str) -> str:
    """Make a bench's name of a folder's."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder).strip("-._")[:64]
    return name or "bench"


def _bench(name: str, found: Mapping[str, str]) -> str:
    config = found.get("dirigent.toml")
    modules = found.get("modules.json")
    has_instruments = "instruments.json" in found
    return _BENCH.format(
        name=scalar(name),
        config=f"  config: {scalar(config)}  # given as -C"
        if config
        else "  # config: dirigent.toml  # given as -C",
        example="" if has_instruments else f"; an example: put your addresses where it says {REPLACE}",
        instruments=scalar(found["instruments.json"]) if has_instruments else "instruments.json",
        modules=(f"modules: {scalar(modules)}" if modules else "# modules: modules.json")
        + "  # gives the modules their names",
    )
