"""Choice of installed fonts that cover the characters of a plot."""

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

# Font that ships with matplotlib and covers all European letters.
DEFAULT_FAMILY: Final = "DejaVu Sans"
_PREFERRED: Final = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Sans")
_CJK_NAMES: Final = re.compile("CJK|HIRAGANA|KATAKANA|HANGUL|BOPOMOFO|IDEOGRAPHIC|FULLWIDTH")
_CJK: Final = ("Chinese, Japanese or Korean", "fonts-noto-cjk")
# Script of a character, and the Debian package with a font for it.
_OTHER: Final = ("of other scripts", "fonts-noto-core")


class Font(NamedTuple):
    """An installed font: its family name in matplotlib, and a test for glyphs."""

    family: str
    has: Callable[[str], bool]


def choose_families(texts: Iterable[str], fonts: Iterable[Font] | None = None) -> list[str]:
    """Return font families that cover the characters of texts, in order of preference.

    Characters without a font are drawn as boxes. A warning reports them, once for each Debian
    package that would add a font.

    Args:
        texts: all texts of the plot.
        fonts: candidate fonts, the preferred ones first; None: the installed fonts.
    """
    # White space and control characters need no glyph.
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
            f"plots: no installed font covers some characters ({names}), which are drawn as boxes; "
            f"install one (Debian: apt-get install {package})",
            extra=ONCE,
        )
    return families


def installed_fonts() -> Iterator[Font]:
    """Yield the installed fonts, the preferred ones first."""
    from matplotlib.font_manager import findfont

    yield Font(DEFAULT_FAMILY, partial(_has_glyph, findfont(DEFAULT_FAMILY)))
    for family, path in _find_families().items():
        yield Font(family, partial(_has_glyph, path))


@functools.cache
def _find_families() -> dict[str, str]:
    """Return the file of each installed family, without the fonts that ship with matplotlib."""
    import matplotlib
    from matplotlib.font_manager import findSystemFonts, fontManager

    # matplotlib caches its font list on disk, so fonts that were installed later are missing.
    for path in set(findSystemFonts()) - {entry.fname for entry in fontManager.ttflist}:
        with suppress(Exception):  # a corrupted font; matplotlib skips these too
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
    except (OSError, RuntimeError):  # deleted or corrupted
        return False
