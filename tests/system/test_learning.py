"""Each wiring, cell and score learns to copy and to reverse, from nothing, to the last word."""

from itertools import product

import pytest
import torch

from nmt.batch import Batch
from nmt.build import build_model
from nmt.config import ModelConfig
from nmt.data.loader import make_batch
from nmt.nn.attention.score import SCORES
from nmt.nn.decoders import DECODERS
from nmt.nn.model import Model
from nmt.nn.recurrent import CELLS
from nmt.search.greedy import GreedySearch
from nmt.search.penalties import NoPenalty
from nmt.search.search import SearchLimits
from nmt.symbols import SPECIAL_SYMBOLS
from nmt.training.loss import label_smoothed_cross_entropy

pytestmark = pytest.mark.slow

VOCABULARY = 24
FIRST = len(SPECIAL_SYMBOLS)
TASKS = {"copy": lambda words: words, "reverse": lambda words: words[::-1]}


def make_pairs(task: str, count: int, seed: int) -> tuple[list[list[int]], list[list[int]]]:
    generator = torch.Generator().manual_seed(seed)
    sources = [
        torch.randint(FIRST, VOCABULARY, (length,), generator=generator).tolist()
        for length in torch.randint(3, 13, (count,), generator=generator).tolist()
    ]
    return sources, [TASKS[task](words) for words in sources]


def train(model: Model, task: str, num_updates: int) -> None:
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, num_updates)
    for update in range(num_updates):
        batch: Batch = make_batch(*make_pairs(task, 64, seed=update))
        loss = label_smoothed_cross_entropy(model(batch).logits, batch.labels)
        optimizer.zero_grad()
        (loss.objective / batch.num_target_tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def share_right(model: Model, task: str) -> float:
    """Of 200 sentences that were not trained on, those that come out whole."""
    sources, targets = make_pairs(task, 200, seed=10**6)
    batch = make_batch(sources, targets)
    search = GreedySearch(1, 1, NoPenalty(), SearchLimits(max_length=20))
    model.eval()
    with torch.inference_mode():
        state = model.start(model.encode(batch.source, batch.source_lengths))
        found = search(model.step, state, batch.source_lengths)
    right = [list(best.tokens) == words for (best,), words in zip(found, targets, strict=True)]
    return sum(right) / len(right)


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize(
    ("style", "cell", "score"),
    list(product(DECODERS, CELLS, SCORES)),
    ids=lambda name: name,
)
def test_learns(style: str, cell: str, score: str, task: str) -> None:
    torch.manual_seed(1)
    config = ModelConfig.model_validate(
        {
            "embedding": {"size": 32, "dropout": 0.0, "tie": "all"},
            "encoder": {"cell": cell, "hidden_size": 32, "dropout": 0.0},
            "attention": {"score": score},
            "decoder": {"style": style, "cell": cell, "hidden_size": 64, "output_dropout": 0.0},
        }
    )
    model = build_model(config, VOCABULARY, VOCABULARY)
    train(model, task, num_updates=700)
    assert share_right(model, task) >= 0.95
