"""Searches that follow one path: a token is chosen, and that is that."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Generic

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS
from nmt.core.tensor_tree import repeat, select
from nmt.search.hypothesis import Hypothesis, best_first
from nmt.search.request import Request
from nmt.search.rules import LengthBounds, PartialHypotheses
from nmt.search.search import Search, State, Stepper


@dataclass(frozen=True)
class _Paths(Generic[State]):
    """R paths that have not ended.

    Attributes:
        tokens: `[R T]`, from BOS on.
        sentence: `[R]`, row of the request.
        copy: `[R]`, which of the paths of its sentence.
        log_probability: `[R]`, by the model.
        total: `[R]`, the same as the rules have it.
        state: what the step function needs.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    copy: Int[Tensor, " R"]
    log_probability: Float[Tensor, " R"]
    total: Float[Tensor, " R"]
    state: State


class SinglePathSearch(Search):
    """Follow `n_best` paths for each sentence, each by itself, choosing token after token."""

    @abstractmethod
    def _choose(
        self, ranked: Float[Tensor, "R V"], partial: PartialHypotheses, copy: Int[Tensor, " R"]
    ) -> Int[Tensor, " R"]:
        """The next token of each path.

        Args:
            ranked: log-probabilities as the rules have them.
            partial: the paths so far.
            copy: which of the paths of its sentence each is, from 0.
        """

    def __call__(
        self, model: Stepper[State], state: State, request: Request
    ) -> list[list[Hypothesis]]:
        """Translate a batch; see `Search`."""
        found: list[list[Hypothesis]] = [[] for _ in range(len(request))]
        paths = self._start(state, request)
        bounds = LengthBounds.of(self.rules.limits, request)
        while len(paths.sentence) > 0:
            log_probabilities, state = model.step(paths.tokens[:, -1], paths.state)
            partial = PartialHypotheses(paths.tokens, paths.sentence, request)
            ranked = self.rules.apply(log_probabilities, partial, bounds)
            chosen = self._choose(ranked, partial, paths.copy).unsqueeze(1)
            paths = _Paths(
                torch.cat([paths.tokens, chosen], dim=1),
                paths.sentence,
                paths.copy,
                paths.log_probability + log_probabilities.gather(1, chosen).squeeze(1),
                paths.total + ranked.gather(1, chosen).squeeze(1),
                state,
            )
            continues = chosen.squeeze(1) != EOS
            if continues.all():
                continue
            self._collect(found, model, paths, ~continues)
            paths = select(paths, continues.nonzero().flatten())
        return list(map(best_first, found))

    def _start(self, state: State, request: Request) -> _Paths[State]:
        lengths = repeat(request.source_lengths, self.n_best)
        sentence = torch.arange(len(request), device=lengths.device)
        totals = torch.zeros(len(lengths), device=lengths.device)
        return _Paths(
            tokens=torch.full_like(lengths, BOS).unsqueeze(1),
            sentence=repeat(sentence, self.n_best),
            copy=torch.arange(self.n_best, device=lengths.device).repeat(len(request)),
            log_probability=totals,
            total=totals,
            state=state if self.n_best == 1 else repeat(state, self.n_best),
        )

    def _collect(
        self,
        found: list[list[Hypothesis]],
        model: Stepper[State],
        paths: _Paths[State],
        ends: Bool[Tensor, " R"],
    ) -> None:
        """Add the paths that end now to those of their sentences."""
        rows = ends.nonzero().flatten()
        length = paths.tokens.shape[1] - 1
        scores = self._score(model, paths.state, paths.total[rows], rows, length)
        for sentence, tokens, log_probability, score in zip(
            paths.sentence[rows].tolist(),
            paths.tokens[rows, 1:-1].tolist(),
            paths.log_probability[rows].tolist(),
            scores.tolist(),
            strict=True,
        ):
            found[sentence].append(Hypothesis(tuple(tokens), log_probability, score))
