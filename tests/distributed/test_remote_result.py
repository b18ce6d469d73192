"""What a call in another process returned or raised; an error that waits for its turn."""

from collections.abc import Iterator

import pytest

from nmt.core.errors import ConfigError
from nmt.distributed.remote_result import ItemsBeforeError, RemoteResult


def test_unwrap_returns_the_value() -> None:
    assert RemoteResult.capture(divmod, 17, 5).unwrap("a worker") == (3, 2)


def test_unwrap_raises_a_user_error_unchanged() -> None:
    def refuse(word: str) -> None:
        raise ConfigError(word)

    with pytest.raises(ConfigError, match=r"^no$"):
        RemoteResult.capture(refuse, "no").unwrap("a worker")


def test_unwrap_raises_another_exception_with_its_traceback() -> None:
    message = r"^in rank 1:\nTraceback .*\n(.*\n)*ZeroDivisionError: "
    with pytest.raises(RuntimeError, match=message):
        RemoteResult.capture(divmod, 1, 0).unwrap("rank 1")


def numbers() -> Iterator[int]:
    yield from (1, 2)
    raise ValueError("three")


def test_an_error_of_the_items_is_raised_on_request() -> None:
    items = ItemsBeforeError(numbers())
    assert list(items) == [1, 2]
    assert list(items) == []
    with pytest.raises(ValueError, match="three"):
        items.raise_error()


def test_items_without_an_error_raise_none() -> None:
    items = ItemsBeforeError([1, 2])
    assert list(items) == [1, 2]
    items.raise_error()
