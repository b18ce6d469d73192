"""IBM model 1: against the algorithm written plainly, by hand, and where it must end up."""

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from nmt.core.special_tokens import PAD
from nmt.word_alignment.ibm1 import Block, Lexicon, make_lexicon, train_lexicon

Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]


def block_of(pairs: Pairs) -> Block:
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    flat = [np.array([token for row in side for token in row], dtype=np.int64) for side in sides]
    lengths = [np.array([len(row) for row in side], dtype=np.int64) for side in sides]
    return Block(flat[0], lengths[0], flat[1], lengths[1])


def train(pairs: Pairs, num_blocks: int = 2, *, iterations: int, num_candidates: int) -> Lexicon:
    size = -(-len(pairs) // num_blocks)
    blocks = [block_of(pairs[start : start + size]) for start in range(0, len(pairs), size)]
    return train_lexicon(
        lambda: iter(blocks), 20, 30, iterations=iterations, num_candidates=num_candidates
    )


def plainly(pairs: Pairs, iterations: int) -> dict[tuple[int, int], float]:
    """(source, target) -> t, with dicts and loops."""
    table: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for _ in range(iterations):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for source, target in pairs:
            for f in target:
                words = [PAD, *source]
                total = sum(table[e, f] for e in words)
                for e in words:
                    counts[e, f] += table[e, f] / total
        totals: dict[int, float] = defaultdict(float)
        for (e, _), count in counts.items():
            totals[e] += count
        table = defaultdict(float, {(e, f): n / totals[e] for (e, f), n in counts.items()})
    return dict(table)


@pytest.mark.parametrize("num_blocks", [1, 2, 40])
def test_equals_the_algorithm_written_plainly(num_blocks: int) -> None:
    rng = random.Random(1)

    def sentence(size: int) -> list[int]:
        return [rng.randrange(4, size) for _ in range(rng.randint(1, 6))]

    pairs = [(sentence(20), sentence(30)) for _ in range(40)]
    found = train(pairs, num_blocks, iterations=4, num_candidates=26)
    expected = plainly(pairs, 4)
    for source in range(4, 20):
        of_source = {f: t for (e, f), t in expected.items() if e == source}
        real = found.candidates[source] != PAD
        told = dict(
            zip(
                found.candidates[source][real].tolist(),
                found.probabilities[source][real].tolist(),
                strict=True,
            )
        )
        assert told == pytest.approx(of_source, abs=1e-6)
        assert sorted(told.values(), reverse=True) == list(told.values())


def test_one_iteration_by_hand() -> None:
    # "5 6" = "7 8", "5" = "7": each of 7 and 8 comes from the empty word, 5 or 6, a third each;
    # in the second pair 7 comes from the empty word or 5, a half each.
    found = train([([5, 6], [7, 8]), ([5], [7])], iterations=1, num_candidates=2)
    assert found.candidates[5].tolist() == [7, 8]
    assert found.probabilities[5].tolist() == pytest.approx([5 / 7, 2 / 7])
    assert found.probabilities[6].tolist() == [0.5, 0.5] and found.candidates[6].tolist() == [7, 8]
    assert found.frequent.tolist() == [7, 8]
    assert (found.candidates[9] == PAD).all()


def test_cooccurring_tokens_are_aligned() -> None:
    rng = random.Random(2)
    pairs = []
    for _ in range(300):
        source = [rng.randrange(4, 20) for _ in range(rng.randint(1, 8))]
        pairs.append((source, [token + 9 for token in reversed(source)]))
    found = train(pairs, iterations=10, num_candidates=3)
    assert found.candidates[4:20, 0].tolist() == list(range(13, 29))
    assert (found.probabilities[4:20, 0] > 0.9).all()


def test_a_given_table() -> None:
    entries = [(5, 9, 0.2), (5, 8, 0.5), (5, 9, 0.4), (6, 9, 0.1), (6, 2, 0.9), (5, 7, 0.05)]
    corpus = [block_of([([5], [9, 9, 7]), ([6], [9, 8, 8])])]
    found = make_lexicon(entries, corpus, 10, 12, num_candidates=2)
    assert found.candidates[5].tolist() == [8, 9] and found.candidates[6].tolist() == [9, PAD]
    assert found.probabilities[5].tolist() == pytest.approx([0.5, 0.4])
    assert found.frequent.tolist() == [9, 8, 7]  # as the corpus has them


def test_no_pairs_at_all() -> None:
    for found in (
        train_lexicon(lambda: iter([]), 5, 6, iterations=5, num_candidates=2),
        make_lexicon([], [], 5, 6, num_candidates=2),
    ):
        assert (found.candidates == PAD).all() and found.frequent.size == 0
