"""Reading ahead, where what came before an error is still to be done."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class UntilError(Iterator[T], Generic[T]):
    """Items as far as an error, which is raised when whoever reads ahead has done with them.

    Args:
        items: taken one by one.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._rest = iter(items)
        self._error: Exception | None = None

    def __next__(self) -> T:
        if self._error is not None:
            raise StopIteration
        try:
            return next(self._rest)
        except StopIteration:
            raise
        except Exception as error:
            self._error = error
            raise StopIteration from None

    def raise_error(self) -> None:
        """Raise the error that ended the items, if one did."""
        if self._error is not None:
            raise self._error
