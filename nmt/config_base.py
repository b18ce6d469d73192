"""What the groups of options are made of: their base, the tables of plug-ins, common types."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from nmt.explain import refuse
from nmt.registry import PlugIn, Strict, Table

# Where each kind of plug-in is listed: a torch-free pointer to the table beside the classes.
TOKENIZERS = Table("tokenizer", "nmt.text.tokenizers", "TOKENIZERS")
CELLS = Table("cell", "nmt.nn.cells", "CELLS")
BRIDGES = Table("bridge", "nmt.nn.bridge", "BRIDGES")
SCORES = Table("score", "nmt.nn.attention.scores", "SCORES")
ALIGNMENTS = Table("alignment", "nmt.nn.attention.alignments", "ALIGNMENTS")
DECODERS = Table("decoder style", "nmt.nn.decoders", "DECODERS")
OPTIMIZERS = Table("optimizer", "nmt.training.optimization", "OPTIMIZERS")
SCHEDULES = Table("schedule", "nmt.training.schedule", "SCHEDULES")
SEARCHES = Table("search", "nmt.search.searches", "SEARCHES")
LENGTH_PENALTIES = Table("length penalty", "nmt.search.penalties", "LENGTH_PENALTIES")
METRICS = Table("metric", "nmt.metrics", "METRICS")


class Options(Strict):
    """A group of options, every field with a line of help."""

    @model_validator(mode="before")
    @classmethod
    def _name_default_plugins(cls, given: Any) -> Any:
        """Options without a name are those of the default plug-in."""
        if not isinstance(given, dict):
            return given
        named = dict(given)
        for key, field in cls.model_fields.items():
            value = given.get(key)
            if field.annotation is PlugIn and isinstance(value, dict) and "name" not in value:
                named[key] = {"name": field.default.name, **value}
        return named


def _check_no_nul(text: str) -> str:
    if "\0" in text:
        refuse(((), "must not hold NUL characters"))
    return text


def _check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        refuse(((), f"unknown device {name!r}; allowed: auto, cpu, cuda, cuda:N"))
    return name


Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]


Text = Annotated[str, Field(min_length=1), AfterValidator(_check_no_nul)]
Device = Annotated[str, AfterValidator(_check_device)]
