"""Searches along single paths: each step chooses a token and never reconsiders it."""

from abc import abstractmethod

import torch
from jaxtyping import Int
from torch import Tensor

from nmt.core.batch import repeat, select
from nmt.core.errors import ConfigError
from nmt.core.special_tokens import EOS
from nmt.search.hypothesis import NBest
from nmt.search.request import Request
from nmt.search.rules import LengthBounds, PartialHypotheses, Rules
from nmt.search.search import HypothesisCollector, OpenHypotheses, Scoring, Search, State, Stepper
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
            ranked = self.rules.apply(log_probabilities, partial, bounds)
            chosen = self._choose(ranked, partial).unsqueeze(1)
            paths = OpenHypotheses(
                torch.cat([paths.tokens, chosen], dim=1),
                paths.sentence,
                paths.log_probability + log_probabilities.gather(1, chosen).squeeze(1),
                paths.total + ranked.gather(1, chosen).squeeze(1),
                state,
            )
            ends = chosen.squeeze(1) == EOS
            if ends.any():
                rows = ends.nonzero().flatten()
                tokens = paths.tokens[rows, 1:-1]
                length = tokens.shape[1] + 1
                scores = self._score(model, state, paths.total[rows], rows, length)
                sentences = paths.sentence[rows] // self.n_best
                finished.add(sentences, tokens, paths.log_probability[rows], scores)
                paths = select(paths, (~ends).nonzero().flatten())
        return finished.best_first()


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
