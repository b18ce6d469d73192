"""Ways to make an update that are compared: this package's, and the loop of the tutorials."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import record_function

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, make_batch
from nmt.core.special_tokens import PAD
from nmt.nn.model import Model
from nmt.training.objective.objective import Objective
from nmt.training.objective.output_loss import LabelSmoothing
from nmt.training.optim.optimizer import apply_gradients
from nmt.training.optim.rules import Adam

FIRST_WORD = 4
SMOOTHING = 0.1
CLIP_NORM = 1.0
SPREAD = 1 / 3
"""Standard deviation of the logarithm of a batch's mean length."""
FORWARD, BACKWARD, STEP = "forward and loss", "backward", "clipping and Adam"
"""Names of the parts of an update in a profile."""

Update = Callable[[Batch], Tensor]
"""A function that makes an update and returns the smoothed loss per token."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the model and its batches.

    Attributes:
        vocabulary: V, shared by both sides.
        embedding: E, tied with the projection.
        hidden: H of decoder and attention; the encoder has half of it in each direction.
        length: pieces of a sentence, on average, without EOS.
        sentences: sentences of a batch.
        dropout: dropout on embeddings, source states and output vectors.
    """

    vocabulary: int = 8000
    embedding: int = 256
    hidden: int = 512
    length: int = 15
    sentences: int = 64
    dropout: float = 0.3


@dataclass(frozen=True)
class Way:
    """One way to train the model.

    Attributes:
        make: builds a model of these sizes and returns its update function.
        precision: dtype of the matrix products.
        is_settled: whether the process is set up as by `nmt train`, which keeps freed memory.
    """

    make: Callable[[Sizes], Update]
    precision: torch.dtype = torch.float32
    is_settled: bool = True


def draw_batches(sizes: Sizes, number: int) -> list[Batch]:
    """Return batches of generated pieces, with the sentence lengths of Multi30k.

    The model for them is Multi30k de-en with 8,000 pieces, in the sampler's batches of 64 pairs.
    Its sentences have 14.8 and 14.3 pieces on average. The mean lengths of its batches are
    log-normal: 0.48 (2%), 0.92 (median) and 1.9 (98%) times that average. A batch is sorted by
    length, so only 2.3% and 0.5% of it are padding. The pieces follow Zipf's law.
    """
    generator = torch.Generator().manual_seed(1)

    def sentence(middle: float, spread: float) -> list[int]:
        factor = 1 + spread * (2 * torch.rand((), generator=generator).item() - 1)
        ranks = torch.rand(max(1, round(middle * factor)), generator=generator)
        words = ((sizes.vocabulary - FIRST_WORD) ** ranks).long()  # uniform in the logarithm
        return (words + FIRST_WORD - 1).tolist()

    of_means = NormalDist(-(SPREAD**2) / 2, SPREAD)  # log factors; factors average to one
    batches = []
    for index in range(number):
        middle = sizes.length * exp(of_means.inv_cdf((index + 0.5) / number))
        sources = [sentence(middle, 0.03) for _ in range(sizes.sentences)]
        targets = [sentence(middle, 0.005) for _ in sources]
        batches.append(make_batch(sources, targets))
    return batches


def make_model(sizes: Sizes, *, fused: bool = True) -> Model:
    """Return this package's model, with the same weights each time."""
    cell, style = ({"name": name, "fused": fused} for name in ("gru", "bahdanau"))
    return model_of(sizes, cell, style, bridge="mean")


def model_of(sizes: Sizes, cell: Any, style: Any, *, bridge: str = "final") -> Model:
    """Return a model of sizes and parts (see `config_of`), with the same weights each time."""
    return build(config_of(sizes, cell, style, bridge=bridge), sizes)


