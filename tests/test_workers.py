"""Processes that share a tool: order, errors, death."""

import os
import signal
import time

import pytest
import torch

from nmt.errors import DataError, RunError
from nmt.workers import Workers


def scale(tool: torch.Tensor, number: int) -> float:
    return float(tool.sum()) * number


def refuse(tool: torch.Tensor, number: int) -> int:
    if number == 3:
        raise DataError(f"no {number}, please")
    return number


def die(tool: torch.Tensor, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def test_results_come_in_the_order_of_the_jobs() -> None:
    with Workers(torch.ones(3), 2) as workers:
        assert workers.map(scale, [(number,) for number in range(20)]) == [
            3.0 * number for number in range(20)
        ]
        assert workers.map(scale, []) == []
        with pytest.raises(DataError, match="no 3, please"):
            workers.map(refuse, [(number,) for number in range(6)])
        assert workers.map(scale, [(5,)]) == [15.0]  # and nothing is left of what went wrong


def test_a_death_is_told() -> None:
    with (
        Workers(torch.ones(1), 2) as workers,
        pytest.raises(RunError, match=r"a worker has died \(exit code -9.*fewer --workers"),
    ):
        workers.map(die, [(1,)])
