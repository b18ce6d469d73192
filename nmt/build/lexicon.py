"""A lexicon of a run's tokens: learnt from its training data, or made of a given table."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from nmt.build.data import encode_training
from nmt.build.tokenizers import Tokenizers
from nmt.config.experiment import Config
from nmt.core.errors import DataError
from nmt.core.special_tokens import UNK
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.formats.lines import MAX_LINE_BYTES, read_lines
from nmt.data.ragged import RaggedArray
from nmt.runs.run import RunDirectory
from nmt.word_alignment.ibm1 import Block, Ids, Lexicon, make_lexicon, train_lexicon

ITERATIONS: Final = 5
"""Of the learning, where nothing else is said."""
_MOST_PAIRS: Final = 100  # sentence pairs of a block, whose pairs of tokens are in memory
_FIELDS: Final = 3


def learn_lexicon(
    corpora: Sequence[EncodedCorpus], tokenizers: Tokenizers, iterations: int = ITERATIONS
) -> Lexicon:
    """Return the lexicon of encoded corpora, by IBM model 1."""
    return train_lexicon(partial(_blocks, corpora), *tokenizers.sizes, iterations=iterations)


def read_lexicon(
    path: Path,
    config: Config,
    run: RunDirectory,
    tokenizers: Tokenizers,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Lexicon:
    """Make the lexicon of a table: a source text, its translation, their probability; tabs between.

    Each token of the one may become each token of the other, so that a table of words will do. How
    frequent tokens are, the training data says.

    Raises:
        DataError: the file cannot be read, a line is no such entry, or it has none that the run has
            tokens for; or a corpus cannot be used.
    """
    entries = list(_entries(path, tokenizers, max_line_bytes))
    if not entries:
        raise DataError(f"{path}: has no entry that the run has tokens for")
    corpora = encode_training(config, run, tokenizers.source, tokenizers.target)
    return make_lexicon(entries, _blocks(corpora), *tokenizers.sizes)


def _entries(
    path: Path, tokenizers: Tokenizers, max_line_bytes: int
) -> Iterator[tuple[int, int, float]]:
    lines = read_lines(path, max_line_bytes=max_line_bytes)
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        probability = _probability(fields[-1])
        if len(fields) != _FIELDS or probability is None:
            raise DataError(
                f"{path}, line {number}: must be a source word, a target word and a probability "
                f"above 0 and not above 1, with tabs between, not {line!r}"
            )
        for source in tokenizers.source.encode(fields[0]):
            for target in tokenizers.target.encode(fields[1]):
                if UNK not in (source, target):
                    yield int(source), int(target), probability


def _probability(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value <= 1.0 else None


def _blocks(corpora: Sequence[EncodedCorpus]) -> Iterator[Block]:
    for corpus in corpora:
        for first in range(0, len(corpus), _MOST_PAIRS):
            rows = np.arange(first, min(first + _MOST_PAIRS, len(corpus)))
            source, target = corpus.source_side.tokens, corpus.target_side.tokens
            yield Block(*_flat(source.select(rows)), *_flat(target.select(rows)))


def _flat(tokens: RaggedArray) -> tuple[Ids, Ids]:
    return tokens.values.astype(np.int64), tokens.lengths
