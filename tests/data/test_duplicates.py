"""Pairs that repeat others, in the training data and in what it is measured on."""

import tracemalloc
from pathlib import Path

import numpy as np

from nmt.data.duplicates import Duplicates, count_duplicates
from nmt.data.formats.grids import GridCorpus
from nmt.data.formats.text_pairs import TextCorpus


def corpus(folder: Path, name: str, pairs: list[tuple[str, str]]) -> TextCorpus:
    for side, lines in enumerate(zip(*pairs, strict=True)):
        (folder / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines))
    return TextCorpus(source=folder / f"{name}.0", target=folder / f"{name}.1")


def test_counts_repeats_within_a_corpus_across_corpora_and_in_other_sets(tmp_path: Path) -> None:
    first = corpus(tmp_path, "a", [("x", "1"), ("y", "2"), ("x", "1"), ("", ""), ("", "")])
    second = corpus(tmp_path, "b", [("y", "2"), ("y", "3"), ("", "4")])
    valid = corpus(tmp_path, "c", [("y", "3"), ("x", "2"), ("x", "1"), (" ", "")])
    test = corpus(tmp_path, "d", [("z", "1")])
    assert count_duplicates([first, second], [valid, test]) == Duplicates(5, 2, [(3, 2), (1, 0)])


def test_grids_are_compared_by_their_values_and_texts(tmp_path: Path) -> None:
    grids = [np.full((2, 1, 1), 3, np.uint8), np.full((1, 2, 1), 3, np.uint8)]
    for name, used in (("a", grids), ("b", grids[:1])):
        np.savez(tmp_path / f"{name}.npz", *used)
        (tmp_path / f"{name}.txt").write_text("one\n" * len(used))
    both = [
        GridCorpus(grids=tmp_path / f"{name}.npz", target=tmp_path / f"{name}.txt") for name in "ab"
    ]
    assert count_duplicates(both[:1], both[1:]) == Duplicates(2, 0, [(1, 1)])
    (tmp_path / "b.txt").write_text("two\n")
    assert count_duplicates(both[:1], both[1:]) == Duplicates(2, 0, [(1, 0)])


def test_memory_is_some_bytes_a_pair(tmp_path: Path) -> None:
    """The text of these pairs takes 4 MB."""
    number = 20_000
    large = corpus(tmp_path, "a", [(f"{n} " * 20, f"{n} " * 20) for n in range(number)])
    tracemalloc.start()
    assert count_duplicates([large], [large]) == Duplicates(number, 0, [(number, number)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000 + 60 * number
