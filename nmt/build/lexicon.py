"""A lexicon of a run's tokens, learnt from its training data, or made of a given table."""

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

_MOST_LINKS: Final = 1_000_000  # pairs of tokens of a block, which are in memory


def learn_lexicon(
    corpora: Sequence[EncodedCorpus], tokenizers: Tokenizers, iterations: int = 5
) -> Lexicon:
    """Return the lexicon of encoded corpora, by IBM model 1."""
    return train_lexicon(partial(_blocks, corpora), *tokenizers.sizes, iterations=iterations)


def read_lexicon(
    path: Path,
    max_line_bytes: int,
    tokenizers: Tokenizers,
    corpora: Callable[[], Sequence[EncodedCorpus]],
) -> Lexicon:
    """Make the lexicon of a table: a source text, its translation, their probability; tabs between.

    Each token of the one may become each token of the other, so that a table of words will do.

    Args:
        path: the table.
        max_line_bytes: the most bytes of a line; a longer one is an empty line.
        tokenizers: of the run.
        corpora: say how frequent tokens are; asked for when the table is known to be in order.

    Raises:
        DataError: the file cannot be read, a line is no such entry, or it has none that the run has
            tokens for.
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
                f"above 0 and not above 1, with tabs between, not {line!r}"
            )
        entries += [(int(s), int(t), probability) for s, t in product(*sides) if UNK not in (s, t)]
    if not entries:
        raise DataError(f"{path}: has no entry that the run has tokens for")
    return make_lexicon(entries, _blocks(corpora()), *tokenizers.sizes)


def _blocks(corpora: Sequence[EncodedCorpus]) -> Iterator[Block]:
    """Yield the corpora in blocks; one ends with the sentence pair that reaches the limit."""
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
