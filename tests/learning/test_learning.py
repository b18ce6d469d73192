"""Each wiring, cell, score and alignment learns to copy from nothing; wirings also to reverse."""

from typing import Any

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, make_batch
from nmt.core.special_tokens import SPECIAL_SYMBOLS
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.model import Model
from nmt.nn.recurrent.table import CELLS
from nmt.search.greedy import GreedySearch
from nmt.search.length_penalty import NoPenalty
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Stepper
from nmt.training.objective.objective import Objective

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]

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


def train(model: Model, task: str, num_updates: int, rate: float = 5e-3) -> None:
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, num_updates)
    for update in range(num_updates):
        batch: Batch = make_batch(*make_pairs(task, 64, seed=update))
        optimizer.zero_grad()
        (Objective()(model, batch).objective / batch.num_target_tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def share_right(model: Model, task: str) -> float:
    """Of 200 sentences that were not trained on, those that come out whole."""
    sources, targets = make_pairs(task, 200, seed=10**6)
    batch = make_batch(sources, targets)
    search = GreedySearch(1, 1, Scoring(NoPenalty()), Rules(LengthLimits(max_length=20)))
    model.eval()
    with torch.inference_mode():
        state = model.start(model.encode(batch.source, batch.source_lengths))
        found = search(Stepper(model.step), state, Request(batch.source_lengths))
    right = [list(best.tokens) == words for (best,), words in zip(found, targets, strict=True)]
    return sum(right) / len(right)


ROUGH = {"hard", "monotonic"}
"""Alignments that learn from samples, or translate otherwise than they learn."""
NUM_UPDATES = {"scaled_dot": 1_400}
"""Where 700 are too few: divided by the root of their size, scores begin near zero, and so even."""
# The first of them has the parts that all others are compared with: GRU, additive, softmax.
WIRINGS: list[dict[str, dict[str, Any]]] = [
    *({"decoder": {"style": style}} for style, kind in DECODERS.items() if kind.uses_attention),
    {"decoder": {"style": {"name": "luong", "input_feeding": False}}},
    {
        "encoder": {"num_layers": 2, "residual": True},
        "decoder": {"style": "gnmt", "num_layers": 2, "residual": True},
    },
]
FORMS = [
    *WIRINGS,
    *(
        {"attention": {"score": score}}
        for score in SCORES
        if score != "additive" and not SCORES[score].is_constant
    ),
    *({"attention": {"alignment": name}} for name in ALIGNMENTS if name != "softmax"),
    {"attention": {"score": "scaled_dot", "num_heads": 4}},
    *({"encoder": {"cell": cell}, "decoder": {"cell": cell}} for cell in CELLS if cell != "gru"),
    {
        "encoder": {"cell": {"name": "rnn", "activation": "relu"}},
        "decoder": {"cell": {"name": "rnn", "activation": "relu"}},
    },
]
SMALL = {
    "embedding": {"size": 32, "dropout": 0.0, "tie": "all"},
    "encoder": {"hidden_size": 32, "dropout": 0.0},
    "decoder": {"hidden_size": 64, "dropout": 0.0, "output_dropout": 0.0},
}


def configure(form: dict[str, dict[str, Any]]) -> ModelConfig:
    groups = {key: {**SMALL.get(key, {}), **form.get(key, {})} for key in {*SMALL, *form}}
    return ModelConfig.model_validate(groups)


CASES = [*(("copy", form) for form in FORMS), *(("reverse", form) for form in WIRINGS)]


@pytest.mark.parametrize(("task", "form"), CASES, ids=str)
def test_learns(task: str, form: dict[str, dict[str, Any]]) -> None:
    config = configure(form)
    assert config.attention is not None
    torch.manual_seed(1)
    model = build_model(config, VOCABULARY, VOCABULARY)
    train(model, task, NUM_UPDATES.get(config.attention.score.name, 700))
    is_rough = config.attention.alignment.name in ROUGH
    assert share_right(model, task) >= (0.90 if is_rough else 0.95)


@pytest.mark.parametrize(
    ("style", "attention"),
    [("sutskever", None), ("bahdanau", None), ("bahdanau", {"score": "uniform"})],
)
def test_models_without_attention_learn_too(style: str, attention: dict[str, Any] | None) -> None:
    """With four times the size and six times the updates."""
    torch.manual_seed(1)
    large = {
        "embedding": SMALL["embedding"] | {"size": 64},
        "encoder": SMALL["encoder"] | {"hidden_size": 128},
        "decoder": SMALL["decoder"] | {"hidden_size": 256, "style": style},
        "attention": attention,
    }
    model = build_model(ModelConfig.model_validate(large), VOCABULARY, VOCABULARY)
    train(model, "copy", num_updates=4_000, rate=2e-3)
    assert share_right(model, "copy") >= 0.95


@pytest.mark.parametrize("style", ["sutskever", "bahdanau"])
def test_without_attention_less_is_learned(style: str) -> None:
    """One vector does not hold 3 to 12 words after as many updates: what attention is for."""
    torch.manual_seed(1)
    config = ModelConfig.model_validate(
        {**SMALL, "decoder": {**SMALL["decoder"], "style": style}, "attention": None}
    )
    model = build_model(config, VOCABULARY, VOCABULARY)
    train(model, "copy", num_updates=700)
    assert share_right(model, "copy") < 0.8
