"""Results and errors that are passed from one process to another, or raised later."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeAlias, TypeVar

from nmt.core.errors import ConfigError, UserError
from nmt.system.plugins import explain_failure

T = TypeVar("T")
Job: TypeAlias = tuple[Any, ...]
"""Arguments of a function that another process calls."""


@dataclass(frozen=True)
class RemoteResult:
    """Result or error of a call in another process.

    Attributes:
        value: the returned value; None after an error.
        error: the `UserError` that was raised, or one that explains the error of a plug-in, or the
            traceback of another exception.
    """

    value: Any = None
    error: UserError | str | None = None

    @classmethod
    def capture(cls, function: Callable[..., Any], *arguments: Any) -> Self:
        """Call a function, and capture its result or exception."""
        try:
            return cls(value=function(*arguments))
        except UserError as error:
            return cls(error=error)
        except Exception as error:
            message = explain_failure(error)
            return cls(error=traceback.format_exc() if message is None else ConfigError(message))

    def unwrap(self, where: str) -> Any:
        """Return the value.

        Args:
            where: the other process, for the message.

        Raises:
            UserError: the call raised it.
            RuntimeError: the call raised another exception; the message holds its traceback.
        """
        if isinstance(self.error, str):
            raise RuntimeError(f"in {where}:\n{self.error}")
        if self.error is not None:
            raise self.error
        return self.value


class ItemsBeforeError(Generic[T]):
    """Items of an iterable up to an error, which is raised on request.

    Used to read ahead: results of earlier items are returned before the error is raised.

    Args:
        items: the iterable, which is consumed one by one.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        try:
            yield from self._items
        except Exception as error:
            self._error = error

    def raise_error(self) -> None:
        """Raise the error that ended the items, if one did."""
        if self._error is not None:
            raise self._error
