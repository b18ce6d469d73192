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

logger = logging.getLogger(__name__)

DEFAULT_FAMILY: Final = "DejaVu Sans"
"""The font that comes with matplotlib: it has every European letter."""
_PREFERRED: Final = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Sans")
_CJK_NAMES: Final = re.compile("CJK|HIRAGANA|KATAKANA|HANGUL|BOPOMOFO|IDEOGRAPHIC|FULLWIDTH")
_CJK: Final = ("Chinese, Japanese or Korean", "fonts-noto-cjk")
# What characters are, and the package of Debian with a font for them.
_OTHER: Final = ("of other scripts", "fonts-noto-core")


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
    # Blanks and controls need no glyph.
    missing = {one for one in "".join(texts) if unicodedata.category(one)[0] not in "ZC"}
    families = [DEFAULT_FAMILY]
    for font in installed_fonts() if fonts is None else fonts:
        found = set(filter(font.has, missing))
        if found and font.family not in families:
            families.append(font.family)
        missing -= found
        if not missing:
            break
    lacks = {_CJK if _CJK_NAMES.match(unicodedata.name(one, "")) else _OTHER for one in missing}
    for names, package in sorted(lacks):
        logger.warning(
            f"plots: no installed font has some characters ({names}), and boxes are drawn; install "
            f"a font (Debian: apt-get install {package})",
            extra=ONCE,
        )
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
    from matplotlib.font_manager import get_font

    try:
        return bool(get_font(path).get_char_index(ord(character)))
    except (OSError, RuntimeError):  # no longer there, or damaged
        return False
