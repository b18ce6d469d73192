"""Rules that a configuration can ask for."""

from collections.abc import Callable
from math import inf
from typing import Final

from jaxtyping import Float, Int
from torch import Tensor

from nmt.core.special_tokens import EOS
from nmt.search.rules import PartialHypotheses, Rule


class NoRepeatedNgrams(Rule):
    """No n tokens in a row come twice (Paulus 2018, section 2.5).

    Args:
        size: n; of 1, no token comes twice.
    """

    def __init__(self, size: int) -> None:
        assert size >= 1
        self.size: Final = size

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Forbid what would end an n-gram that is there."""
        written = partial.tokens[:, 1:]
        if written.shape[1] < self.size:
            return
        ngrams = written.unfold(1, self.size, 1)
        last = written[:, written.shape[1] - self.size + 1 :].unsqueeze(1)
        rows, places = (ngrams[:, :, :-1] == last).all(dim=2).nonzero(as_tuple=True)
        log_probabilities[rows, ngrams[rows, places, -1]] = -inf


class RepetitionPenalty(Rule):
    """What is in the translation counts ``factor`` times its log-probability (Keskar 2019).

    Args:
        factor: at least 1; 1 is no penalty, the paper has 1.2.
    """

    forbids = False

    def __init__(self, factor: float) -> None:
        assert factor >= 1.0, "the bound of the search would be wrong"
        self.factor: Final = factor

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Make what was written count less."""
        written = partial.tokens[:, 1:]
        penalized = log_probabilities.gather(1, written) * self.factor
        log_probabilities.scatter_(1, written, penalized)


class EOSThreshold(Rule):
    """EOS only where ``log P(EOS) > factor * max log P(other)`` (Hannun 2019, section 3).

    Args:
        factor: the smaller, the surer the end must be: at 1 it must be the most probable token, at
            0.5 as probable as the root of the next. The paper has 1.5.
    """

    def __init__(self, factor: float) -> None:
        assert factor > 0.0
        self.factor: Final = factor

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Forbid an end that is not sure enough."""
        if log_probabilities.shape[1] == EOS + 1:
            return  # there is nothing else
        best = log_probabilities[:, EOS + 1 :].amax(dim=1)
        unsure = log_probabilities[:, EOS] <= self.factor * best
        log_probabilities[:, EOS].masked_fill_(unsure, -inf)


class ShallowFusion(Rule):
    """``log P(y) + weight * log P_LM(y)`` is what is ranked by (Gulcehre 2015, section 4.1).

    Args:
        language_model: from tokens `[R T]`, from BOS on, to the log-probabilities `[R V]` of the
            next one, over the vocabulary of the target: from -inf to 0.
        weight: above 0.
    """

    forbids = False

    def __init__(
        self,
        language_model: Callable[[Int[Tensor, "R T"]], Float[Tensor, "R V"]],
        weight: float,
    ) -> None:
        assert weight > 0.0, "the bound of the search would be wrong"
        self.language_model: Final = language_model
        self.weight: Final = weight

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Add what the language model says."""
        said = self.language_model(partial.vocabulary_tokens())
        subset = partial.request.subset
        if subset is not None:
            said = said[:, subset.tokens.to(said.device)]
        log_probabilities += self.weight * said
