import random
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from nmt.training.state import TrainingState, seed_everything


def seed_update(seed: int, update: int, rank: int = 0) -> None:
    place: Any = SimpleNamespace(
        seed=seed, counters=SimpleNamespace(update=update), group=SimpleNamespace(rank=rank)
    )
    TrainingState.seed_update(place)


def draw() -> tuple[float, ...]:
    return (
        random.random(),
        random.gauss(0.0, 1.0),
        float(np.random.random()),
        float(np.random.standard_normal()),
        float(torch.rand(())),
        float(torch.randn(())),
    )


def test_one_seed_gives_the_same_numbers_and_another_one_others() -> None:
    drawn = []
    for seed in (1, 1, 2, 2**40):
        seed_everything(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


def test_random_numbers_of_an_update_do_not_depend_on_earlier_draws() -> None:
    seed_update(3, 7)
    expected = draw()
    draw()
    seed_update(3, 7)
    assert draw() == expected


def test_each_seed_update_and_rank_has_numbers_of_its_own() -> None:
    drawn = []
    for place in product((1, 2, 2**63), (1, 2), (0, 1)):
        seed_update(*place)
        drawn.append(draw())
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == len(drawn)
