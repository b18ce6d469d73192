"""How sentences are put into batches, and how results get back to their sentences."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from nmt.inference.batch_inference import BatchRunner
from nmt.nn.model import Model
from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Constraints
from nmt.search.search import Search
from nmt.text.reader import EncodedWords


class FakeSearch:
    """A search of some beam size, which nothing here runs."""

    def __init__(self, beam_size: int) -> None:
        self.beam_size = beam_size


class FakeRanks:
    """Echoes each sentence as its own hypothesis and keeps the batches."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    def map(
        self, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]
    ) -> Iterator[list[Any]]:
        for sources, others, *rest in jobs:
            self.batches.append(list(sources))
            if rest:  # forced: a pair of lengths
                yield [(len(s), len(t)) for s, t in zip(sources, others, strict=True)]
            else:
                yield [[Hypothesis(tuple(tokens), -1.0, -2.0)] for tokens in sources]


def make_runner(beam_size: int = 5, batch_tokens: int = 100) -> tuple[BatchRunner, FakeRanks]:
    ranks = FakeRanks()
    runner = BatchRunner(
        cast(Model, None),
        cast(Search, FakeSearch(beam_size)),
        torch.device("cpu"),
        torch.float32,
        batch_tokens,
    )
    return replace(runner, ranks=cast(Any, ranks)), ranks


@pytest.mark.parametrize(("beam_size", "size"), [(1, 10), (10, 10), (20, 5), (50, 2)])
def test_batches_of_more_than_ten_hypotheses_have_as_many_fewer_sentences(
    beam_size: int, size: int
) -> None:
    runner, ranks = make_runner(beam_size)
    runner.run_search([[5] * 9] * 20)  # 10 tokens each, with EOS
    assert [len(batch) for batch in ranks.batches] == [size] * (20 // size)


def test_windows_come_in_order_and_every_sentence_is_reported_once() -> None:
    runner, ranks = make_runner(batch_tokens=9)
    given = [[[5], [], [6, 7, 8]], [], [[]], [[9, 9, 9, 9], [10]]]
    reported: list[int] = []
    found = runner.search_windows(
        [(number, window, [Constraints()] * len(window)) for number, window in enumerate(given)],
        reported.append,
    )
    texts = [(number, [list(best.tokens) for (best,) in window]) for number, window in found]
    assert texts == list(enumerate(given))
    assert sum(reported) == 6
    assert [[len(tokens) for tokens in batch] for batch in ranks.batches if batch] == [
        [3, 1],
        [4],
        [1],
    ]


def test_a_pair_takes_as_much_of_a_batch_as_its_longer_side() -> None:
    runner, ranks = make_runner(batch_tokens=19)  # two of 9 tokens fit only without EOS
    lengths = [(1, 9), (9, 1), (2, 3), (4, 4)]
    pairs = [[EncodedWords([5] * n, ["a"] * n, list(range(n))) for n in pair] for pair in lengths]
    sources, targets = zip(*pairs, strict=True)
    read = cast(Any, None)
    assert runner.run_forced(sources, targets, read) == lengths
    assert [[len(ids) for ids in batch] for batch in ranks.batches] == [[1], [9], [4, 2]]
