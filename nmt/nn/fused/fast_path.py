"""Parts of a model with a fast path, and the rule by which a subclass loses it."""

from types import GetSetDescriptorType
from typing import Any, ClassVar


class FastPath:
    """A part of a model that may also have a fast path with hand-written derivatives.

    A subclass that defines a method, or inherits one from a mixin, may compute something else. It
    has no fast path unless it sets one itself.

    Attributes:
        fast_path: the fast path, which computes the same; None: the plain code runs.
        slow_path_option: the option that disabled the fast path; None if no option did.
        outside_fast_path: methods that a subclass may define without losing the fast path, which
            starts after them.
    """

    fast_path: Any = None
    slow_path_option: str | None = None
    outside_fast_path: ClassVar[frozenset[str]] = frozenset({"__init__"})

    def __init_subclass__(cls) -> None:
        """Disable the inherited fast path if the class overrides a method of its base."""
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
        """Disable the fast path, so that the plain code runs.

        Args:
            option: the option that the fast path does not support, worded for `nmt check`.
        """
        self.fast_path, self.slow_path_option = None, option
