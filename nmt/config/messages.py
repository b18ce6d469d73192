"""Say in one line what is wrong with an option: the value, what is allowed, the nearest name."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

UNKNOWN_OPTION: Final = "unknown_option"  # among the types of pydantic's errors
MOST_SHOWN = 60  # characters of a bad value
_WHOLE_NUMBER = "must be a whole number"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_GROUP = "must be a group of options (`key: value`)"
_KINDS = {
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_type": "must be a text",
    "list_type": "must be a list",
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
    "dict_type": _GROUP,
}
_WITHOUT_VALUE = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
_BOUNDS = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be more than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "less_than": ("must be less than", "lt"),
}


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that was probably meant."""
    by_lower = {name.lower(): name for name in allowed}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """``" (did you mean 'dot'?)"``, or nothing where no name is near."""
    name = nearest(word, allowed)
    return f" (did you mean {name!r}?)" if name else ""


def unknown(
    what: str, word: str, allowed: Sequence[str], of: str = "", elsewhere: Sequence[str] = ()
) -> str:
    """The sentence for a name that does not exist.

    Args:
        what: the sort of name.
        word: the name.
        allowed: the names that there are.
        of: whose names they are.
        elsewhere: where there is that very name.
    """
    choices = ", ".join(allowed) if allowed else "none"
    owner = f" of {of}" if of else ""
    hint = f" (did you mean {' or '.join(elsewhere)}?)" if elsewhere else ""
    hint = hint or _blank_missing(word) or did_you_mean(word, allowed)
    return f"unknown {what} {word!r}{owner}{hint}; allowed: {choices}"


def _blank_missing(text: Any) -> str:
    """A hint for `size:128`, which YAML takes for one text."""
    is_glued = isinstance(text, str) and re.match(r"\w+:\S", text)
    return " (a blank is missing behind ':')" if is_glued else ""


def refuse(*problems: tuple[tuple[str | int, ...], str], value: Any = None) -> NoReturn:
    """Raise pydantic's error with our own sentences, each at its place in what is validated."""
    details = [
        InitErrorDetails(
            # Braces would be taken for a template, so that the sentence goes in as a value.
            type=PydanticCustomError("refused", "{sentence}", {"sentence": sentence}),
            loc=place,
            input=value,
        )
        for place, sentence in problems
    ]
    raise ValidationError.from_exception_data("options", details)


def refuse_unknown_keys(given: Iterable[Any], allowed: Sequence[str], of: str = "") -> None:
    """Raise for each key that is not allowed, at that key."""
    details = []
    for key in (str(key) for key in given if key not in allowed):
        facts = {"name": key, "allowed": list(allowed), "of": of}
        kind = PydanticCustomError(UNKNOWN_OPTION, "unknown option", facts)
        details.append(InitErrorDetails(type=kind, loc=(key,), input=key))
    if details:
        raise ValidationError.from_exception_data("options", details)


def explain(error: ErrorDetails, elsewhere: Sequence[str] = ()) -> str:
    """One of pydantic's errors as our sentence.

    Args:
        error: what pydantic says.
        elsewhere: of an option that is unknown at its place, the places where there is one.
    """
    kind, value = error["type"], show(error["input"])
    context = error.get("ctx", {})
    if kind == "refused":
        return error["msg"]
    if kind == UNKNOWN_OPTION:
        return unknown("option", context["name"], context["allowed"], context["of"], elsewhere)
    if kind in _WITHOUT_VALUE:
        return _WITHOUT_VALUE[kind]
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        hint = did_you_mean(str(error["input"]), choices)
        return f"must be {context['expected']}, not {value}{hint}"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']:,} characters, not {value}"
    if kind in _BOUNDS:
        sentence, bound = _BOUNDS[kind]
        return f"{sentence} {format_bound(context[bound])}, not {value}"
    if kind in _KINDS:
        hint = _blank_missing(error["input"]) if _KINDS[kind] == _GROUP else ""
        return f"{_KINDS[kind]}, not {value}{hint}"
    return f"{error['msg']}, not {value}"


def explain_alternatives(errors: Sequence[ErrorDetails], or_null: bool) -> str:
    """Return one sentence for a value that none of the alternatives of an option takes.

    Args:
        errors: of one value, one for each alternative.
        or_null: null is allowed as well.
    """
    value = show(errors[0]["input"])
    sentences = [explain(error).partition(f", not {value}")[0] for error in errors]
    allowed = [sentence.removeprefix("must be ") for sentence in sentences]
    allowed += ["null"] if or_null else []
    return f"must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value}"


def format_bound(bound: float) -> str:
    """Write the limit of an option."""
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def show(value: Any) -> str:
    """A value as one would write it in YAML, shortened."""
    text = in_full(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def in_full(value: Any) -> str:
    """The same, however long it is."""
    text = {None: "null", True: "true", False: "false"}.get(value) if _is_plain(value) else None
    return text or repr(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)
