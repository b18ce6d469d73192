"""A few hundred tokens for each sentence in the place of the whole vocabulary (Jean 2015)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from nmt.core.errors import RunError
from nmt.core.special_tokens import PAD, SPECIAL_SYMBOLS
from nmt.core.tensor_checks import find_misfit, find_not_finite
from nmt.nn.restricted import AllowedTokens
from nmt.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.runs.directory import RunDirectory
from nmt.search.request import Constraints, VocabularySubset
from nmt.text.reader import SourceReader, Tokens
from nmt.word_alignment.ibm1 import Lexicon

_MOST_CANDIDATES: Final = 256  # of a token; `nmt lexicon` keeps 64
_HEADER_BYTES: Final = 2**16
_PART = "model"  # every checkpoint has this part


@dataclass(frozen=True, eq=False)
class Shortlist:
    """What the translation of a sentence may be made of.

    The translations that a lexicon has of its tokens, the most frequent tokens of the language,
    where both sides have one vocabulary the source's own tokens (names, numbers), and what is asked
    for. It follows from the sentence alone, so that what else is in the batch changes nothing.

    Attributes:
        lexicon: of the tokens of the run.
        num_candidates: of the lexicon for each source token.
        num_frequent: of the most frequent tokens.
        copies: whether source tokens are target tokens.
    """

    lexicon: Lexicon
    num_candidates: int
    num_frequent: int
    copies: bool

    def choose(
        self, sources: Sequence[Tokens], constraints: Sequence[Constraints]
    ) -> tuple[VocabularySubset, AllowedTokens]:
        """The tokens of a batch, and which of them each sentence may have.

        Args:
            sources: at least one sentence.
            constraints: what is asked of each translation; it may have these tokens.
        """
        frequent = self.lexicon.frequent[: self.num_frequent]
        rows = [
            self._tokens(np.asarray(source, dtype=np.int64), constraint)
            for source, constraint in zip(sources, constraints, strict=True)
        ]
        everywhere = np.concatenate([np.arange(len(SPECIAL_SYMBOLS)), frequent])
        subset = VocabularySubset(np.unique(np.concatenate([everywhere, *rows])).tolist())
        known = subset.tokens.numpy()
        mask = np.zeros((len(rows), len(known)), dtype=bool)
        mask[:, np.searchsorted(known, everywhere)] = True
        sentences = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        mask[sentences, np.searchsorted(known, np.concatenate(rows))] = True
        return subset, AllowedTokens(torch.from_numpy(mask))

    def _tokens(
        self, source: np.ndarray[Any, Any], constraint: Constraints
    ) -> np.ndarray[Any, Any]:
        """What one sentence may have beside what all may."""
        parts = [self.lexicon.candidates[source, : self.num_candidates].ravel()]
        if self.copies:
            parts.append(source)
        wanted = [*constraint.prefix, *(token for phrase in constraint.phrases for token in phrase)]
        return np.concatenate([*parts, np.asarray(wanted, dtype=np.int64)])


def save_lexicon(
    run: RunDirectory, lexicon: Lexicon, source: SourceReader[Any], target: SourceReader[Any]
) -> None:
    """Put a lexicon of its tokens into a run, in the place of the one that is there.

    Raises:
        RunError: it cannot be written.
    """
    tensors = {
        "candidates": torch.from_numpy(lexicon.candidates),
        "probabilities": torch.from_numpy(lexicon.probabilities),
        "frequent": torch.from_numpy(lexicon.frequent),
    }
    metadata = {"source": source.fingerprint(), "target": target.fingerprint()}
    save_checkpoint(run.lexicon, {_PART: tensors}, metadata)


def load_lexicon(
    run: RunDirectory, source: SourceReader[Any], target: SourceReader[Any]
) -> Lexicon:
    """The lexicon of a run.

    Raises:
        RunError: there is none, or it is damaged, or of other tokens.
    """
    if not run.lexicon.exists():
        raise RunError(
            f"{run.path}: it has no lexicon, from which a shortlist is made: `nmt lexicon "
            f"{run.path}` makes one of its training data"
        )
    sizes = len(source), len(target)
    # Two numbers of 4 bytes for each candidate, and the list of frequent tokens.
    most = 8 * _MOST_CANDIDATES * sizes[0] + 4 * sizes[1] + _HEADER_BYTES
    saved: Checkpoint = load_checkpoint(run.lexicon, [_PART], max_bytes=most)
    if saved.metadata != {"source": source.fingerprint(), "target": target.fingerprint()}:
        raise RunError(
            f"{run.lexicon}: is of other tokens than the run's: make it anew with `nmt lexicon "
            f"{run.path}`"
        )
    tensors = saved.tensors[_PART]
    if (misfit := _find_misfit(tensors, *sizes)) is not None:
        raise RunError(
            f"{run.lexicon}: not a lexicon of this run ({misfit}); make it again with `nmt lexicon "
            f"{run.path}`"
        )
    return Lexicon(*(tensors[name].numpy() for name in ("candidates", "probabilities", "frequent")))


def _find_misfit(tensors: Mapping[str, Tensor], source_size: int, target_size: int) -> str | None:
    """Say what of a lexicon is not as `save_lexicon` writes it; None: all is."""
    num_candidates = tensors["candidates"].shape[-1:].numel() if "candidates" in tensors else 0
    num_frequent = tensors["frequent"].numel() if "frequent" in tensors else 0
    table = (source_size, num_candidates)
    needed = {
        "candidates": torch.empty(table, dtype=torch.int32, device="meta"),
        "probabilities": torch.empty(table, device="meta"),
        "frequent": torch.empty(num_frequent, dtype=torch.int32, device="meta"),
    }
    if (misfit := find_misfit(tensors, needed)) is not None:
        return misfit
    for name in ("candidates", "frequent"):
        tokens = tensors[name]
        if name == "candidates":
            tokens = tokens[tokens != PAD]
        is_text = (tokens >= len(SPECIAL_SYMBOLS)) & (tokens < target_size)
        if not bool(is_text.all()):
            return f"{name} has tokens that the target does not have"
    if find_not_finite(tensors) or bool((tensors["probabilities"] < 0).any()):
        return "probabilities are negative, infinite or NaN"
    return None
