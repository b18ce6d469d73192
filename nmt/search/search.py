"""What every search is: a function of a step function and a state that it cannot see into."""

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
from nmt.search.hypothesis import Hypothesis
from nmt.search.length_penalty import LengthPenalty
from nmt.search.request import Request
from nmt.search.rules import Rules

State = TypeVar("State")

StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]
"""One word further: the last tokens `[N]` and the state of N hypotheses to the log-probabilities
of the next token `[N V]`, normalised, and the new state. A row must not depend on the others. The
log-probabilities are the search's to change."""


@dataclass(frozen=True)
class Stepper(Generic[State]):
    """A model, as a search sees it.

    Attributes:
        step: one word further.
        coverage: reads from a state what attention has done; None: the state does not say.
    """

    step: StepFunction[State]
    coverage: Callable[[State], Coverage] | None = None


@dataclass(frozen=True)
class OpenHypotheses(Generic[State]):
    """The open hypotheses of all sentences: R rows, those of one sentence side by side.

    Attributes:
        tokens: `[R T]`, from BOS on.
        sentence: `[R]`, row of the request.
        log_probability: `[R]`, by the model.
        total: `[R]`, the same as the rules have it: what is ranked by.
        state: what the step function needs.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    log_probability: Float[Tensor, " R"]
    total: Float[Tensor, " R"]
    state: State

    @classmethod
    def start(cls, state: State, request: Request) -> "OpenHypotheses[State]":
        """Return one for each sentence, before its first word."""
        lengths = request.source_lengths
        sentence = torch.arange(len(lengths), device=lengths.device)
        totals = torch.zeros(len(lengths), device=lengths.device)
        return cls(torch.full_like(lengths, BOS).unsqueeze(1), sentence, totals, totals, state)


@dataclass(frozen=True)
class Candidates:
    """The best continuations of N sentences, best first; of equals, the earlier row, then token.

    Attributes:
        totals: `[N C]`, log-probability of hypothesis and token together; -inf: there is none.
        rows: `[N C]`, which open hypothesis is continued (R where there is none).
        tokens: `[N C]`, with what.
    """

    totals: Float[Tensor, "N C"]
    rows: Int[Tensor, "N C"]
    tokens: Int[Tensor, "N C"]

    def take(self, columns: Int[Tensor, "N D"]) -> "Candidates":
        """Return these candidates of each sentence, in this order."""
        return map_tensors(lambda tensor: tensor.gather(1, columns), self)


class HypothesisCollector:
    """The finished hypotheses of each sentence; of those only that lack the fewest phrases."""

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
            sentences: row of the request, of each.
            tokens: without BOS and EOS.
            log_probabilities: by the model.
            scores: what they are ranked by.
            num_unmet: phrases that each lacks; None: none.
        """
        columns = [each.tolist() for each in (sentences, tokens, log_probabilities, scores)]
        columns.append([0] * len(sentences) if num_unmet is None else num_unmet.tolist())
        for sentence, written, log_probability, score, unmet in zip(*columns, strict=True):
            if unmet < self._fewest_unmet[sentence]:
                self._fewest_unmet[sentence] = unmet
                self._found[sentence] = []
            if unmet == self._fewest_unmet[sentence]:
                self._found[sentence].append(Hypothesis(tuple(written), log_probability, score))

    def best_first(self) -> list[list[Hypothesis]]:
        """Return the hypotheses of each sentence; of equal ones that which was added first."""
        return list(map(best_first, self._found))


@dataclass(frozen=True)
class Scoring:
    """Penalties that make the scores by which finished hypotheses are ranked.

    Attributes:
        length: makes a score of the log-probability.
        coverage: adds to it.
    """

    length: LengthPenalty
    coverage: CoveragePenalty = field(default_factory=NoCoverage)


@dataclass(eq=False)
class Search(ABC):
    """A way to find the translations that a model holds to be good.

    Args:
        beam_size: hypotheses kept at each step.
        n_best: most hypotheses to return for a sentence; at most `beam_size`.
        scoring: what they are ranked by.
        rules: what may follow, and how long they may be.

    Attributes:
        has_beam: whether `beam_size` means anything to it.
        draws_samples: whether it draws each of several translations by itself.
        supports_phrases: whether it heeds the phrases of a request.
        finds_distinct_texts: whether its hypotheses are to differ in their text, not in their
            tokens only.
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
        assert self.n_best <= self.beam_size, "the configuration refuses it"

    @abstractmethod
    def __call__(
        self, model: Stepper[State], state: State, request: Request
    ) -> list[list[Hypothesis]]:
        """Translate a batch; what a sentence gets depends on no other sentence in it.

        Args:
            model: says what may follow, and how probable it is.
            state: before the first word, one row for each sentence.
            request: what is asked for, on the device of the state.

        Returns:
            For each sentence the best hypotheses, best first; of equal ones that which was found
            first. There are `n_best`, or all that there are where the limits leave room for fewer.
        """

    def _score(
        self,
        model: Stepper[State],
        state: State,
        totals: Float[Tensor, "*N"],
        rows: Tensor,
        length: int,
    ) -> Float[Tensor, "*N"]:
        """Return the scores of hypotheses that end.

        Args:
            model: has been asked for the token that ends them.
            state: after that.
            totals: what they are ranked by so far.
            rows: of the state, for each of them; R: there is none.
            length: tokens of each, EOS counted.
        """
        scores = self.scoring.length.score(totals, totals.new_full((), length))
        if not self.scoring.coverage.reads_coverage:
            return scores
        assert model.coverage is not None, "whoever makes the search sees to it"
        penalties = self.scoring.coverage(model.coverage(state))
        return scores + torch.cat([penalties, penalties.new_zeros(1)])[rows]


def best_first(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Sort hypotheses by their scores; of equal ones that which comes first."""
    return sorted(hypotheses, key=lambda hypothesis: hypothesis.score, reverse=True)


def best_in_order(values: Float[Tensor, "N M"], count: int) -> Int[Tensor, "N C"]:
    """Return where the highest values of each row are, highest first; of equals, the first.

    `torch.topk` does not say which of equals it takes, and sorting a row takes many times longer.
    Which were taken is certain where the next one is lower; only else is it sorted. (Which of
    several -inf are taken is left open.)
    """
    if count < values.shape[1]:
        highest = values.topk(count + 1, dim=1)
        last, next_ = highest.values[:, -2], highest.values[:, -1]
        if ((last > next_) | (last == -inf)).all():
            places = highest.indices[:, :count].sort(dim=1).values
            order = values.gather(1, places).sort(dim=1, descending=True, stable=True).indices
            return places.gather(1, order)
    return values.sort(dim=1, descending=True, stable=True).indices[:, :count]
