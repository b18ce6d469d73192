"""Recurrent neural machine translation with attention.

>>> from nmt import Translator
>>> Translator.from_run("runs/toy").translate(["Tom chases Jerry."])

Importing the package loads nothing heavy: what it exports is loaded at its first use, and torch
with `Translator` and `build_model`.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from nmt.core.version import __version__ as __version__

if TYPE_CHECKING:
    from nmt.build.model import build_model as build_model
    from nmt.config.decoding import DecodingConfig as DecodingConfig
    from nmt.config.file import load_config as load_config
    from nmt.export.exported_translator import ExportedTranslator as ExportedTranslator
    from nmt.inference.translator import Translator as Translator

_MODULES: Final = {
    "Translator": "nmt.inference.translator",
    "ExportedTranslator": "nmt.export.exported_translator",
    "DecodingConfig": "nmt.config.decoding",
    "build_model": "nmt.build.model",
    "load_config": "nmt.config.file",
}


def __getattr__(name: str) -> Any:
    """Load what the package exports at its first use."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
