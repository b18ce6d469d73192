"""Options of a plug-in, from the signature of its class, and plug-ins that a program gives."""

import functools
import inspect
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, create_model
from pydantic.errors import PydanticUserError

from nmt.config.messages import refuse
from nmt.system import plugins


@functools.cache
def read_options(kind: type, title: str, base: type[BaseModel]) -> type[BaseModel]:
    """Return a pydantic model of the keyword-only arguments of a class.

    Args:
        kind: the class of a plug-in.
        title: the plug-in in messages, as in "score additive".
        base: the base class of the model.

    Raises:
        ValidationError: an argument has no type, one that is not supported, or a reserved name.
    """
    try:
        parameters = inspect.signature(kind, eval_str=True).parameters.values()
        fields: dict[str, Any] = {}
        for option in parameters:
            if option.kind is not option.KEYWORD_ONLY:
                continue
            if option.name == "name" or option.annotation is option.empty:
                raise TypeError(f"{option.name!r} needs a type, and a name other than 'name'")
            default = ... if option.default is option.empty else option.default
            fields[option.name] = (option.annotation, default)
        model: type[BaseModel] = create_model(title, __base__=base, **fields)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        reason = str(error).partition("\n")[0]
        refuse("", f"cannot read the options of {title}: {reason}; correct the constructor")
    return model


def name_part(given: Any) -> Any:
    """Return a class, a `partial` of one, or an object as the name and options of a plug-in.

    Args:
        given: a value from a program. Anything else is returned as it is, such as text, or an
            object whose class needs more than its options.
    """
    kind, options = given, {}
    if isinstance(given, functools.partial) and not given.args:
        kind, options = given.func, given.keywords
    elif is_object(given):
        with suppress(ValueError):  # a class that is not written in Python
            parameters = inspect.signature(type(given)).parameters.values()
            options = {option.name: getattr(given, option.name, None) for option in parameters}
            is_complete = all(option.kind is option.KEYWORD_ONLY for option in parameters)
            kind = type(given) if is_complete else given
    if not isinstance(kind, type):
        return given
    plugins.allow([kind])
    return {"name": plugins.reference_of(kind), **options}


def is_object(given: Any) -> bool:
    """Return whether a value is neither a plain value of a configuration nor a group of options."""
    return type(given).__module__ != "builtins" and not isinstance(given, BaseModel | type | dict)


def name_parts(tree: Any) -> Any:
    """Return a tree of options with names in place of the classes and objects in it."""
    match name_part(tree):
        case dict(group):
            return {key: name_parts(value) for key, value in group.items()}
        case list(values):
            return [name_parts(value) for value in values]
        case value:
            return value
