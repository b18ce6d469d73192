from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Lt
from pydantic import Field

from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.config.reference import describe_type, reference

COMMITTED = Path(__file__).parents[2] / "configs" / "reference.yaml"


def test_committed_reference_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == reference(), "run `make reference`"


def test_reference_loads_to_the_defaults() -> None:
    smallest = {"run": "runs/reference", "data": {"train": {"tsv": "a"}, "valid": {"tsv": "a"}}}
    config, defaults = load_config(COMMITTED), Config.model_validate(smallest)
    assert config.model_copy(update={"data": None}) == defaults.model_copy(update={"data": None})
    assert config.data.filters == defaults.data.filters


def test_reference_fits_a_screen() -> None:
    assert all(len(line) <= 100 for line in reference().splitlines())


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (Annotated[int, Field(ge=1)], "whole number, at least 1"),
        (Annotated[float, Ge(0.0), Lt(1.0)], "number, at least 0, less than 1"),
        (Annotated[float, Field(gt=0.5, le=2)] | None, "number, more than 0.5, at most 2 or null"),
        (Literal["a", "b"], "a | b"),
        (list[str], "list of text"),
        (bool, "true or false"),
    ],
)
def test_types_in_words(annotation: object, words: str) -> None:
    assert describe_type(annotation) == words
