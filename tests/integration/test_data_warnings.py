"""Train and check mention data that gives misleading figures; evaluate, score and align as well."""

from pathlib import Path

import pytest

from .conftest import Command


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_validation_set_of_training_pairs_is_warned_of(
    command: str, nmt: Command, in_copy: Path
) -> None:
    options = ("run=runs/same", "data.valid={source: train.en, target: train.de}")
    short = ("training.max_updates=2", "data.test=null", "training.validation.metrics=[]")
    steered = ("training.validation.best=loss", "training.early_stopping=null")
    outcome = nmt(command, "tiny.yaml", *options, *short, *steered)
    assert outcome.code == 0, outcome.err
    told = "data.valid: 400 of 400 pairs (100.0%) are training pairs as well, so that its scores"
    assert outcome.err.count(told) == 1
