"""What the groups of options are made of: their base, the tables of plug-ins, common types."""

import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nmt.config.messages import refuse, unknown
from nmt.config.registry import Strict, Table

# Where each kind of plug-in is listed: a torch-free pointer to its table.
TOKENIZERS = Table("tokenizer", "nmt.text.table", "TOKENIZERS")
CELLS = Table("cell", "nmt.nn.recurrent.table", "CELLS")
BRIDGES = Table("bridge", "nmt.nn.bridge", "BRIDGES")
SCORES = Table("score", "nmt.nn.attention.scores.table", "SCORES")
ALIGNMENTS = Table("alignment", "nmt.nn.attention.alignments.table", "ALIGNMENTS")
DECODERS = Table("decoder style", "nmt.nn.decoders.table", "DECODERS")
OPTIMIZERS = Table("optimizer", "nmt.training.optim.optimizers", "OPTIMIZERS")
SCHEDULES = Table("schedule", "nmt.training.optim.schedules", "SCHEDULES")
SEARCHES = Table("search", "nmt.search.table", "SEARCHES")
LENGTH_PENALTIES = Table("length penalty", "nmt.search.penalties", "LENGTH_PENALTIES")
COVERAGE_PENALTIES = Table("coverage penalty", "nmt.search.penalties", "COVERAGE_PENALTIES")
METRICS = Table("metric", "nmt.evaluation.metrics", "METRICS")


class Options(Strict):
    """A group of options, every field with a line of help."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Variants:
    """Groups of options of which a field holds one, chosen by its `name`.

    In `Annotated`, the validator of such a field; ``grid`` is short for ``{name: grid}``. It
    describes the choices as a `Table` does.

    Args:
        kind: what is chosen, for messages.
        groups: the choices, the default first; each has a field `name` whose default is its name.
    """

    def __init__(self, kind: str, *groups: type[Options]) -> None:
        self.kind = kind
        self._groups = {group.model_fields["name"].default: group for group in groups}

    def names(self) -> list[str]:
        """The names that may be chosen."""
        return list(self._groups)

    def options(self, name: str) -> type[Options]:
        """The options of a choice, its name among them."""
        return self._groups[name]

    def summary(self, name: str) -> str:
        """One line on a choice, from its docstring."""
        return (self._groups[name].__doc__ or "").partition("\n")[0]

    def read(self, given: Any) -> Any:
        """Return the group that is named, made of its options; the first where none is named.

        Raises:
            ValidationError: there is no group of that name, or an option is wrong.
        """
        if isinstance(given, Options):
            return given
        if isinstance(given, str):
            given = {"name": given}
        default = self.names()[0]
        name = given.get("name", default) if isinstance(given, dict) else default
        if not isinstance(name, str) or name not in self._groups:
            refuse("", unknown(self.kind, str(name), self.names()))
        return self._groups[name].model_validate(given)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Hook of pydantic: what to do with a field that is annotated with this."""
        return core_schema.no_info_before_validator_function(self.read, handler(source))


def _check_no_nul(text: str) -> str:
    if "\0" in text:
        refuse("", "must not hold NUL characters")
    return text


def _expand_home(path: str) -> str:
    """Return a path with `~` replaced; refuse variables, which no command expands."""
    variable = re.search(r"\$(\w+|\{\w+\})", path)
    if variable is not None:
        sentence = f"{path!r}: {variable[0]} is not expanded; write the path itself, or ~ for home"
        refuse("", sentence)
    return os.path.expanduser(path)


def _check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", name):
        refuse("", f"unknown device {name!r}; allowed: auto, cpu, cuda, cuda:N")
    return name


Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
# Limits beyond all use: what they refuse would take hours or all memory before it failed.
Size = Annotated[int, Field(ge=1, le=100_000)]
NumLayers = Annotated[int, Field(ge=1, le=100)]
NumCandidates = Annotated[int, Field(ge=1, le=10_000)]
NumTokens = Annotated[int, Field(ge=1, le=10_000_000)]
NumProcesses = Annotated[int, Field(ge=0, le=256)]
Strength = Annotated[float, Field(ge=0.0, le=1_000.0)]
PositiveStrength = Annotated[float, Field(gt=0.0, le=1_000.0)]


Text = Annotated[str, Field(min_length=1), AfterValidator(_check_no_nul)]
PathText = Annotated[Text, AfterValidator(_expand_home)]
"""Name of a file or folder."""
Device = Annotated[str, AfterValidator(_check_device)]
