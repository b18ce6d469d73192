import json
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from nmt.config.experiment import Config
from nmt.core.batch import Batch, make_batch
from nmt.core.errors import ConfigError, UserError
from nmt.nn.decoders.interface import DecoderOutput
from nmt.nn.model import Model
from nmt.runs.checkpoint import is_checkpoint, load_checkpoint
from nmt.training import trainer
from nmt.training.finishing import keep_average_if_better
from nmt.training.logs import reporter, running_metrics
from nmt.training.objective.cross_entropy import TokenLoss
from nmt.training.objective.objective import Objective
from nmt.training.objective.output_loss import LabelSmoothing, RDrop
from nmt.training.signals import Interrupted, Interruption
from nmt.training.state import TrainingState
from nmt.training.train import train_to_the_end
from nmt.training.trainer import Trainer
from nmt.training.validation import Validation

from .conftest import ListLoader, MakeState, ScriptedValidator, after_each_update, batches


@pytest.fixture(autouse=True)
def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "plot_learning_curves", lambda panels, path: None)


def train(state: TrainingState) -> str:
    with state.reporter.opened():
        return Trainer(state, Interruption()).run()


def weights(state: TrainingState) -> torch.Tensor:
    return parameters_to_vector(state.model.parameters()).detach().clone()


def lines(state: TrainingState, kind: str) -> list[dict[str, Any]]:
    rows = map(json.loads, state.run.metrics.read_text().splitlines())
    return [row for row in rows if row["kind"] == kind]


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").iterdir()}


def test_the_loss_falls(make_state: MakeState) -> None:
    state = make_state(max_updates=40, log_every=1, label_smoothing=0.0, learning_rate=1.0)
    assert train(state) == "max_updates (40) reached"
    losses = [row["loss"] for row in lines(state, "train")]
    assert len(losses) == 40
    assert losses[0] == pytest.approx(math.log(12), rel=0.2)
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_accumulated_batches_are_one_batch_of_all_their_sentences(
    make_state: MakeState, clip_norm: float | None
) -> None:
    """Batches of different lengths: a mean of means, or of clipped gradients, would differ."""
    sources, targets = [[4, 5], [6, 7], [8, 9]], [[4, 5, 6, 7, 8], [9], [10, 11]]
    options = {"max_updates": 1, "learning_rate": 100.0, "clip_norm": clip_norm}
    whole = make_state(accumulate=1, **options)
    whole.loader = ListLoader([make_batch(sources, targets)])
    parts = make_state(accumulate=2, **options)
    parts.loader = ListLoader(
        [make_batch(sources[:1], targets[:1]), make_batch(sources[1:], targets[1:])], accumulate=2
    )
    before = weights(whole)
    train(whole)
    train(parts)
    step = weights(whole) - before
    if clip_norm is not None:
        assert step.norm().item() == pytest.approx(100.0 * clip_norm, rel=1e-3)
    torch.testing.assert_close(weights(parts) - before, step, rtol=1e-3, atol=1e-5)


def test_two_passes_without_dropout_train_as_one(make_state: MakeState) -> None:
    once = make_state(num_batches=4, max_updates=4, accumulate=2)
    train(once)
    both = make_state(num_batches=4, max_updates=4, accumulate=2)
    smoothing = LabelSmoothing(weight=both.config.label_smoothing)
    both.objective = Objective((smoothing, RDrop(weight=1.0)))
    train(both)
    torch.testing.assert_close(weights(both), weights(once))


def test_an_epoch_that_does_not_divide_ends_with_a_smaller_update(make_state: MakeState) -> None:
    state = make_state(num_batches=5, accumulate=2, max_epochs=2)
    assert train(state) == "max_epochs (2) reached"
    assert (state.counters.update, state.counters.epoch, state.counters.batch) == (6, 3, 0)
    tokens = sum(batch.num_target_tokens for batch in batches(5))
    assert state.counters.num_tokens == 2 * tokens


def test_an_epoch_without_batches_is_refused(make_state: MakeState) -> None:
    with pytest.raises(ConfigError, match=r"data\.train: epoch 1 has no sentences"):
        make_state(num_batches=0, max_updates=3)
    state = make_state(num_batches=1, max_updates=3)
    state.loader = ListLoader([])
    with pytest.raises(ConfigError, match=r"data\.train: epoch 1 has no sentences"):
        train(state)


