"""Length limits, rules on the next token, and forced prefixes, applied in a fixed order."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.search.request import Request
from nmt.search.shapes import LogProbabilities, WordEdges

# Why a continuation of a hypothesis has a place in the beam, or has none.
Reason: TypeAlias = Literal[
    "kept", "finished", "worse than K", "blocked n-gram", "forbidden", "constraint", "length"
]

EXTRA_TOKENS: Final = 10  # added to the ratio, as a short source may need a long translation


@dataclass(frozen=True)
class LengthLimits:
    """Limits on the length of a translation, in tokens without EOS.

    At the upper limit EOS is forced.

    Attributes:
        min_length: minimum number of tokens.
        max_length: maximum number of tokens; overrides all other limits.
        min_length_ratio: minimum number of tokens for each source token.
        max_length_ratio: maximum number of tokens for each source token, plus 10; None: no limit.
            The minimum overrides it.
    """

    min_length: int = 0
    max_length: int = 250
    min_length_ratio: float = 0.0
    max_length_ratio: float | None = 3.0

    def __post_init__(self) -> None:
        assert self.min_length <= self.max_length, "the configuration rejects it"

    def min_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Return the lower limit of each sentence, given its source length."""
        relative = (source_lengths * self.min_length_ratio).to(source_lengths.dtype)
        return relative.clamp(self.min_length, self.max_length)

    def max_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Return the upper limit of each sentence, given its source length."""
        if self.max_length_ratio is None:
            return torch.full_like(source_lengths, self.max_length)
        relative = (source_lengths * self.max_length_ratio).to(source_lengths.dtype)
        longest = (relative + EXTRA_TOKENS).clamp(max=self.max_length)
        return torch.maximum(longest, self.min_lengths(source_lengths))


@dataclass(frozen=True)
class LengthBounds:
    """Length limits of each translation of a request, computed once for all steps.

    Attributes:
        min_length: `[B]`, in tokens without EOS.
        max_length: `[B]`, in tokens without EOS; at least the length of the forced prefix.
        free: lengths at which every translation may end or continue.
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
        tokens: `[R T]`, starting with BOS; indices into `Request.subset` if there is one.
        sentence: `[R]`, the row of the request that each hypothesis belongs to.
        request: the request of the batch.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    request: Request

    def vocabulary_tokens(self) -> Int[Tensor, "R T"]:
        """Return the tokens in the numbering of the tokenizer."""
        subset = self.request.subset
        return self.tokens if subset is None else subset.tokens.to(self.tokens.device)[self.tokens]

    @property
    def length(self) -> int:
        """Return the number of tokens of each hypothesis, without BOS."""
        return self.tokens.shape[1] - 1

    def forced(self) -> tuple[Int[Tensor, " F"], Int[Tensor, " F"]] | None:
        """Return the rows whose next token is forced by a prefix, and these tokens; or None."""
        prefixes = self.request.prefixes
        if prefixes is None or prefixes.shape[1] <= self.length:
            return None
        tokens = prefixes[self.sentence, self.length]
        rows = (tokens != PAD).nonzero().flatten()
        return rows, tokens[rows]


class Rule(ABC):
    """Base class of rules, which change the log-probabilities of the next token in place.

    A rule may only lower them. It must depend on the tokens of the hypothesis only, so that
    translations do not depend on the rest of the batch. With a shortlist, columns and tokens are
    indices into the shortlist: see `PartialHypotheses.vocabulary_tokens` and `Request.subset`.

    Attributes:
        forbids: whether it only sets log-probabilities to -inf; if not, ranking uses a changed
            copy of the log-probabilities.
        reason: why a token that the rule forbids has no place in the beam.
    """

    forbids: bool = True
    reason: ClassVar[Reason] = "forbidden"

    @abstractmethod
    def __call__(self, log_probabilities: LogProbabilities, partial: PartialHypotheses) -> None:
        """Change the log-probabilities of the next token in place."""


