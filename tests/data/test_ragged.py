"""Rows of unequal length: in memory as on disk."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings, strategies as st

from nmt.data.ragged import RaggedArray, create_ragged, open_ragged

ROWS = st.lists(st.lists(st.integers(0, 60_000), max_size=8), max_size=8)


def as_lists(array: RaggedArray) -> list[list[int]]:
    return [array[row].tolist() for row in range(len(array))]


@given(ROWS)
def test_rows_are_read_back(rows: list[list[int]]) -> None:
    array = RaggedArray.from_rows(rows, np.uint16)
    assert as_lists(array) == rows
    assert array.lengths.tolist() == [len(row) for row in rows]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_are_rows_of_utf8(texts: list[str]) -> None:
    array = RaggedArray.from_texts(texts)
    assert [array[row].tobytes().decode() for row in range(len(array))] == texts


@given(ROWS, st.data())
def test_select_takes_rows_in_any_order(rows: list[list[int]], data: st.DataObject) -> None:
    numbers = st.integers(0, len(rows) - 1) if rows else st.nothing()
    chosen = data.draw(st.lists(numbers))
    array = RaggedArray.from_rows(rows).select(np.array(chosen, np.int64))
    assert as_lists(array) == [rows[row] for row in chosen]


@settings(max_examples=50)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_concatenate_appends_rows(parts: list[list[list[int]]]) -> None:
    array = RaggedArray.concatenate([RaggedArray.from_rows(rows) for rows in parts])
    assert as_lists(array) == [row for rows in parts for row in rows]


def test_concatenated_streams_are_read_as_one(tmp_path: Path) -> None:
    with create_ragged(tmp_path, "x", "<u2") as writer:
        writer.append(RaggedArray.from_rows([[1, 2], []]))
        writer.append(RaggedArray.from_rows([]))
        writer.append(RaggedArray.from_rows([[3], [65_535, 5]]))
    array = open_ragged(tmp_path, "x", "<u2")
    assert as_lists(array) == [[1, 2], [], [3], [65_535, 5]]
    assert array.values.dtype == np.uint16


def test_rows_without_a_single_value(tmp_path: Path) -> None:
    with create_ragged(tmp_path, "x", "<u4") as writer:
        writer.append(RaggedArray.from_rows([[], []]))
    assert as_lists(open_ragged(tmp_path, "x", "<u4")) == [[], []]
