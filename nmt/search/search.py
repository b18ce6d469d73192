"""The interface of searches, which run on a step function with an opaque state."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nmt.core.batch import map_tensors
from nmt.core.coverage import Coverage
from nmt.core.special_tokens import BOS
from nmt.search.coverage_penalty import CoveragePenalty, NoCoverage
from nmt.search.hypothesis import Hypothesis, NBest
from nmt.search.length_penalty import LengthPenalty
from nmt.search.request import Request
from nmt.search.rules import Rules
from nmt.search.shapes import Totals

State = TypeVar("State")

_MORE = 8  # values that are looked at beyond those that are needed; bfloat16 often has ties

# Function from the last tokens `[N]` and the state of N hypotheses to log-probabilities and the new
# state. The log-probabilities of the next token, `[N V]`, are normalised, and the search may change
# them in place. A row must not depend on the others.
StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]


@dataclass(frozen=True)
class Stepper(Generic[State]):
    """The interface of a model for a search.

    Attributes:
        step: runs one step.
        coverage: returns the attention coverage from a state; None: the state has no coverage.
    """

    step: StepFunction[State]
    coverage: Callable[[State], Coverage] | None = None


@dataclass(frozen=True)
class OpenHypotheses(Generic[State]):
    """The open hypotheses of all sentences as R rows; rows of one sentence are adjacent.

    Attributes:
        tokens: `[R T]`, starting with BOS.
        sentence: `[R]`, row of the request.
        log_probability: `[R]`, by the model.
        total: `[R]`, log-probability after the rules, for ranking.
        state: state of the step function.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    log_probability: Float[Tensor, " R"]
    total: Totals
    state: State

    @classmethod
    def start(cls, state: State, request: Request) -> "OpenHypotheses[State]":
        """Return one hypothesis for each sentence, before its first word."""
        lengths = request.source_lengths
        sentence = torch.arange(len(lengths), device=lengths.device)
        totals = torch.zeros(len(lengths), device=lengths.device)
        return cls(torch.full_like(lengths, BOS).unsqueeze(1), sentence, totals, totals, state)


@dataclass(frozen=True)
class Candidates:
    """The best continuations of N sentences, best first (ties: by row, then by token).

    Attributes:
        totals: `[N C]`, log-probability of hypothesis and token together; -inf: no candidate.
        rows: `[N C]`, the open hypothesis that is continued; R: no candidate.
        tokens: `[N C]`, the next token.
    """

    totals: Float[Tensor, "N C"]
    rows: Int[Tensor, "N C"]
    tokens: Int[Tensor, "N C"]

    def take(self, columns: Int[Tensor, "N D"]) -> "Candidates":
        """Return these candidates of each sentence, in this order."""
        return map_tensors(lambda tensor: tensor.gather(1, columns), self)


class HypothesisCollector:
    """The finished hypotheses of each sentence; it only keeps those missing the fewest phrases."""

    def __init__(self, num_sentences: int) -> None:
        self._found: list[list[Hypothesis]] = [[] for _ in range(num_sentences)]
        self._fewest_unmet = [sys.maxsize] * num_sentences

    def add(
        self,
        sentences: Int[Tensor, " E"],
        tokens: Int[Tensor, "E T"],
        log_probabilities: Float[Tensor, " E"],
        scores: Float[Tensor, " E"],
        num_unmet: Int[Tensor, " E"] | None = None,
    ) -> None:
        """Add hypotheses of equal length.

        Args:
            sentences: row of the request for each hypothesis.
            tokens: without BOS and EOS.
            log_probabilities: by the model.
            scores: scores for ranking.
            num_unmet: number of missing phrases of each hypothesis; None: 0.
        """
        columns = [each.tolist() for each in (sentences, tokens, log_probabilities, scores)]
        columns.append([0] * len(sentences) if num_unmet is None else num_unmet.tolist())
        for sentence, written, log_probability, score, unmet in zip(*columns, strict=True):
            if unmet < self._fewest_unmet[sentence]:
                self._fewest_unmet[sentence] = unmet
                self._found[sentence] = []
            if unmet == self._fewest_unmet[sentence]:
                self._found[sentence].append(Hypothesis(tuple(written), log_probability, score))

    def best_first(self) -> NBest:
        """Return the hypotheses of each sentence, best first (ties: in the order of addition)."""
        return list(map(best_first, self._found))


