"""Options of a plug-in, from the signature of its class, and plug-ins that a program gives."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, create_model
from pydantic.errors import PydanticUserError

from nmt.config.messages import refuse
from nmt.system import plugins


@functools.cache
def read_options(
    kind: type, title: str, base: type[BaseModel], as_field: Callable[[Any, Any], tuple[Any, Any]]
) -> type[BaseModel]:
    """Return a pydantic model of the keyword-only arguments of a class.

    Args:
        kind: the class of a plug-in.
        title: the plug-in in messages, as in "score additive".
        base: the base class of the model.
        as_field: returns type and default of a field, from those of an argument (... if required).

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
                raise TypeError(f"{option.name!r} must have a type, and cannot be called 'name'")
            default = ... if option.default is option.empty else option.default
            fields[option.name] = as_field(option.annotation, default)
        model: type[BaseModel] = create_model(title, __base__=base, **fields)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        reason = str(error).partition("\n")[0]
        refuse("", f"cannot read the options of {title}: {reason}; correct the constructor")
    return model


def require_arguments(kind: type, title: str, like: type) -> None:
    """Refuse a class from outside whose constructor takes other positional arguments.

    Args:
        kind: the class.
        title: the plug-in in messages, as in "score mine.py:Distance".
        like: a class of the same table.

    Raises:
        ValidationError: an argument is missing, or one too many.
    """
    given = [option.name for option in _positional(like)]
    try:
        inspect.Signature(_positional(kind)).bind(*given)
    except TypeError as error:
        refuse(
            "",
            f"{title}: {error}, as its constructor is called with ({', '.join(given)}); make all "
            "other arguments options, after a *",
        )


def _positional(kind: type) -> list[inspect.Parameter]:
    """Return the arguments of a constructor that are no options."""
    parameters = inspect.signature(kind).parameters.values()
    return [option for option in parameters if option.kind is not option.KEYWORD_ONLY]


def name_part(given: Any) -> dict[str, Any]:
    """Return the name and the options of a plug-in that a program gives.

    Args:
        given: a class, a `functools.partial` of a class and options, or an object whose class has
            no arguments but options, and keeps them as attributes.

    Raises:
        ValidationError: it is something else.
    """
    kind: Any = given
    rest: Any = ()
    options: dict[str, Any] = {}
    if isinstance(given, functools.partial):
        kind, rest, options = given.func, given.args, given.keywords
    elif not isinstance(given, type):
        kind, parameters = type(given), inspect.signature(type(given)).parameters
        rest = [*_positional(kind), *(parameters.keys() - dir(given))]
        options = {name: getattr(given, name, None) for name in parameters}
    if rest or not isinstance(kind, type):
        sentence = "is not supported; give a class, or functools.partial(CLASS, OPTION=VALUE)"
        refuse("", f"a {type(given).__name__} object {sentence}")
    plugins.allow([kind])
    return {"name": plugins.reference_of(kind), **options}
