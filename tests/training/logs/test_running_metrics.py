import math

import pytest
import torch

from nmt.training.logs.running_metrics import Tally


def add(tally: Tally, likelihood: float, tokens: int, norm: float) -> None:
    tally.add(torch.tensor(2 * likelihood), torch.tensor(likelihood), tokens, torch.tensor(norm))


def test_means_over_the_updates_since_the_last_reading() -> None:
    tally = Tally(torch.device("cpu"))
    add(tally, 30.0, 10, 1.0)
    add(tally, 10.0, 30, 3.0)
    reading = tally.read()
    assert (reading.loss, reading.objective, reading.gradient_norm) == (1.0, 2.0, 2.0)
    add(tally, 8.0, 2, 5.0)
    assert tally.read().loss == 4.0
    assert math.isnan(tally.read().loss)


def test_a_bad_update_is_counted_and_leaves_the_means_alone() -> None:
    tally = Tally(torch.device("cpu"))
    add(tally, 30.0, 10, 1.0)
    add(tally, math.nan, 50, math.nan)
    add(tally, 10.0, 50, math.inf)
    reading = tally.read()
    assert (reading.loss, reading.gradient_norm, reading.num_skipped) == (3.0, 1.0, 2)


def test_the_longest_row_of_bad_updates() -> None:
    tally = Tally(torch.device("cpu"))
    for norm in [math.nan, 1.0, math.nan, math.inf, math.nan, 1.0, math.nan]:
        add(tally, 1.0, 1, norm)
    assert tally.most_bad_in_a_row() == 3
    assert tally.read().num_skipped == 5


def test_a_restored_one_goes_on() -> None:
    tally = Tally(torch.device("cpu"))
    add(tally, 30.0, 10, 1.0)
    add(tally, 1.0, 1, math.nan)
    other = Tally(torch.device("cpu"))
    other.restore({name: tensor.clone() for name, tensor in tally.tensors().items()})
    add(other, 1.0, 1, math.nan)
    assert other.most_bad_in_a_row() == 2
    assert other.read().loss == pytest.approx(3.0)
