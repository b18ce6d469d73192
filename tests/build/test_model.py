"""What is built reads grids, in every wiring and with every bridge, and drops what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt.build.model import allocate, build_model, build_without_memory
from nmt.config.experiment import Config
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, make_batch
from nmt.core.errors import ConfigError
from nmt.data.formats.grids import Grid, GridReader
from nmt.nn.attention.attention import Attention
from nmt.nn.attention.scores.multiplicative import DotScore
from nmt.nn.bridge import BRIDGES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.encoders.grid import GridEmbedding, GridEncoder
from nmt.nn.layers import WordEmbedding
from nmt.nn.model import Model

VOCABULARY = 11
READER = GridReader(channels=3, max_rows=4, max_columns=5)


def make_model(**options: Any) -> Model:
    torch.manual_seed(1)
    given = {
        "embedding": {"size": 6},
        "encoder": {"name": "grid", "channels": 3, "hidden_size": 8, "max_rows": 4},
        "decoder": {"hidden_size": 10},
        **options,
    }
    model = build_model(ModelConfig.model_validate(given), len(READER), VOCABULARY)
    return model.double().eval()


def make_grids() -> Batch:
    """Grids of 2 x 3 and 4 x 1 cells, and three and two target tokens."""
    rng = np.random.default_rng(1)
    grids = [Grid(rng.normal(size=(*size, 3)).astype(np.float32), "g") for size in ((2, 3), (4, 1))]
    batch = make_batch([READER.encode(grid) for grid in grids], [[5, 6, 7], [8, 9]])
    assert batch.source.shape == (2, 6, 5)
    return Batch(batch.source.double(), batch.source_lengths, batch.target, batch.num_target_tokens)


def test_the_parts_that_read_text_are_replaced() -> None:
    model = make_model()
    assert isinstance(model.source_embedding, GridEmbedding)
    assert isinstance(model.encoder, GridEncoder)
    assert model.source_embedding.rows.weight.shape == (4, 8)
    assert model.source_embedding.columns.weight.shape == (16, 8)


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_every_bridge_starts_a_decoder(bridge: str, num_layers: int) -> None:
    decoder = {"hidden_size": 10, "num_layers": num_layers}
    output = make_model(bridge=bridge, decoder=decoder)(make_grids())
    assert output.logits.shape == (2, 4, VOCABULARY)
    assert output.logits.isfinite().all()


@pytest.mark.parametrize("style", DECODERS)
def test_steps_equal_one_call(style: str) -> None:
    attention = {} if DECODERS[style].uses_attention else None
    decoder = {"style": style, "hidden_size": 10, "num_layers": 2 if style == "gnmt" else 1}
    model, batch = make_model(decoder=decoder, attention=attention), make_grids()
    with torch.no_grad():
        whole = model(batch)
        state = model.start(model.encode(batch.source, batch.source_lengths))
        for position in range(batch.labels.shape[1]):
            log_probabilities, state = model.step(batch.target[:, position], state)
            expected = whole.logits[:, position].log_softmax(-1).float()
            written = torch.isfinite(log_probabilities)
            assert written.any(dim=-1).all()
            torch.testing.assert_close(log_probabilities[written], expected[written])


@pytest.mark.parametrize("attention", [{}, {"num_heads": 2}, {"alignment": "sparsemax"}])
def test_attention_is_over_the_cells(attention: dict[str, Any]) -> None:
    weights = make_model(attention=attention)(make_grids()).weights
    assert weights.shape == (2, 4, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4).double())
    assert (weights[1, :, 4:] == 0).all()


def test_single_grid_equals_the_grid_in_a_batch() -> None:
    model, batch = make_model(), make_grids()
    both = model(batch)
    alone = model(Batch(batch.source[1:, :4], batch.source_lengths[1:], batch.target[1:], 3))
    torch.testing.assert_close(alone.logits, both.logits[1:])


READERS = [
    *(("bahdanau", bridge, attention) for bridge in BRIDGES for attention in (None, {})),
    *(("sutskever", name, None) for name, bridge in BRIDGES.items() if bridge.reads_source),
]


@pytest.mark.parametrize(("style", "bridge", "attention"), READERS)
@pytest.mark.parametrize(
    "encoder",
    [
        {"dropout": 0.5},
        {"dropout": 0.5, "bidirectional": False},
        {"dropout": 0.5, "num_layers": 2},
        {"dropout": 0.5, "num_layers": 2, "residual": True},
        {"dropout": 0.0, "recurrent_dropout": 0.5},
        {"dropout": 0.0, "num_layers": 2},
        {"dropout": 0.5, "name": "grid", "channels": 3},
        {"dropout": 0.0, "name": "grid", "channels": 3},
    ],
)
def test_has_dropout_agrees_with_the_model(
    encoder: dict[str, Any], style: str, bridge: str, attention: dict[str, Any] | None
) -> None:
    decoder = {"style": style, "hidden_size": 10, "dropout": 0.5, "output_dropout": 0.0}
    given = {"embedding": {"size": 6, "dropout": 0.0}, "encoder": {"hidden_size": 8, **encoder}}
    given |= {"attention": attention, "bridge": bridge, "decoder": decoder}
    config = ModelConfig.model_validate(given)
    torch.manual_seed(1)
    model = build_model(config, VOCABULARY, VOCABULARY).double()
    batch = make_grids() if "name" in encoder else make_batch([[4, 5], [6, 7, 8]], [[9], [5, 4]])
    same = torch.equal(model(batch).logits, model(batch).logits)
    assert config.has_dropout != same


SMALL = {"embedding": {"size": 6}, "encoder": {"hidden_size": 8}, "decoder": {"hidden_size": 16}}


def sizes_of(model: Model) -> tuple[int, int]:
    source, target = model.source_embedding, model.target_embedding
    assert isinstance(source, WordEmbedding)
    return source.table.num_embeddings, target.table.num_embeddings


def test_a_model_is_built_from_options_or_an_experiment_or_its_file(tmp_path: Path) -> None:
    corpus = {"source": "a.de", "target": "a.en"}
    tree = {
        "run": "x",
        "data": {"train": corpus, "valid": corpus},
        "tokenizer": {"vocabulary_size": 50},
        "model": SMALL,
    }
    (tmp_path / "x.yaml").write_text(json.dumps(tree))
    config = Config.model_validate(tree)
    for given in (tmp_path / "x.yaml", str(tmp_path / "x.yaml"), config):
        assert sizes_of(build_model(given)) == (50, 50)
        assert sizes_of(build_model(given, 7, target_size=9)) == (7, 9)
    for given in (config.model, SMALL):
        assert sizes_of(build_model(given, 7, 9)) == (7, 9)


def test_a_class_may_stand_for_a_name() -> None:
    model = build_model({**SMALL, "attention": {"score": DotScore}}, 7, 9)
    assert isinstance(model.decoder.attention, Attention)
    assert isinstance(model.decoder.attention.score, DotScore)


@pytest.mark.parametrize("sizes", [(), (7,), (None, 9)])
def test_sizes_that_nothing_gives_are_required(sizes: tuple[int, ...]) -> None:
    sentence = "build_model: no size of the vocabularies; give source_size and target_size"
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        build_model(SMALL, *sizes)


def test_options_that_are_not_valid_are_one_line() -> None:
    sentence = "model: attention.score: unknown score 'dott' (did you mean 'dot'?); allowed: "
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}[^\n]*$"):
        build_model({"attention": {"score": "dott"}}, 7, 9)


@pytest.mark.parametrize(
    ("tie", "one_embedding", "tied_projection"),
    [
        ("none", False, False),
        ("target", False, True),
        ("embeddings", True, False),
        ("all", True, True),
    ],
)
def test_weights_are_tied_as_the_option_says(
    tie: str, one_embedding: bool, tied_projection: bool
) -> None:
    model = build_model({"embedding": {"tie": tie, "size": 6}}, 9, 9)
    embedding = model.target_embedding
    assert (model.source_embedding is embedding) == one_embedding
    assert (model.projection.weight is embedding.table.weight) == tied_projection


def test_tied_weights_get_memory_once() -> None:
    model = build_without_memory(ModelConfig(), 5, 7)
    allocate(model, torch.device("cpu"))
    assert all(not weight.is_meta and weight.requires_grad for weight in model.parameters())
    assert model.projection.weight is model.target_embedding.table.weight


def test_models_without_memory_import_no_compiler_of_torch() -> None:
    """In a new process, as every command that loads a run waits for what is imported."""
    program = (
        "import sys; import torch; from nmt.build.model import allocate, build_without_memory;"
        "from nmt.config.model import ModelConfig;"
        "model = build_without_memory(ModelConfig(), 5, 7); weights = model.state_dict();"
        "allocate(model, torch.device('cpu'));"
        "assert weights['target_embedding.table.weight'].shape == (7, 256);"
        "assert all(weight.is_meta for weight in weights.values());"
        "assert not {'torch._dynamo', 'sympy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
