"""What may follow a hypothesis, and what is held against it: limits, a forced beginning, rules."""

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
class PartialHypotheses:
    """R hypotheses as far as they are written.

    Attributes:
        tokens: `[R T]`, from BOS on; indices into `Request.subset` where there is one.
        sentence: `[R]`, the row of the request that each is a translation of.
        request: what is asked for.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    request: Request

    def vocabulary_tokens(self) -> Int[Tensor, "R T"]:
        """The tokens as the tokenizer numbers them."""
        subset = self.request.subset
        return self.tokens if subset is None else subset.tokens.to(self.tokens.device)[self.tokens]

    @property
    def length(self) -> int:
        """Tokens of each, BOS not counted."""
        return self.tokens.shape[1] - 1

    def forced(self) -> tuple[Int[Tensor, " F"], Int[Tensor, " F"]]:
        """Return the rows whose next token is in a forced prefix, and these tokens."""
        prefixes = self.request.prefixes
        if prefixes is None or prefixes.shape[1] <= self.length:
            return self.sentence[:0], self.sentence[:0]
        tokens = prefixes[self.sentence, self.length]
        rows = (tokens != PAD).nonzero().flatten()
        return rows, tokens[rows]


class Rule(ABC):
    """Changes how probable the next tokens of a hypothesis count, in place.

    What a rule does to a hypothesis depends on its own tokens alone, so that translations do not
    hang on what else is in the batch. It may only make a token count less. Under a shortlist the
    log-probabilities are of some tokens alone, and what is written is numbered as they are: see
    `PartialHypotheses.vocabulary_tokens` and `Request.subset`.
    """

    forbids: bool = True
    """Whether all that it does is to set tokens to -inf; else it changes what is ranked by."""

    @abstractmethod
    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Change the log-probabilities of what may follow."""


@dataclass(frozen=True)
class LengthLimits:
    """How long a translation may be, in tokens, EOS not counted.

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
        """The lower limit of each sentence, given the tokens of its source."""
        relative = (source_lengths * self.min_length_ratio).to(source_lengths.dtype)
        return relative.clamp(self.min_length, self.max_length)

    def max_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The upper limit of each sentence, given the tokens of its source."""
        if self.max_length_ratio is None:
            return torch.full_like(source_lengths, self.max_length)
        relative = (source_lengths * self.max_length_ratio).to(source_lengths.dtype)
        longest = (relative + EXTRA_TOKENS).clamp(max=self.max_length)
        return torch.maximum(longest, self.min_lengths(source_lengths))


@dataclass(frozen=True)
class LengthBounds:
    """How long the translations of a request may be, looked up once for all steps.

    Attributes:
        fewest: `[B]`, tokens of each, EOS not counted.
        most: `[B]`, likewise.
        free: the lengths at which every translation may end or go on.
    """

    fewest: Int[Tensor, " B"]
    most: Int[Tensor, " B"]
    free: range

    @classmethod
    def of(cls, limits: LengthLimits, request: Request) -> "LengthBounds":
        """Those of the limits."""
        fewest = limits.min_lengths(request.source_lengths)
        most = limits.max_lengths(request.source_lengths)
        if not len(request):
            return cls(fewest, most, range(0))
        return cls(fewest, most, range(int(fewest.max()), int(most.min())))


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
        """The edges of words, where phrases are asked for; None: they are everywhere."""
        if self._word_edges is None or request.phrases is None:
            return None
        edges = self._word_edges()
        subset = request.subset
        edges = edges if subset is None else edges[:, subset.tokens]
        return edges.to(request.phrases.device)

    def max_lengths(self, request: Request) -> Int[Tensor, " B"]:
        """Most tokens of a translation of each sentence, EOS not counted."""
        return torch.maximum(
            self.limits.max_lengths(request.source_lengths), request.prefix_lengths()
        )

    def apply(
        self,
        log_probabilities: Float[Tensor, "R V"],
        partial: PartialHypotheses,
        bounds: LengthBounds,
    ) -> Float[Tensor, "R V"]:
        """What the next tokens are ranked by, from their log-probabilities, which it may change.

        Args:
            log_probabilities: by the model.
            partial: what they follow.
            bounds: of the request.

        Returns:
            The log-probabilities themselves, changed; or, where a rule does more than to forbid, a
            copy that is changed.
        """
        ranked = log_probabilities if self.only_forbids else log_probabilities.clone()
        rows, forced = partial.forced()
        forced_values = ranked[rows, forced]
        end = None
        if self._can_exclude_all(partial.request) or partial.length not in bounds.free:
            end = ranked[:, EOS].clone()
        ranked[:, self.excluded] = -inf
        for rule in self.rules:
            rule(ranked, partial)
        if end is not None:
            self._limit(ranked, end, partial, bounds)
        if len(rows) > 0:
            ranked[rows] = -inf
            ranked[rows, forced] = forced_values
        return ranked

    def _can_exclude_all(self, request: Request) -> bool:
        """Return whether nothing may be left: by a rule, or by a limit on a subset of tokens."""
        return bool(self.rules) or request.subset is not None

    def _limit(
        self,
        ranked: Float[Tensor, "R V"],
        end: Float[Tensor, " R"],
        partial: PartialHypotheses,
        bounds: LengthBounds,
    ) -> None:
        """No end before the fewest tokens, and nothing else after the most."""
        too_short = bounds.fewest > partial.length
        if too_short.any():
            ranked[too_short[partial.sentence], EOS] = -inf
        must_end = (bounds.most <= partial.length)[partial.sentence]
        if self._can_exclude_all(partial.request):
            must_end = must_end | (ranked.amax(dim=1) == -inf)
        if must_end.any():
            ranked[must_end] = -inf
            ranked[must_end, EOS] = end[must_end]
