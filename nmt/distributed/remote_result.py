"""What one process computes for another: a result, or the error, which is raised there."""

import traceback
from collections.abc import Callable
from typing import Any

from nmt.core.errors import UserError

Answer = tuple[Any, UserError | str | None]
"""The result, and the error in its place: a `UserError`, or the traceback of another exception."""


def answer(function: Callable[..., Any], *arguments: Any) -> Answer:
    """What a function makes of its arguments, or raises."""
    try:
        return function(*arguments), None
    except UserError as error:
        return None, error
    except Exception:
        return None, traceback.format_exc()


def result_of(answer: Answer, where: str) -> Any:
    """The result.

    Args:
        answer: that of the other process.
        where: which process that is, for a message.

    Raises:
        UserError: what the function has raised.
        RuntimeError: it has raised another exception; its traceback is in it.
    """
    result, error = answer
    if isinstance(error, str):
        raise RuntimeError(f"in {where}:\n{error}")
    if error is not None:
        raise error
    return result