def config_of(
    sizes: Sizes,
    cell: Any,
    style: Any,
    *,
    bridge: str = "final",
    score: str | None = "additive",
    num_layers: int = 1,
) -> ModelConfig:
    """Return the configuration of a model.

    Args:
        sizes: of the model.
        cell: of both sides, a name or a name with options, as in a configuration.
        style: of the decoder, likewise.
        bridge: name of the bridge.
        score: name of the attention score; None: no attention.
        num_layers: of the decoder.

    Raises:
        ValidationError: the parts cannot be combined.
    """
    return ModelConfig.model_validate(
        {
            "embedding": {"size": sizes.embedding, "dropout": sizes.dropout, "tie": "all"},
            "encoder": {"cell": cell, "hidden_size": sizes.hidden // 2, "dropout": sizes.dropout},
            "bridge": bridge,
            "attention": None if score is None else {"score": score},
            "decoder": {
                "style": style,
                "cell": cell,
                "hidden_size": sizes.hidden,
                "num_layers": num_layers,
                "dropout": 0.0,
                "output_dropout": sizes.dropout,
            },
        }
    )


def build(config: ModelConfig, sizes: Sizes) -> Model:
    """Return the model of a configuration, with the same weights each time."""
    torch.manual_seed(1)
    return build_model(config, sizes.vocabulary, sizes.vocabulary)


def updates(model: Model, precision: torch.dtype = torch.float32) -> Update:
    """Return an update function like that of `nmt train`."""
    optimizer = Adam(model)
    objective = Objective((LabelSmoothing(weight=SMOOTHING),), precision)

    def update(batch: Batch) -> Tensor:
        with record_function(FORWARD):
            losses = objective(model, batch)
            loss = losses.objective / batch.num_target_tokens
        with record_function(BACKWARD):
            loss.backward()
        with record_function(STEP):
            apply_gradients(optimizer, losses.objective.detach(), CLIP_NORM)
        return loss.detach()

    return update


class Textbook(nn.Module):
    """Model as tutorials write it: attention, GRUCell and projection in each step."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        half, hidden, size = sizes.hidden // 2, sizes.hidden, sizes.embedding
        self.embedding = nn.Embedding(sizes.vocabulary, size, padding_idx=PAD)
        self.encoder = nn.GRU(size, half, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.cell = nn.GRUCell(size + hidden, hidden)
        self.output = nn.Linear(hidden + size + hidden, size)
        self.projection = nn.Linear(size, sizes.vocabulary)
        self.projection.weight = self.embedding.weight
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits."""
        mask = batch.source != PAD
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.embedding(batch.source)),
            batch.source_lengths,
            batch_first=True,
            enforce_sorted=False,
        )
        memory, _ = nn.utils.rnn.pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        memory = self.dropout(memory)
        state = torch.tanh(self.bridge(memory.sum(1) / mask.sum(1, keepdim=True)))
        keys = self.key(memory)
        words = self.dropout(self.embedding(batch.decoder_input))
        logits = []
        for word in words.unbind(1):
            scores = self.score(torch.tanh(self.query(state).unsqueeze(1) + keys)).squeeze(2)
            weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)
            context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
            state = self.cell(torch.cat([word, context], dim=1), state)
            output = torch.tanh(self.output(torch.cat([state, word, context], dim=1)))
            logits.append(self.projection(self.dropout(output)))
        return torch.stack(logits, dim=1)

    @torch.no_grad()
    def take(self, model: Model) -> None:
        """Take over the weights of the model that `make_model` makes."""
        given = dict(model.named_parameters())
        joint = {
            "cell.weight_ih": ("cells.0.weight_input", "context_to_gates.weight"),
            "output.weight": (
                "state_to_output.weight",
                "word_to_output.weight",
                "context_to_output.weight",
            ),
        }
        for name, parameter in self.named_parameters():
            parts = [f"decoder.{part}" for part in joint.get(name, ())] or [NAMES[name]]
            parameter.copy_(torch.cat([given.pop(part) for part in parts], dim=-1))
        assert not given, f"weights that the textbook does not have: {', '.join(given)}"


NAMES = {
    "embedding.weight": "source_embedding.table.weight",
    "encoder.weight_ih_l0": "encoder.layers.0.0.weight_input",
    "encoder.weight_hh_l0": "encoder.layers.0.0.weight_hidden",
    "encoder.bias_ih_l0": "encoder.layers.0.0.bias_input",
    "encoder.bias_hh_l0": "encoder.layers.0.0.bias_hidden",
    "encoder.weight_ih_l0_reverse": "encoder.layers.0.1.weight_input",
    "encoder.weight_hh_l0_reverse": "encoder.layers.0.1.weight_hidden",
    "encoder.bias_ih_l0_reverse": "encoder.layers.0.1.bias_input",
    "encoder.bias_hh_l0_reverse": "encoder.layers.0.1.bias_hidden",
    "bridge.weight": "bridge.projection.weight",
    "bridge.bias": "bridge.projection.bias",
    "query.weight": "decoder.attention.score.query_projection.weight",
    "key.weight": "decoder.attention.score.key_projection.weight",
    "key.bias": "decoder.attention.score.key_projection.bias",
    "score.weight": "decoder.attention.score.direction.weight",
    "cell.weight_hh": "decoder.cells.0.weight_hidden",
    "cell.bias_ih": "decoder.cells.0.bias_input",
    "cell.bias_hh": "decoder.cells.0.bias_hidden",
    "output.bias": "decoder.state_to_output.bias",
    "projection.bias": "projection.bias",
}
"""The textbook's name of a weight -> this package's, where they correspond one to one."""


def textbook_updates(model: Textbook) -> Update:
    """Return an update function as in tutorials, with the same loss, clipping and Adam."""
    optimizer = torch.optim.Adam(model.parameters())

    def update(batch: Batch) -> Tensor:
        with record_function(FORWARD):
            loss = functional.cross_entropy(
                model(batch).flatten(0, 1),
                batch.labels.flatten(),
                ignore_index=PAD,
                label_smoothing=SMOOTHING,
            )
        optimizer.zero_grad()
        with record_function(BACKWARD):
            loss.backward()
        with record_function(STEP):
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
        return loss.detach()

    return update


def _textbook(sizes: Sizes) -> Update:
    model = Textbook(sizes)
    model.take(make_model(sizes))
    return textbook_updates(model)


WAYS = {
    "textbook": Way(_textbook, is_settled=False),
    "textbook-kept": Way(_textbook),
    "plain": Way(lambda sizes: updates(make_model(sizes, fused=False))),
    "fused": Way(lambda sizes: updates(make_model(sizes))),
    "bfloat16": Way(lambda sizes: updates(make_model(sizes), torch.bfloat16), torch.bfloat16),
}