def test_validation_once_an_epoch_and_at_the_end(make_state: MakeState) -> None:
    validator = ScriptedValidator([1.0, 2.0, 3.0])
    state = make_state(4, validator, max_updates=10)
    train(state)
    assert [row["update"] for row in lines(state, "validation")] == [4, 8, 10]


def test_validation_every_so_many_updates(make_state: MakeState) -> None:
    validator = ScriptedValidator([1.0, 2.0, 3.0])
    state = make_state(4, validator, max_updates=9, validation={"every": 3})
    train(state)
    rows = lines(state, "validation")
    assert [row["update"] for row in rows] == [3, 6, 9]
    assert rows[1]["loss"] == 98.0
    assert rows[1]["perplexity"] == pytest.approx(math.exp(98.0))
    assert rows[1]["scores"] == {"bleu": 2.0}


def test_the_best_weights_and_the_latest_are_kept(make_state: MakeState, tmp_path: Path) -> None:
    validator = ScriptedValidator([1.0, 5.0, 3.0, 4.0])
    state = make_state(
        4, validator, max_updates=8, validation={"every": 2}, checkpoints={"keep_last": 2}
    )
    train(state)
    assert checkpoints(tmp_path) == {"last", "best", "step-6", "step-8"}
    best = load_checkpoint(state.run.checkpoint("best"))
    assert best.metadata == {"update": 4, "loss": 95.0, "scores": {"bleu": 5.0}}
    name = next(iter(dict(state.model.named_parameters())))
    assert torch.equal(best.tensors["model"][name], validator.seen[1])
    assert (state.best.best, state.best.best_update) == (5.0, 4)


def test_without_validation_data_the_latest_weights_are_the_best(make_state: MakeState) -> None:
    state = make_state(4, max_updates=6)
    train(state)
    best = load_checkpoint(state.run.checkpoint("best"))
    assert best.metadata == {"update": 6}
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(best.tensors["model"][name], tensor)


@pytest.mark.parametrize("metric", ["bleu", "loss"])
def test_stops_early(make_state: MakeState, metric: str) -> None:
    validator = ScriptedValidator([1.0, 5.0, 3.0, 4.0, 4.5])
    state = make_state(4, validator, early_stopping={"metric": metric, "patience": 3})
    assert train(state) == f"3 validations in a row without a better {metric}"
    assert state.counters.update == 20


def test_the_loss_decides_between_equal_scores_for_the_best_and_for_patience(
    make_state: MakeState, caplog: pytest.LogCaptureFixture
) -> None:
    """At 100 BLEU from the second validation on, the loss falls until the fourth."""
    losses = [9.0, 8.0, 7.0, 6.0, 6.5, 6.0]
    validator = ScriptedValidator([99.0, 100.0, 100.0, 100.0, 100.0, 100.0], losses)
    state = make_state(4, validator, early_stopping={"metric": "bleu", "patience": 2})
    assert train(state) == "2 validations in a row without a better bleu"
    assert state.counters.update == 24
    assert load_checkpoint(state.run.checkpoint("best")).metadata["update"] == 16
    warnings = [line for line in caplog.messages if "is perfect on" in line]
    assert warnings == [
        "training.validation.best: bleu is perfect on the validation set, so the loss decides from "
        "now on; use a larger validation set, or best: loss"
    ]


def test_average_is_validated_and_kept(make_state: MakeState) -> None:
    validator = ScriptedValidator([1.0, 2.0])
    state = make_state(4, validator, max_updates=8, ema_decay=0.9)
    train(state)
    assert state.ema is not None
    name = next(iter(state.ema.tensors()))
    average = state.ema.tensors()[name]
    assert torch.equal(validator.seen[-1], average)
    best = load_checkpoint(state.run.checkpoint("best")).tensors["model"]
    assert torch.equal(best[name], average)
    assert not torch.equal(state.model.state_dict()[name], average)
    last = load_checkpoint(state.run.checkpoint("last")).tensors
    assert torch.equal(last["model"][name], state.model.state_dict()[name])
    assert torch.equal(last["ema"][name], average)


