from typing import Any

import pytest

from nmt.differences import differences


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": "1 -> 2"}),
        ({"a": {"b": {"c": True}}}, {"a": {"b": {"c": None}}}, {"a.b.c": "true -> null"}),
        ({"a": {"name": "x"}}, {"a": {"name": "y", "b": 2}}, {
            "a.name": "'x' -> 'y'", "a.b": "not set -> 2",
        }),
        ({"a": {"b": 1}}, {"a": None}, {"a.b": "1 -> not set"}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": "[1, 2] -> [1]"}),
        ({"a": {}}, {"a": {"b": 1}}, {"a": "{} -> not set", "a.b": "not set -> 1"}),
    ],
)  # fmt: skip
def test_what_differs_is_told_by_its_dotted_key(
    before: dict[str, Any], now: dict[str, Any], told: dict[str, str]
) -> None:
    assert differences(before, now) == told
