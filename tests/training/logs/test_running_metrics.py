import math

import pytest
import torch

from nmt.training.logs.running_metrics import RunningMetrics


def add(metrics: RunningMetrics, likelihood: float, tokens: int, norm: float) -> None:
    metrics.add(torch.tensor(2 * likelihood), torch.tensor(likelihood), tokens, torch.tensor(norm))


def test_means_over_the_updates_since_the_last_reading() -> None:
    metrics = RunningMetrics(torch.device("cpu"))
    add(metrics, 30.0, 10, 1.0)
    add(metrics, 10.0, 30, 3.0)
    means = metrics.read()
    assert [means[key] for key in ("loss", "objective", "gradient_norm")] == [1.0, 2.0, 2.0]
    add(metrics, 8.0, 2, 5.0)
    assert metrics.read()["loss"] == 4.0
    assert math.isnan(metrics.read()["loss"])


def test_bad_update_is_counted_but_does_not_change_the_means() -> None:
    metrics = RunningMetrics(torch.device("cpu"))
    add(metrics, 30.0, 10, 1.0)
    add(metrics, math.nan, 50, math.nan)
    add(metrics, 10.0, 50, math.inf)
    means = metrics.read()
    assert [means[key] for key in ("loss", "gradient_norm", "num_skipped")] == [3.0, 1.0, 2]


def test_the_longest_row_of_bad_updates() -> None:
    metrics = RunningMetrics(torch.device("cpu"))
    for norm in [math.nan, 1.0, math.nan, math.inf, math.nan, 1.0, math.nan]:
        add(metrics, 1.0, 1, norm)
    assert metrics.most_bad_in_a_row() == 3
    assert metrics.read()["num_skipped"] == 5


def test_restored_state_continues() -> None:
    metrics = RunningMetrics(torch.device("cpu"))
    add(metrics, 30.0, 10, 1.0)
    add(metrics, 1.0, 1, math.nan)
    other = RunningMetrics(torch.device("cpu"))
    other.restore({name: tensor.clone() for name, tensor in metrics.tensors().items()})
    add(other, 1.0, 1, math.nan)
    assert other.most_bad_in_a_row() == 2
    assert other.read()["loss"] == pytest.approx(3.0)
