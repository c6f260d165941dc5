"""Variants with one defect each, beside the text that an operator reads about it."""

from pathlib import Path

import jsonschema
import pytest

from calseq.documents.document import open_text
from calseq.documents.fast_check import fits
from calseq.documents.schema import stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.planning.loading import read_whole
from calseq.problems.diagnostics import problems_text
from calseq.problems.refused import in_order
from calseq.sequence.catalog import builtin

CORPUS = Path(__file__).parent / "variant_corpus"
BASES = {"base", "broken_base", "torn_base"}
CASES = sorted(path for path in CORPUS.glob("*.yaml") if path.stem not in BASES)
IN_THE_BASE = {"base_with_a_mistake": "broken_base.yaml", "base_not_yaml": "torn_base.yaml"}
# A misspelt key that must be there is one too many and one too few (without 'extends:', title and steps are
# missing, too); calseq tells it once.
SEVERAL = {"extends_misspelt": 2, "extends_misspelt_alone": 3, "insert_as_a_step": 2}
SCHEMA = jsonschema.Draft7Validator(stored_schema("sequence"))


def read(path):
    documents, sequence = read_whole(read_yaml(open_text(path, path.name)), builtin())
    return sequence, in_order(problem for document in documents for problem in document.problems)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_one_defect_of_a_variant_is_told_once_in_the_right_file_and_in_these_words(path, golden):
    sequence, problems = read(path)
    golden(path.with_suffix(".txt"), problems_text(problems) + "\n")
    assert len(problems) == 1
    assert (sequence is None) == problems[0].is_error
    assert problems[0].cure
    assert problems[0].place.source.name == IN_THE_BASE.get(path.stem, path.name)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_schema_gives_at_most_one_error_per_defect_of_a_variant(path):
    data = read_yaml(open_text(path)).data
    errors = [error.message for error in SCHEMA.iter_errors(data)]
    assert len(errors) <= SEVERAL.get(path.stem, 1), errors
    assert fits(data, stored_schema("sequence")) == (not errors)


def test_the_variants_have_no_text_without_its_file_and_their_base_is_sound():
    assert {path.stem for path in CORPUS.glob("*.txt")} == {path.stem for path in CASES}
    assert len(CASES) >= 40
    assert read(CORPUS / "base.yaml")[1] == []
