"""Building blocks of options: groups, value types, and plug-ins from tables.

A table is a dict from names to classes; all tables are listed below. Each is in `table.py` of its
family's package (`nmt/evaluation/table.py`), except for bridges, whose table is in
`nmt/nn/bridge.py`. The base class is in the file with the singular name of the family
(`nmt/evaluation/metric.py`). To add a plug-in, write a class and add a line to the table. A class
outside the package is named by its file or module, as in `my_scores.py:Distance`.

The keyword-only arguments of a plug-in's constructor are its options, and are checked here. The
code that builds the plug-in passes the arguments before the ``*``.

An option may be a part of another table, such as the cell of an encoder (`nmt/core/parts.py`): a
plug-in inside the plug-in.
"""

import ast
import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_origin

from annotated_types import Lt
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from nmt.config.messages import refuse, refuse_unknown_keys, show, unknown
from nmt.config.signatures import name_part, read_options, require_arguments
from nmt.config.values import PathText
from nmt.core.errors import ConfigError
from nmt.core.parts import PartOf
from nmt.system import plugins

_IMPORTS_PLUGINS = ContextVar("imports_plugins", default=True)
# For whole numbers without a bound of their own; larger ones overflow as an int64, or as a float.
_MOST = 10**18
_SCIENTIFIC = re.compile(r"\d{1,40}(\.\d{1,40})?[eE]\+?\d{1,2}")


class Options(BaseModel):
    """A frozen group of options that refuses unknown keys; defaults are validated too.

    The `Attributes:` of a group's docstring are the help of its options.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        extra = [key for key in given if key not in fields]
        if extra and cls.model_config.get("extra") == "forbid":
            refuse_unknown_keys(extra, list(fields))
        return {
            key: _prepare(value, fields[key]) if key in fields else value
            for key, value in given.items()
        }

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        fields = type(self).model_fields
        for name, value in self:
            has_bound = name in fields and any(isinstance(it, Lt) for it in fields[name].metadata)
            if isinstance(value, int) and not has_bound and abs(value) > _MOST:
                refuse(name, f"must be at most {_MOST:,}, not {show(value)}")
        if _IMPORTS_PLUGINS.get():
            self._check()
        return self

    def _check(self) -> None:
        """Refuse options that cannot be combined; groups override this."""


def _prepare(value: Any, field: FieldInfo) -> Any:
    """Convert `1e3` to an integer, and add the default plug-in's name to options without one."""
    if field.annotation is PlugIn and isinstance(value, dict) and not field.is_required():
        return {"name": field.default.name, **value}
    is_scientific = isinstance(value, str) and _SCIENTIFIC.fullmatch(value)
    if is_scientific and _takes_whole(field.annotation) and float(value).is_integer():
        return int(float(value))
    return value


def _takes_whole(annotation: Any) -> bool:
    """Return whether the type of an option is, or contains, `int`."""
    return annotation is int or any(map(_takes_whole, get_args(annotation)))


@contextmanager
def without_plugins() -> Iterator[None]:
    """Validate without importing plug-ins, and hence without torch, inside the `with`.

    Single values and the names of plug-ins are checked. The options of plug-ins, and rules about
    whole groups, are not.
    """
    token = _IMPORTS_PLUGINS.set(False)
    try:
        yield
    finally:
        _IMPORTS_PLUGINS.reset(token)


