"""Recurrent neural machine translation with attention.

>>> from nmt import Translator
>>> Translator.from_run("runs/toy").translate(["Tom chases Jerry ."])

Importing the package loads nothing heavy: `Translator` (and torch with it) is loaded when it is
asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.translation import Translator as Translator

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `Translator` at its first use."""
    if name == "Translator":
        from nmt.translation import Translator

        return Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
