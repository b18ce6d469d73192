from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nmt.config.registry import PlugIn, Strict
from nmt.config.signatures import is_object, name_part, name_parts, read_options
from nmt.system.plugins import reference_of


class Power:
    def __init__(self, *, power: float = 2.0, mode: str = "soft") -> None:
        self.power = power
        self.mode = mode


class Sized:
    def __init__(self, size: int, *, power: float = 2.0) -> None:
        self.power = power


class Other:
    def __init__(self, *, number: "int | None" = None) -> None:
        self.number = number


POWER = reference_of(Power)
SIZED = reference_of(Sized)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Power, {"name": POWER}),
        (Sized, {"name": SIZED}),
        (partial(Sized, power=1.0), {"name": SIZED, "power": 1.0}),
        (Power(power=3.0), {"name": POWER, "power": 3.0, "mode": "soft"}),
    ],
)
def test_a_class_a_partial_and_an_object_become_name_and_options(
    given: Any, expected: dict[str, Any]
) -> None:
    assert name_part(given) == expected
    assert PlugIn.model_validate(given) == PlugIn.model_validate(expected)


@pytest.mark.parametrize(
    "given",
    [
        *("dot", None, 1, 2.5, True, ["dot"], {"name": "dot", "a": 1}, {"name": None}, {"a": 1}),
        *(PlugIn(name="dot"), Sized(3), partial(Sized, 3), partial(print), Path("a")),
    ],
    ids=repr,
)
def test_anything_else_is_returned_as_it_is(given: Any) -> None:
    assert name_part(given) is given


def test_a_tree_keeps_all_that_is_not_a_plug_in() -> None:
    tree = {"run": Path("a"), "list": [Power, {"score": partial(Power, mode="hard")}, 1]}
    assert name_parts(tree) == {
        "run": Path("a"),
        "list": [{"name": POWER}, {"score": {"name": POWER, "mode": "hard"}}, 1],
    }
    assert tree["list"][0] is Power


def test_objects_are_not_plain_values() -> None:
    assert is_object(Sized(3))
    assert is_object(partial(Sized, 3))
    assert not any(map(is_object, ("a", 1, None, [], {}, Power, PlugIn(name="dot"))))


def test_options_are_the_keyword_only_arguments() -> None:
    assert list(read_options(Sized, "power sized", Strict).model_fields) == ["power"]
    number = read_options(Other, "other", Strict).model_fields["number"]
    assert number.annotation == int | None
