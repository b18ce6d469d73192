"""Languages: BCP 47 tags such as `de` or `pt-BR`, and their English names (`languages.toml`)."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Final

_TAG: Final = re.compile(
    r"(?P<language>[a-z]{2,3})(-(?P<script>[a-z]{4}))?(-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?P<variants>(-([a-z\d]{5,8}|\d[a-z\d]{3}))*)",
    re.IGNORECASE | re.ASCII,
)
_COMPRESSED: Final = (".gz", ".bz2", ".xz")


def normalize_tag(tag: str) -> str:
    """Return a tag in its usual spelling: `pt_br` becomes `pt-BR`, `ZH-hans` becomes `zh-Hans`.

    Raises:
        ValueError: the text is not a tag, or its language is not in the table.
    """
    found = _TAG.fullmatch(tag.replace("_", "-"))
    if found is None or found["language"].lower() not in _names()["languages"]:
        raise ValueError(f"{tag!r} is not a known language; give a BCP 47 tag, such as de or pt-BR")
    parts = [found["language"].lower()]
    if found["script"]:
        parts.append(found["script"].title())
    if found["region"]:
        parts.append(found["region"].upper())
    return "-".join(parts) + found["variants"].lower()


def base_of(tag: str) -> str:
    """Return the language of a normalized tag, without script and region: `pt` of `pt-BR`."""
    return tag.partition("-")[0]


def name_of(tag: str) -> str:
    """Return the English name of a normalized tag, as in `Portuguese (BR)`."""
    base, _, rest = tag.partition("-")
    if not rest:
        return _names()["languages"][base]
    parts = [_names()["scripts"].get(part, part) for part in rest.split("-")]
    return f"{_names()['languages'][base]} ({', '.join(parts)})"


def language_of_file(path: str) -> str | None:
    """Return the language that a file's suffix names, as in `train.de.gz`; None: it names none."""
    name = PurePath(path)
    if name.suffix in _COMPRESSED:
        name = name.with_suffix("")
    try:
        return normalize_tag(name.suffix.removeprefix("."))
    except ValueError:
        return None


@cache
def _names() -> Mapping[str, Mapping[str, str]]:
    text = files("nmt.core").joinpath("languages.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
