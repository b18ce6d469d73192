"""Scores and alignments of given sentence pairs, by forced decoding (one pass for each pair)."""

import math
from dataclasses import dataclass, replace
from typing import Any

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
class ForcedAttention:
    """Attention of a sentence pair in forced decoding.

    Attributes:
        weights: `[T S]`, target and source tokens with EOS.
        heads: `[N T S]`, the weights of each head; None: there is one.
        log_probabilities: of each target token, if requested.
    """

    weights: NDArray[np.float32]
    heads: NDArray[np.float32] | None = None
    log_probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TokenAttention:
    """Attention between the tokens of a pair.

    Attributes:
        source: S tokens for display, the last one EOS.
        target: T tokens for display, the last one EOS.
        weights: `[T S]`.
        heads: `[N T S]`, the weights of each head; None: there is one.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: NDArray[np.float32]
    heads: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SentenceAlignment:
    """Word alignment of a sentence pair from the attention.

    Attributes:
        source_words: words of the raw source, or other units (such as the cells of a grid).
        target_words: words or other units of the raw target.
        weights: `[target words, source words]`; a row sums to at most 1.
        links: from each target word to the source word with the highest weight.
        units: the kind of unit.
        heads: the weights of each head; empty if there is one.
        tokens: attention between the tokens; None if the source is a grid.
        picks_one: whether the model picks one position for each token.
        token_log_probabilities: of the target tokens and EOS, if requested.
    """

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    weights: Weights
    links: Alignment
    units: ActualUnits = "words"
    heads: tuple[Weights, ...] = ()
    tokens: TokenAttention | None = None
    picks_one: bool = False
    token_log_probabilities: tuple[float, ...] | None = None

    def bertviz(self) -> dict[str, Any]:
        """Return the keyword arguments of BertViz's `head_view` and `model_view`.

        They are one layer of cross attention between tokens (units, if the source is a grid), as a
        tensor `[1 N T S]`, and the names of the tokens.
        """
        shown = self.tokens or TokenAttention(
            self.source_words,
            self.target_words,
            self.weights,
            np.stack(self.heads) if self.heads else None,
        )
        heads = shown.weights[None] if shown.heads is None else shown.heads
        return {
            "cross_attention": (torch.tensor(heads, dtype=torch.float32)[None],),
            "encoder_tokens": list(shown.source),
            "decoder_tokens": list(shown.target),
        }

    def _repr_html_(self) -> str:
        """Return the view of a notebook."""
        from nmt.inference.views import view_of_alignment
        from nmt.visualization.views import notebook_html

        return notebook_html(view_of_alignment(self))


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


def read_attention(batch: Batch, output: ModelOutput) -> list[ForcedAttention]:
    """Return the attention of each sentence."""
    num_sentences = len(output.weights)
    heads = [None] * num_sentences if output.heads is None else output.heads.float().cpu().numpy()
    target_lengths = batch.label_mask.sum(dim=1).tolist()
    source_lengths = batch.source_lengths.tolist()
    sentences = zip(
        output.weights.float().cpu().numpy(), heads, target_lengths, source_lengths, strict=True
    )
    # Copies, because a view would keep the padded batch in memory.
    return [
        ForcedAttention(
            weights[:num_target, :num_source].copy(),
            None
            if of_heads is None
            else of_heads[:num_target, :, :num_source].swapaxes(0, 1).copy(),
        )
        for weights, of_heads, num_target, num_source in sentences
    ]


def read_scored_attention(batch: Batch, output: ModelOutput) -> list[ForcedAttention]:
    """Return the attention of each sentence, and the log-probabilities of its labels."""
    scores = read_log_probabilities(batch, output)
    return [
        replace(attention, log_probabilities=log_probabilities)
        for attention, log_probabilities in zip(read_attention(batch, output), scores, strict=True)
    ]


def align_units(
    source: UnitTokens, target: UnitTokens, attention: ForcedAttention
) -> SentenceAlignment:
    """Convert the attention between the tokens of a pair to an alignment of its units."""
    shares, means = source.shares, target.weights
    merged = merge_tokens(attention.weights, shares, means)
    heads = () if attention.heads is None else tuple(attention.heads)
    of_sides = [side.units for side in (source, target) if side.units is not None]
    are_alike = all(units == of_sides[0] for units in of_sides)
    return SentenceAlignment(
        tuple(source.texts),
        tuple(target.texts),
        merged,
        hard_alignment(merged),
        [*of_sides, "words"][0] if are_alike else "words and characters",
        heads=tuple(merge_tokens(head, shares, means) for head in heads),
        token_log_probabilities=attention.log_probabilities,
    )
