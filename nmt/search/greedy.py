"""Searches along single paths: each step chooses a token and never reconsiders it."""

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nmt.core.batch import repeat, select
from nmt.core.errors import ConfigError
from nmt.core.special_tokens import EOS
from nmt.search.hypothesis import NBest
from nmt.search.observer import SearchStep
from nmt.search.request import Request
from nmt.search.rules import LengthBounds, PartialHypotheses, Rules
from nmt.search.search import (
    Candidates,
    HypothesisCollector,
    OpenHypotheses,
    Scoring,
    Search,
    State,
    Stepper,
)
from nmt.search.shapes import LogProbabilities


class SinglePathSearch(Search):
    """Base class of searches along `n_best` independent paths for each sentence."""

    has_beam = False

    @abstractmethod
    def _choose(self, ranked: LogProbabilities, partial: PartialHypotheses) -> Int[Tensor, " R"]:
        """Return the next token of each path.

        Args:
            ranked: log-probabilities after the rules.
            partial: the paths so far; each path has its own row in the request.
        """

    def __call__(self, model: Stepper[State], state: State, request: Request) -> NBest:
        """Translate a batch; see `Search`."""
        finished = HypothesisCollector(len(request.source_lengths))
        if self.n_best > 1:
            state, request = repeat((state, request), self.n_best)
        paths = OpenHypotheses.start(state, request)
        bounds = LengthBounds.of(self.rules.limits, request)
        while len(paths.sentence) > 0:
            log_probabilities, state = model.step(paths.tokens[:, -1], paths.state)
            partial = PartialHypotheses(paths.tokens, paths.sentence, request)
            before = None if request.observer is None else (paths, log_probabilities.clone())
            ranked = self.rules.apply(log_probabilities, partial, bounds)
            chosen = self._choose(ranked, partial).unsqueeze(1)
            paths = OpenHypotheses(
                torch.cat([paths.tokens, chosen], dim=1),
                paths.sentence,
                paths.log_probability + log_probabilities.gather(1, chosen).squeeze(1),
                paths.total + ranked.gather(1, chosen).squeeze(1),
                state,
            )
            ends, scores = chosen.squeeze(1) == EOS, None
            if ends.any():
                rows = ends.nonzero().flatten()
                tokens = paths.tokens[rows, 1:-1]
                length = tokens.shape[1] + 1
                scores = self._score(model, state, paths.total[rows], rows, length)
                sentences = paths.sentence[rows] // self.n_best
                finished.add(sentences, tokens, paths.log_probability[rows], scores)
                paths = select(paths, (~ends).nonzero().flatten())
            if request.observer is not None and before is not None:
                request.observer(_record(partial, *before, ranked, chosen, scores))
        return finished.best_first()


def _record(
    partial: PartialHypotheses,
    paths: OpenHypotheses[State],
    by_model: LogProbabilities,
    ranked: LogProbabilities,
    chosen: Int[Tensor, "R 1"],
    end_scores: Float[Tensor, " E"] | None,
) -> SearchStep:
    """Return a step for an observer; each path is a sentence with one candidate.

    Args:
        partial: the paths before the step.
        paths: the same, with their log-probabilities.
        by_model: log-probabilities of the next tokens.
        ranked: log-probabilities after the rules.
        chosen: the next token of each path.
        end_scores: of the paths that end; None: none ends.
    """
    rows = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
    totals = paths.total.unsqueeze(1) + ranked.gather(1, chosen)
    ends = chosen == EOS
    scores = None if end_scores is None else totals.masked_scatter(ends, end_scores)
    places = paths.sentence, rows, Candidates(totals, rows, chosen), torch.ones_like(ends), ~ends
    return SearchStep(partial, paths, by_model, ranked, *places, scores, None)


class GreedySearch(SinglePathSearch):
    """Search that takes the most probable token at each step until EOS (ties: the lowest id).

    Args:
        beam_size: ignored; one hypothesis is kept.
        n_best: must be 1.
        scoring: affects the score, not the choice.
        rules: rules on the next token, and length limits.

    Raises:
        ConfigError: `n_best` is more than 1.
    """

    def __init__(self, beam_size: int, n_best: int, scoring: Scoring, rules: Rules) -> None:
        if n_best > 1:
            raise ConfigError(
                f"decoding.n_best: must be 1 with greedy search, not {n_best}; set it to 1, or "
                "decoding.search to beam"
            )
        super().__init__(1, n_best, scoring, rules)

    def _choose(self, ranked: LogProbabilities, partial: PartialHypotheses) -> Int[Tensor, " R"]:
        return torch.argmax(ranked, dim=1)
