import inspect
import itertools
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from nmt.config import registry
from nmt.config.messages import explain
from nmt.config.registry import ENCODERS, Options, PlugIn, Table, table_in, without_plugins
from nmt.core.errors import ConfigError
from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.lstm import LSTM
from nmt.system.plugins import allow

_numbers = itertools.count()
TABLES = [value for value in vars(registry).values() if isinstance(value, Table)]

MODULE = '''
class Plain:
    """Nothing to choose."""
    def __init__(self, size: int) -> None:
        self.made = (size,)

class Rich:
    """Much to choose.

    Args:
        rate: how fast.
    """
    def __init__(self, size: int, *, rate: Annotated[float, Gt(0.0)] = 0.5, steps: int = 3,
                 mode: Literal["soft", "hard"] = "soft", limit: int | None = None) -> None:
        self.made = (size, rate, steps, mode, limit)

THINGS = {"plain": Plain, "rich": Rich}
'''
IMPORTS = "from typing import Annotated, Literal\nfrom annotated_types import Gt\n"


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    name = f"things_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(IMPORTS + MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return Table("thing", name, "THINGS")


def problem(model: type[Options], given: dict[str, object]) -> tuple[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    (details,) = caught.value.errors()
    return details["loc"], explain(details)


def test_keyword_only_arguments_are_the_options(things: Table) -> None:
    assert list(things.classes) == ["plain", "rich"]
    assert list(things.options("rich").model_fields) == ["rate", "steps", "mode", "limit"]
    assert not things.options("plain").model_fields


def test_create_passes_given_arguments_and_options(things: Table) -> None:
    plugin = PlugIn.model_validate({"name": "rich", "rate": 3e-4, "mode": "hard"})
    assert things.create(plugin, 7).made == (7, 3e-4, 3, "hard", None)
    assert things.create(PlugIn(name="plain"), 7).made == (7,)


def test_plug_in_has_a_short_form() -> None:
    assert PlugIn.model_validate("dot") == PlugIn(name="dot")
    assert PlugIn.model_validate({"name": "dot", "a": 1}).options == {"a": 1}


def test_field_is_converted_and_completed(things: Table) -> None:
    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="plain")

    given = {"name": "rich", "rate": "1", "limit": "8"}
    resolved = {"rate": 1.0, "steps": 3, "mode": "soft", "limit": 8}
    assert Group.model_validate({"thing": given}).thing.options == resolved
    assert Group().thing == PlugIn(name="plain")


def test_defaults_are_resolved_too(things: Table) -> None:
    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="rich")

    assert Group().thing.options["rate"] == 0.5
    assert Group() == Group.model_validate({"thing": "rich"})


def test_field_of_another_model_keeps_its_declared_fields(things: Table) -> None:
    class Chosen(PlugIn):
        name: str = "rich"
        shared: bool = True

    class Group(Options):
        thing: Annotated[Chosen, things] = Chosen()

    made = Group.model_validate({"thing": {"shared": "no", "steps": "4"}}).thing
    assert made.shared is False
    assert made.model_dump()["steps"] == 4
    assert problem(Group, {"thing": {"shard": 1}}) == (
        ("thing", "shard"),
        "unknown option 'shard' of thing 'rich' (did you mean 'shared'?); "
        "allowed: shared, rate, steps, mode, limit",
    )


def test_unknown_name(things: Table) -> None:
    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="plain")
        several: list[Annotated[PlugIn, things]] = Field(default=[])

    sentence = "unknown thing 'ritch' (did you mean 'rich'?); allowed: plain, rich"
    assert problem(Group, {"thing": "ritch"}) == (("thing",), sentence)
    assert problem(Group, {"several": ["plain", "ritch"]}) == (("several", 1), sentence)


