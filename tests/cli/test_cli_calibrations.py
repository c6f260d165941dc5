"""`calseq calibrations NAME`: all about one, with an example that is right."""

import pytest

from calseq.cli.commands.calibrations import example
from calseq.documents.document import from_bytes
from calseq.documents.yaml_reader import read_yaml
from calseq.sequence.catalog import builtin
from calseq.sequence.reader import read_sequence

NAMES = builtin().names()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_step_without_errors(name):
    step = "\n".join(example(builtin().calibrations[name]))
    document = read_yaml(from_bytes(f"calseq: 1\ntitle: T\nsteps:\n{step}\n".encode(), "f.yaml"))
    assert read_sequence(document, builtin()) is not None, document.problems


@pytest.mark.parametrize("name", ["iv_curve", "custom_sequence", "get_module_info", "custom_calibration"])
def test_a_calibration_is_told_with_all_that_is_known_of_it(calseq, golden, name):
    golden(f"calibration-{name}.txt", calseq("calibrations", name)[0])


@pytest.mark.parametrize("name", NAMES)
def test_every_option_and_output_is_told(calseq, name):
    out, _ = calseq("calibrations", name)
    calibration = builtin().calibrations[name]
    for option in calibration.options.values():
        assert option.name in out
        assert option.flag in out
    assert all(output.pattern in out for output in calibration.outputs)
    assert f"type          {calibration.type}" in out
