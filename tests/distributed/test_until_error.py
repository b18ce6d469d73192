from collections.abc import Iterator

import pytest

from nmt.distributed.until_error import UntilError


def numbers() -> Iterator[int]:
    yield from (1, 2)
    raise ValueError("three")


def test_the_error_comes_when_it_is_asked_for() -> None:
    items = UntilError(numbers())
    assert list(items) == [1, 2]
    assert list(items) == []
    with pytest.raises(ValueError, match="three"):
        items.raise_error()


def test_without_an_error_there_is_none() -> None:
    items = UntilError([1, 2])
    assert list(items) == [1, 2]
    items.raise_error()
