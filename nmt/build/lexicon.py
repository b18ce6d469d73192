"""Lexicon of a run's tokens, learned from its training data or read from a table."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Final

import numpy as np

from nmt.build.tokenizers import Tokenizers
from nmt.core.errors import DataError
from nmt.core.special_tokens import UNK
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.formats.lines import read_lines
from nmt.data.ragged import RaggedArray
from nmt.word_alignment.ibm1 import Block, Ids, Lexicon, make_lexicon, train_lexicon

NUM_ITERATIONS: Final = 5
"""Iterations of the EM algorithm, unless another number is given."""
_MOST_LINKS: Final = 1_000_000  # token pairs per block, in memory at a time


def learn_lexicon(
    corpora: Sequence[EncodedCorpus], tokenizers: Tokenizers, iterations: int = NUM_ITERATIONS
) -> Lexicon:
    """Train the lexicon of encoded corpora with IBM model 1."""
    return train_lexicon(partial(_blocks, corpora), *tokenizers.sizes, iterations=iterations)


def read_lexicon(
    path: Path,
    max_line_bytes: int,
    tokenizers: Tokenizers,
    corpora: Callable[[], Sequence[EncodedCorpus]],
) -> Lexicon:
    """Read a lexicon from a TSV table of source text, translation and probability.

    The table may be of words: each source token of an entry is linked to each of its target tokens.

    Args:
        path: the table.
        max_line_bytes: maximum length of a line in bytes; a longer one is read as an empty line.
        tokenizers: the tokenizers of the run.
        corpora: returns the corpora, for token frequencies; called after the table is validated.

    Raises:
        DataError: the file cannot be read, a line is not a valid entry, or no entry has known
            tokens on both sides.
    """
    entries: list[tuple[int, int, float]] = []
    for number, line in enumerate(read_lines(path, max_line_bytes=max_line_bytes), start=1):
        try:
            source, target, last = line.split("\t")
            probability = float(last)
            sides = set(tokenizers.source.encode(source)), set(tokenizers.target.encode(target))
            is_entry = 0.0 < probability <= 1.0 and math.prod(map(len, sides)) <= _MOST_LINKS
        except ValueError:
            is_entry = False
        if not is_entry:
            raise DataError(
                f"{path}, line {number}: must be a source word, a target word and a probability "
                f"(above 0, at most 1), separated by tabs, not {line!r}"
            )
        entries += [(int(s), int(t), probability) for s, t in product(*sides) if UNK not in (s, t)]
    if not entries:
        raise DataError(f"{path}: has no words of the run's vocabularies; use another table")
    return make_lexicon(entries, _blocks(corpora()), *tokenizers.sizes)


def _blocks(corpora: Sequence[EncodedCorpus]) -> Iterator[Block]:
    """Yield the corpora in blocks; each ends with the sentence pair that reaches the limit."""
    for corpus in corpora:
        source, target = corpus.source_side.tokens, corpus.target_side.tokens
        links = np.cumsum((source.lengths + 1) * target.lengths)
        limits = np.arange(_MOST_LINKS, links[-1], _MOST_LINKS)
        cuts = np.searchsorted(links, limits) + 1
        for first, end in pairwise(np.unique([0, *cuts, len(corpus)])):
            rows = np.arange(first, end)
            yield Block(*_flat(source.select(rows)), *_flat(target.select(rows)))


def _flat(tokens: RaggedArray) -> tuple[Ids, Ids]:
    return tokens.values.astype(np.int64), tokens.lengths
