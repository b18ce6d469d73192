"""A training that is broken off after any update and restored is the one that never stopped."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt.core.errors import RunError
from nmt.runs.checkpoint import load_checkpoint
from nmt.training import saved_state
from nmt.training.logs import reporter, running_metrics
from nmt.training.saved_state import load_state, save_state
from nmt.training.signals import Interrupted, Interruption
from nmt.training.state import TrainingState
from nmt.training.trainer import Trainer

from .conftest import MakeState, ScriptedValidator, after_each_update

# The best comes second; then two plateaus of one validation each, and the end after three.
BLEU = [5.0, 6.0, 5.5, 5.2, 5.1, 9.0]
NUM_UPDATES = 10
OPTIONS: dict[str, Any] = {
    "max_updates": 30,
    "ema_decay": 0.9,
    "schedule": {"name": "plateau", "warmup": 3, "patience": 1, "decay": 0.5},
    "validation": {"every": 2, "num_samples": 0},
    "early_stopping": {"metric": "bleu", "patience": 3},
    "checkpoints": {"every": 4},
    "log_every": 5,
}

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(autouse=True)
def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "plot_learning_curves", lambda panels, path: None)


@pytest.fixture(autouse=True)
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have the clock say what is in this list, to which each update adds one second."""
    seconds = [0.0]
    monkeypatch.setattr(running_metrics, "time", SimpleNamespace(perf_counter=lambda: seconds[0]))
    return seconds


class Killed(BaseException):
    """In the place of a signal that no process survives."""


def train(
    state: TrainingState,
    seconds: list[float],
    stop_at: int | None = None,
    *,
    is_killed: bool = False,
) -> str:
    """Train to the end, or up to an update after which somebody asks for an end."""
    interruption = Interruption()

    def pass_time() -> None:
        seconds[0] += 1.0
        if state.counters.update == stop_at:
            if is_killed:
                raise Killed
            interruption.signal = 2

    after_each_update(state, pass_time)
    with state.reporter.opened():
        try:
            reason = Trainer(state, interruption).run()
        except Interrupted:
            reason = "interrupted"
        except Killed:
            return "killed"
        save_state(state)
    return reason


def everything(state: TrainingState) -> tuple[Any, Any, Any]:
    """Return all that a training has left: tensors, metadata and metrics."""
    paths = sorted(state.run.checkpoints.iterdir())
    found = {path.name: load_checkpoint(path) for path in paths}
    rows = map(json.loads, state.run.metrics.read_text().splitlines())
    return (
        {name: checkpoint.tensors for name, checkpoint in found.items()},
        {name: checkpoint.metadata for name, checkpoint in found.items()},
        list(rows),
    )


@pytest.mark.parametrize(
    ("end", "update", "saved_at"),
    [
        *(("interrupted", update, update) for update in (1, 4, 5, 7, 9)),
        ("killed", 5, 4),  # what was saved after the validation at update 4
        ("killed", 8, 6),
    ],
)
def test_restored_training_equals_an_uninterrupted_one(
    make_state: MakeState, seconds: list[float], end: str, update: int, saved_at: int
) -> None:
    unbroken = make_state(5, ScriptedValidator(BLEU), **OPTIONS)
    reason = train(unbroken, seconds)
    assert reason == "3 validations in a row without a better bleu"
    assert unbroken.counters.update == NUM_UPDATES
    assert unbroken.learning_rate() == pytest.approx(0.1 * 0.5**3)
    tensors, metadata, rows = everything(unbroken)
    for path in unbroken.run.checkpoints.iterdir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    unbroken.run.metrics.unlink()

    validator = ScriptedValidator(BLEU)
    broken = make_state(5, validator, **OPTIONS)
    assert train(broken, seconds, update, is_killed=end == "killed") == end
    last = load_checkpoint(unbroken.run.checkpoint("last"))
    rest = ScriptedValidator(BLEU[len(validator.seen) :])
    restored = make_state(5, rest, checkpoint=last, **OPTIONS)
    assert restored.counters.update == saved_at
    assert train(restored, seconds) == reason
    found, found_metadata, found_rows = everything(restored)
    assert found_rows == rows
    assert found_metadata == metadata
    torch.testing.assert_close(found, tensors, rtol=0, atol=0)


def test_a_counter_of_a_later_version_needs_that_version(
    make_state: MakeState, seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = make_state(2, max_updates=1)
    train(state, seconds)
    last = load_checkpoint(state.run.checkpoint("last"))
    last.metadata["counters"]["num_new"] = 1
    monkeypatch.setattr(saved_state.Run, "open", lambda path: None)
    monkeypatch.setattr(saved_state, "load_tokenizers", lambda run: SimpleNamespace(sizes=(12, 12)))
    monkeypatch.setattr(saved_state, "build_empty", lambda *given: None)
    monkeypatch.setattr(saved_state, "load_weights", lambda *given: last)
    config: Any = SimpleNamespace(training=state.config)
    told = r"metadata\.json: counters\.num_new is from a later version of nmt; use that version"
    with pytest.raises(RunError, match=told):
        load_state(config, state.run)
