"""Training, scoring and alignment on a device that is not the CPU, without having one.

Each part of each table runs once, with the others at their defaults, and the wirings in pairs with
scores, alignments and cells. Everything must be on one device. An update may read one value:
whether its gradient is finite.
"""

import tempfile
from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nmt.build.tokenizers import Tokenizers
from nmt.config.experiment import Config
from nmt.core.batch import Batch, LocalUpdate, make_batch
from nmt.inference.batch_inference import BatchRunner, _force_batch
from nmt.inference.forced_decoding import read_log_probabilities, read_scored_attention
from nmt.inference.loading import build_search
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.bridge import BRIDGES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.encoders.table import ENCODERS
from nmt.nn.recurrent.table import CELLS
from nmt.runs.run import RunDirectory
from nmt.system.device import to_host
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.training.new_state import build_state
from nmt.training.objective.table import LOSSES
from nmt.training.optim.table import OPTIMIZERS, SCHEDULES
from nmt.training.prepare_data import PreparedData
from nmt.training.signals import Interruption
from nmt.training.state import TrainingState
from nmt.training.trainer import Trainer
from tests.made_up_device import Cases, Waits, cases_fixture, device, fake_device, is_made_up

Options = dict[str, Any]

# Waits to read the results of a batch: log-probabilities, weights, heads, and three lengths.
READS_OF_RESULTS = 6
READS_OF_SCORES = 2  # without attention
DEFAULTS = ("additive", "softmax")
OWN_KEYS = ("label_smoothing", "r_drop", "coverage_loss", "guided_attention", "reinforce")


@cache
def tokenizers() -> Tokenizers:
    words = WordTrainer(Normalizer()).train(lambda: iter([" ".join("abcdefgh")]))
    return Tokenizers(words, words)


def make_config(folder: str, model: Options, training: Options) -> Config:
    """The options of a tiny model, of 8 units on both sides, with these changes."""
    is_grid = model.get("encoder", {}).get("name") == "grid"
    corpus = {"grids": "train.npz", "target": "train.en"} if is_grid else {"tsv": "train.tsv"}
    guided = {"alignments": "train.links"} if "guided_attention" in training else {}
    decoder = {"hidden_size": 8, **model.get("decoder", {})}
    encoder = {"hidden_size": 8 if is_grid else 4, **model.get("encoder", {})}
    return Config.model_validate(
        {
            "run": folder,
            "data": {"train": {**corpus, **guided}},
            "tokenizer": {"shared": not is_grid},
            "model": {
                **model,
                "embedding": {"size": 8, "word_dropout": 0.1, **model.get("embedding", {})},
                "encoder": encoder,
                "decoder": decoder,
            },
            "training": {
                "early_stopping": None,
                "validation": {"metrics": [], "best": "loss"},
                "ema_decay": 0.9,
                "max_updates": 100,
                **training,
            },
        }
    )


def make_batches(config: Config) -> list[Batch]:
    """Two batches of two pairs, of different lengths."""
    sources = [[[4], []], [[4, 5], [6]]]
    targets = [[[4], []], [[7], [8, 9]]]
    if config.reads_grids:
        cells = np.zeros((3, 3), np.float32)
        return [make_batch([cells, cells[:2]], pairs) for pairs in targets]
    batches = [make_batch(*pair) for pair in zip(sources, targets, strict=True)]
    if config.training.guided_attention is None:
        return batches
    return [with_links(batch) for batch in batches]


def with_links(batch: Batch) -> Batch:
    shape = (*batch.labels.shape, batch.source.shape[1])
    links = torch.from_numpy(np.zeros(shape, np.float32))
    return Batch(
        batch.source, batch.source_lengths, batch.target, batch.num_target_tokens, alignment=links
    )


def train(state: TrainingState, batches: list[Batch]) -> None:
    """Make an update of these batches."""
    num_tokens = sum(batch.num_target_tokens for batch in batches)
    update = LocalUpdate(batches, len(batches), num_tokens, is_last=False)
    Trainer(state, Interruption()).train_step(update)


def score_and_align(state: TrainingState, config: Config, waits: Waits) -> None:
    """Read the log-probabilities and the attention of two pairs."""
    search = build_search(config.decoding, tokenizers().target)
    runner = BatchRunner(state.model, search, state.device, torch.float32, 100)
    sources: list[Any] = [[4], [5]]
    if config.reads_grids:
        sources = [np.zeros((3, 3), np.float32), np.zeros((2, 3), np.float32)]
    has_attention = state.model.has_attention
    waits.allow(READS_OF_RESULTS if has_attention else READS_OF_SCORES)
    read = read_scored_attention if has_attention else read_log_probabilities
    _force_batch(runner, sources, [[4], []], read)


