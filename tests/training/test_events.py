import logging
import re

import pytest

from nmt.training import reporting
from nmt.training.events import validate
from nmt.training.signals import Interruption

from .conftest import MakeEngine, ScriptedValidator


@pytest.fixture(autouse=True)
def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "plot_learning_curves", lambda panels, path: None)


@pytest.mark.parametrize(
    ("limits", "batch", "told"),
    [
        ({"max_updates": 20}, 0, r"\(epoch 2\): .*, training 40 s so far, at most 60 s more"),
        ({"max_updates": 8}, 3, r"\(epoch 3\): .*, training 40 s so far"),
        ({"max_epochs": 9}, 3, r"\(epoch 3 of 9\): .*, training 40 s so far"),
    ],
)
def test_a_validation_says_where_training_is(
    limits: dict[str, int],
    batch: int,
    told: str,
    make_engine: MakeEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    engine = make_engine(4, ScriptedValidator([1.0]), **limits)
    counters = engine.counters
    counters.update, counters.epoch, counters.batch, counters.seconds = 8, 3, batch, 40.0
    with engine.reporter:
        validate(engine, Interruption())
    line = caplog.messages[-1]
    assert re.fullmatch(rf"validation at update 8 {told}", line)
    assert "bleu 1.00 - the best so far; it took 0 s" in line