class NoRepeatedNgrams(Rule):
    """Ban on repeated n-grams (Paulus 2018, section 2.5).

    Args:
        size: n; with 1, no token may appear twice.
    """

    reason = "blocked n-gram"

    def __init__(self, size: int) -> None:
        assert size >= 1
        self.size: Final = size

    def __call__(self, log_probabilities: LogProbabilities, partial: PartialHypotheses) -> None:
        """Forbid tokens that would complete a repeated n-gram."""
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
        factor: at least 1; 1 is no penalty, the paper uses 1.2.
    """

    forbids = False

    def __init__(self, factor: float) -> None:
        assert factor >= 1.0, "the bound of the search would be wrong"
        self.factor: Final = factor

    def __call__(self, log_probabilities: LogProbabilities, partial: PartialHypotheses) -> None:
        """Lower the log-probabilities of tokens already generated."""
        written = partial.tokens[:, 1:]
        penalized = log_probabilities.gather(1, written) * self.factor
        log_probabilities.scatter_(1, written, penalized)


class EOSThreshold(Rule):
    """EOS only where ``log P(EOS) > factor * max log P(other)`` (Hannun 2019, section 3).

    Args:
        factor: smaller values require a more probable EOS. With 1 it must be the most probable
            token, with 0.5 its probability must exceed the square root of the next best. The paper
            uses 1.5.
    """

    def __init__(self, factor: float) -> None:
        assert factor > 0.0
        self.factor: Final = factor

    def __call__(self, log_probabilities: LogProbabilities, partial: PartialHypotheses) -> None:
        """Forbid EOS below the threshold."""
        if log_probabilities.shape[1] == EOS + 1:
            return  # there is no other token
        best = log_probabilities[:, EOS + 1 :].amax(dim=1)
        unsure = log_probabilities[:, EOS] <= self.factor * best
        log_probabilities[:, EOS].masked_fill_(unsure, -inf)


class Rules:
    """All rules of a search, which turn the model's log-probabilities into those for ranking.

    PAD, UNK and BOS are forbidden unless a prefix contains them. A prefix overrides the limits, and
    the limits override the rules. If the rules forbid everything, EOS follows.

    Args:
        limits: length limits of translations.
        rules: applied one after the other.
        allow_unknown: allow UNK, because it will be replaced.
        word_edges: returns tokens before which a word has ended, and tokens after which a word may
            begin. Required phrases must start and end at such edges. None: all tokens.
    """

    def __init__(
        self,
        limits: LengthLimits,
        rules: Sequence[Rule] = (),
        *,
        allow_unknown: bool = False,
        word_edges: Callable[[], WordEdges] | None = None,
    ) -> None:
        self.limits: Final = limits
        assert (PAD, UNK, BOS) == (0, 1, 2)
        self.excluded: Final = slice(PAD, BOS + 1, 2 if allow_unknown else 1)
        self.rules: Final = tuple(rules)
        self.only_forbids: Final = all(rule.forbids for rule in rules)
        self._word_edges: Final = word_edges

    def word_edges(self, request: Request) -> WordEdges | None:
        """Return the word edges if the request has phrases; None: every token edge is one."""
        if self._word_edges is None or request.phrases is None:
            return None
        edges = self._word_edges()
        subset = request.subset
        edges = edges if subset is None else edges[:, subset.tokens]
        return edges.to(request.phrases.device)

    def apply(
        self, log_probabilities: LogProbabilities, partial: PartialHypotheses, bounds: LengthBounds
    ) -> LogProbabilities:
        """Return the log-probabilities for ranking the next tokens.

        Args:
            log_probabilities: by the model; changed in place if all rules only forbid tokens.
            partial: the hypotheses so far.
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
        # A subset, like a rule, may leave no token.
        if self.rules or partial.request.subset is not None or partial.length not in bounds.free:
            _limit(ranked, end, partial, bounds)
        if forced is not None:
            ranked[forced[0]] = -inf
            ranked[forced] = forced_values
        return ranked


def _limit(
    ranked: LogProbabilities,
    end: Float[Tensor, " R"],
    partial: PartialHypotheses,
    bounds: LengthBounds,
) -> None:
    """Forbid EOS below the lower limit; force it at the upper limit or if no token is left."""
    too_short = (bounds.min_length > partial.length)[partial.sentence]
    ranked[:, EOS].masked_fill_(too_short, -inf)
    must_end = (bounds.max_length <= partial.length)[partial.sentence]
    must_end = must_end | (ranked.amax(dim=1) == -inf)
    if must_end.any():
        ranked[must_end] = -inf
        ranked[must_end, EOS] = end[must_end]