def run(model: Options, training: Options, num_updates: int = 1, num_batches: int = 1) -> None:
    """Train a model with these options, then score and align with it."""
    loader: Any = SimpleNamespace(
        num_batches=lambda epoch: 1, corpora=[SimpleNamespace(key="text")]
    )
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(folder, model, training)
        with fake_device() as waits:
            data = PreparedData(device(), torch.float32, tokenizers(), loader, None)
            state = build_state(config, RunDirectory(Path(folder)), data)
            batches = make_batches(config)[:num_batches]
            for _ in range(num_updates):
                waits.allow(1, through=to_host)
                train(state, batches)
                assert len(waits.places) == 1, "an update reads whether its gradient is finite"
            require_on_device(state)
            score_and_align(state, config, waits)


def require_on_device(state: TrainingState) -> None:
    """Require that weights, averages and momenta have stayed on the device; counts may not."""
    assert state.ema is not None
    tensors = [*state.model.parameters(), *state.ema.tensors().values()]
    tensors += state.running_metrics.tensors().values()
    for entries in state.optimizer.state.values():
        tensors += [value for key, value in entries.items() if key != "step"]
    assert all(map(is_made_up, tensors))


def parts() -> Iterator[tuple[Any, ...]]:
    """Yield each part of each table: its name, and the arguments of `run`."""
    for name in SCORES:
        yield f"score {name}", {"attention": {"score": name}}, {}
    for name in ALIGNMENTS:
        yield f"alignment {name}", {"attention": {"alignment": name}}, {}
    for name in CELLS:
        yield f"cell {name}", with_cell("bahdanau", name), {}
    grid = {"name": "grid", "channels": 1}
    for name in ENCODERS:
        yield f"encoder {name}", {"encoder": grid if name == "grid" else {"name": name}}, {}
    for name in DECODERS:
        yield f"decoder {name}", wired(name), {}
    for name in BRIDGES:
        yield f"bridge {name}", {"bridge": name}, {}
    for name in LOSSES:
        yield f"loss {name}", *with_loss(name)
    for name in OPTIMIZERS:
        # The second update uses the state that the first one has made.
        yield f"optimizer {name}", {}, {"optimizer": name}, 2
    for name in SCHEDULES:
        yield f"schedule {name}", {}, {"schedule": name}
    yield "two heads", {"attention": {"num_heads": 2}}, {}
    yield "two layers", {"decoder": {"num_layers": 2, "residual": True}}, {}
    yield "recurrent dropout", {"decoder": {"recurrent_dropout": 0.1}}, {}
    yield "tied embeddings", {"embedding": {"tie": "all"}}, {}
    yield "scheduled sampling", {}, {"scheduled_sampling": {"start": 0, "end": 1}}
    yield "learned order", {"attention": {"alignment": {"name": "entmax", "learn_alpha": True}}}, {}
    yield "fixed order", {"attention": {"alignment": {"name": "entmax", "alpha": 1.2}}}, {}
    yield "squared error", {}, {"guided_attention": {"loss": "squared_error"}}


def pairs() -> Iterator[tuple[str, Options]]:
    """Yield wirings with scores or alignments and cells."""
    wirings = [name for name, decoder in DECODERS.items() if decoder.uses_attention]
    kinds = [("score", name) for name in SCORES] + [("alignment", name) for name in ALIGNMENTS]
    for style, (key, name), cell in product(wirings, kinds, ("gru", "lstm")):
        if name not in DEFAULTS:
            yield f"{style} {name} {cell}", {**with_cell(style, cell), "attention": {key: name}}
    for style, cell in product(DECODERS, ("gru", "lstm")):
        yield f"{style} {cell}", with_cell(style, cell)


def wired(style: str) -> Options:
    if not DECODERS[style].uses_attention:
        return {"decoder": {"style": style}, "attention": None}
    return {"decoder": {"style": style, "num_layers": 2 if style == "gnmt" else 1}}


def with_cell(style: str, cell: str) -> Options:
    options = wired(style)
    encoder = {"cell": cell, "bidirectional": False, "hidden_size": 8}
    return {**options, "decoder": {**options["decoder"], "cell": cell}, "encoder": encoder}


def with_loss(name: str) -> tuple[Options, Options]:
    if name == "reinforce":
        return {"attention": {"alignment": "hard"}}, {"reinforce": {"discount": 0.5}}
    if name == "guided_attention":
        return {}, {name: {}}
    return {}, {name: 0.1} if name in OWN_KEYS else {"losses": [name]}


CASES: Cases = {
    **{name: partial(run, *options) for name, *options in parts()},
    **{name: partial(run, model, {}) for name, model in pairs()},
    "accumulation": partial(run, {}, {}, num_batches=2),
}
errors = cases_fixture("tests.integration.test_device_of_models")


@pytest.mark.parametrize("case", CASES)
def test_all_is_on_one_device_and_an_update_waits_once(case: str, errors: dict[str, str]) -> None:
    assert not errors[case], errors[case]
