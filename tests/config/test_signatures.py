from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nmt.config.messages import explain
from nmt.config.registry import Options, PlugIn
from nmt.config.signatures import name_part, read_options
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


class Hidden:
    def __init__(self, *, number: "int | None" = None) -> None:
        self._number = number


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
    "given", [Sized(3), Hidden(number=3), partial(Sized, 3), partial(print), Path("a")]
)
def test_other_objects_are_refused(given: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        PlugIn.model_validate(given)
    assert explain(caught.value.errors()[0]) == (
        f"a {type(given).__name__} object is not supported; give a class, or "
        "functools.partial(CLASS, OPTION=VALUE)"
    )


@pytest.mark.parametrize("given", [None, 1, 2.5, True, ["dot"]])
def test_plain_values_are_refused_as_in_a_file(given: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        PlugIn.model_validate(given)
    assert explain(caught.value.errors()[0]).startswith("must be a mapping")


def as_it_is(annotation: Any, default: Any) -> tuple[Any, Any]:
    return annotation, default


def test_options_are_the_keyword_only_arguments() -> None:
    assert list(read_options(Sized, "power sized", Options, as_it_is).model_fields) == ["power"]
    number = read_options(Other, "other", Options, as_it_is).model_fields["number"]
    assert number.annotation == int | None
