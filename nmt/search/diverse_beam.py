"""Diverse beam search: groups of hypotheses, each penalised for repeating earlier groups."""

from dataclasses import KW_ONLY, dataclass, field
from itertools import chain
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from nmt.core.batch import combine, repeat, select
from nmt.core.errors import ConfigError
from nmt.search.beam import BeamSearch, OpenSentences
from nmt.search.constraints import Progress
from nmt.search.hypothesis import Hypothesis, NBest
from nmt.search.request import Request
from nmt.search.search import Candidates, OpenHypotheses, State, Stepper, best_first
from nmt.search.shapes import Chosen, LogProbabilities


@dataclass(eq=False)
class DiverseBeamSearch(BeamSearch):
    """A beam divided into groups (Vijayakumar 2018, algorithm 1, with Hamming diversity).

    Each group is a separate beam. A token costs `strength` for each time that an earlier group has
    chosen it at this step. The first group is ordinary beam search of width `beam_size / groups`.

    Args:
        beam_size: places of all groups together.
        n_best: maximum number of hypotheses to return for a sentence, all with different tokens.
        scoring: ranks finished hypotheses, with the diversity penalty included.
        rules: rules on the next token, and length limits.
        groups: number of equally large groups; null: `beam_size` groups of one hypothesis (best
            in the paper).
        strength: the penalty; 0 makes all groups the same. The paper recommends 0.2 to 0.8, but
            most groups of a confident model then agree. From 3 on, translations stray from the
            source.

    Raises:
        ConfigError: `beam_size` is not divisible by `groups`.
    """

    supports_phrases = False
    finds_distinct_texts = True

    _: KW_ONLY
    groups: Annotated[int, Ge(1), Le(10_000)] | None = None
    strength: Annotated[float, Ge(0.0), Le(1_000)] = 2.0
    stopping: Literal["exact"] = field(default="exact", init=False)  # not an option

    def __post_init__(self) -> None:
        size, self.num_groups = self.beam_size, self.groups or self.beam_size
        if size % self.num_groups:
            nearest = -(-size // self.num_groups) * self.num_groups
            raise ConfigError(
                f"decoding.beam_size: {size} is not a multiple of the {self.num_groups} groups of "
                f"decoding.search; the nearest multiple is {nearest}"
            )
        self.n_best_of_all, self.beam_size = self.n_best, size // self.num_groups
        self.n_best = min(self.n_best, self.beam_size)

    def __call__(self, model: Stepper[State], state: State, request: Request) -> NBest:
        """Translate a batch; see `Search`."""
        found = super().__call__(
            model, repeat(state, self.num_groups), repeat(request, self.num_groups)
        )
        return [
            self._distinct(found[first : first + self.num_groups])
            for first in range(0, len(found), self.num_groups)
        ]

    def _distinct(self, groups: list[list[Hypothesis]]) -> list[Hypothesis]:
        """Return the best of all groups; a duplicate keeps the score of its first group."""
        distinct: dict[tuple[int, ...], Hypothesis] = {}
        for hypothesis in chain.from_iterable(groups):
            distinct.setdefault(hypothesis.tokens, hypothesis)
        return best_first(distinct.values())[: self.n_best_of_all]

    def _rank(
        self,
        ranked: LogProbabilities,
        beam: OpenHypotheses[State],
        sentences: OpenSentences,
        progress: Progress | None,
    ) -> tuple[Candidates, Chosen]:
        """Return the continuations of each group, penalised for the tokens of earlier groups."""
        charged = ranked.clone()  # the search returns the model's log-probabilities, not these
        num_sentences = sentences.batch_size // self.num_groups
        times_taken = ranked.new_zeros(num_sentences, ranked.shape[1])
        members: list[Tensor] = []
        parts: list[tuple[Candidates, Tensor]] = []
        for group in range(self.num_groups):
            chosen = (sentences.number % self.num_groups == group).nonzero().flatten()
            rows = (beam.sentence % self.num_groups == group).nonzero().flatten()
            charged[rows] -= self.strength * times_taken[beam.sentence[rows] // self.num_groups]
            own = select(sentences, chosen)
            candidates, kept = super()._rank(charged, beam, own, progress)
            source = (own.number // self.num_groups).unsqueeze(1).expand_as(kept)
            once = times_taken.new_ones(())
            times_taken.index_put_((source[kept], candidates.tokens[kept]), once, accumulate=True)
            members.append(chosen)
            parts.append((candidates, kept))
        return select(combine(torch.cat, parts), torch.cat(members).argsort())
