"""What only this machine can tell, asked before anything is touched."""

import os
import time
from pathlib import Path

import pytest
from run_children import read

from calseq import api
from calseq.planning.preflight import check_machine, choose_module
from calseq.problems import codes
from calseq.system.signals import Stops

DOUBLE = Path(__file__).parents[2] / "sequences" / "benches" / "double"


@pytest.fixture
def bench_with(tmp_path):
    def make(command, more=""):
        (tmp_path / "bench.yaml").write_text(
            f"calseq-bench: 1\nname: here\ndirigent: {{command: {command}, config: {DOUBLE / 'dirigent.toml'}}}\n{more}"
            f"instruments: {DOUBLE / 'instruments.json'}\nmodules: {DOUBLE / 'modules.json'}\npower: {{mode: dirigent}}\n"
        )
        return api.load_bench(tmp_path / "bench.yaml")

    return make


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def found(bench, **more):
    return list(check_machine(bench, Stops(), os.environ, **more))


def test_a_dirigent_that_answers_as_that_of_cms_does_is_no_problem(bench_with, tmp_path):
    program(tmp_path / "d", "#!/bin/sh\necho '  iv_curve  Measure'\n")
    assert found(bench_with("./d")) == []


def test_it_is_found_on_the_path_that_its_children_will_have(bench_with, tmp_path):
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "our-dirigent", "#!/bin/sh\necho iv_curve\n")
    bench = bench_with("our-dirigent", f"env: {{PATH: '{tmp_path / 'bin'}:/usr/bin:/bin'}}\n")
    assert found(bench) == []


@pytest.mark.parametrize("deaf", ["", "trap '' INT TERM; "])
def test_one_that_does_not_answer_is_ended_and_said_so(bench_with, tmp_path, deaf):
    program(tmp_path / "d", f"#!/bin/sh\n{deaf}echo $$ >pid\nexec sleep 60\n")
    began = time.monotonic()
    problem = found(bench_with("./d"), help_timeout_s=0.3)[0]
    assert problem.code is codes.NO_DIRIGENT
    assert "does not answer to --help within 0.3 s" in problem.message
    assert problem.place is not None
    assert time.monotonic() - began < 5
    assert read(Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline")) == b""


def test_one_that_prints_without_end_costs_no_memory(bench_with, tmp_path):
    program(tmp_path / "d", "#!/bin/sh\nhead -c 30000000 /dev/zero\n")
    assert found(bench_with("./d"))[0].code is codes.WRONG_DIRIGENT


def test_a_module_that_modules_json_does_not_list_is_refused(bench_with):
    bench = bench_with("dirigent")
    name = next(module.name for module in bench.modules if module.name)
    assert choose_module(bench, name) == (name, [])
    assert choose_module(bench, "")[0]
    assert choose_module(bench, "X\x1b[2J")[1][0].code is codes.UNKNOWN_MODULE
