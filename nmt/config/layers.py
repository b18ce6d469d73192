"""Options from several places, laid over one another: files, what they extend, overrides.

The errors of the whole name the place that a value comes from.
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


def explain_first(error: ValidationError, tree: Tree, layers: Sequence[Layer]) -> str:
    """Return the first error in the order of the keys, and how many more there are."""
    details = error.errors(include_url=False)
    path = _written_path(details[0]["loc"], tree)
    elsewhere: list[str] = []
    if details[0]["type"] == UNKNOWN_OPTION:
        name, allowed = details[0]["ctx"]["name"], details[0]["ctx"]["allowed"]
        is_typo = bool(get_close_matches(name, allowed, cutoff=0.85))
        paths = option_paths(name, of_plugins=not is_typo)  # which import the plug-ins, and torch
        # At its own path it is an option of another plug-in.
        elsewhere = [other for other in paths if other != format_path(path)][:_MOST_PATHS]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{_locate(path, layers)}{explain(details[0], elsewhere)}{more}"


def find_origin(path: KeyPath, layers: Sequence[Layer]) -> Layer | None:
    """Return the layer that has set an option last."""
    return next((layer for layer in reversed(layers) if at(layer.tree, path) is not None), None)


def _written_path(path: KeyPath, tree: Tree) -> KeyPath:
    """Return a path as it was written: one corpus need not be a list."""
    written: KeyPath = ()
    for part in path:
        if isinstance(part, str) or isinstance(at(tree, written), list):
            written = (*written, part)
    return written


def _locate(path: KeyPath, layers: Sequence[Layer]) -> str:
    """Name where the value was set last (if it is missing, the file asked for), and its key."""
    if (origin := find_origin(path, layers)) is not None:
        return origin.locate(path)
    files = [layer for layer in layers if not layer.path]
    group = [layer.origin for layer in files[:-1] if at(layer.tree, path[:-1]) is not None]
    extended = f" (with what it extends: {', '.join(group)})" if path[:-1] and group else ""
    return Layer(files[-1].origin + extended, {}).locate(path)