def test_bad_options(things: Table) -> None:
    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="plain")

    assert problem(Group, {"thing": {"name": "rich", "rats": 1}}) == (
        ("thing", "rats"),
        "unknown option 'rats' of thing 'rich' (did you mean 'rate'?); "
        "allowed: rate, steps, mode, limit",
    )
    assert problem(Group, {"thing": {"name": "plain", "x": 1}}) == (
        ("thing", "x"),
        "unknown option 'x' of thing 'plain'; allowed: none",
    )
    assert problem(Group, {"thing": {"name": "rich", "steps": "many"}}) == (
        ("thing", "steps"),
        "must be a whole number, not 'many'",
    )
    assert problem(Group, {"thing": {"name": "rich", "rate": "0"}}) == (
        ("thing", "rate"),
        "must be more than 0, not '0'",
    )


class WithEncoder(Options):
    encoder: Annotated[PlugIn, ENCODERS] = PlugIn(name="recurrent")


def test_an_option_may_be_a_plug_in_of_another_table() -> None:
    given = {"cell": {"name": "gru", "fused": "no"}, "hidden_size": "3"}
    plugin = WithEncoder.model_validate({"encoder": given}).encoder
    assert plugin.options["cell"] == PlugIn(name="gru", fused=False)
    encoder = ENCODERS.create(plugin, 2)
    assert isinstance(encoder, RecurrentEncoder)
    ((cell, _),) = encoder.layers
    assert isinstance(cell, GRU)
    assert cell.fast_path is None and cell.weight_hidden.shape == (9, 3)


def test_the_name_of_a_plug_in_inside_may_be_left_out_or_be_a_class() -> None:
    plugin = WithEncoder.model_validate({"encoder": {"cell": {"fused": False}}}).encoder
    assert plugin.options["cell"] == PlugIn(name="gru", fused=False)
    plugin = WithEncoder.model_validate({"encoder": {"cell": LSTM}}).encoder
    assert plugin.options["cell"] == PlugIn(name="lstm", fused=True)


def test_errors_of_a_plug_in_inside_name_the_whole_path() -> None:
    assert problem(WithEncoder, {"encoder": {"cell": {"fusd": 1}}}) == (
        ("encoder", "cell", "fusd"),
        "unknown option 'fusd' of cell 'gru' (did you mean 'fused'?); allowed: fused",
    )
    place, text = problem(WithEncoder, {"encoder": {"cell": "grus"}})
    assert place == ("encoder", "cell")
    assert text.startswith("unknown cell 'grus' (did you mean 'gru'?); allowed: gru, lstm, ")
    assert problem(WithEncoder, {"encoder": {"cell": {"name": "deep_gru", "depth": 0}}}) == (
        ("encoder", "cell", "depth"),
        "must be at least 1, not 0",
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.attribute)
def test_a_table_is_in_table_py_and_the_base_in_the_file_named_after_it(table: Table) -> None:
    package, _, module = table.module.rpartition(".")
    family = re.sub(" (style|format)$", "", table.kind).replace(" ", "_")
    assert module == (family if table.kind == "bridge" else "table")  # bridges fit one file
    for plugin in table.classes.values():
        bases = {base.__module__ for base in plugin.__mro__}
        assert f"{package}.{family}" in bases, plugin


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.attribute)
def test_the_base_of_a_table_is_extended_by_its_plug_ins(table: Table) -> None:
    package, _, _ = table.module.rpartition(".")
    family = re.sub(" (style|format)$", "", table.kind).replace(" ", "_")
    assert table.base.__module__ == f"{package}.{family}"
    assert all(issubclass(plugin, table.base) for plugin in table.classes.values())


