import math

import pytest

from nmt.training.early_stopping import Progress


@pytest.mark.parametrize(("higher_is_better", "sign"), [(True, 1.0), (False, -1.0)])
def test_counts_validations_without_a_new_best(higher_is_better: bool, sign: float) -> None:
    progress = Progress("metric", higher_is_better=higher_is_better)
    seen = []
    for update, value in enumerate([1.0, 3.0, 2.0, 3.0, 4.0, 0.0]):
        seen.append((progress.observe(sign * value, update), progress.without_best))
    assert seen == [(True, 0), (True, 0), (False, 1), (False, 2), (True, 0), (False, 1)]
    assert (progress.best, progress.best_update) == (sign * 4.0, 4)


def test_what_is_not_a_number_is_never_the_best() -> None:
    progress = Progress("loss", higher_is_better=False)
    assert not progress.observe(math.nan, 1)
    assert progress.observe(5.0, 2)
    assert not progress.observe(math.nan, 3)
    assert progress.best == 5.0


def test_a_restored_one_goes_on() -> None:
    progress = Progress("bleu", higher_is_better=True)
    progress.observe(3.0, 10)
    progress.observe(2.0, 20)
    other = Progress("bleu", higher_is_better=True)
    other.restore(progress.state())
    assert other.state() == {"best": 3.0, "best_update": 10, "without_best": 1}
    assert str(other) == "bleu 3.00 at update 10"


def test_a_loss_is_said_with_four_digits_and_a_score_with_two() -> None:
    progress = Progress("loss", higher_is_better=False)
    assert str(progress) == "no loss yet"
    progress.observe(1.23456, 1_000)
    assert str(progress) == "loss 1.2346 at update 1,000"