@dataclass(frozen=True)
class Scoring:
    """Penalties in the scores of finished hypotheses.

    Attributes:
        length: turns the log-probability into a score.
        coverage: is added to the score.
    """

    length: LengthPenalty
    coverage: CoveragePenalty = field(default_factory=NoCoverage)


@dataclass(eq=False)
class Search(ABC):
    """Base class of searches for the best translations of a model.

    Args:
        beam_size: hypotheses kept at each step.
        n_best: maximum number of hypotheses to return for a sentence; at most `beam_size`.
        scoring: ranks the hypotheses.
        rules: rules on the next token, and length limits.

    Attributes:
        has_beam: whether it uses `beam_size`.
        draws_samples: whether it samples translations independently.
        supports_phrases: whether it supports the phrases of a request.
        finds_distinct_texts: whether its hypotheses should differ in their text, not only in their
            tokens.
    """

    has_beam: ClassVar[bool] = True
    draws_samples: ClassVar[bool] = False
    supports_phrases: ClassVar[bool] = False
    finds_distinct_texts: ClassVar[bool] = False

    beam_size: int
    n_best: int
    scoring: Scoring
    rules: Rules

    def __post_init__(self) -> None:
        assert self.n_best <= self.beam_size, "the configuration rejects it"

    @abstractmethod
    def __call__(self, model: Stepper[State], state: State, request: Request) -> NBest:
        """Translate a batch; the result for a sentence does not depend on the others in it.

        Args:
            model: the step function and coverage of the model.
            state: before the first word, one row for each sentence.
            request: lengths and constraints, on the device of the state.

        Returns:
            The `n_best` hypotheses of each sentence, best first (ties: in the order of discovery).
            There may be fewer if the length limits allow fewer.
        """

    def _score(
        self, model: Stepper[State], state: State, totals: Tensor, rows: Tensor, length: int
    ) -> Float[Tensor, "*N"]:
        """Return the scores of hypotheses that end.

        Args:
            model: gives the coverage.
            state: after the step that predicted EOS.
            totals: `[*N]`, log-probabilities after the rules.
            rows: `[*N]`, row of the state for each hypothesis; R: no hypothesis.
            length: number of tokens of each hypothesis, including EOS.
        """
        scores = self.scoring.length.score(totals, totals.new_full((), length))
        if not self.scoring.coverage.reads_coverage:
            return scores
        assert model.coverage is not None, "the translator computes it for such penalties"
        penalties = self.scoring.coverage(model.coverage(state))
        return scores + torch.cat([penalties, penalties.new_zeros(1)])[rows]


def best_first(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Sort hypotheses by their scores, best first; the sort is stable."""
    return sorted(hypotheses, key=lambda hypothesis: hypothesis.score, reverse=True)


def best_in_order(values: Float[Tensor, "N M"], count: int) -> Int[Tensor, "N C"]:
    """Return the indices of the highest values of each row, highest first (ties: lowest index).

    `torch.topk` does not specify how it breaks ties, and sorting a row takes many times longer. So
    a few more values are taken. If the last of them is lower than the last one needed, they include
    all values that tie with it, and sorting them breaks the tie. Otherwise the row is sorted. The
    order of several -inf is not specified.
    """
    num_taken = min(count + _MORE, values.shape[1])
    if count < num_taken:
        highest = values.topk(num_taken, dim=1)
        needed, last = highest.values[:, count - 1], highest.values[:, -1]
        if ((needed > last) | (needed == -inf)).all():
            places = highest.indices.sort(dim=1).values
            order = values.gather(1, places).sort(dim=1, descending=True, stable=True).indices
            return places.gather(1, order[:, :count])
    return values.sort(dim=1, descending=True, stable=True).indices[:, :count]
