"""Phrases that a translation never contains, as sequences of tokens."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.core.tensor_tree import to
from nmt.search.rules import PartialHypotheses, Rule


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
