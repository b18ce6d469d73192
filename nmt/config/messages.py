"""One-line messages about bad options: the value, the allowed values, the nearest name."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

UNKNOWN_OPTION: Final = "unknown_option"  # among the types of pydantic's errors
MOST_SHOWN = 60  # characters of a bad value
_GROUP = "must be a mapping (`key: value`)"
_KINDS = {
    "must be a whole number": "int_type int_parsing int_parsing_size int_from_float",
    "must be a number": "float_type float_parsing",
    "must be a finite number": "finite_number",
    "must be true or false": "bool_type bool_parsing",
    "must be a string": "string_type",
    "must be a list": "list_type",
    _GROUP: "model_type model_attributes_type dict_type",
    "must be at most {max_length:,} characters": "string_too_long",
    "must be {expected}": "literal_error",
    "is missing": "missing",
    "must not be empty": "string_too_short too_short",
}
# Our messages by the type of pydantic's error; the error's context fills the braces.
_SENTENCES = {kind: sentence for sentence, kinds in _KINDS.items() for kind in kinds.split()}
_VALUELESS = ("missing", "string_too_short", "too_short")
# Bounds of a number in words, by their names in pydantic and annotated_types.
BOUNDS: Final = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name most similar to a word; None: none is similar."""
    by_lower = {name.lower(): name for name in allowed}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return ``" (did you mean 'dot'?)"``, or an empty string if no name is similar."""
    name = nearest(word, allowed)
    return f" (did you mean {name!r}?)" if name else ""


def unknown(
    what: str, word: str, allowed: Sequence[str], of: str = "", elsewhere: Sequence[str] = ()
) -> str:
    """Return the message for an unknown name.

    Args:
        what: the kind of name, as in "option".
        word: the unknown name.
        allowed: the known names.
        of: the owner of the names, as in "cell 'gru'".
        elsewhere: paths where this name is known.
    """
    choices = ", ".join(allowed) if allowed else "none"
    owner = f" of {of}" if of else ""
    hint = f" (did you mean {' or '.join(elsewhere)}?)" if elsewhere else ""
    hint = hint or blank_missing(word) or did_you_mean(word, allowed)
    return f"unknown {what} {word!r}{owner}{hint}; allowed: {choices}"


def blank_missing(text: Any) -> str:
    """Return a hint for `size:128`, which YAML reads as one string, or an empty string."""
    is_glued = isinstance(text, str) and re.match(r"\w+:\S", text)
    return " (a space is missing after ':')" if is_glued else ""


def parse_path(path: str) -> tuple[str | int, ...]:
    """Return the keys and list indices of a path such as `train[1].weight`."""
    parts = re.findall(r"[^.\[\]]+", path)
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def refuse(path: str, sentence: str) -> NoReturn:
    """Raise a `ValidationError` of pydantic with our own message.

    Args:
        path: the option, relative to the validated group, as in `train[1].weight`; empty: the
            group itself.
        sentence: the message.
    """
    # pydantic formats templates, so the sentence, which may hold braces, is passed as a value.
    kind = PydanticCustomError("refused", "{sentence}", {"sentence": sentence})
    details = [InitErrorDetails(type=kind, loc=parse_path(path), input=None)]
    raise ValidationError.from_exception_data("options", details)


def refuse_unknown_keys(keys: Iterable[Any], allowed: Sequence[str], of: str = "") -> NoReturn:
    """Raise a `ValidationError` with one error for each unknown key."""
    details = []
    for key in map(str, keys):
        facts = {"name": key, "allowed": list(allowed), "of": of}
        kind = PydanticCustomError(UNKNOWN_OPTION, "unknown option", facts)
        details.append(InitErrorDetails(type=kind, loc=(key,), input=key))
    raise ValidationError.from_exception_data("options", details)


def explain(error: ErrorDetails, elsewhere: Sequence[str] = ()) -> str:
    """Return our message for an error of pydantic.

    Args:
        error: the details from pydantic.
        elsewhere: other paths with an option of the same name, for an unknown option.
    """
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "refused":
        return error["msg"]
    if kind == "value_error":
        return str(context["error"])
    if kind == UNKNOWN_OPTION:
        return unknown("option", context["name"], context["allowed"], context["of"], elsewhere)
    sentence = _SENTENCES.get(kind, "").format_map(context) or error["msg"]
    for bound in BOUNDS.keys() & context.keys():
        sentence = f"must be {describe_bound(bound, context[bound])}"
    if kind in _VALUELESS:
        return sentence
    hint = blank_missing(value) if sentence == _GROUP else ""
    if kind == "literal_error":
        hint = did_you_mean(str(value), re.findall(r"'([^']*)'", context["expected"]))
    return f"{sentence}, not {show(value)}{hint}"


def describe_bound(name: str, bound: float) -> str:
    """Return a bound of an option in words, as in "at least 1"."""
    return f"{BOUNDS[name]} {int(bound):,}" if bound == int(bound) else f"{BOUNDS[name]} {bound:g}"


def show(value: Any) -> str:
    """Return a value in YAML spelling, shortened to `MOST_SHOWN` characters."""
    text = in_full(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def in_full(value: Any) -> str:
    """Return a value in YAML spelling, in full."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
