"""Types of single values: numbers with bounds, texts and paths."""

import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, WrapValidator

from nmt.config.messages import refuse, show


def _check_no_nul(text: str) -> str:
    if "\0" in text:
        refuse("", "must not contain NUL characters")
    return text


def _expand_home(path: str) -> str:
    """Return a path with `~` replaced; refuse variables, which no command expands."""
    variable = re.search(r"\$(\w+|\{\w+\})", path)
    if variable is not None:
        sentence = f"{path!r}: {variable[0]} is not expanded; write the path itself, or ~ for home"
        refuse("", sentence)
    return os.path.expanduser(path)


def _explain_alternatives(given: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(given)
    except ValidationError:
        refuse("", f"must be a whole number of at least 1, 'auto' or null, not {show(given)}")


Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
# Limits far beyond practical use: larger values would fail only after hours, or use all memory.
Size = Annotated[int, Field(ge=1, le=100_000)]
NumLayers = Annotated[int, Field(ge=1, le=100)]
NumCandidates = Annotated[int, Field(ge=1, le=10_000)]
NumTokens = Annotated[int, Field(ge=1, le=10_000_000)]
NumProcesses = Annotated[int, Field(ge=0, le=256)]
BatchTokens = Annotated[Positive | Literal["auto"] | None, WrapValidator(_explain_alternatives)]
Strength = Annotated[float, Field(ge=0.0, le=1_000.0)]
PositiveStrength = Annotated[float, Field(gt=0.0, le=1_000.0)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_check_no_nul)]
# Path of a file or folder; `~` is expanded, and variables are refused.
PathText = Annotated[Text, AfterValidator(_expand_home)]
