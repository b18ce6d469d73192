"""Corpora go to the lexicon in blocks that take the same memory, whatever their sentences."""

from pathlib import Path
from typing import Any

import pytest

from nmt.build import lexicon
from nmt.data.encoded_corpus import EncodedCorpus, EncodedSide
from nmt.data.filters import FilterReport
from nmt.data.ragged import RaggedArray


def corpus_of(lengths: list[tuple[int, int]]) -> EncodedCorpus:
    reader: Any = None
    sides = (
        RaggedArray.from_rows([range(size) for size in side]) for side in zip(*lengths, strict=True)
    )
    source, target = (EncodedSide(reader, tokens) for tokens in sides)
    return EncodedCorpus(source, target, FilterReport(), Path("corpus"))


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([(1, 5)] * 7, [1] * 7),  # two links for each target token: the empty word, too
        ([(1, 4), (0, 1), (0, 1), (1, 4), (1, 1)], [3, 2]),
        ([(0, 1), (99, 99), (0, 1), (0, 1)], [2, 2]),
        ([(0, 1)] * 25, [10, 10, 5]),
        ([(0, 1)] * 20, [10, 10]),
    ],
)
def test_a_block_ends_with_the_pair_that_reaches_the_limit(
    lengths: list[tuple[int, int]], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexicon, "_MOST_LINKS", 10)
    corpora = [corpus_of(lengths), corpus_of(lengths[:1])]
    blocks = list(lexicon._blocks(corpora))
    assert [len(block.source_lengths) for block in blocks] == [*sizes, 1]
    for side in ("source", "target"):
        of_corpora = [getattr(corpus, f"{side}_side").tokens for corpus in corpora]
        values = [token for tokens in of_corpora for token in tokens.values.tolist()]
        found = [token for block in blocks for token in getattr(block, side).tolist()]
        assert found == values
        counts = [int(n) for tokens in of_corpora for n in tokens.lengths]
        assert [int(n) for block in blocks for n in getattr(block, f"{side}_lengths")] == counts
