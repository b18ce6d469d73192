"""A few hundred tokens for each sentence in the place of the whole vocabulary (Jean 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nmt.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.errors import RunError
from nmt.lexicon import Lexicon
from nmt.nn.restricted import Allowed
from nmt.run import RunDirectory
from nmt.search.columns import Columns
from nmt.search.request import Demand
from nmt.symbols import SPECIAL_SYMBOLS
from nmt.text.reader import Reader, Tokens

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
        self, sources: Sequence[Tokens], demands: Sequence[Demand]
    ) -> tuple[Columns, Allowed]:
        """The tokens of a batch, and which of them each sentence may have.

        Args:
            sources: at least one sentence.
            demands: what is asked of each translation; it may have these tokens.
        """
        frequent = self.lexicon.frequent[: self.num_frequent]
        rows = [
            self._tokens(np.asarray(source, dtype=np.int64), demand)
            for source, demand in zip(sources, demands, strict=True)
        ]
        everywhere = np.concatenate([np.arange(len(SPECIAL_SYMBOLS)), frequent])
        columns = Columns(np.unique(np.concatenate([everywhere, *rows])).tolist())
        known = columns.tokens.numpy()
        mask = np.zeros((len(rows), len(known)), dtype=bool)
        mask[:, np.searchsorted(known, everywhere)] = True
        sentences = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        mask[sentences, np.searchsorted(known, np.concatenate(rows))] = True
        return columns, Allowed(torch.from_numpy(mask))

    def _tokens(self, source: np.ndarray[Any, Any], demand: Demand) -> np.ndarray[Any, Any]:
        """What one sentence may have beside what all may."""
        parts = [self.lexicon.candidates[source, : self.num_candidates].ravel()]
        if self.copies:
            parts.append(source)
        wanted = [*demand.prefix, *(token for phrase in demand.phrases for token in phrase)]
        return np.concatenate([*parts, np.asarray(wanted, dtype=np.int64)])


def save_lexicon(
    run: RunDirectory, lexicon: Lexicon, source: Reader[Any], target: Reader[Any]
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


def load_lexicon(run: RunDirectory, source: Reader[Any], target: Reader[Any]) -> Lexicon:
    """The lexicon of a run.

    Raises:
        RunError: there is none, or it is damaged, or of other tokens.
    """
    if not run.lexicon.exists():
        raise RunError(
            f"{run.path}: it has no lexicon, from which a shortlist is made: `nmt lexicon "
            f"{run.path}` makes one of its training data"
        )
    saved: Checkpoint = load_checkpoint(run.lexicon)
    if saved.metadata != {"source": source.fingerprint(), "target": target.fingerprint()}:
        raise RunError(
            f"{run.lexicon}: is of other tokens than the run's: make it anew with `nmt lexicon "
            f"{run.path}`"
        )
    tensors = saved.tensors[_PART]
    return Lexicon(*(tensors[name].numpy() for name in ("candidates", "probabilities", "frequent")))
