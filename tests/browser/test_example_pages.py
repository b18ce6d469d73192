"""The example pages of the documentation open, fit every width, and are accessible."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PageOf
    from playwright.sync_api import Page

PAGES = sorted((Path(__file__).parents[2] / "docs/pages").glob("*.html"))
WIDTHS = (360, 768, 1440)


def test_the_pages_are_small() -> None:
    names = ["attention", "pictures", "trace-1", "trace-2", "trace-3"]
    assert [page.stem for page in PAGES] == names
    assert sum(page.stat().st_size for page in PAGES) < 2_000_000


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_data_has_the_current_version(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'<script type="application/json" class="data">(.*?)</script>', text)
    assert found
    assert {json.loads(data)["v"] for data in found} == {1}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_whole_and_accessible(
    path: Path,
    page_of: "PageOf",
    axe: "Callable[[Page], list[str]]",
    overflow: "Callable[[Page], list[str]]",
) -> None:
    for width in WIDTHS:
        page = page_of(path, width, "dark" if width == 768 else "light")
        assert page.locator("td[data-weight]").count() > 3
        assert overflow(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert axe(page) == []
