"""Which parts of a model have a fast path, and how a subclass loses it."""

from types import FunctionType
from typing import Any, ClassVar


class FastPath:
    """A part of a model whose steps may also be written by hand, with their derivatives.

    A subclass that defines a method, or inherits one from a mixin, may compute something else: it
    has no fast path unless it sets one itself.

    Attributes:
        fast_path: what computes the same by hand; None: nothing does, and the plain code runs.
        outside_fast_path: methods that a subclass may define and keep the fast path, which comes
            after them.
    """

    fast_path: Any = None
    outside_fast_path: ClassVar[frozenset[str]] = frozenset({"__init__"})

    def __init_subclass__(cls) -> None:
        """Drop the fast path of a base whose steps the class changes."""
        super().__init_subclass__()
        for base in cls.__mro__:
            if "fast_path" in vars(base):
                return
            for name, value in vars(base).items():
                is_method = isinstance(value, FunctionType | property | classmethod | staticmethod)
                if is_method and name not in cls.outside_fast_path:
                    cls.fast_path = None
                    return
