import json
import random

import numpy as np
import torch

from nmt.training.randomness import (
    random_metadata,
    random_tensors,
    restore_random,
    seed_everything,
)

CPU = torch.device("cpu")


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0.0, 1.0),
        float(np.random.random()),
        float(np.random.standard_normal()),
        float(torch.rand(())),
        float(torch.randn(())),
    ]


def test_one_seed_gives_the_same_numbers_and_another_one_others() -> None:
    drawn = []
    for seed in (1, 1, 2, 2**40):
        seed_everything(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


def test_restored_generators_go_on_where_they_were() -> None:
    seed_everything(3)
    draw()  # leaves the second number of a pair of normal ones behind, which is state as well
    tensors = {name: tensor.clone() for name, tensor in random_tensors(CPU).items()}
    metadata = json.loads(json.dumps(random_metadata()))
    expected = draw()
    seed_everything(4)
    restore_random(tensors, metadata, CPU)
    assert draw() == expected
