"""The translation model: encode, start, step and forward share one code path."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nmt.core.batch import Batch, combine
from nmt.core.coverage import Coverage
from nmt.nn.attention.alignments.alignment import Alignment, SampledAlignment
from nmt.nn.bridge import Bridge
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.interface import AllowedTokens, DecoderOutput, DecoderState
from nmt.nn.encoders.encoder import Encoder, EncoderOutput
from nmt.nn.int8 import Int8Linear, quantize
from nmt.nn.layers import Dropout, Linear, WordEmbedding
from nmt.nn.shapes import Lengths, Source

# Function from decoder vectors to logits.
Projection = Callable[[Tensor], Tensor]
# Function from last words and state to log-probabilities of the next word and the new state.
Step = Callable[[Int[Tensor, " N"], DecoderState], tuple[Float[Tensor, "N V"], DecoderState]]

# How many computations need a model in evaluation mode, and the mode that is restored after them.
_in_evaluation: WeakKeyDictionary[nn.Module, tuple[int, bool]] = WeakKeyDictionary()
_changing_mode = threading.Lock()


@dataclass(frozen=True)
class ModelOutput:
    """Output for each target position.

    Attributes:
        logits: `[B T V]`, before the softmax.
        weights: `[B T S]`, the attention weights.
        sampled: log-probabilities of sampled positions; None if nothing was sampled.
        heads: `[B T N S]`, the weights of each head; None: there is one.
    """

    logits: Float[Tensor, "B T V"]
    weights: Float[Tensor, "B T S"]
    sampled: SampledAlignment | None = None
    heads: Float[Tensor, "B T N S"] | None = None


class Model(nn.Module):
    """Encoder, bridge, decoder with attention, and the projection to the vocabulary.

    Args:
        source_embedding: turns the source into vectors; may be `target_embedding` (tied).
        target_embedding: its table is also the projection if `tie_projection`.
        encoder: reads the source.
        bridge: computes the decoder's initial state.
        decoder: generates the target.
        output_size: O, size of a decoder vector.
        output_dropout: on the vectors before the projection.
        tie_projection: project with the target embedding (Press & Wolf 2017); O must be E.
    """

    def __init__(
        self,
        source_embedding: nn.Module,
        target_embedding: WordEmbedding,
        encoder: Encoder,
        bridge: Bridge,
        decoder: Decoder,
        output_size: int,
        *,
        output_dropout: float = 0.0,
        tie_projection: bool = True,
    ) -> None:
        super().__init__()
        self.source_embedding = source_embedding
        self.target_embedding = target_embedding
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.output_dropout = Dropout(output_dropout)
        projection = Linear(output_size, target_embedding.table.num_embeddings)
        if tie_projection:
            assert projection.weight.shape == target_embedding.table.weight.shape
            projection.weight = target_embedding.table.weight
        else:
            # As for word embeddings: Glorot's weights, where all words count as outputs, start so
            # small that learning waits for them.
            nn.init.normal_(projection.weight, std=output_size**-0.5)
        self.projection: nn.Linear | Int8Linear = projection

    @property
    def has_attention(self) -> bool:
        """Return whether the decoder attends; if not, it reads the source as one fixed vector."""
        return not self.decoder.attention.is_fixed

    @property
    def picks_one(self) -> bool:
        """Return whether the attention picks one position for each word, at random in training."""
        parts = self.decoder.attention.modules()
        return any(isinstance(part, Alignment) and part.needs_distinct_scores for part in parts)

    def quantize(self) -> None:
        """Quantise all layers that run for each target word to 8-bit weights, permanently.

        The encoder is not quantised: it runs once, and its rounding errors would affect every word.
        """
        quantize(self.decoder)
        if isinstance(self.projection, nn.Linear):
            self.projection = Int8Linear.of(self.projection)

    def encode(self, source: Source, lengths: Lengths) -> EncoderOutput:
        """Encode a source padded on the right."""
        positions = torch.arange(source.shape[1], device=lengths.device)
        mask = positions < lengths.unsqueeze(1)
        encoded: EncoderOutput = self.encoder(self.source_embedding(source), mask)
        return encoded

    def start(self, encoded: EncoderOutput) -> DecoderState:
        """Return the decoder's state before the first word."""
        memory = self.decoder.attention.prepare(
            encoded.states, encoded.mask, summary=encoded.final[:, -1]
        )
        return self.decoder.start(self.bridge(encoded), memory)

    def read(
        self, source: Source, lengths: Lengths, with_coverage: bool, allowed: AllowedTokens | None
    ) -> DecoderState:
        """Encode the source and return the state before the first word.

        Args:
            source: padded on the right.
            lengths: of the source.
            with_coverage: accumulate the attention weights in the state.
            allowed: tokens that each sentence may use, among those of `restrict`; None: all.
        """
        encoded = self.encode(source, lengths)
        coverage = Coverage.none(encoded.mask, encoded.states.dtype) if with_coverage else None
        return replace(self.start(encoded), coverage=coverage, allowed=allowed)

    def forward(self, batch: Batch, sampling_probability: float = 0.0) -> ModelOutput:
        """Return the logits of each label, given the words before it (teacher forcing).

        Args:
            batch: sentence pairs.
            sampling_probability: probability that an input after the first is the model's own best
                word instead of the reference's (scheduled sampling, Bengio 2015).
        """
        decoded = self.decode(batch, sampling_probability)
        logits = self.projection(decoded.vectors)
        return ModelOutput(logits, decoded.weights, decoded.sampled, decoded.heads)

    def decode(self, batch: Batch, sampling_probability: float = 0.0) -> DecoderOutput:
        """Run `forward` without the projection; it reads the `vectors` of the output."""
        state = self.start(self.encode(batch.source, batch.source_lengths))
        if sampling_probability > 0.0:
            return self._decode_with_sampling(batch.decoder_input, state, sampling_probability)
        return self._decode(batch.decoder_input, state)

    def step(
        self, tokens: Int[Tensor, " N"], state: DecoderState, project: Projection | None = None
    ) -> tuple[Float[Tensor, "N V"], DecoderState]:
        """Return the log-probabilities (float32) of the next word, and the new state.

        Args:
            tokens: the last words.
            state: the state before these words.
            project: projection to logits; None: over the whole vocabulary.
        """
        decoded = self._decode(tokens.unsqueeze(1), state)
        project = self.projection if project is None else project  # torch 2.11 cannot trace `or`
        logits = project(decoded.vectors.squeeze(1)).float()
        if state.allowed is not None:
            logits = logits.masked_fill(~state.allowed.mask, -inf)
        return torch.log_softmax(logits, dim=-1), decoded.state

    def restrict(self, tokens: Int[Tensor, " U"]) -> Step:
        """Return `step` over these words only; they are numbered by their index in `tokens`."""
        project: Projection
        if isinstance(self.projection, Int8Linear):
            project = self.projection.restrict(tokens)
        else:
            weight, bias = self.projection.weight[tokens], self.projection.bias[tokens]
            project = partial(nn.functional.linear, weight=weight, bias=bias)
        return lambda columns, state: self.step(tokens[columns], state, project)

    def coverage(self, state: DecoderState) -> Coverage:
        """Return the coverage so far; `read` must have been called `with_coverage`."""
        assert state.coverage is not None, "`read` was called without `with_coverage`"
        return state.coverage

    def _decode(self, tokens: Int[Tensor, "B T"], state: DecoderState) -> DecoderOutput:
        decoded: DecoderOutput = self.decoder(self.target_embedding(tokens), state)
        after = decoded.state
        if state.coverage is not None:
            after = replace(after, coverage=state.coverage.add(decoded.weights))
        return replace(decoded, vectors=self.output_dropout(decoded.vectors), state=after)

    def _decode_with_sampling(
        self, reference: Int[Tensor, "B T"], state: DecoderState, chance: float
    ) -> DecoderOutput:
        own = torch.rand(reference.shape, device=reference.device) < chance
        tokens = reference[:, :1]
        steps: list[DecoderOutput] = []
        for step in range(reference.shape[1]):
            steps.append(self._decode(tokens, state))
            state = steps[-1].state
            following = slice(step + 1, step + 2)
            with torch.no_grad():
                best = self.projection(steps[-1].vectors).argmax(dim=-1)
            tokens = torch.where(own[:, following], best, reference[:, following])
        parts = [(step.vectors, step.weights, step.sampled) for step in steps]
        vectors, weights, sampled = combine(partial(torch.cat, dim=1), parts)
        return DecoderOutput(vectors, weights, state, sampled)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Keep a model in evaluation mode; the last of several threads restores its mode."""
    with _changing_mode:
        number, was_training = _in_evaluation.get(model, (0, model.training))
        _in_evaluation[model] = number + 1, was_training
        if number == 0:
            model.eval()
    try:
        yield
    finally:
        with _changing_mode:
            number, was_training = _in_evaluation.pop(model)
            if number > 1:
                _in_evaluation[model] = number - 1, was_training
            elif was_training:
                model.train()
