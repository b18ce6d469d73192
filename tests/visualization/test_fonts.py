"""Fonts of pictures, chosen from fonts made up here: those of the machine decide nothing."""

import logging
from pathlib import Path

import pytest
from matplotlib import font_manager

from nmt.system.process import OnceFilter
from nmt.visualization import fonts
from nmt.visualization.fonts import DEFAULT_FAMILY, Font, choose_families, installed_fonts

LATIN = Font(DEFAULT_FAMILY, lambda character: character < "\u0500")
CHINESE = Font("Song", lambda character: "\u4e00" <= character <= "\u9fff")
HINDI = Font("Mangal", lambda character: "\u0900" <= character <= "\u097f")
OTHER_CHINESE = Font("Hei", CHINESE.has)


@pytest.mark.parametrize(
    ("texts", "families"),
    [
        (["Straße", "x"], []),
        (["我爱", "dog"], ["Song"]),
        (["हिन्दी", "我"], ["Song", "Mangal"]),
        (["हिन्दी"], ["Mangal"]),
        (["\u200d\u2009 \n"], []),
        ([], []),
    ],
)
def test_the_first_font_that_has_a_character_is_taken(
    texts: list[str], families: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    found = choose_families(texts, [LATIN, CHINESE, HINDI, OTHER_CHINESE])
    assert found == [DEFAULT_FAMILY, *families]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("我", "fonts-noto-cjk"),
        ("か", "fonts-noto-cjk"),
        ("한", "fonts-noto-cjk"),
        ("हि", "fonts-noto-core"),
        ("ខ", "fonts-noto-core"),
    ],
)
def test_missing_font_is_warned_about_once(
    text: str, package: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(only_once := OnceFilter())
    for _ in range(3):
        assert choose_families([f"dog {text}"], [LATIN]) == [DEFAULT_FAMILY]
    caplog.handler.removeFilter(only_once)
    (message,) = caplog.messages
    assert "no installed font covers some characters" in message
    assert f"apt-get install {package}" in message
    assert caplog.records[0].levelno == logging.WARNING


def test_default_font_is_first_and_box_fonts_are_excluded() -> None:
    families = [font.family for font in installed_fonts()]
    assert families[0] == DEFAULT_FAMILY
    assert not [family for family in families if family.startswith("Last Resort")]
    first = next(installed_fonts())
    assert first.has("ß") and first.has("ж") and not first.has("我")


def test_fonts_installed_after_matplotlib_made_its_list_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged, later = tmp_path / "damaged.ttf", tmp_path / "later.ttf"
    damaged.write_bytes(b"no font")
    later.write_bytes(Path(font_manager.findfont(DEFAULT_FAMILY)).read_bytes())
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(damaged), str(later)])
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    fonts._find_families.cache_clear()
    assert fonts._find_families() == {DEFAULT_FAMILY: str(later)}
    (_, font) = installed_fonts()
    assert font.has("ß") and not font.has("我")
    fonts._find_families.cache_clear()
