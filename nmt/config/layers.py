"""Layers of options, merged into one tree: base files, the configuration file, overrides.

Errors in the merged options name the layer that a value comes from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import Any, Final

from pydantic import ValidationError

from nmt.config.experiment import TokenizerConfig
from nmt.config.messages import UNKNOWN_OPTION, explain
from nmt.config.tree import KeyPath, Tree, at, find_default, format_path, option_paths
from nmt.core.errors import ConfigError

_CORPORA: Final = (("data", "train"), ("data", "valid"), ("data", "test"))
_MOST_PATHS: Final = 3  # suggested for a misplaced option


@dataclass(frozen=True)
class Override:
    """An option set on the command line.

    Attributes:
        text: ``key=value`` with a dotted key; the value is YAML.
        argument: the command-line argument that set it, for messages; None: `text`.
    """

    text: str
    argument: str | None = None

    @property
    def key(self) -> str:
        """Return the dotted key."""
        return self.text.partition("=")[0].strip()

    @property
    def origin(self) -> str:
        """Return the name of the override in messages."""
        return f"override {self.text!r}" if self.argument is None else self.argument


@dataclass(frozen=True)
class Layer:
    """Options from one place; later layers take precedence.

    Attributes:
        origin: the file or the override, for messages.
        tree: the options.
        path: the path that an override sets; empty for files.
        is_argument: whether `origin` is a command-line argument that replaces the key in messages.
    """

    origin: str
    tree: Tree
    path: KeyPath = ()
    is_argument: bool = False

    def locate(self, path: KeyPath) -> str:
        """Return the prefix of a message about the option at a path."""
        key = "" if self.is_argument and path == self.path else format_path(path)
        return f"{self.origin}: {key}: " if key else f"{self.origin}: "


def merge(layers: Sequence[Layer]) -> Tree:
    """Merge layers, given with the most general first.

    Raises:
        ConfigError: an override cannot be merged, or has no effect.
    """
    tree: Tree = {}
    for layer in layers:
        tree = _merge(tree, layer.tree, (), layer, tree)
    for override, later in combinations((layer for layer in layers if layer.path), 2):
        path, key = override.path, format_path(later.path)
        if later.path == path:
            given = [layer.origin.removeprefix("override ") for layer in (override, later)]
            raise ConfigError(f"{key}: given twice ({' and '.join(given)}); give it once")
        is_above = later.path == path[: len(later.path)]
        if is_above and at(tree, path) != at(override.tree, path):
            raise ConfigError(
                f"{override.origin}: has no effect, as the later {later.origin} replaces all of "
                f"{key}; swap their order"
            )
    return tree


def _merge(below: Any, above: Any, path: KeyPath, layer: Layer, root: Tree) -> Any:
    """Merge mappings, and replace anything else; `root` is the whole tree below.

    A different plug-in drops the options of the previous one. A file replaces a whole corpus, since
    files of two corpora do not belong together; an override can change one file of it.
    """
    if not isinstance(above, dict) or (path in _CORPORA and not layer.path):
        return above
    if isinstance(below, list) and layer.path:
        key = format_path(path)
        raise ConfigError(f"{layer.origin}: {key} is a list; set all of it, as in '{key}=[...]'")
    if isinstance(below, str) and path:
        below = {"name": below}  # the short form of a plug-in
    if not isinstance(below, dict):
        return above
    if "name" in above and above["name"] != (below.get("name") or find_default(path, root)):
        kept = TokenizerConfig.model_fields if path == ("tokenizer",) else ()
        below = {key: value for key, value in below.items() if key in kept}
    merged = {
        key: _merge(below.get(key), value, (*path, key), layer, root)
        for key, value in above.items()
    }
    return below | merged


def explain_first(error: ValidationError, tree: Tree, layers: Sequence[Layer]) -> str:
    """Return a message for the first error in key order, and the number of further errors."""
    details = error.errors(include_url=False)
    path = _written_path(details[0]["loc"], tree)
    elsewhere: list[str] = []
    if details[0]["type"] == UNKNOWN_OPTION:
        name, allowed = details[0]["ctx"]["name"], details[0]["ctx"]["allowed"]
        is_typo = bool(get_close_matches(name, allowed, cutoff=0.85))
        paths = option_paths(name, of_plugins=not is_typo)  # may import the plug-ins, and torch
        # The same path means that another plug-in has the option.
        elsewhere = [other for other in paths if other != format_path(path)][:_MOST_PATHS]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{_locate(path, tree, layers)}{explain(details[0], elsewhere)}{more}"


def find_origin(path: KeyPath, layers: Sequence[Layer]) -> Layer | None:
    """Return the last layer that sets an option."""
    return next((layer for layer in reversed(layers) if at(layer.tree, path) is not None), None)


def _written_path(path: KeyPath, tree: Tree) -> KeyPath:
    """Return a path as the user wrote it: a single corpus has no list index."""
    written: KeyPath = ()
    for part in path:
        if isinstance(part, str) or isinstance(at(tree, written), list):
            written = (*written, part)
    return written


def _locate(path: KeyPath, tree: Tree, layers: Sequence[Layer]) -> str:
    """Return the prefix of a message: the last layer that sets the value, and its key.

    A missing value is reported for the configuration file, or for the layer that dropped it.
    """
    if (origin := find_origin(path, layers)) is not None:
        is_dropped = at(tree, path) is None
        return ((is_dropped and find_origin(path[:-1], layers)) or origin).locate(path)
    files = [layer for layer in layers if not layer.path]
    group = [layer.origin for layer in files[:-1] if at(layer.tree, path[:-1]) is not None]
    extended = f" (with the files it extends: {', '.join(group)})" if path[:-1] and group else ""
    return Layer(files[-1].origin + extended, {}).locate(path)
