"""A loss that has risen too far stops a training, and that of no recipe does."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.core.errors import UserError
from nmt.data.batching import Shard
from nmt.runs.checkpoint import load_checkpoint
from nmt.training import divergence, trainer
from nmt.training.divergence import DivergenceDetector
from nmt.training.logs import reporter
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.signals import Interruption
from nmt.training.state import TrainingState
from nmt.training.trainer import Trainer

from .conftest import CPU, MakeState, ScriptedValidator
from .test_multiprocess import PlacedLoader, Threads, run_ranks

V = 20  # a guess among so many has a loss of 2.9957
RECIPES = json.loads((Path(__file__).parent / "recipe_losses.json").read_text())


class Watched:
    """The sums of updates and the detector that reads them, as training has them."""

    def __init__(self, warmup: int = 0, num_classes: int = V) -> None:
        self.metrics = RunningMetrics(CPU)
        self.detector = DivergenceDetector(num_classes, warmup)

    def add(self, loss: float, tokens: int = 1, norm: float = 1.0) -> None:
        likelihood = torch.tensor(loss)
        self.metrics.add(likelihood, likelihood, tokens, torch.tensor(norm))

    def check(self, update: int, sampling_probability: float = 0.0) -> str | None:
        if update % 100:
            return None
        sums = self.metrics.window()
        self.metrics.start_window()
        return self.detector.check(update, *sums, sampling_probability)

    def state(self) -> dict[str, Any]:
        return {"sums": self.metrics.window(), **self.detector.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.metrics.start_window(state["sums"])
        self.detector.restore(state)


def feed(
    watched: Watched, losses: list[float], first: int = 1, norm: float = 1.0
) -> tuple[int, str] | None:
    """Give it 100 updates for each mean loss; return the first divergence and its update."""
    for window, loss in enumerate(losses):
        for update in range(first + 100 * window, first + 100 * (window + 1)):
            tokens = 1 + update % 3
            watched.add(loss * tokens, tokens, norm)
            if (found := watched.check(update)) is not None:
                return update, found
    return None


@pytest.mark.parametrize(
    ("losses", "update"),
    [
        ([2.9, 2.5, 2.0], None),
        ([3.99], None),  # ln 20 + 1 is 3.9957
        ([4.0], 100),
        ([2.9, math.inf], 200),
        ([2.9, math.nan], 200),
        ([1.5, 2.99], None),
        ([1.5, 3.01], 200),
        ([1.0, 1.9, 1.2, 1.9], None),
        ([1.0, 1.9, 0.9, 1.9], 400),
        ([0.01, 0.5], None),  # what is near 0 may double
        ([0.01, 0.52], 200),
    ],
)
def test_the_mean_of_100_updates_has_two_bounds(losses: list[float], update: int | None) -> None:
    found = feed(Watched(), losses)
    assert (None if found is None else found[0]) == update


def test_divergence_names_updates_and_bound() -> None:
    assert feed(Watched(), [2.0, 9.5e30]) == (
        200,
        "the mean loss of updates 101 to 200 is 9.5e+30, worse than a uniform guess among "
        "all tokens (3.00)",
    )
    assert feed(Watched(), [1.2, 1.0, 2.25]) == (
        300,
        "the mean loss of updates 201 to 300 is 2.25, more than twice the best mean before (1.00)",
    )


def test_every_token_counts_the_same() -> None:
    """99 updates of one token and one of 99: (99 * 1 + 99 * 6.5) / 198 is 3.75."""
    watched = Watched()
    for update in range(1, 101):
        tokens, loss = (99, 6.5) if update == 50 else (1, 1.0)
        watched.add(loss * tokens, tokens)
        found = watched.check(update)
    assert found is None
    assert watched.state()["best"] == pytest.approx(3.75)


def test_windows_starting_in_the_warm_up_are_ignored() -> None:
    for warmup, losses, update in ((150, [9.0, 9.0, 1.0, 9.0], 400), (200, [9.0] * 3, 300)):
        found = feed(Watched(warmup), losses)
        assert found is not None and found[0] == update


def test_skipped_updates_do_not_count() -> None:
    watched = Watched()
    assert feed(watched, [math.nan], norm=math.inf) is None
    assert feed(watched, [1.0], first=101) is None
    assert watched.state()["best"] == pytest.approx(1.0)


def test_losses_before_the_model_is_fed_more_of_its_own_words_do_not_compare() -> None:
    watched = Watched()
    for update, loss, sampling_probability in ((100, 0.5, 0.0), (200, 1.5, 0.3), (300, 1.5, 0.3)):
        watched.add(loss)
        assert watched.check(update, sampling_probability) is None
    watched.add(3.2)
    assert watched.check(400, 0.3) is not None


@pytest.mark.parametrize("stop", [1, 100, 137, 199])
def test_restored_divergence_check_stops_at_the_same_update(stop: int) -> None:
    losses = [0.7 + 0.001 * n for n in range(100)] + [1.0 + 0.01 * n for n in range(200)]

    def run(watched: Watched, updates: range) -> str | None:
        for update in updates:
            watched.add(losses[update - 1])
            if (found := watched.check(update)) is not None:
                return found
        return None

    unbroken, before, after = Watched(), Watched(), Watched()
    told = run(unbroken, range(1, 301))
    assert told is not None and "201 to 300" in told
    run(before, range(1, stop + 1))
    after.restore(json.loads(json.dumps(before.state())))
    assert run(after, range(stop + 1, 301)) == told
    assert after.state() == unbroken.state()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe["name"])
def test_no_recipe_triggers_it(recipe: dict[str, Any]) -> None:
    """The means of 100 updates of trainings whose commands are in the file."""
    watched = Watched(recipe["warmup"], recipe["num_classes"])
    assert len(recipe["losses"]) >= 3
    assert feed(watched, recipe["losses"]) is None
    worst = max(max(recipe["losses"]), math.log(recipe["num_classes"])) + 1.01
    assert feed(watched, [worst], first=1 + 100 * len(recipe["losses"])) is not None


def diverging(make_state: MakeState, **options: Any) -> TrainingState:
    """A training with windows of 10 updates whose step size becomes absurd after the first."""
    state = make_state(4, max_updates=40, clip_norm=None, log_every=1, **options)
    factor = state.schedule.factor
    state.schedule.factor = lambda update: factor(update) * (1 if update <= 10 else 2000)  # type: ignore[method-assign]
    return state


def train(state: TrainingState) -> str:
    with state.reporter.opened():
        return Trainer(state, Interruption()).run()


@pytest.fixture(autouse=True)
def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "plot_learning_curves", lambda panels, path: None)


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (divergence, trainer):
        monkeypatch.setattr(module, "WINDOW", 10)


@pytest.mark.usefixtures("short_windows")
def test_a_training_that_diverges_is_stopped_and_its_best_model_kept(
    make_state: MakeState,
) -> None:
    validator = ScriptedValidator([30.0, 40.0, 2.0])
    state = diverging(
        make_state, validator=validator, validation={"every": 4}, checkpoints={"every": 5}
    )
    message = (
        r"training diverged: the mean loss of updates 11 to 20 is \S+, worse than a uniform "
        r"guess among all tokens \(2\.48\), and the best model before \(bleu 40\.00 at update 8\) "
        r"is kept; lower training\.optimizer\.learning_rate \(0\.1\) or training\.clip_norm, or "
        r"raise training\.schedule\.warmup, and start another run$"
    )
    validator.values += [1.0, 0.5]
    validator.losses += [1.0, 0.5]
    with pytest.raises(UserError, match=message):
        train(state)
    assert state.counters.update == 20
    assert load_checkpoint(state.run.checkpoint("best")).metadata["update"] == 8
    assert load_checkpoint(state.run.checkpoint("last")).metadata["counters"]["update"] == 16


@pytest.mark.usefixtures("short_windows")
def test_a_training_that_diverges_before_it_has_kept_a_model(make_state: MakeState) -> None:
    state = diverging(make_state, validation={"every": 1000}, checkpoints={"every": None})
    with pytest.raises(UserError, match=r"and no model was saved before; lower "):
        train(state)


@pytest.mark.usefixtures("short_windows")
def test_a_resume_stops_at_the_same_update(make_state: MakeState) -> None:
    options: dict[str, Any] = {"validation": {"every": 1000}, "checkpoints": {"every": 15}}
    state = diverging(make_state, **options)
    with pytest.raises(UserError) as unbroken:
        train(state)
    checkpoint = load_checkpoint(state.run.checkpoint("last"))
    resumed = diverging(make_state, checkpoint=checkpoint, **options)
    found = {"sums": resumed.running_metrics.window(), **resumed.divergence.state()}
    assert found == checkpoint.metadata["divergence"]
    with pytest.raises(UserError) as again:
        train(resumed)
    assert str(again.value) == str(unbroken.value)


def test_a_checkpoint_of_a_former_version_has_no_state_of_it(make_state: MakeState) -> None:
    state = make_state(4, max_updates=8)
    train(state)
    checkpoint = load_checkpoint(state.run.checkpoint("last"))
    del checkpoint.metadata["divergence"]
    assert make_state(4, checkpoint=checkpoint).counters.update == 8


@pytest.mark.usefixtures("short_windows")
def test_all_processes_stop_at_the_same_update(make_state: MakeState) -> None:
    states: dict[int, TrainingState] = {}

    def work(group: Threads) -> str:
        state = states[group.rank]
        state.group, state.loader = group, PlacedLoader(Shard(group.rank, group.size), 1)
        with pytest.raises(UserError) as caught:
            train(state)
        return f"{state.counters.update} {caught.value}"

    for rank in range(2):
        states[rank] = diverging(
            make_state, group=None if rank == 0 else Threads(1, None, [None, None])
        )
    first, second = run_ranks(2, work)
    assert first == second
    assert first.startswith("20 ")