def test_the_moving_average_is_that_of_the_weights_after_each_update(
    make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its decay warms up by updates, not by epochs of two: (1 + n) / (10 + n), up to 0.4."""
    state = make_state(2, max_updates=7, ema_decay=0.4)
    names = list(dict(state.model.named_parameters()))
    seen = [weights(state)]
    monkeypatch.setattr(state.running_metrics, "add", lambda *_: seen.append(weights(state)))
    train(state)
    average, *after = seen
    assert len(after) == 7
    for number, vector in enumerate(after, start=1):
        decay = min(0.4, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * vector
    assert state.ema is not None
    kept = state.ema.tensors()
    torch.testing.assert_close(parameters_to_vector([kept[name] for name in names]), average)


@pytest.mark.parametrize(("keep_last", "kept"), [(1, [8, 12, 16]), (4, [4, 8, 12, 16])])
def test_as_many_snapshots_are_kept_as_are_averaged(
    make_state: MakeState, keep_last: int, kept: list[int]
) -> None:
    validator = ScriptedValidator([1.0, 2.0, 3.0, 4.0, 5.0])
    options = {"keep_last": keep_last, "average_last": 3}
    state = make_state(4, validator, max_updates=16, checkpoints=options)
    train(state)
    assert state.snapshots.latest(9) == kept
    keep_average_if_better(state, Interruption())
    torch.testing.assert_close(validator.seen[4], sum(validator.seen[1:4]) / 3)
    best = load_checkpoint(state.run.checkpoint("best"))
    assert best.metadata["average_of"] == [8, 12, 16]


@pytest.mark.parametrize(("value", "kept"), [(4.0, True), (1.5, False)])
def test_average_of_the_last_is_kept_if_better(
    make_state: MakeState, value: float, kept: bool
) -> None:
    validator = ScriptedValidator([1.0, 2.0, 3.0, value])
    state = make_state(4, validator, max_updates=12, checkpoints={"average_last": 2})
    train(state)
    before = weights(state)
    keep_average_if_better(state, Interruption())
    torch.testing.assert_close(validator.seen[3], (validator.seen[1] + validator.seen[2]) / 2)
    best = load_checkpoint(state.run.checkpoint("best"))
    assert best.metadata.get("average_of") == ([8, 12] if kept else None)
    assert state.best.best == max(3.0, value)
    assert torch.equal(weights(state), before)


@pytest.mark.parametrize("count", [0, 1])
def test_average_needs_two_snapshots(make_state: MakeState, count: int) -> None:
    state = make_state(
        4, ScriptedValidator([1.0]), max_updates=4, checkpoints={"average_last": count}
    )
    train(state)
    keep_average_if_better(state, Interruption())


def runs_out_above(state: TrainingState, num_sentences: int) -> list[int]:
    """Have memory for so many sentences, and no more; the batches that were tried."""
    tried: list[int] = []
    objective = state.objective

    def small(model: Model, batch: Batch, sampling_probability: float) -> TokenLoss:
        tried.append(batch.num_sentences)
        losses = objective(model, batch, sampling_probability)
        if batch.num_sentences > num_sentences:
            # In the midst of the backward pass, when some weights have their gradients already.
            weight = next(model.source_embedding.parameters())
            handles.append(weight.register_hook(run_out))
        return losses

    handles: list[Any] = []

    def run_out(gradient: torch.Tensor) -> None:
        handles.pop().remove()
        raise torch.OutOfMemoryError

    state.objective = small  # type: ignore[assignment]
    return tried


def test_a_batch_that_runs_out_of_memory_is_split_and_not_lost(
    make_state: MakeState, caplog: pytest.LogCaptureFixture
) -> None:
    sources, targets = [[4, 5], [6, 7, 8], [8], [9, 10]], [[4, 5, 6], [9], [10, 11, 4, 5], [7]]
    whole = [make_batch(sources, targets), make_batch(sources[:1], targets[:1])]
    states = [make_state(max_updates=1, accumulate=2, log_every=1) for _ in "12"]
    for state in states:
        state.loader = ListLoader(whole, accumulate=2)
    tried = runs_out_above(states[1], 1)
    for state in states:
        train(state)
    torch.testing.assert_close(weights(states[1]), weights(states[0]))
    assert tried == [4, 2, 1, 1, 2, 1, 1, 1, 1, 1]
    assert states[1].counters.num_split == 3
    assert [row["num_split"] for row in lines(states[1], "train")][-1] == 3
    told = [message for message in caplog.messages if "memory" in message or "fit" in message]
    assert told[0] == (
        "update 1: out of memory at 4 pairs of up to 4 and 5 tokens, so the batch is split "
        "(1 so far); lower training.batch_tokens, or set it to auto"
    )
    assert len(told) == 4
    assert told[-1] == "batches of up to 5 tokens fit"


def test_one_sentence_that_does_not_fit(make_state: MakeState) -> None:
    state = make_state(max_updates=1)
    runs_out_above(state, 0)
    with pytest.raises(UserError, match=r"out of memory at one pair of 3 and 2 tokens; leave out"):
        train(state)


NO_MEMORY = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            NO_MEMORY,
            UserError,
            r"^update: out of memory in the optimizer step, .*; start another run with a sm",
        ),
        (RuntimeError("a bug"), RuntimeError, "^a bug$"),
    ],
)
def test_a_step_that_runs_out_of_memory(
    error: Exception,
    kind: type[Exception],
    told: str,
    make_state: MakeState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise error

    state = make_state(max_updates=1)
    monkeypatch.setattr(state.optimizer, "step", fail)
    with state.reporter.opened(), pytest.raises(kind, match=told):
        train_to_the_end(Config.model_construct(), state, Interruption())


def test_a_validation_that_runs_out_of_memory(make_state: MakeState) -> None:
    class Large(ScriptedValidator):
        def __call__(self, interruption: Interruption) -> Validation:
            raise NO_MEMORY

    state = make_state(1, Large([]), max_updates=1)
    told = "^validation: out of memory; lower decoding.batch_tokens, .* --resume continues"
    with state.reporter.opened(), pytest.raises(UserError, match=told):
        train_to_the_end(Config.model_construct(), state, Interruption())


def spoil(state: TrainingState, updates: set[int]) -> None:
    """Make the loss of these updates infinite."""

    def infinite(module: object, arguments: object, decoded: DecoderOutput) -> DecoderOutput:
        factor = math.inf if state.counters.update in updates else 1.0
        return replace(decoded, vectors=factor * decoded.vectors)

    state.model.decoder.register_forward_hook(infinite)


def test_a_bad_update_is_skipped_and_counted(make_state: MakeState) -> None:
    spoiled = make_state(4, max_updates=3, log_every=3)
    spoil(spoiled, {3})
    clean = make_state(4, max_updates=2)
    train(clean)
    train(spoiled)
    assert torch.equal(weights(spoiled), weights(clean))
    (row,) = lines(spoiled, "train")
    assert row["num_skipped"] == 1
    assert math.isfinite(row["loss"])


def test_gives_up_after_so_many_bad_updates_in_a_row(make_state: MakeState, tmp_path: Path) -> None:
    state = make_state(4, max_updates=30, max_bad_updates=3, checkpoints={"every": 4})
    spoil(state, {3, 6, 7, 9, 10, 11, 12})
    with pytest.raises(UserError, match="max_bad_updates: 3 updates in a row, up to 11, had"):
        train(state)
    last = load_checkpoint(state.run.checkpoint("last"))
    assert last.metadata["counters"]["update"] == 8
    assert all(torch.isfinite(tensor).all() for tensor in last.tensors["model"].values())


def test_checkpoints_are_saved_at_intervals(
    make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(trainer, "save_state", lambda state: saved.append(state.counters.update))
    train(make_state(4, max_updates=9, checkpoints={"every": 3}))
    assert saved == [3, 4, 6, 8, 9]


def test_an_interruption_ends_after_the_update(make_state: MakeState, tmp_path: Path) -> None:
    state = make_state(4, max_updates=9)
    interruption = Interruption()
    interruption.signal = 2
    with state.reporter.opened(), pytest.raises(Interrupted):
        Trainer(state, interruption).run()
    assert not is_checkpoint(tmp_path / "checkpoints/last")


@pytest.mark.parametrize("end", ["epoch", "update", "signal", "error"])
def test_no_thread_runs_after_the_end(make_state: MakeState, end: str) -> None:
    limit = {"max_epochs": 1} if end == "epoch" else {"max_updates": 3}
    # One validation is scripted, after the first update; there is an error at the second.
    validator = ScriptedValidator([1.0] if end == "error" else [1.0] * 9)
    state = make_state(4, validator, validation={"every": 1, "metrics": ["bleu"]}, **limit)
    interruption = Interruption()
    if end == "signal":
        after_each_update(state, lambda: setattr(interruption, "signal", 2))
    expected = {"signal": Interrupted, "error": IndexError}.get(end)
    with state.reporter.opened(), nullcontext() if expected is None else pytest.raises(expected):
        Trainer(state, interruption).run()
    assert state.counters.update == {"epoch": 4, "update": 3, "signal": 1, "error": 2}[end]
    assert not state.loader.is_at_work


def test_an_interrupted_validation_changes_nothing(make_state: MakeState) -> None:
    state = make_state(2, ScriptedValidator([]), max_updates=9, ema_decay=0.5)
    interruption = Interruption()

    def interrupts(module: object, arguments: object, output: object) -> None:
        if state.counters.update == 2:
            interruption.signal = 2

    state.model.decoder.register_forward_hook(interrupts)
    other = make_state(2, ScriptedValidator([1.0]), max_updates=2, ema_decay=0.5)
    with state.reporter.opened(), pytest.raises(Interrupted):
        Trainer(state, interruption).run()
    train(other)
    assert torch.equal(weights(state), weights(other))
    assert state.counters.validated_at == 0
    assert state.best.best is None


def test_the_learning_rate_follows_the_schedule(
    make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = make_state(4, max_updates=4, log_every=1)
    monkeypatch.setattr(state.schedule, "factor", lambda update: 1.0 / update)
    train(state)
    rates = [row["learning_rate"] for row in lines(state, "train")]
    assert rates == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025])
    assert {group["lr"] for group in state.optimizer.param_groups} == {0.025}


def test_scheduled_sampling_reaches_the_model(make_state: MakeState) -> None:
    chances = []
    sampling = {"start": 1, "end": 3, "probability": 0.8}
    state = make_state(4, max_updates=4, scheduled_sampling=sampling)
    objective = state.objective

    def watched(model: Model, batch: Batch, sampling_probability: float) -> TokenLoss:
        chances.append(sampling_probability)
        return objective(model, batch, sampling_probability)

    state.objective = watched  # type: ignore[assignment]
    train(state)
    assert chances == pytest.approx([0.0, 0.4, 0.8, 0.8])


def test_time_excludes_validation(make_state: MakeState, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update takes 1 s, a validation 100 s, a save 1,000 s."""
    now = 0.0

    def takes(seconds: float) -> None:
        nonlocal now
        now += seconds

    class Slow(ScriptedValidator):
        def __call__(self, interruption: Interruption) -> Any:
            takes(100.0)
            return super().__call__(interruption)

    monkeypatch.setattr(running_metrics, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(trainer, "save_state", lambda state: takes(1000.0))
    state = make_state(4, Slow([1.0, 2.0]), max_updates=8, log_every=2, checkpoints={"every": 3})
    state.model.decoder.register_forward_hook(lambda *_: takes(1.0))
    train(state)
    rows = lines(state, "train")
    assert [row["seconds"] for row in rows] == [2.0, 4.0, 6.0, 8.0]
    per_second = [row["tokens_per_second"] for row in rows]
    tokens = [batch.num_target_tokens for batch in batches(4)]
    assert per_second[:2] == [sum(tokens[:2]) / 2, sum(tokens[2:]) / 2]
    assert state.counters.seconds == 8.0


def test_the_time_up_to_an_interruption_counts(
    make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(100))
    monkeypatch.setattr(
        running_metrics, "time", SimpleNamespace(perf_counter=lambda: float(next(now)))
    )
    state = make_state(4, max_updates=9)
    interruption = Interruption()
    state.model.decoder.register_forward_hook(lambda *_: setattr(interruption, "signal", 2))
    with state.reporter.opened(), pytest.raises(Interrupted):
        Trainer(state, interruption).run()
    assert state.counters.seconds > 0.0