class PlugIn(Options):
    """A configured plug-in with its options; in YAML, ``dot`` is short for ``{name: dot}``."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Return the plug-in's own options: all keys except the declared fields."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: Any) -> Any:
        if not isinstance(given, PlugIn | str | dict | list | int | float | None):
            given = name_part(given)
        return {"name": given} if isinstance(given, str) else given


@dataclass(eq=False)
class Table:
    """Location of a table of plug-ins; in `Annotated`, the validator of a field.

    The options of a field `Annotated[PlugIn, TABLE]` are checked, converted and completed with
    their defaults. Subclasses of `PlugIn` work as well.

    Attributes:
        kind: what an entry is called in messages.
        module: the module of the table.
        attribute: the name of the table in the module.
        sorts_options: keep options in the order of the constructor, not as given.
        is_light: whether its classes load in no time, so that a first validation checks options.
    """

    kind: str
    module: str
    attribute: str
    sorts_options: bool = False
    is_light: bool = False

    @functools.cached_property
    def classes(self) -> dict[str, Any]:
        """Return the plug-ins by name; the first use imports them, and usually torch."""
        return dict(getattr(importlib.import_module(self.module), self.attribute))

    @functools.cached_property
    def base(self) -> type:
        """Return the class that all plug-ins extend, from the annotation of the table."""
        module = importlib.import_module(self.module)
        annotation = vars(module).get("__annotations__", {}).get(self.attribute)
        while get_origin(annotation) not in (None, type):  # Final[dict[str, type[Base]]]
            annotation = get_args(annotation)[-1]
        (base,) = get_args(annotation) or (object,)
        kind: type = get_origin(base) or base
        return kind

    @functools.cached_property
    def names(self) -> list[str]:
        """Return the names of the plug-ins, parsed from the table's source without importing it."""
        spec = importlib.util.find_spec(self.module)
        assert spec is not None and spec.origin is not None
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            match node:
                case ast.AnnAssign(ast.Name(self.attribute), value=ast.Dict(keys)) if all(keys):
                    return [ast.literal_eval(key) for key in keys if key is not None]
        return list(self.classes)

    def find(self, name: str) -> Any:
        """Return the class of a plug-in, of the table or from outside the package.

        A base class with a class method `adopt` gets any class from outside; it returns a plug-in
        that uses the class, or raises a `ConfigError` with the reason.

        Raises:
            ValidationError: a class from outside may not be imported, or is not a plug-in.
        """
        if ":" not in name:
            return self.classes[name]
        with _refusing():
            adopt = getattr(self.base, "adopt", None)
            if adopt is not None:
                return adopt(plugins.find(name, object))
            return plugins.find(name, self.base)

    def name_of(self, kind: type, otherwise: str) -> str:
        """Return the name of a class in the table, or another name if it is from outside."""
        return next((name for name, other in self.classes.items() if other is kind), otherwise)

    def options(self, name: str) -> type[BaseModel]:
        """Return a pydantic model that checks and converts the options of a plug-in."""
        kind, title = self.find(name), f"{self.kind} {name}"
        if ":" in name:
            require_arguments(kind, title, like=next(iter(self.classes.values())))
        return read_options(kind, title, Options, _as_field)

    def create(self, plugin: PlugIn, *given: Any) -> Any:
        """Build a plug-in from positional arguments and its configured options."""
        return self.bind(plugin)(*given)

    def bind(self, plugin: PlugIn) -> Callable[..., Any]:
        """Return the class of a plug-in with its options bound, and those of plug-ins inside."""
        fields = self.options(plugin.name).model_fields
        options = {
            key: value if (table := table_in(fields[key])) is None else table.bind(value)
            for key, value in plugin.options.items()
        }
        return functools.partial(self.find(plugin.name), **options)

    def _check(self, plugin: PlugIn) -> PlugIn:
        """Convert and complete the options of a plug-in; its other fields are kept."""
        name, given = plugin.name, plugin.options
        if ":" in name:
            with _refusing():
                plugins.require_allowed(name)
        elif name not in self.names:
            refuse("", unknown(self.kind, name, self.names))
        if not _IMPORTS_PLUGINS.get() and (":" in name or not self.is_light):
            return plugin
        schema = self.options(name)
        if extra := [key for key in given if key not in schema.model_fields]:
            fields = type(plugin).model_fields.items()
            declared = [field.alias or key for key, field in fields if key != "name"]
            refuse_unknown_keys(extra, [*declared, *schema.model_fields], f"{self.kind} {name!r}")
        update = dict(schema.model_validate(given))
        if ":" in name:  # from Python, it may be a class of the table
            update["name"] = self.name_of(self.find(name), name)
        if self.sorts_options:
            plugin = PlugIn(name=name)
        return plugin.model_copy(update=update)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return pydantic's schema of a field that is annotated with this table."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn a refused import into an error of the option that names the plug-in."""
    try:
        yield
    except ConfigError as error:
        refuse("", str(error))


def table_in(field: FieldInfo) -> Table | None:
    """Return the table that a field, or the items of a list, are checked against, if any."""
    items = get_args(field.annotation)
    nested = getattr(items[0], "__metadata__", ()) if items else ()
    return next((part for part in (*field.metadata, *nested) if isinstance(part, Table)), None)


def _as_field(annotation: Any, default: Any) -> tuple[Any, Any]:
    """Return the type and the default of an option; a part becomes a plug-in inside."""
    parts = [part for part in get_args(annotation) if isinstance(part, PartOf)]
    if not parts:
        if annotation in (Path, Path | None):
            annotation = PathText if annotation is Path else PathText | None
        return annotation, default
    table: Table = globals()[parts[0].table]
    if default is not ...:
        default = PlugIn(name=table.name_of(default, plugins.reference_of(default)))
    return Annotated[PlugIn, table], default


TOKENIZERS = Table("tokenizer", "nmt.text.table", "TOKENIZERS")
CELLS = Table("cell", "nmt.nn.recurrent.table", "CELLS")
BRIDGES = Table("bridge", "nmt.nn.bridge", "BRIDGES")
ENCODERS = Table("encoder", "nmt.nn.encoders.table", "ENCODERS", sorts_options=True)
SCORES = Table("score", "nmt.nn.attention.scores.table", "SCORES")
ALIGNMENTS = Table("alignment", "nmt.nn.attention.alignments.table", "ALIGNMENTS")
DECODERS = Table("decoder style", "nmt.nn.decoders.table", "DECODERS")
OPTIMIZERS = Table("optimizer", "nmt.training.optim.table", "OPTIMIZERS")
LOSSES = Table("loss term", "nmt.training.objective.table", "LOSSES")
SCHEDULES = Table("schedule", "nmt.training.optim.table", "SCHEDULES")
SEARCHES = Table("search", "nmt.search.table", "SEARCHES")
LENGTH_PENALTIES = Table("length penalty", "nmt.search.table", "LENGTH_PENALTIES")
COVERAGE_PENALTIES = Table("coverage penalty", "nmt.search.table", "COVERAGE_PENALTIES")
CORPORA = Table("corpus format", "nmt.data.formats.table", "CORPORA", is_light=True)
METRICS = Table("metric", "nmt.evaluation.table", "METRICS")
