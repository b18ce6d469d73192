"""Scores and alignments of given sentence pairs, by forced decoding (one pass for each pair)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from nmt.core.batch import Batch
from nmt.core.special_tokens import PAD
from nmt.nn.model import ModelOutput
from nmt.search.search import Scoring
from nmt.text.unit_tokens import UnitTokens
from nmt.word_alignment.from_attention import Weights, hard_alignment, merge_tokens
from nmt.word_alignment.pharaoh import Alignment
from nmt.word_alignment.units import ActualUnits


def perplexity(loss: float) -> float:
    """Return ``exp(loss)`` of a loss in nats per token; infinity on overflow."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class SentenceScore:
    """Log-probabilities of a target sentence, given its source.

    Attributes:
        tokens: of the target, for display; EOS is the last.
        token_log_probabilities: of each token, given the previous ones; natural logarithms.
    """

    tokens: tuple[str, ...]
    token_log_probabilities: tuple[float, ...]

    @property
    def num_tokens(self) -> int:
        """Return the number of target tokens, including EOS."""
        return len(self.token_log_probabilities)

    @property
    def log_probability(self) -> float:
        """Return the log-probability of the sentence, the sum over its tokens."""
        return math.fsum(self.token_log_probabilities)

    @property
    def perplexity(self) -> float:
        """Return ``exp`` of the mean negative log-probability of a token."""
        return perplexity(-self.log_probability / self.num_tokens)


@dataclass(frozen=True)
class SentenceAlignment:
    """Word alignment of a sentence pair from the attention.

    Attributes:
        source_words: words of the raw source, or other units (such as the cells of a grid).
        target_words: words or other units of the raw target.
        weights: `[target words, source words]`; a row sums to at most 1.
        links: from each target word to the source word with the highest weight.
        units: the kind of unit.
    """

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    weights: Weights
    links: Alignment
    units: ActualUnits = "words"


def read_log_probabilities(batch: Batch, output: ModelOutput) -> list[tuple[float, ...]]:
    """Return the log-probabilities of the labels of each sentence of the batch."""
    logits = output.logits.float().flatten(0, 1)
    losses = cross_entropy(logits, batch.labels.flatten(), ignore_index=PAD, reduction="none")
    rows = (-losses).view_as(batch.labels).tolist()
    lengths = batch.label_mask.sum(dim=1).tolist()
    return [tuple(row[:length]) for row, length in zip(rows, lengths, strict=True)]


def score_without_coverage(log_probability: float, length: int, scoring: Scoring) -> float:
    """Return the score without coverage penalty, which needs a search; `length` includes EOS."""
    return scoring.length.score(torch.tensor(log_probability), torch.tensor(length)).item()


def read_weights(batch: Batch, output: ModelOutput) -> list[NDArray[np.float32]]:
    """Return the attention weights of each sentence, `[target tokens, source tokens]` with EOS."""
    weights = output.weights.float().cpu().numpy()
    target_lengths = batch.label_mask.sum(dim=1).tolist()
    source_lengths = batch.source_lengths.tolist()
    # Copies, because a view would keep the padded batch in memory.
    return [
        row[:num_target, :num_source].copy()
        for row, num_target, num_source in zip(weights, target_lengths, source_lengths, strict=True)
    ]


def align_units(source: UnitTokens, target: UnitTokens, weights: Weights) -> SentenceAlignment:
    """Convert the attention weights between the tokens of a pair to an alignment of its units."""
    merged = merge_tokens(weights, source.shares, target.weights)
    of_sides = [side.units for side in (source, target) if side.units is not None]
    are_alike = all(units == of_sides[0] for units in of_sides)
    return SentenceAlignment(
        tuple(source.texts),
        tuple(target.texts),
        merged,
        hard_alignment(merged),
        [*of_sides, "words"][0] if are_alike else "words and characters",
    )
