"""Greedy search: always the most probable token."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nmt.core.errors import ConfigError
from nmt.search.penalties import Scoring
from nmt.search.rules import PartialHypotheses, Rules
from nmt.search.single_path import SinglePathSearch


class GreedySearch(SinglePathSearch):
    """Follow the most probable token until it is EOS; of equal ones, the lowest.

    Args:
        beam_size: means nothing here; one hypothesis is kept.
        n_best: must be 1.
        scoring: changes the score, not the choice.
        rules: what may follow, and how long translations may be.

    Raises:
        ConfigError: more than one translation is asked for.
    """

    def __init__(self, beam_size: int, n_best: int, scoring: Scoring, rules: Rules) -> None:
        if n_best > 1:
            raise ConfigError(
                f"decoding.n_best: {n_best}, but greedy search finds one translation; "
                "set it to 1, or decoding.search to beam"
            )
        super().__init__(1, n_best, scoring, rules)

    def _choose(
        self, ranked: Float[Tensor, "R V"], partial: PartialHypotheses, copy: Int[Tensor, " R"]
    ) -> Int[Tensor, " R"]:
        return torch.argmax(ranked, dim=1)