OUTSIDE = '''
from annotated_types import Gt
from typing import Annotated

class Mine:
    """Something.

    Args:
        rate: how fast.
    """
    def __init__(self, size: int, *, rate: Annotated[float, Gt(0.0)] = 0.5) -> None:
        self.made = (size, rate)
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(OUTSIDE)
    return path


def test_a_class_from_outside_is_checked_as_one_of_the_table(things: Table, outside: Path) -> None:
    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="plain")

    allow([outside])
    made = Group.model_validate({"thing": {"name": "mine.py:Mine", "rate": "2"}}).thing
    assert made == PlugIn.model_validate({"name": "mine.py:Mine", "rate": 2.0})
    assert things.create(made, 7).made == (7, 2.0)
    assert problem(Group, {"thing": {"name": "mine.py:Mine", "rat": "2"}}) == (
        ("thing", "rat"),
        "unknown option 'rat' of thing 'mine.py:Mine' (did you mean 'rate'?); allowed: rate",
    )
    place, sentence = problem(Group, {"thing": "mine.py:Min"})
    assert place == ("thing",)
    assert sentence.startswith("unknown class 'Min' of mine.py (did you mean 'Mine'?); allowed: ")


def test_options_that_are_files_are_paths_from_home(things: Table, outside: Path) -> None:
    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="plain")

    arguments = "file: Path, other: Path | None = None"
    text = OUTSIDE.replace("rate: Annotated[float, Gt(0.0)] = 0.5", arguments)
    future = "from __future__ import annotations\nfrom pathlib import Path\n"
    outside.write_text(future + text.replace("rate)", "file, other)"))
    allow([outside])
    given = {"name": "mine.py:Mine", "file": "~/a"}
    made = Group.model_validate({"thing": given}).thing
    assert made.options == {"file": str(Path.home() / "a"), "other": None}
    made = Group.model_validate({"thing": given | {"other": "~/b"}}).thing
    assert made.options["other"] == str(Path.home() / "b")
    place, _ = problem(Group, {"thing": given | {"other": "$HOME/b"}})
    assert place == ("thing", "other")


@pytest.mark.parametrize("is_first_pass", [True, False])
def test_a_class_from_outside_is_refused_in_both_passes(
    things: Table, outside: Path, is_first_pass: bool
) -> None:
    outside.write_text("raise AssertionError")

    class Group(Options):
        thing: Annotated[PlugIn, things] = PlugIn(name="plain")

    with without_plugins() if is_first_pass else nullcontext():
        assert problem(Group, {"thing": "mine.py:Mine"}) == (
            ("thing",),
            "'mine.py:Mine' is code from outside the package, which must be allowed; add --plugin "
            "mine.py (in Python: plugins=['mine.py'])",
        )
    allow([outside])
    with without_plugins():
        assert Group.model_validate({"thing": "mine.py:Mine"}).thing == PlugIn(name="mine.py:Mine")


def test_the_base_may_adopt_classes_of_others(things: Table, outside: Path) -> None:
    class Adopting:
        @classmethod
        def adopt(cls, kind: type) -> type:
            if kind.__name__ != "Mine":
                raise ConfigError(f"{kind.__name__} is not supported; take Mine")
            return cls

    things.base = Adopting
    allow([outside])
    assert things.find("mine.py:Mine") is Adopting
    with pytest.raises(ValidationError, match="Gt is not supported; take Mine"):
        things.find("mine.py:Gt")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.attribute)
def test_names_in_the_text_of_a_table_are_those_of_its_classes(table: Table) -> None:
    assert table.names == list(table.classes)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.attribute)
def test_options_of_every_plug_in_are_valid(table: Table) -> None:
    for name, plugin in table.classes.items():
        live = {
            key: parameter.default
            for key, parameter in inspect.signature(plugin).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        schema = table.options(name)
        assert list(schema.model_fields) == list(live)
        for key, field in schema.model_fields.items():
            if field.is_required():
                assert live[key] is inspect.Parameter.empty
            elif (inside := table_in(field)) is not None:
                assert inside.classes[field.default.name] is live[key]
            else:
                assert field.default == live[key]
        required = {key: "1" for key in live if schema.model_fields[key].is_required()}
        schema.model_validate(required)  # the defaults are valid
        assert inspect.getdoc(plugin)
