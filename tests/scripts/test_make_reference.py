import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Lt
from pydantic import Field

from nmt.config import registry
from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.config.registry import Options, PlugIn, Table

TABLES = [value for value in vars(registry).values() if isinstance(value, Table)]
COMMITTED = Path(__file__).parents[2] / "configs" / "reference.yaml"


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("make_reference")
    return module


def test_committed_reference_is_current(script: ModuleType) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == script.reference(), "run `make reference`"


def test_reference_loads_to_the_defaults() -> None:
    smallest = {"run": "runs/reference", "data": {"train": {"tsv": "a"}, "valid": {"tsv": "a"}}}
    config, defaults = load_config(COMMITTED), Config.model_validate(smallest)
    assert config.model_copy(update={"data": None}) == defaults.model_copy(update={"data": None})
    assert config.data.filters == defaults.data.filters


def test_reference_fits_a_screen(script: ModuleType) -> None:
    assert all(len(line) <= 100 for line in script.reference().splitlines())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.attribute)
def test_every_option_of_a_plug_in_has_help(script: ModuleType, table: Table) -> None:
    for name, plugin in table.classes.items():
        helps = script.option_helps(plugin)
        assert all(helps[option] for option in table.options(name).model_fields), name


def groups_below(base: type[Options]) -> list[type[Options]]:
    return [group for heir in base.__subclasses__() for group in [heir, *groups_below(heir)]]


GROUPS = [  # no plug-ins' models, which are made when they are first used
    group
    for group in groups_below(Options)
    if group is not PlugIn and getattr(sys.modules[group.__module__], group.__name__, None) is group
    if group.__module__.startswith("nmt.")
]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_a_group_documents_its_options_and_nothing_else(
    script: ModuleType, group: type[Options]
) -> None:
    helps = script.documented_names(group)
    options = group.__annotations__.keys() & group.model_fields.keys()
    assert helps.keys() == options and all(helps.values())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.attribute)
def test_a_plug_in_documents_arguments_of_its_constructor_only(
    script: ModuleType, table: Table
) -> None:
    for plugin in table.classes.values():
        arguments = inspect.signature(plugin).parameters
        assert script.documented_names(plugin).keys() <= arguments.keys(), plugin


class Base:
    """Base.

    Args:
        x: of the base: hidden.
        z: also.
    """

    def __init__(self, *, x: int = 1, z: int = 2) -> None: ...


class Group:
    """A group of options.

    Attributes:
        size: Size of the
            whole; 0: none.
    """


def test_help_of_a_group_is_the_entry_of_its_attributes(script: ModuleType) -> None:
    assert script.option_helps(Group) == {"size": "Size of the whole; 0: none."}


class Heir(Base):
    """Does.

    More.

    Args:
        x: one line
            and a second.

    Raises:
        E: no.
    """


def test_help_is_the_entry_of_the_docstring_or_of_the_base(script: ModuleType) -> None:
    assert script.option_helps(Heir) == {"x": "one line and a second.", "z": "also."}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (Annotated[int, Field(ge=1)], "whole number, at least 1"),
        (Annotated[float, Ge(0.0), Lt(1.0)], "number, at least 0, less than 1"),
        (Annotated[float, Field(gt=0.5, le=2)] | None, "number, more than 0.5, at most 2 or null"),
        (Literal["a", "b"], "a | b"),
        (list[str], "list of text"),
        (bool, "true or false"),
    ],
)
def test_types_in_words(script: ModuleType, annotation: object, words: str) -> None:
    assert script.describe_type(annotation) == words
