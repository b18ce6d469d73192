import itertools

import pytest
from hypothesis import given, strategies as st

from nmt.config.file import format_yaml, parse_yaml
from nmt.core.errors import ConfigError

plain_text = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20
) | st.sampled_from(["no", "3e-4", "null", "~", "", "2026-01-01", "1_000", "0x10", "<<", "=", ":"])


def test_scalars_stay_text() -> None:
    text = "a: no\nb: 3e-4\nc: 2026-01-01\nd: 0o17\ne: '5'\nf: [on, 1]\n"
    assert parse_yaml(text, "x") == {
        "a": "no",
        "b": "3e-4",
        "c": "2026-01-01",
        "d": "0o17",
        "e": "5",
        "f": ["on", "1"],
    }


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL"])
def test_empty_and_null_are_none(written: str) -> None:
    assert parse_yaml(f"a: {written}\n", "x") == {"a": None}


def test_quoted_null_is_text() -> None:
    assert parse_yaml("'null'", "x") == "null"


def test_merge_keys_work() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\n", "x") == {
        "a": {"x": "1"},
        "b": {"x": "1", "y": "2"},
    }


@given(st.recursive(st.none() | plain_text, lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(plain_text, inner, max_size=3), max_leaves=8))  # fmt: skip
def test_formatted_value_is_read_back(tree: object) -> None:
    assert parse_yaml(format_yaml(tree), "x") == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r"^x: line 3: duplicate key 'a' \(first in line 1\)$"),
        ("b:\n  c: 1\n  c: 2\n", r"^x: line 3: duplicate key 'c' \(first in line 2\)$"),
        ("[1, 2]: 3\n", r"^x: line 1: a key must be a string$"),
        ("~: 3\n", r"^x: line 1: a key must be a string$"),
        ("a: 1\nb: [1,\n", r"^x: line 3: not YAML: "),
        ("a: b: c\n", r"^x: line 1: not YAML: mapping values are not allowed here \(check the"),
        ("a: 1\n  b: 2\n", r"^x: line 2: .* \(check the indentation, and the space after"),
        ("a:1\nb: 2\n", r"^x: line 2: .* the indentation, and the space after each ':'\)$"),
        ("a:\n  b: 1\n c: 2\n", r"^x: line 3: .* \(check the indentation\)$"),
        ("a:\n\tb: 1\n", r"^x: line 2: .* \(indent with spaces, not tabs\)$"),
        ("a: [1\nb: 2\n", r"^x: line 2: .* \(check for an unclosed bracket\)$"),
        ("a: 1\nb\nc: 2\n", r"^x: line 3: .* \(check the space after each ':'\)$"),
        ("a: !!python/name:os.system x\n", r"^x: line 1: not YAML: could not determine"),
        ("a: \x00\n", r"^x: not YAML: unacceptable character #x0000"),
        ("a: *b\n", r"^x: line 1: not YAML: found undefined alias"),
        ("a: !!int x\n", r"^x: not YAML: "),
    ],
)  # fmt: skip
def test_bad_yaml_is_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, "x")
    assert "\n" not in str(caught.value)


def bomb(item: str) -> str:
    """A few lines that stand for 9 to the power of 15 values."""
    lines = ["a: &a {x: 1}"]
    for name, below in itertools.pairwise("abcdefghijklmnop"):
        lines.append(f"{below}: &{below} {item.format(','.join([f'*{name}'] * 9))}")
    return "\n".join(lines)


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}"], ids=["aliases", "merge keys"])
def test_exponential_aliases_are_refused(item: str) -> None:
    text = bomb(item)
    assert len(text) < 1_000
    with pytest.raises(ConfigError, match=r"^x: line \d: more than 50,000 values with aliases"):
        parse_yaml(text, "x")


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: [*a]}", "a: &a\n  <<: *a\n"])
def test_alias_of_its_own_parent_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^x: line \d: an alias refers to its own parent$"):
        parse_yaml(text, "x")


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_early(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^x: line 1: nested more than 50 levels deep$"):
        parse_yaml(text, "x")


def test_many_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^x: line 50001: more than 50,000 values"):
        parse_yaml("- a\n" * 60_000, "x")
