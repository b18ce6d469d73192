"""Given word alignments: from links between words to where each target token is to look.

Kept as links between tokens, two numbers a link, so that they take the room of the tokens.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.corpus import Corpus, read_lines, read_pairs
from nmt.data.ragged import RaggedArray
from nmt.errors import DataError
from nmt.pharaoh import Link, parse_pharaoh
from nmt.text.reader import EncodedWords, Item, Reader

LINK_TYPE = np.dtype("<u4")


def read_links(
    files: Corpus[Item], source_reader: Reader[Item], target_reader: Reader[str]
) -> Iterator[list[int]]:
    """For each pair of a corpus, its links between tokens: source, target, source, target, ...

    Links that are only possible count as the sure ones do.

    Raises:
        DataError: the alignments are not as many as the pairs, an item is no link, or it names a
            word that is not there.
    """
    assert files.alignments is not None
    for number, ((source, target), line) in enumerate(_together(files, files.alignments), start=1):
        source_words = source_reader.encode_words(source)
        target_words = target_reader.encode_words(target)
        gold = parse_pharaoh(
            line,
            where=f"{files.alignments}, line {number}",
            num_source=len(source_words.words),
            num_target=len(target_words.words),
        )
        yield _between_tokens(sorted(gold.possible), source_words, target_words)


def _together(files: Corpus[Item], alignments: Path) -> Iterator[tuple[tuple[Item, str], str]]:
    num_pairs = num_lines = 0
    for pair, line in zip_longest(read_pairs(files), read_lines(alignments)):
        num_pairs += pair is not None
        num_lines += line is not None
        if pair is not None and line is not None:
            yield pair, line
    if num_pairs != num_lines:
        raise DataError(
            f"{alignments} has {num_lines:,} lines, {files} {num_pairs:,}: line n of one must be"
            " the alignment of line n of the others"
        )


def _between_tokens(links: Sequence[Link], source: EncodedWords, target: EncodedWords) -> list[int]:
    """Each token of a word is linked to each token of the other."""
    tokens: list[int] = []
    for source_word, target_word in links:
        for target_token in _tokens(target, target_word):
            for source_token in _tokens(source, source_word):
                tokens += (source_token, target_token)
    return tokens


def _tokens(sentence: EncodedWords, word: int) -> list[int]:
    return [token for token, of in enumerate(sentence.word_of_token) if of == word]


def target_weights(links: RaggedArray, num_labels: int, num_positions: int) -> Tensor:
    """`[B T S]`, float32: each label looks at its links alike; zeros where it has none.

    Args:
        links: B rows of `read_links`.
        num_labels: T, EOS and padding counted.
        num_positions: S, EOS and padding counted.
    """
    row = np.repeat(np.arange(len(links)), links.lengths // 2)
    source, target = _columns(links.values)
    weights = np.zeros((len(links), num_labels, num_positions), np.float32)
    weights[row, target, source] = 1.0
    total = weights.sum(-1, keepdims=True)
    return torch.from_numpy(np.divide(weights, total, out=weights, where=total > 0))


def _columns(values: NDArray[np.unsignedinteger]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    pairs = values.reshape(-1, 2).astype(np.int64)
    return pairs[:, 0], pairs[:, 1]
