"""Formulas of the parts of a model, read from the docstrings of their classes.

The docstring of a part states its formulas in double backquotes, and its source in the first
parenthesis with a year. So there is no second table that could differ from the code.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Methods that compute a part; of those in its class, or else in its next base, the first counts.
_METHODS: Final = ("_step", "compare", "forward", "score", "__call__")

_QUOTED: Final = re.compile(r"``(.+?)``", re.DOTALL)
_OPERATOR: Final = re.compile(r"[=+*/^]| \. |\w\(")
_SOURCE: Final = re.compile(r"\(([^()]*\b(?:1[89]|20)\d\d\b[^()]*)\)")
_PACKAGE: Final = Path(__file__).parents[1]


@dataclass(frozen=True)
class PartFormula:
    """The formulas of a part of a model, and the line that computes it.

    Attributes:
        name: its class.
        formulas: as text; empty if neither its docstring nor that of a base class has one.
        source: paper and equation; empty if the docstring names none.
        defined_by: the class whose docstring has the formulas.
        method: the method that computes the part.
        file: file of this method, from the folder that contains the package.
        line: its first line; 0 if its text is not available.
    """

    name: str
    formulas: tuple[str, ...]
    source: str
    defined_by: str
    method: str
    file: str
    line: int


def describe_part(kind: type[Any]) -> PartFormula:
    """Return the formulas of a class, its source, and the line that computes it.

    A class without formulas, such as a plug-in that extends a part, has those of its next base.
    """
    documented = [base for base in kind.__mro__[:-1] if "__doc__" in vars(base) and base.__doc__]
    owner = next((base for base in documented if _formulas(base)), kind)
    sources = [_source(base) for base in dict.fromkeys([kind, owner]) if base in documented]
    return PartFormula(
        kind.__name__,
        tuple(_formulas(owner)),
        next(filter(None, sources), ""),
        owner.__name__,
        *_place(kind),
    )


def _formulas(kind: type[Any]) -> list[str]:
    """Return all equations of a docstring, and other formulas of its first paragraph."""
    summary, *rest = _paragraphs(kind)
    found = [text for text in _quoted(summary) if _OPERATOR.search(text)]
    return list(dict.fromkeys([*found, *(text for text in _quoted(*rest) if "=" in text)]))


def _source(kind: type[Any]) -> str:
    found = _SOURCE.search(" ".join(_paragraphs(kind)))
    return "" if found is None else " ".join(found[1].split())


def _paragraphs(kind: type[Any]) -> list[str]:
    """Return the paragraphs of a docstring before its sections."""
    text = inspect.cleandoc(vars(kind).get("__doc__") or "")
    return re.split(r"\n\n(?:(?:Args|Attributes|Raises):\n[\s\S]*)?", text)


def _quoted(*paragraphs: str) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from (" ".join(text.split()) for text in _QUOTED.findall(paragraph))


def _place(kind: type[Any]) -> tuple[str, str, int]:
    """Return the method that computes a part, its file and its first line."""
    defined = ((base, name) for base in kind.__mro__ for name in _METHODS if name in vars(base))
    owner, name = next(defined, (kind, ""))
    try:
        function = inspect.unwrap(vars(owner)[name])
        path = Path(inspect.getsourcefile(function) or "")
        line = inspect.getsourcelines(function)[1]
    except (KeyError, OSError, TypeError):  # a class made at run time has no source
        return name, owner.__module__, 0
    is_ours = path.is_relative_to(_PACKAGE)
    return name, str(path.relative_to(_PACKAGE.parent)) if is_ours else path.name, line
