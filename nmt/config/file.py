"""From a YAML file, `extends:` and ``key=value`` overrides to a checked `Config`, and back."""

import errno
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args

from pydantic import ValidationError

from nmt.config.experiment import Config, TokenizerConfig
from nmt.config.messages import UNKNOWN_OPTION, explain, explain_alternatives
from nmt.config.option_paths import group_in, option_paths
from nmt.config.versions import name_trained_score, upgrade
from nmt.config.yaml import MAX_CONFIG_BYTES, format_yaml, parse_yaml
from nmt.core.errors import ConfigError, os_reason
from nmt.system.atomic_files import is_missing
from nmt.system.untrusted_files import read_regular

Tree = dict[str, Any]
Place = tuple[str | int, ...]

_MOST_FILES: Final = 20  # that extend one another
_MOST_PLACES: Final = 3  # named where an option is at the wrong one
_CORPORA: Final = (("data", "train"), ("data", "valid"), ("data", "test"))


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
        place: of an override, the place of what it sets.
        is_argument: messages name the command-line argument, which stands for the key.
    """

    origin: str
    tree: Tree
    place: Place = ()
    is_argument: bool = False

    def locate(self, place: Place) -> str:
        """Return the beginning of a message about the option at a place."""
        key = "" if self.is_argument and place == self.place else _dotted(place)
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
    layers = _read_layers(Path(path))
    given = [_parse_override(override) for override in overrides]
    layers += given
    layers += [] if options is None else [Layer("options", dict(options))]
    tree: Tree = {}
    for layer in layers:
        tree = _merge(tree, layer.tree, (), layer)
    _require_each_counts(given, tree)
    if resume:
        tree = name_trained_score(tree)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_first_problem(error, tree, layers)) from None


def dump_config(config: Config) -> str:
    """YAML with every option; `load_config` makes an equal `Config` of it."""
    return format_yaml(config.model_dump(mode="json"))


def read_text(path: Path) -> str:
    """Read a small text file that a person or a stranger's file named.

    Raises:
        ConfigError: it cannot be read, is not a regular file, is too large, or is not UTF-8.
    """
    try:
        return read_regular(path, MAX_CONFIG_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        inside = path / "config.yaml"
        hint = f"; of a run, give {inside}" if inside.is_file() else ""
        raise ConfigError(f"{path}: is a folder, not a YAML file{hint}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        hint = "; give a YAML configuration" if error.errno == errno.EFBIG else ""
        raise ConfigError(f"{path}: cannot be read: {os_reason(error)}{hint}") from None


def _read_layers(path: Path) -> list[Layer]:
    """The file and what it extends, the most general first."""
    layers: list[Layer] = []
    seen: list[Path] = []
    next_path: Path | None = path
    while next_path is not None:
        if layers and is_missing(next_path):
            raise ConfigError(
                f"{layers[0].origin}: extends: {next_path}: no such file (what is extended is "
                "looked for from the folder of the file that says so)"
            )
        if len(layers) == _MOST_FILES:
            raise ConfigError(
                f"{path}: extends: a chain of more than {_MOST_FILES} files; merge some"
            )
        tree = parse_yaml(read_text(next_path), str(next_path))
        if next_path.resolve() in seen:
            raise ConfigError(
                f"{layers[0].origin}: extends: {next_path} extends itself in a circle"
            )
        seen.append(next_path.resolve())
        if tree is None:
            tree = {}
        if not isinstance(tree, dict):
            hint = (
                " (is a blank missing behind ':'?)" if isinstance(tree, str) and ":" in tree else ""
            )
            raise ConfigError(
                f"{next_path}: must be options (`key: value`), not a {_sort(tree)}{hint}"
            )
        base = tree.pop("extends", None)
        layers.insert(0, Layer(str(next_path), upgrade(tree)))
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{next_path}: extends: must be one file name, not a {_sort(base)}")
        next_path = next_path.parent / os.path.expanduser(base) if base else None
    return layers


def _parse_override(given: str | Override) -> Layer:
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


def _require_each_counts(overrides: Sequence[Layer], tree: Tree) -> None:
    """Refuse an override that a later one repeats or replaces, so that it counts for nothing."""
    for override, later in combinations(overrides, 2):
        place, key = override.place, _dotted(later.place)
        if later.place == place:
            given = [layer.origin.removeprefix("override ") for layer in (override, later)]
            raise ConfigError(f"{key}: given twice ({' and '.join(given)}); give it once")
        is_above = later.place == place[: len(later.place)]
        if is_above and _at(tree, place) != _at(override.tree, place):
            raise ConfigError(
                f"{override.origin}: has no effect, as {later.origin} after it replaces all of "
                f"{key}; give it after that"
            )


def _at(tree: Any, place: Place) -> Any:
    """Return what is at a place of a tree; None: nothing."""
    for part in place:
        tree = _child(tree, part)
    return tree


def _merge(below: Any, above: Any, place: Place, layer: Layer) -> Any:
    """Mappings merge, anything else replaces; another plug-in brings its own options.

    A corpus, too, is replaced: the files of two would not belong together. An override reaches into
    it, to change one of them.
    """
    if not isinstance(above, dict):
        return above
    is_override = bool(layer.place)
    if place in _CORPORA and not is_override:
        return above
    if isinstance(below, list) and is_override:
        key = ".".join(map(str, place))
        raise ConfigError(f"{layer.origin}: {key} is a list; give it whole, as in '{key}=[...]'")
    if isinstance(below, str) and place:
        below = {"name": below}  # the short form of a plug-in
    if not isinstance(below, dict):
        return above
    if "name" in above and above["name"] != below.get("name", _default_name(place)):
        kept = TokenizerConfig.model_fields if place == ("tokenizer",) else ()
        below = {key: value for key, value in below.items() if key in kept}
    merged = dict(below)
    for key, value in above.items():
        merged[key] = _merge(below.get(key), value, (*place, key), layer)
    return merged


def _default_name(place: Place) -> str | None:
    """Which plug-in is at a place where none is named."""
    model: Any = Config
    default = None
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return None
        model, default = group_in(field.annotation), field.get_default(call_default_factory=True)
    return getattr(default, "name", None)


def _first_problem(error: ValidationError, tree: Tree, layers: Sequence[Layer]) -> str:
    """The first error in the order of the keys, and how many more there are."""
    details = error.errors(include_url=False)
    option, or_null = _alternatives(details[0]["loc"])
    same = [it for it in details if it["loc"][: len(option)] == option] if option else details[:1]
    place = _written_place(option or details[0]["loc"], tree)
    num_more = len(details) - len(same)
    more = f" (and {num_more} more)" if num_more else ""
    key = _dotted(place)
    elsewhere: Sequence[str] = ()
    if details[0]["type"] == UNKNOWN_OPTION:
        places = option_paths(details[0]["ctx"]["name"])
        # At its own place it is an option of another plug-in.
        elsewhere = [place for place in places if place != key][:_MOST_PLACES]
    sentence = explain_alternatives(same, or_null) if option else explain(details[0], elsewhere)
    return f"{_locate(place, layers)}{sentence}{more}"


def _alternatives(place: Place) -> tuple[Place, bool]:
    """Return the option whose type has alternatives, and whether null is one; (): it has none.

    Behind that place pydantic names the alternative, which nobody has written.
    """
    model: Any = Config
    for depth, part in enumerate(place):
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = group_in(field.annotation)
            kinds = get_args(field.annotation) if model is None else ()
            if len([kind for kind in kinds if kind is not NoneType]) > 1:
                return place[: depth + 1], NoneType in kinds
    return (), False


def _written_place(place: Place, tree: Any) -> Place:
    """The place as it was written: one corpus need not be a list."""
    written: list[str | int] = []
    for part in place:
        if isinstance(part, int) and not isinstance(tree, list):
            continue
        written.append(part)
        tree = _child(tree, part)
    return tuple(written)


def _dotted(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _locate(place: Place, layers: Sequence[Layer]) -> str:
    """Name where the value was set last (if it is missing, the file asked for), and its key."""
    for layer in reversed(layers):
        node: Any = layer.tree
        for part in place:
            node = _child(node, part)
            if node is None:
                break
        else:
            return layer.locate(place)
    files = [layer for layer in layers if not layer.place]
    group = [layer.origin for layer in files[:-1] if _at(layer.tree, place[:-1]) is not None]
    extended = f" (with what it extends: {', '.join(group)})" if place[:-1] and group else ""
    return Layer(files[-1].origin + extended, {}).locate(place)


def inherited_from(path: str | Path, overrides: Sequence[str | Override], key: str) -> str | None:
    """Return the file of `extends:` that an option comes from.

    Args:
        path: the file that was asked for.
        overrides: that were laid over it.
        key: dotted key of the option, as in ``data.train[1].source``.

    Returns:
        None: the option is set in the file itself, by an override, or nowhere.
    """
    place = [int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", key)]
    layers = _read_layers(Path(path))
    for layer in reversed([*layers, *map(_parse_override, overrides)]):
        if place and _at(layer.tree, tuple(place)) is not None:
            return layer.origin if layer in layers[:-1] else None
    return None


def _child(node: Any, part: str | int) -> Any:
    """What is at a key or an index of a tree, or None."""
    match node:
        case dict():
            return node.get(part)
        case list() if isinstance(part, int) and part < len(node):
            return node[part]
    return None


def _sort(value: Any) -> str:
    return (
        "list" if isinstance(value, list) else "mapping" if isinstance(value, Mapping) else "text"
    )
