"""From a YAML file, `extends:` and ``key=value`` overrides to a checked `Config`, and back.

Each file and each override is a layer of options. They are merged, the later over the earlier, and
the errors of the whole name the layer that a value comes from.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nmt.config.experiment import CONFIG_VERSION, Config, TokenizerConfig
from nmt.config.messages import UNKNOWN_OPTION, blank_missing, explain
from nmt.config.tree import KeyPath, Tree, at, find_default, format_path, option_paths
from nmt.config.versions import EARLIER_VERSIONS, name_trained_score, upgrade
from nmt.config.yaml import format_yaml, parse_yaml, read_yaml
from nmt.core.errors import ConfigError

_CORPORA: Final = (("data", "train"), ("data", "valid"), ("data", "test"))
_KINDS: Final[dict[type, str]] = {list: "list", dict: "mapping"}
_MOST_PATHS: Final = 3  # named where an option is at the wrong one


@dataclass(frozen=True)
class Override:
    """An option set on the command line.

    Attributes:
        text: ``key=value`` with a dotted key; the value is YAML.
        argument: the command-line argument that set it, for messages; None: the text itself.
    """

    text: str
    argument: str | None = None

    @property
    def key(self) -> str:
        """The dotted key."""
        return self.text.partition("=")[0].strip()

    @property
    def origin(self) -> str:
        """The name of the override in messages."""
        return f"override {self.text!r}" if self.argument is None else self.argument


@dataclass(frozen=True)
class Layer:
    """Options from one place; the later layer wins.

    Attributes:
        origin: the file or the override, for messages.
        tree: the options.
        path: of an override, the path of what it sets.
        is_argument: messages name the command-line argument, which stands for the key.
    """

    origin: str
    tree: Tree
    path: KeyPath = ()
    is_argument: bool = False

    def locate(self, path: KeyPath) -> str:
        """Return the beginning of a message about the option at a path."""
        key = "" if self.is_argument and path == self.path else format_path(path)
        return f"{self.origin}: {key}: " if key else f"{self.origin}: "


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
    layers = [*_read_files(Path(path)), *map(_parse_override, overrides)]
    layers += [] if options is None else [Layer("options", dict(options))]
    tree = _merge_layers(layers)
    if resume:
        tree = name_trained_score(tree)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain_first(error, tree, layers)) from None


def dump_config(config: Config) -> str:
    """Return YAML with every option; `load_config` makes an equal `Config` of it."""
    return format_yaml(config.model_dump(mode="json"))


def _read_files(path: Path, above: tuple[Path, ...] = ()) -> list[Layer]:
    """Read a file and what it extends, the most general first.

    Args:
        path: the file.
        above: the files that extend it, from the one that was asked for.

    Raises:
        ConfigError: a file cannot be read, holds no options, is of a later version, or extends
            itself.
    """
    extending = f"{above[-1]}: extends: {path}" if above else ""
    if extending and not path.exists():
        raise ConfigError(
            f"{extending}: no such file (what is extended is looked for from the folder of the "
            "file that says so)"
        )
    tree, base = _read_file(path)
    if path.resolve() in (other.resolve() for other in above):
        raise ConfigError(f"{extending} extends itself in a circle")
    extended = path.parent / os.path.expanduser(base) if base else None
    below = [] if extended is None else _read_files(extended, (*above, path))
    return [*below, Layer(str(path), tree)]


def _read_file(path: Path) -> tuple[Tree, str | None]:
    """Read the options of a file, and the name of the file that it extends."""
    tree = read_yaml(path)
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        kind = _KINDS.get(type(tree), "text")
        raise ConfigError(
            f"{path}: must be options (`key: value`), not a {kind}{blank_missing(tree)}"
        )
    base = tree.pop("extends", None)
    if base is not None and not isinstance(base, str):
        kind = _KINDS[type(base)]
        raise ConfigError(f"{path}: extends: must be one file name, not a {kind}")
    version = str(tree.get("version", CONFIG_VERSION))
    if version in EARLIER_VERSIONS:
        tree = upgrade(tree)
    elif version != str(CONFIG_VERSION):
        raise ConfigError(
            f"{path}: version: this is version {version}; this nmt reads up to {CONFIG_VERSION}: "
            "use the nmt that it was written for, or adapt it to configs/reference.yaml"
        )
    return tree, base


def _parse_override(given: str | Override) -> Layer:
    """Read an override.

    Raises:
        ConfigError: it has no key or no value, or the value is not YAML.
    """
    override = Override(given) if isinstance(given, str) else given
    parts = override.key.split(".")
    _, separator, text = override.text.partition("=")
    if not separator or not all(parts):
        raise ConfigError(
            f"{override.origin}: must be key=value with a dotted key, "
            "as in model.attention.score=dot"
        )
    if not text.strip():
        raise ConfigError(
            f"{override.origin}: has no value; write null for nothing, and \"''\" (with both "
            "kinds of quotes) for an empty text"
        )
    value: Any = parse_yaml(text, override.origin)
    for part in reversed(parts):
        value = {part: value}
    return Layer(override.origin, value, tuple(parts), override.argument is not None)


def _merge_layers(layers: Sequence[Layer]) -> Tree:
    """Merge layers, the most general first.

    Raises:
        ConfigError: an override cannot be merged, or has no effect.
    """
    tree: Tree = {}
    for layer in layers:
        tree = _merge(tree, layer.tree, (), layer)
    for override, later in combinations((layer for layer in layers if layer.path), 2):
        path, key = override.path, format_path(later.path)
        if later.path == path:
            given = [layer.origin.removeprefix("override ") for layer in (override, later)]
            raise ConfigError(f"{key}: given twice ({' and '.join(given)}); give it once")
        is_above = later.path == path[: len(later.path)]
        if is_above and at(tree, path) != at(override.tree, path):
            raise ConfigError(
                f"{override.origin}: has no effect, as {later.origin} after it replaces all of "
                f"{key}; give it after that"
            )
    return tree


def _merge(below: Any, above: Any, path: KeyPath, layer: Layer) -> Any:
    """Merge mappings, and replace anything else; another plug-in brings its own options.

    A corpus, too, is replaced: the files of two would not belong together. An override reaches into
    it, to change one of them.
    """
    if not isinstance(above, dict) or (path in _CORPORA and not layer.path):
        return above
    if isinstance(below, list) and layer.path:
        key = format_path(path)
        raise ConfigError(f"{layer.origin}: {key} is a list; give it whole, as in '{key}=[...]'")
    if isinstance(below, str) and path:
        below = {"name": below}  # the short form of a plug-in
    if not isinstance(below, dict):
        return above
    if "name" in above and above["name"] != below.get("name", find_default(path)):
        kept = TokenizerConfig.model_fields if path == ("tokenizer",) else ()
        below = {key: value for key, value in below.items() if key in kept}
    merged = {
        key: _merge(below.get(key), value, (*path, key), layer) for key, value in above.items()
    }
    return below | merged


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
