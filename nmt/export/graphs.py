"""The model and its search as modules that `torch.export` can follow: tensors in, tensors out."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS
from nmt.core.tensor_tree import fill, tensors_of
from nmt.export.beam_search import ExportableBeamSearch
from nmt.export.search_state import SearchState
from nmt.inference.shortlist import Shortlist
from nmt.nn.decoders.interface import AllowedTokens
from nmt.nn.model import Model


class GraphInputs(NamedTuple):
    """What goes into the file, in a size that stands for all: no two numbers are alike, none is 1.

    Attributes:
        source: `[B S]`, tokens, EOS counted, padded with PAD on the right.
        source_lengths: `[B]`.
        places: `[K]`, 0 to K - 1, for a beam of K.
        ranks: `[N]`, 0 to N - 1, for the N best.
    """

    source: Int[Tensor, "B S"]
    source_lengths: Int[Tensor, " B"]
    places: Int[Tensor, " K"]
    ranks: Int[Tensor, " N"]


class ShortlistGraph(nn.Module):
    """The tokens that the translations of a batch may be made of; `Shortlist` in tensors.

    Args:
        shortlist: of the run.
        vocabulary_size: of the target.

    Attributes:
        everywhere: `[V]`, whether every translation may have a token: the special ones and the
            frequent ones.
    """

    candidates: Tensor
    everywhere: Tensor

    def __init__(self, shortlist: Shortlist, vocabulary_size: int) -> None:
        super().__init__()
        lexicon = shortlist.lexicon
        candidates = lexicon.candidates[:, : shortlist.num_candidates].astype(np.int64)
        candidates[[PAD, BOS, EOS]] = PAD  # they add nothing
        everywhere = torch.zeros(vocabulary_size, dtype=torch.bool)
        everywhere[: len(SPECIAL_SYMBOLS)] = True
        everywhere[lexicon.frequent[: shortlist.num_frequent].astype(np.int64)] = True
        self.copies = shortlist.copies
        self.register_buffer("candidates", torch.from_numpy(candidates))
        self.register_buffer("everywhere", everywhere)

    def forward(self, source: Int[Tensor, "B S"]) -> tuple[Int[Tensor, " U"], AllowedTokens]:
        """The tokens of a batch in order, and which of them each sentence may have."""
        wanted = self.candidates[source].flatten(1)
        if self.copies:
            wanted = torch.cat([wanted, source], dim=1)
        everywhere = self.everywhere.unsqueeze(0)
        none = everywhere & torch.zeros_like(source[:, :1], dtype=torch.bool)
        mask = none.scatter(1, wanted, torch.ones_like(wanted, dtype=torch.bool)) | everywhere
        tokens = mask.any(dim=0).nonzero().squeeze(1)
        return tokens, AllowedTokens(mask.index_select(1, tokens))


class EncoderGraph(nn.Module):
    """All that comes before the first round.

    Args:
        model: in evaluation mode.
        search: how it translates.
        candidates: of the shortlist; None: translations may be made of any token.
    """

    def __init__(
        self, model: Model, search: ExportableBeamSearch, candidates: ShortlistGraph | None
    ) -> None:
        super().__init__()
        self.model = model
        self.search = search
        self.candidates = candidates

    def start(self, given: GraphInputs) -> tuple[tuple[Tensor, ...], SearchState[Any]]:
        """What stays as it is (the tokens of the shortlist), and what the first round finds."""
        fixed: tuple[Tensor, ...] = ()
        allowed: AllowedTokens | None = None
        if self.candidates is not None:
            tokens, allowed = self.candidates(given.source)
            fixed = (tokens,)
        state = self.model.read(given.source, given.source_lengths, allowed=allowed)
        lengths, longest = given.source_lengths, given.source.shape[1]
        return fixed, self.search.start(state, lengths, longest, given.places, given.ranks)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return what `start` returns, tensor by tensor."""
        return tensors_of(self.start(GraphInputs(*given)))


class SearchRoundGraph(nn.Module):
    """One round of the search: what the file does over and over.

    Args:
        model: in evaluation mode.
        search: how it translates.
        like: what `EncoderGraph.start` has given for an example.
    """

    def __init__(
        self,
        model: Model,
        search: ExportableBeamSearch,
        like: tuple[tuple[Tensor, ...], SearchState[Any]],
    ) -> None:
        super().__init__()
        self.model = model
        self.search = search
        self.like = like

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Whether sentences are open after it; and what the next one finds, tensor by tensor."""
        fixed, batch = fill(self.like, tensors)
        step = self.model.restrict(*fixed) if fixed else self.model.step
        batch = self.search.round(step, batch)
        is_open = torch.ones_like(batch.open.number).sum() > 0
        return (is_open, *map(torch.clone, fixed), *tensors_of(batch))
