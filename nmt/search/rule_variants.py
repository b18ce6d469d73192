"""Rules that a configuration can ask for."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nmt.core.special_tokens import EOS
from nmt.core.tensor_tree import to
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


class ForbiddenPhrases(Rule):
    """Forbid some sequences of tokens, as `bad_words_ids` of Hugging Face does.

    The last token of a sequence cannot follow its other tokens. Other tokens of the same text are
    not found. Tokens of a forced prefix are allowed.

    Args:
        sequences: each of at least one token; one that begins with BOS is forbidden at the
            beginning only.
    """

    def __init__(self, sequences: Iterable[Sequence[int]]) -> None:
        by_length: defaultdict[int, list[list[int]]] = defaultdict(list)
        for sequence in sequences:
            by_length[len(sequence)].append(list(sequence))
        # Of each length, the tokens before the last `[N L-1]`, and the last `[N]`.
        self._sequences: Final[list[tuple[Tensor, Tensor]]] = [
            (torch.tensor(same)[:, :-1], torch.tensor([tokens[-1] for tokens in same]))
            for same in by_length.values()
        ]

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Forbid each token that would complete a sequence."""
        tokens = partial.vocabulary_tokens()
        subset = partial.request.subset
        for beginnings, last in to(tuple(self._sequences), tokens.device):
            start = tokens.shape[1] - beginnings.shape[1]
            if start < 0:
                continue
            columns = last if subset is None else subset.find_indices(last)
            completes = (tokens[:, None, start:] == beginnings).all(dim=2) & (columns >= 0)
            rows, places = completes.nonzero(as_tuple=True)
            log_probabilities[rows, columns[places]] = -inf


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
