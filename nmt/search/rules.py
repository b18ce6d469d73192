"""Limits on the length, rules on what may follow, and how they and a forced prefix are applied."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.search.request import Request

EXTRA_TOKENS: Final = 10  # beyond the ratio, as a short source may need a long translation


@dataclass(frozen=True)
class LengthLimits:
    """Limits on the length of a translation, in tokens, EOS not counted.

    At the upper limit EOS follows, however improbable.

    Attributes:
        min_length: fewest tokens.
        max_length: most tokens; goes before all else.
        min_length_ratio: fewest tokens for each token of the source.
        max_length_ratio: most tokens for each token of the source; 10 more are granted. None: any
            number. The fewest go before it.
    """

    min_length: int = 0
    max_length: int = 250
    min_length_ratio: float = 0.0
    max_length_ratio: float | None = 3.0

    def __post_init__(self) -> None:
        assert self.min_length <= self.max_length, "the configuration refuses it"

    def min_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Return the lower limit of each sentence, given the tokens of its source."""
        relative = (source_lengths * self.min_length_ratio).to(source_lengths.dtype)
        return relative.clamp(self.min_length, self.max_length)

    def max_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Return the upper limit of each sentence, given the tokens of its source."""
        if self.max_length_ratio is None:
            return torch.full_like(source_lengths, self.max_length)
        relative = (source_lengths * self.max_length_ratio).to(source_lengths.dtype)
        longest = (relative + EXTRA_TOKENS).clamp(max=self.max_length)
        return torch.maximum(longest, self.min_lengths(source_lengths))


@dataclass(frozen=True)
class LengthBounds:
    """Limits on the length of each translation of a request, computed once for all steps.

    Attributes:
        min_length: `[B]`, in tokens, EOS not counted.
        max_length: `[B]`, likewise, and at least that of the forced prefix.
        free: the lengths at which every translation may end or continue.
    """

    min_length: Int[Tensor, " B"]
    max_length: Int[Tensor, " B"]
    free: range

    @classmethod
    def of(cls, limits: LengthLimits, request: Request) -> "LengthBounds":
        """Return the limits for the sources and prefixes of a request."""
        min_length = limits.min_lengths(request.source_lengths)
        max_length = limits.max_lengths(request.source_lengths)
        if request.prefixes is not None:
            max_length = torch.maximum(max_length, (request.prefixes != PAD).sum(dim=1))
        if not len(request.source_lengths):
            return cls(min_length, max_length, range(0))
        return cls(min_length, max_length, range(int(min_length.max()), int(max_length.min())))


@dataclass(frozen=True)
class PartialHypotheses:
    """R unfinished hypotheses.

    Attributes:
        tokens: `[R T]`, from BOS on; indices into `Request.subset` where there is one.
        sentence: `[R]`, the row of the request that each is a translation of.
        request: what is asked for.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    request: Request

    def vocabulary_tokens(self) -> Int[Tensor, "R T"]:
        """Return the tokens as the tokenizer numbers them."""
        subset = self.request.subset
        return self.tokens if subset is None else subset.tokens.to(self.tokens.device)[self.tokens]

    @property
    def length(self) -> int:
        """Number of tokens of each hypothesis, BOS not counted."""
        return self.tokens.shape[1] - 1

    def forced(self) -> tuple[Int[Tensor, " F"], Int[Tensor, " F"]] | None:
        """Return the rows whose next token is in a forced prefix, and these tokens; None: none."""
        prefixes = self.request.prefixes
        if prefixes is None or prefixes.shape[1] <= self.length:
            return None
        tokens = prefixes[self.sentence, self.length]
        rows = (tokens != PAD).nonzero().flatten()
        return rows, tokens[rows]


class Rule(ABC):
    """A change, in place, of how probable the next tokens of a hypothesis count.

    What a rule does to a hypothesis depends only on its own tokens, so that translations do not
    depend on what else is in the batch. It may only make a token count less. Under a shortlist the
    log-probabilities are of some tokens only, and what is written is numbered as they are: see
    `PartialHypotheses.vocabulary_tokens` and `Request.subset`.

    Attributes:
        forbids: whether all that it does is to set tokens to -inf; else it changes what is ranked
            by.
    """

    forbids: bool = True

    @abstractmethod
    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Change the log-probabilities of what may follow."""


class NoRepeatedNgrams(Rule):
    """Ban on n tokens in a row that come twice (Paulus 2018, section 2.5).

    Args:
        size: n; of 1, no token comes twice.
    """

    def __init__(self, size: int) -> None:
        assert size >= 1
        self.size: Final = size

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Forbid what would end an n-gram that is there."""
        written = partial.tokens[:, 1:]
        if written.shape[1] < self.size:
            return
        ngrams = written.unfold(1, self.size, 1)
        last = written[:, written.shape[1] - self.size + 1 :].unsqueeze(1)
        rows, places = (ngrams[:, :, :-1] == last).all(dim=2).nonzero(as_tuple=True)
        log_probabilities[rows, ngrams[rows, places, -1]] = -inf


