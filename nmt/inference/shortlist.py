"""Vocabulary shortlists: a few hundred candidate tokens for each sentence (Jean 2015)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.build.tokenizers import Tokenizers
from nmt.core.errors import RunError
from nmt.core.special_tokens import PAD, SPECIAL_SYMBOLS
from nmt.nn.decoders.interface import AllowedTokens
from nmt.runs.checkpoint import find_misfit, find_not_finite, load_checkpoint, save_checkpoint
from nmt.runs.run import RunDirectory
from nmt.search.request import Constraints, VocabularySubset
from nmt.text.reader import Tokens
from nmt.word_alignment.ibm1 import Lexicon

_MOST_CANDIDATES: Final = 256  # for a source token; `nmt lexicon` keeps 64
_HEADER_BYTES: Final = 2**16
_PART = "model"  # every checkpoint has this part


@dataclass(frozen=True, eq=False)
class Shortlist:
    """Tokens that the translation of a sentence may use.

    They are the lexicon's translations of the source tokens, the most frequent target tokens, and
    the tokens of the constraints. With a shared vocabulary, the source tokens themselves (names,
    numbers) are included. The shortlist of a sentence does not depend on the rest of the batch.

    Attributes:
        lexicon: over the tokens of the run.
        num_candidates: translations from the lexicon for each source token.
        num_frequent: number of most frequent tokens.
        copies: whether both sides share one vocabulary.
    """

    lexicon: Lexicon
    num_candidates: int
    num_frequent: int
    copies: bool

    def choose(
        self, sources: Sequence[Tokens], constraints: Sequence[Constraints]
    ) -> tuple[VocabularySubset, AllowedTokens]:
        """Return the tokens of a batch, and a mask of the tokens that each sentence may use.

        Args:
            sources: at least one sentence.
            constraints: of each translation; their tokens are allowed.
        """
        rows = [self._tokens(*pair) for pair in zip(sources, constraints, strict=True)]
        tokens = np.concatenate(rows)
        subset = VocabularySubset(np.unique(tokens).tolist())
        known = subset.tokens.numpy()
        mask = np.zeros((len(rows), len(known)), dtype=bool)
        sentences = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        mask[sentences, np.searchsorted(known, tokens)] = True
        return subset, AllowedTokens(torch.from_numpy(mask))

    def _tokens(self, tokens: Tokens, constraint: Constraints) -> NDArray[np.int64]:
        """Return the tokens that the translation of a sentence may use, with duplicates."""
        source = np.asarray(tokens, dtype=np.int64)
        parts: list[NDArray[Any]] = [
            np.arange(len(SPECIAL_SYMBOLS)),
            self.lexicon.frequent[: self.num_frequent],
            self.lexicon.candidates[source, : self.num_candidates].ravel(),
            np.array([*constraint.prefix, *chain(*constraint.phrases)], dtype=np.int64),
            source if self.copies else source[:0],
        ]
        return np.concatenate(parts)


def save_lexicon(run: RunDirectory, lexicon: Lexicon, tokenizers: Tokenizers) -> None:
    """Write a lexicon into a run, replacing an existing one.

    Raises:
        RunError: it cannot be written.
    """
    tensors = {name: torch.from_numpy(array) for name, array in vars(lexicon).items()}
    save_checkpoint(run.lexicon, {_PART: tensors}, _fingerprints(tokenizers))


def load_lexicon(run: RunDirectory, tokenizers: Tokenizers) -> Lexicon:
    """Read the lexicon of a run.

    Raises:
        RunError: the lexicon is missing, corrupted, or made with other tokenizers.
    """
    if not run.lexicon.exists():
        raise RunError(
            f"{run.path}: has no lexicon, which a shortlist needs; make it with `nmt lexicon "
            f"{run.path}`"
        )
    sizes = tokenizers.sizes
    # Two numbers of 4 bytes for each candidate, and the list of frequent tokens.
    most = 8 * _MOST_CANDIDATES * sizes[0] + 4 * sizes[1] + _HEADER_BYTES
    saved = load_checkpoint(run.lexicon, [_PART], max_bytes=most)
    tensors, misfit = saved.tensors[_PART], "it was made with another tokenizer"
    if saved.metadata == _fingerprints(tokenizers):
        misfit = _find_misfit(tensors, *sizes)
    if misfit:
        raise RunError(
            f"{run.lexicon}: not a lexicon of this run ({misfit}); make it again with `nmt lexicon "
            f"{run.path}`"
        )
    return Lexicon(**{name: tensor.numpy() for name, tensor in tensors.items()})


def _fingerprints(tokenizers: Tokenizers) -> dict[str, str]:
    return {"source": tokenizers.source.fingerprint(), "target": tokenizers.target.fingerprint()}


def _find_misfit(tensors: Mapping[str, Tensor], source_size: int, target_size: int) -> str:
    """Describe how a lexicon differs from what `save_lexicon` writes; empty if it is valid."""
    width = {name: tensor.shape[-1:].numel() for name, tensor in tensors.items()}
    table = (source_size, width.get("candidates", 0))
    needed = {
        "candidates": torch.empty(table, dtype=torch.int32, device="meta"),
        "probabilities": torch.empty(table, device="meta"),
        "frequent": torch.empty(width.get("frequent", 0), dtype=torch.int32, device="meta"),
    }
    if (misfit := find_misfit(tensors, needed)) is not None:
        return misfit
    candidates, frequent = tensors["candidates"], tensors["frequent"]
    for name, tokens in (("candidates", candidates[candidates != PAD]), ("frequent", frequent)):
        if ((tokens < len(SPECIAL_SYMBOLS)) | (tokens >= target_size)).any():
            return f"{name} has tokens outside the target vocabulary"
    if find_not_finite(tensors) or (tensors["probabilities"] < 0).any():
        return "probabilities are negative, infinite or NaN"
    return ""
