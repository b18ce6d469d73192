"""A lexicon of a run's tokens, learnt from its training data."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from nmt.build.tokenizers import Tokenizers
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.ragged import RaggedArray
from nmt.word_alignment.ibm1 import Block, Ids, Lexicon, train_lexicon

_MOST_PAIRS: Final = 500  # sentence pairs of a block, whose pairs of tokens are in memory


def learn_lexicon(
    corpora: Sequence[EncodedCorpus], tokenizers: Tokenizers, iterations: int = 5
) -> Lexicon:
    """Return the lexicon of encoded corpora, by IBM model 1."""
    return train_lexicon(partial(_blocks, corpora), *tokenizers.sizes, iterations=iterations)


def _blocks(corpora: Sequence[EncodedCorpus]) -> Iterator[Block]:
    for corpus in corpora:
        for first in range(0, len(corpus), _MOST_PAIRS):
            rows = np.arange(first, min(first + _MOST_PAIRS, len(corpus)))
            source, target = corpus.source_side.tokens, corpus.target_side.tokens
            yield Block(*_flat(source.select(rows)), *_flat(target.select(rows)))


def _flat(tokens: RaggedArray) -> tuple[Ids, Ids]:
    return tokens.values.astype(np.int64), tokens.lengths
