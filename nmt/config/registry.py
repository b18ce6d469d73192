"""Plug-ins: look one up by name, check its options against its constructor, make it.

A table is a dict from names to classes. The keyword-only arguments of a
constructor are the plug-in's options; what stands before the ``*`` is given by the code that builds
it. Names and options are read from the source text (`nmt.config.signatures`), so that checking a
configuration imports no part.
"""

import ast
import functools
import importlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from nmt.config.messages import explain, refuse, refuse_unknown_keys, unknown
from nmt.config.signatures import Option, read_attribute, read_options, read_summary, read_table
from nmt.core.errors import ConfigError

# What the type of an option may be made of, besides Python's builtins.
_TYPES = {"Annotated": Annotated, "Literal": Literal, "Ge": Ge, "Gt": Gt, "Le": Le, "Lt": Lt}


_SCIENTIFIC = re.compile(r"\d{1,40}(\.\d{1,40})?[eE]\+?\d{1,2}")


class Strict(BaseModel):
    """Options that are frozen, checked (defaults too) and refuse keys that they do not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        if cls.model_config.get("extra") == "forbid":
            refuse_unknown_keys(given, list(fields))
        return {
            key: _prepare(value, fields[key]) if key in fields else value
            for key, value in given.items()
        }


def _prepare(value: Any, field: FieldInfo) -> Any:
    """Write `1e3` as a whole number, and the name of the default plug-in before its options."""
    if field.annotation is PlugIn and isinstance(value, dict):
        return {"name": field.default.name, **value}
    is_scientific = isinstance(value, str) and _SCIENTIFIC.fullmatch(value)
    if is_scientific and _takes_whole(field.annotation) and float(value).is_integer():
        return int(float(value))
    return value


def _takes_whole(annotation: Any) -> bool:
    """Return whether whole numbers are what an option takes, or one of the things."""
    return annotation is int or any(map(_takes_whole, get_args(annotation)))


class PlugIn(BaseModel):
    """A plug-in and its options, as configured; in YAML, ``dot`` is short for ``{name: dot}``."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


@dataclass(eq=False)
class Table:
    """A torch-free pointer to a table of plug-ins; in `Annotated`, the validator of a field.

    A field `Annotated[PlugIn, TABLE]` (or of another model with a `name` and extra keys) has its
    options checked, converted and completed with their defaults; an `Annotated[str, TABLE]` is one
    of the names.

    Attributes:
        kind: what an entry is, in words, for messages.
        module: where the table is written.
        attribute: its name there.
    """

    kind: str
    module: str
    attribute: str

    def names(self) -> list[str]:
        """The names that may be chosen, in the order of the table; imports nothing."""
        return list(read_table(self.module, self.attribute))

    def signature(self, name: str) -> list[Option]:
        """The options of a plug-in, in the order of its constructor; imports nothing."""
        return read_options(self.module, self._entry(name))

    def summary(self, name: str) -> str:
        """One line on a plug-in, from its docstring; imports nothing."""
        return read_summary(self.module, self._entry(name))

    def fact(self, name: str, attribute: str) -> Any:
        """Return a class attribute of a plug-in; imports nothing."""
        return read_attribute(self.module, self._entry(name), attribute)

    def options(self, name: str) -> type[BaseModel]:
        """The options of a plug-in as a model that checks and converts them; imports nothing."""
        return _schema(self, name)

    def get(self, name: str) -> Any:
        """The class of that name; imports its module.

        Raises:
            ConfigError: there is none of that name.
        """
        self._entry(name)
        return getattr(importlib.import_module(self.module), self.attribute)[name]

    def create(self, plugin: PlugIn, *given: Any) -> Any:
        """Make a plug-in from what the code gives it, in order, and its configured options.

        Raises:
            ConfigError: an unknown name or option, or a value of the wrong type.
        """
        try:
            options = self._check(plugin.name, plugin.options, ())
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, (plugin.name, *first["loc"])))
            raise ConfigError(f"{self.kind} {key}: {explain(first)}") from None
        return self.get(plugin.name)(*given, **options)

    def _entry(self, name: str) -> ast.expr:
        entries = read_table(self.module, self.attribute)
        if name not in entries:
            raise ConfigError(unknown(self.kind, name, list(entries)))
        return entries[name]

    def _check_name(self, name: str) -> str:
        if name not in self.names():
            refuse("", unknown(self.kind, name, self.names()))
        return name

    def _check(self, name: str, options: dict[str, Any], others: tuple[str, ...]) -> dict[str, Any]:
        """Convert and complete options; `others` are keys that are allowed as well."""
        schema = self.options(self._check_name(name))
        allowed = [*others, *schema.model_fields]
        refuse_unknown_keys(options, allowed, of=f"{self.kind} {name!r}")
        return dict(schema.model_validate(options))

    def _check_model(self, value: Any) -> Any:
        fields = type(value).model_fields
        others = tuple(field.alias or key for key, field in fields.items() if key != "name")
        return value.model_copy(
            update=self._check(value.name, dict(value.model_extra or {}), others)
        )

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Hook of pydantic: what to do with a field that is annotated with this table."""
        check = self._check_name if source is str else self._check_model
        return core_schema.no_info_after_validator_function(check, handler(source))


@functools.cache
def _schema(table: Table, name: str) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for option in table.signature(name):
        assert option.name != "name", f"{table.module}: an option cannot be called 'name'"
        fields[option.name] = option.annotation, Field(option.default, description=option.help)
    model: type[BaseModel] = create_model(f"{table.kind} {name}", __base__=Strict, **fields)
    try:
        model.model_rebuild(force=True, _types_namespace=_TYPES)
    except PydanticUndefinedAnnotation as error:
        raise TypeError(
            f"{table.module}: an option of {name!r} has the type {error.name!r}; "
            f"options are typed with builtins and {', '.join(_TYPES)}"
        ) from None
    return model
