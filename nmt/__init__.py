"""Recurrent neural machine translation with attention.

>>> from nmt import Translator
>>> Translator.from_run("runs/toy").translate(["Tom chases Jerry."])

Importing the package loads nothing heavy: `Translator` (and torch with it), `ExportedTranslator`
and `DecodingConfig` are loaded when they are asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nmt.config import DecodingConfig as DecodingConfig
    from nmt.exported import ExportedTranslator as ExportedTranslator
    from nmt.translation import Translator as Translator

__version__ = "0.1.0"

_MODULES: Final = {
    "Translator": "nmt.translation",
    "ExportedTranslator": "nmt.exported",
    "DecodingConfig": "nmt.config",
}


def __getattr__(name: str) -> Any:
    """Load what the package exports at its first use."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
