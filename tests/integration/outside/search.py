"""A search: greedy, but it takes the token of a given rank at the first step."""

from torch import Tensor

from nmt.search.greedy import SinglePathSearch
from nmt.search.rules import PartialHypotheses, Rules
from nmt.search.search import Scoring


class Runner(SinglePathSearch):
    """Take the token of a rank first, then always the most probable one.

    Args:
        beam_size: not used.
        n_best: translations of each sentence.
        scoring: affects the score, not the choice.
        rules: rules on the next token.
        rank: rank of the first token; 1 is the most probable one.
    """

    def __init__(
        self, beam_size: int, n_best: int, scoring: Scoring, rules: Rules, *, rank: int = 2
    ) -> None:
        super().__init__(1, n_best, scoring, rules)
        self.rank = rank

    def _choose(self, ranked: Tensor, partial: PartialHypotheses) -> Tensor:
        is_first = partial.tokens.shape[1] == 1
        return ranked.topk(self.rank if is_first else 1, dim=1).indices[:, -1]
