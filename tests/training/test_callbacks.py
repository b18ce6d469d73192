import logging
import re

import pytest

from nmt.training.callbacks import log_start, validate
from nmt.training.finishing import describe_result
from nmt.training.logs import reporter
from nmt.training.signals import Interruption

from .conftest import MakeState, ScriptedValidator


@pytest.fixture(autouse=True)
def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "plot_learning_curves", lambda panels, path: None)


@pytest.mark.parametrize(
    ("limits", "batch", "told"),
    [
        ({"max_updates": 20}, 0, r"\(epoch 2\): .*; trained for 40 s, about 60 s left at most"),
        ({"max_updates": 8}, 3, r"\(epoch 3\): .*; trained for 40 s"),
        (
            {"max_epochs": 9},
            3,
            r"\(epoch 3 of 9\): .*; trained for 40 s, about 2 min left at most",
        ),
    ],
)
def test_validation_reports_epoch_and_time(
    limits: dict[str, int],
    batch: int,
    told: str,
    make_state: MakeState,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    state = make_state(4, ScriptedValidator([1.0]), **limits)
    counters = state.counters
    counters.update, counters.epoch, counters.batch, counters.seconds = 8, 3, batch, 40.0
    with state.reporter.opened():
        validate(state, Interruption())
    (line,) = (line for line in caplog.messages if line.startswith("validation"))
    assert re.fullmatch(rf"validation at update 8 {told}", line)
    assert "bleu 1.00 - the best so far; took 0 s" in line


def test_samples_are_logged_if_the_model_improved(
    make_state: MakeState, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    state = make_state(4, ScriptedValidator([1.0, 0.5, 2.0]), max_updates=9)
    with state.reporter.opened():
        for update in (1, 2, 3):
            state.counters.update = update
            validate(state, Interruption())
    shown = [line.rpartition("  model: ")[2] for line in caplog.messages if "model: " in line]
    assert shown == ["translation 1", "translation 2"]
    assert "bleu 0.50 - best bleu 1.00 at update 1; took" in caplog.text


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max_epochs": 20}, ", 20 epochs of 59 updates"),
        ({"max_epochs": 20, "accumulate": 2}, ", 20 epochs of 30 updates"),
        (
            {"max_epochs": 20, "max_updates": 1000},
            ", 20 epochs of 59 updates, at most 1,000 updates",
        ),
        ({"max_updates": 7}, ", at most 7 updates"),
        ({"max_updates": 1}, ", at most 1 update"),
        ({}, ""),
    ],
)
def test_start_of_training_is_logged(
    limits: dict[str, int],
    told: str,
    make_state: MakeState,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    state = make_state(4, **limits)
    state.counters.first_epoch_batches = 59
    size = sum(parameter.numel() for parameter in state.model.parameters())
    log_start(state)
    state.counters.update = 7
    log_start(state)
    start = f"{state.run.path}: {size:,} parameters, cpu, float32{told}"
    assert caplog.messages == [start, f"{start}, from update 7"]


def test_end_of_training_names_the_model(make_state: MakeState) -> None:
    state = make_state(4)
    state.counters.update = 1_007
    path = state.run.path
    use = f"is in {path}; `nmt translate {path} FILE` uses it"
    assert describe_result(state) == f"the latest model (update 1,007) {use}"
    state.best.observe(98.87, 500)
    assert describe_result(state) == f"the best model (bleu 98.87 at update 500) {use}"


def test_loss_worse_than_a_guess_is_reported(
    make_state: MakeState, caplog: pytest.LogCaptureFixture
) -> None:
    state = make_state(4, ScriptedValidator([97.52, 97.51]), max_updates=9)
    with state.reporter.opened():
        state.counters.update = 1
        validate(state, Interruption())
        assert caplog.messages == []  # 2.48 is less than ln 12
        state.counters.update = 2
        validate(state, Interruption())
    assert caplog.messages == [
        "loss: 2.4900 is worse than a uniform guess among 12 tokens (2.4849); if it stays "
        "there, lower training.optimizer.learning_rate and start again"
    ]
