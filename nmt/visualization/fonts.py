"""Fonts for pictures: for each text the installed ones that have its characters."""

import functools
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from nmt.core.console import ONCE

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry
    from matplotlib.ft2font import FT2Font

logger = logging.getLogger(__name__)

DEFAULT_FAMILY: Final = "DejaVu Sans"
"""The font that comes with matplotlib: it has every European letter."""
_PREFERRED: Final = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Sans")
_CJK_NAMES: Final = re.compile("CJK|HIRAGANA|KATAKANA|HANGUL|BOPOMOFO|IDEOGRAPHIC|FULLWIDTH")
_BOXES: Final = (
    "plots: no installed font has some characters (%s), and boxes are drawn; install a font "
    "(Debian: apt-get install %s)"
)
_CJK_PACKAGE: Final = "fonts-noto-cjk"
_OTHER_PACKAGE: Final = "fonts-noto-core"
_SCRIPTS: Final = {_CJK_PACKAGE: "Chinese, Japanese or Korean", _OTHER_PACKAGE: "of other scripts"}


class Font(NamedTuple):
    """An installed font: the name that matplotlib finds it by, and what tells of its glyphs."""

    family: str
    has: Callable[[str], bool]


def choose_families(texts: Iterable[str], fonts: Iterable[Font] | None = None) -> list[str]:
    """Return the families to draw texts with, of which each character takes the first that has it.

    Characters that no font has are drawn as boxes. A warning says so, once for each package of
    Debian that has them.

    Args:
        texts: all that is written.
        fonts: the first that has a character is taken for it; None: those that are installed.
    """
    missing = sorted({character for text in texts for character in text if _is_drawn(character)})
    families = [DEFAULT_FAMILY]
    for font in installed_fonts() if fonts is None else fonts:
        left = [character for character in missing if not font.has(character)]
        if len(left) < len(missing) and font.family not in families:
            families.append(font.family)
        missing = left
        if not missing:
            break
    for package in sorted(set(map(_package, missing))):
        logger.warning(_BOXES, _SCRIPTS[package], package, extra=ONCE)
    return families


def installed_fonts() -> Iterator[Font]:
    """Yield the fonts that are installed, the most suitable first."""
    from matplotlib.font_manager import findfont

    yield Font(DEFAULT_FAMILY, partial(_has_glyph, findfont(DEFAULT_FAMILY)))
    for family, path in _find_families().items():
        yield Font(family, partial(_has_glyph, path))


@functools.cache
def _find_families() -> dict[str, str]:
    """Return family -> file, without the fonts that come with matplotlib."""
    import matplotlib
    from matplotlib.font_manager import findSystemFonts, fontManager

    # matplotlib keeps its list on disk, and does not see what was installed later.
    for path in set(findSystemFonts()) - {entry.fname for entry in fontManager.ttflist}:
        with suppress(Exception):  # a damaged file, which matplotlib leaves out of its list, too
            fontManager.addfont(path)

    def rank(entry: "FontEntry") -> tuple[object, ...]:
        place = _PREFERRED.index(entry.name) if entry.name in _PREFERRED else len(_PREFERRED)
        is_regular = entry.style == "normal" and str(entry.weight) in ("400", "normal")
        return place, "Sans" not in entry.name, entry.name, not is_regular

    paths: dict[str, str] = {}
    for entry in sorted(fontManager.ttflist, key=rank):
        if not entry.fname.startswith(matplotlib.get_data_path()):
            paths.setdefault(entry.name, entry.fname)
    return paths


def _has_glyph(path: str, character: str) -> bool:
    font = _open(path)
    return font is not None and bool(font.get_char_index(ord(character)))


@functools.lru_cache(maxsize=8)
def _open(path: str) -> "FT2Font | None":
    from matplotlib.ft2font import FT2Font

    try:
        return FT2Font(path)
    except (OSError, RuntimeError):  # no longer there, or damaged
        return None


def _is_drawn(character: str) -> bool:
    """Return whether a character needs a glyph: blanks and controls do not."""
    return unicodedata.category(character)[0] not in "ZC"


def _package(character: str) -> str:
    """Return the package of Debian with a font that has a character."""
    is_cjk = _CJK_NAMES.match(unicodedata.name(character, ""))
    return _CJK_PACKAGE if is_cjk else _OTHER_PACKAGE
