from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from nmt.config.messages import did_you_mean, explain, nearest, show, unknown
from nmt.config.registry import Options, PlugIn


class Inner(Options):
    whole: int = 1


class Group(Options):
    whole: Annotated[int, Field(ge=1, le=9)] = 1
    number: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    yes: bool = True
    text: Annotated[str, Field(min_length=1, max_length=9)] = "a"
    choice: Literal["nfkc", "none"] = "nfkc"
    several: list[str] = Field(default=[])
    inner: Inner = Inner()
    plug_in: PlugIn = PlugIn(name="x")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("whole", "1.5", "must be a whole number, not '1.5'"),
        ("whole", 1.5, "must be a whole number, not 1.5"),
        ("whole", None, "must be a whole number, not null"),
        ("whole", "0", "must be at least 1, not '0'"),
        ("whole", "10", "must be at most 9, not '10'"),
        ("number", "much", "must be a number, not 'much'"),
        ("number", [], "must be a number, not []"),
        ("number", "nan", "must be a finite number, not 'nan'"),
        ("number", "0", "must be more than 0, not '0'"),
        ("number", "1", "must be less than 1, not '1'"),
        ("yes", "maybe", "must be true or false, not 'maybe'"),
        ("text", ["a"], "must be a string, not ['a']"),
        ("text", "", "must not be empty"),
        ("text", "a" * 10, "must be at most 9 characters, not 'aaaaaaaaaa'"),
        ("choice", "nfc", "must be 'nfkc' or 'none', not 'nfc' (did you mean 'nfkc'?)"),
        ("several", "a", "must be a list, not 'a'"),
        (
            "inner",
            "whole:3",
            "must be a mapping (`key: value`), not 'whole:3' (a space is missing after ':')",
        ),
        ("plug_in", ["x"], "must be a mapping (`key: value`), not ['x']"),
        (
            "hole",
            1,
            "unknown option 'hole' (did you mean 'whole'?); allowed: "
            + ", ".join(Group.model_fields),
        ),
    ],
)
def test_sentences(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Group.model_validate({key: value})
    (details,) = caught.value.errors()
    assert details["loc"] == (key,)
    assert explain(details) == sentence


def test_missing() -> None:
    with pytest.raises(ValidationError) as caught:
        PlugIn.model_validate({})
    assert explain(caught.value.errors()[0]) == "is missing"


def test_nearest_ignores_case() -> None:
    assert nearest("DOT", ["additive", "dot"]) == "dot"
    assert nearest("qqq", ["additive", "dot"]) is None
    assert did_you_mean("qqq", ["dot"]) == ""


def test_unknown_names_the_owner() -> None:
    assert unknown("option", "x", [], of="cell 'gru'") == (
        "unknown option 'x' of cell 'gru'; allowed: none"
    )


def test_unknown_names_other_places_of_the_option() -> None:
    assert unknown("option", "size", ["sizes"], elsewhere=["a.size", "b.size"]) == (
        "unknown option 'size' (did you mean a.size or b.size?); allowed: sizes"
    )


def test_missing_space_after_colon_is_hinted() -> None:
    assert unknown("option", "size:128", ["size"]) == (
        "unknown option 'size:128' (a space is missing after ':'); allowed: size"
    )


@pytest.mark.parametrize(("written", "read"), [("1e3", None), ("5e0", 5), ("0.5e1", 5), ("8", 8)])
def test_a_whole_number_may_have_an_exponent(written: str, read: int | None) -> None:
    if read is None:
        with pytest.raises(ValidationError, match="less than or equal to 9"):
            Group.model_validate({"whole": written})
    else:
        assert Group.model_validate({"whole": written}).whole == read


@pytest.mark.parametrize("written", ["1e-1", "1.25e1", "1e999"])
def test_fractions_with_an_exponent_are_refused(written: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Group.model_validate({"whole": written})
    assert explain(caught.value.errors()[0]) == f"must be a whole number, not {written!r}"


def test_a_text_with_an_exponent_stays_text() -> None:
    assert Group.model_validate({"text": "1e3"}).text == "1e3"


def test_long_values_are_shortened() -> None:
    assert len(show("a" * 1_000)) == 60
