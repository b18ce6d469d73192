"""From a YAML file, `extends:` and ``key=value`` overrides to a checked `Config`, and back."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nmt.config.experiment import Config
from nmt.config.layers import Layer, Override, merge, parse_override, read_files
from nmt.config.messages import UNKNOWN_OPTION, explain
from nmt.config.option_paths import option_paths
from nmt.config.tree import KeyPath, Tree, at, format_path
from nmt.config.versions import name_trained_score
from nmt.config.yaml import format_yaml
from nmt.core.errors import ConfigError

_MOST_PATHS: Final = 3  # named where an option is at the wrong one


def load_config(
    path: str | Path,
    overrides: Sequence[str | Override] = (),
    options: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
) -> Config:
    """Read a configuration.

    Args:
        path: a YAML file; `extends:` in it names another one, relative to it, that it refines.
        overrides: ``key=value`` with dotted keys, as in ``model.attention.score=dot``; the value
            is YAML. None may set or replace what one before it has set.
        options: a tree of options from a program, laid over all.
        resume: a run is there that these options may have started, with an earlier version.

    Raises:
        ConfigError: one line that names the file, the key, the bad value and what is allowed.
    """
    layers = [*read_files(Path(path)), *map(parse_override, overrides)]
    layers += [] if options is None else [Layer("options", dict(options))]
    tree = merge(layers)
    if resume:
        tree = name_trained_score(tree)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain_first(error, tree, layers)) from None


def dump_config(config: Config) -> str:
    """Return YAML with every option; `load_config` makes an equal `Config` of it."""
    return format_yaml(config.model_dump(mode="json"))


def inherited_from(path: str | Path, overrides: Sequence[str | Override], key: str) -> str | None:
    """Return the file of `extends:` that an option comes from.

    Args:
        path: the file that was asked for.
        overrides: that were laid over it.
        key: dotted key of the option, as in ``data.train[1].source``.

    Returns:
        None: the option is set in the file itself, by an override, or nowhere.
    """
    parts = re.findall(r"[^.\[\]]+", key)
    files = read_files(Path(path))
    option = tuple(int(part) if part.isdecimal() else part for part in parts)
    origin = _find_origin(option, [*files, *map(parse_override, overrides)]) if option else None
    return origin.origin if origin in files[:-1] else None


def _find_origin(path: KeyPath, layers: Sequence[Layer]) -> Layer | None:
    """Return the layer that has set an option last."""
    return next((layer for layer in reversed(layers) if at(layer.tree, path) is not None), None)


def _explain_first(error: ValidationError, tree: Tree, layers: Sequence[Layer]) -> str:
    """Return the first error in the order of the keys, and how many more there are."""
    details = error.errors(include_url=False)
    path = _written_path(details[0]["loc"], tree)
    elsewhere: list[str] = []
    if details[0]["type"] == UNKNOWN_OPTION:
        paths = option_paths(details[0]["ctx"]["name"])
        # At its own path it is an option of another plug-in.
        elsewhere = [other for other in paths if other != format_path(path)][:_MOST_PATHS]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{_locate(path, layers)}{explain(details[0], elsewhere)}{more}"


def _written_path(path: KeyPath, tree: Tree) -> KeyPath:
    """Return a path as it was written: one corpus need not be a list."""
    written: KeyPath = ()
    for part in path:
        if isinstance(part, str) or isinstance(at(tree, written), list):
            written = (*written, part)
    return written


def _locate(path: KeyPath, layers: Sequence[Layer]) -> str:
    """Name where the value was set last (if it is missing, the file asked for), and its key."""
    if (origin := _find_origin(path, layers)) is not None:
        return origin.locate(path)
    files = [layer for layer in layers if not layer.path]
    group = [layer.origin for layer in files[:-1] if at(layer.tree, path[:-1]) is not None]
    extended = f" (with what it extends: {', '.join(group)})" if path[:-1] and group else ""
    return Layer(files[-1].origin + extended, {}).locate(path)