class RepetitionPenalty(Rule):
    """Factor on the log-probabilities of tokens already generated (Keskar 2019).

    Args:
        factor: at least 1; 1 is no penalty, the paper has 1.2.
    """

    forbids = False

    def __init__(self, factor: float) -> None:
        assert factor >= 1.0, "the bound of the search would be wrong"
        self.factor: Final = factor

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Make what was written count less."""
        written = partial.tokens[:, 1:]
        penalized = log_probabilities.gather(1, written) * self.factor
        log_probabilities.scatter_(1, written, penalized)


class EOSThreshold(Rule):
    """EOS only where ``log P(EOS) > factor * max log P(other)`` (Hannun 2019, section 3).

    Args:
        factor: the smaller, the surer the end must be: at 1 it must be the most probable token, at
            0.5 as probable as the root of the next. The paper has 1.5.
    """

    def __init__(self, factor: float) -> None:
        assert factor > 0.0
        self.factor: Final = factor

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Forbid an end that is not sure enough."""
        if log_probabilities.shape[1] == EOS + 1:
            return  # there is nothing else
        best = log_probabilities[:, EOS + 1 :].amax(dim=1)
        unsure = log_probabilities[:, EOS] <= self.factor * best
        log_probabilities[:, EOS].masked_fill_(unsure, -inf)


class Rules:
    """All rules of a search in their order: what is ranked by, of what the model says.

    PAD, UNK and BOS are no text and never follow, but where a prefix has them. A prefix goes before
    the limits, and the limits before the rules; where rules forbid everything, EOS follows.

    Args:
        limits: how long translations may be.
        rules: applied one after the other.
        allow_unknown: UNK may follow, as it is to be replaced.
        word_edges: before which tokens a word has ended, and after which one may begin, for phrases
            that must appear as whole words; None: all.
    """

    def __init__(
        self,
        limits: LengthLimits,
        rules: Sequence[Rule] = (),
        *,
        allow_unknown: bool = False,
        word_edges: Callable[[], Bool[Tensor, "2 V"]] | None = None,
    ) -> None:
        self.limits: Final = limits
        assert (PAD, UNK, BOS) == (0, 1, 2)
        self.excluded: Final = slice(PAD, BOS + 1, 2 if allow_unknown else 1)
        self.rules: Final = tuple(rules)
        self.only_forbids: Final = all(rule.forbids for rule in rules)
        self._word_edges: Final = word_edges

    def word_edges(self, request: Request) -> Bool[Tensor, "2 V"] | None:
        """Return the edges of words where phrases are asked for; None: they are everywhere."""
        if self._word_edges is None or request.phrases is None:
            return None
        edges = self._word_edges()
        subset = request.subset
        edges = edges if subset is None else edges[:, subset.tokens]
        return edges.to(request.phrases.device)

    def apply(
        self,
        log_probabilities: Float[Tensor, "R V"],
        partial: PartialHypotheses,
        bounds: LengthBounds,
    ) -> Float[Tensor, "R V"]:
        """Return what the next tokens are ranked by.

        Args:
            log_probabilities: by the model; changed in place if all rules only forbid tokens.
            partial: what they follow.
            bounds: of the request.
        """
        ranked = log_probabilities if self.only_forbids else log_probabilities.clone()
        forced = partial.forced()
        if forced is not None:
            forced_values = ranked[forced]
        end = ranked[:, EOS].clone()
        ranked[:, self.excluded] = -inf
        for rule in self.rules:
            rule(ranked, partial)
        # Of a subset, too, a limit may leave nothing.
        if self.rules or partial.request.subset is not None or partial.length not in bounds.free:
            _limit(ranked, end, partial, bounds)
        if forced is not None:
            ranked[forced[0]] = -inf
            ranked[forced] = forced_values
        return ranked


def _limit(
    ranked: Float[Tensor, "R V"],
    end: Float[Tensor, " R"],
    partial: PartialHypotheses,
    bounds: LengthBounds,
) -> None:
    """Forbid EOS below the lower limit, and all else at the upper one or where nothing is left."""
    too_short = (bounds.min_length > partial.length)[partial.sentence]
    ranked[:, EOS].masked_fill_(too_short, -inf)
    must_end = (bounds.max_length <= partial.length)[partial.sentence]
    must_end = must_end | (ranked.amax(dim=1) == -inf)
    if must_end.any():
        ranked[must_end] = -inf
        ranked[must_end, EOS] = end[must_end]
