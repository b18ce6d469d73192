"""Types of single values: numbers with bounds, texts and paths."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from nmt.system.files import expand_home, refuse_nul

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Chance = Annotated[float, Field(ge=0.0, le=1.0)]  # a probability that may be 1
Positive = Annotated[int, Field(ge=1)]
# Limits far beyond practical use: larger values would fail only after hours, or use all memory.
Size = Annotated[int, Field(ge=1, le=100_000)]
NumLayers = Annotated[int, Field(ge=1, le=100)]
NumCandidates = Annotated[int, Field(ge=1, le=10_000)]
NumTokens = Annotated[int, Field(ge=1, le=10_000_000)]
NumProcesses = Annotated[int, Field(ge=0, le=256)]
Strength = Annotated[float, Field(ge=0.0, le=1_000.0)]
PositiveStrength = Annotated[float, Field(gt=0.0, le=1_000.0)]
Text = Annotated[str, Field(min_length=1), AfterValidator(refuse_nul)]
# Path of a file or folder; `~` is expanded, and variables are refused.
PathText = Annotated[Text, AfterValidator(expand_home)]


def is_unset(value: Any) -> bool:
    """Return whether an option is null or empty, for `exclude_if` of options that came later.

    Configurations of earlier versions are then dumped as they were.
    """
    return not value
