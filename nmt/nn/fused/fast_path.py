"""Which parts of a model have a fast path, and how a subclass loses it."""

from types import GetSetDescriptorType
from typing import Any, ClassVar


class FastPath:
    """A part of a model whose steps may also be written by hand, with their derivatives.

    A subclass that defines a method, or inherits one from a mixin, may compute something else: it
    has no fast path unless it sets one itself.

    Attributes:
        fast_path: what computes the same by hand; None: nothing does, and the plain code runs.
        slow_path_option: the option that has taken the fast path away; None: none has.
        outside_fast_path: methods that a subclass may define and keep the fast path, which comes
            after them.
    """

    fast_path: Any = None
    slow_path_option: str | None = None
    outside_fast_path: ClassVar[frozenset[str]] = frozenset({"__init__"})

    def __init_subclass__(cls) -> None:
        """Drop the fast path of a base whose steps the class changes."""
        super().__init_subclass__()
        for base in cls.__mro__:
            if "fast_path" in vars(base):
                return
            for name, value in vars(base).items():
                is_method = callable(value) or hasattr(value, "__get__")
                is_other = isinstance(value, type | GetSetDescriptorType)  # __dict__ of a mixin
                if is_method and not is_other and name not in cls.outside_fast_path:
                    cls.fast_path = None
                    return

    def drop_fast_path(self, option: str) -> None:
        """Run the plain code.

        Args:
            option: that the fast path is not written for, as it is, for `nmt check`.
        """
        self.fast_path, self.slow_path_option = None, option
