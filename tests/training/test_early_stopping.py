import math

import pytest

from nmt.training.early_stopping import MetricTracker


@pytest.mark.parametrize(("higher_is_better", "sign"), [(True, 1.0), (False, -1.0)])
def test_counts_validations_without_a_new_best(higher_is_better: bool, sign: float) -> None:
    progress = MetricTracker("metric", higher_is_better=higher_is_better)
    seen = []
    for update, value in enumerate([1.0, 3.0, 2.0, 3.0, 4.0, 0.0]):
        seen.append((progress.observe(sign * value, update), progress.without_best))
    assert seen == [(True, 0), (True, 0), (False, 1), (False, 2), (True, 0), (False, 1)]
    assert (progress.best, progress.best_update) == (sign * 4.0, 4)


def test_nan_is_never_the_best() -> None:
    progress = MetricTracker("loss", higher_is_better=False)
    assert not progress.observe(math.nan, 1)
    assert progress.observe(5.0, 2)
    assert not progress.observe(math.nan, 3)
    assert progress.best == 5.0


def test_restored_state_continues() -> None:
    progress = MetricTracker("bleu", higher_is_better=True)
    progress.observe(3.0, 10)
    progress.observe(2.0, 20)
    other = MetricTracker("bleu", higher_is_better=True)
    other.restore(progress.state())
    assert other.state() == {
        "best": 3.0,
        "best_loss": None,
        "best_update": 10,
        "without_best": 1,
    }
    assert str(other) == "bleu 3.00 at update 10"


def test_loss_has_four_digits_and_a_score_two() -> None:
    progress = MetricTracker("loss", higher_is_better=False)
    assert str(progress) == "no loss yet"
    progress.observe(1.23456, 1_000)
    assert str(progress) == "loss 1.2346 at update 1,000"


def test_of_equal_values_the_one_with_the_lower_loss_is_the_best() -> None:
    progress = MetricTracker("bleu", higher_is_better=True, perfect=100.0)
    values = [(99.0, 0.9), (100.0, 0.8), (100.00000000000001, 0.7), (100.0, 0.75), (100.0, 0.6)]
    seen = [progress.observe(value, n, loss) for n, (value, loss) in enumerate(values)]
    assert seen == [True, True, True, False, True]
    assert (progress.best_update, progress.without_best, progress.best_loss) == (4, 0, 0.6)


def test_of_equal_losses_the_first_is_the_best() -> None:
    progress = MetricTracker("loss", higher_is_better=False)
    assert [progress.observe(loss, 1, loss) for loss in (0.5, 0.5, 0.4)] == [True, False, True]


def test_equal_values_with_a_loss_that_is_not_a_number_change_nothing() -> None:
    progress = MetricTracker("bleu", higher_is_better=True)
    progress.observe(5.0, 1, 2.0)
    assert not progress.observe(5.0, 2, math.nan)


def test_any_loss_beats_one_that_is_not_a_number() -> None:
    """What is kept is a number that a resume takes."""
    progress = MetricTracker("bleu", higher_is_better=True)
    assert progress.observe(0.0, 1, math.nan)
    assert progress.state()["best_loss"] == math.inf
    assert progress.observe(0.0, 2, 9.0)
    assert progress.state()["best_loss"] == 9.0


@pytest.mark.parametrize(("higher_is_better", "perfect"), [(True, 100.0), (False, 0.0)])
def test_knows_when_nothing_can_be_better(higher_is_better: bool, perfect: float) -> None:
    progress = MetricTracker("metric", higher_is_better=higher_is_better, perfect=perfect)
    assert not progress.is_perfect
    progress.observe(50.0, 1)
    assert not progress.is_perfect
    progress.observe(perfect, 2)
    assert progress.is_perfect


def test_a_state_without_the_loss_of_the_best_is_restored() -> None:
    """Checkpoints of former versions have none: then the first of equal values stays the best."""
    progress = MetricTracker("bleu", higher_is_better=True)
    progress.restore({"best": 3.0, "best_update": 10, "without_best": 1})
    assert not progress.observe(3.0, 20, 0.1)
    assert progress.observe(4.0, 30, 0.2)
    assert progress.observe(4.0, 40, 0.1)
