"""Options from several places, laid over one another: files, what they extend, overrides."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from nmt.config.experiment import TokenizerConfig
from nmt.config.messages import blank_missing
from nmt.config.option_paths import find_default
from nmt.config.tree import KeyPath, Tree, at, format_path
from nmt.config.versions import upgrade
from nmt.config.yaml import parse_yaml, read_yaml
from nmt.core.errors import ConfigError
from nmt.system.files import is_missing

_MOST_FILES: Final = 20  # that extend one another
_CORPORA: Final = (("data", "train"), ("data", "valid"), ("data", "test"))
_KINDS: Final[dict[type, str]] = {list: "list", dict: "mapping"}


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


def read_files(path: Path) -> list[Layer]:
    """Read a file and what it extends, the most general first.

    Raises:
        ConfigError: a file cannot be read, holds no options, or extends itself.
    """
    layers: list[Layer] = []
    seen: set[Path] = set()
    next_path: Path | None = path
    while next_path is not None:
        extending = f"{layers[0].origin}: extends: {next_path}" if layers else ""
        if extending and is_missing(next_path):
            raise ConfigError(
                f"{extending}: no such file (what is extended is looked for from the folder of the "
                "file that says so)"
            )
        if len(layers) == _MOST_FILES:
            raise ConfigError(
                f"{path}: extends: a chain of more than {_MOST_FILES} files; merge some"
            )
        tree, base = _read_file(next_path)
        if next_path.resolve() in seen:
            raise ConfigError(f"{extending} extends itself in a circle")
        seen.add(next_path.resolve())
        layers.insert(0, Layer(str(next_path), tree))
        next_path = next_path.parent / os.path.expanduser(base) if base else None
    return layers


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
    return upgrade(tree), base


def parse_override(given: str | Override) -> Layer:
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


def merge(layers: Sequence[Layer]) -> Tree:
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
