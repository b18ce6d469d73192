"""The attention page of 60 texts: scripts, lengths, long words and markup, at each width."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import PageOf
    from playwright.sync_api import Page

WIDTHS = (360, 768, 1440)


def test_nothing_of_60_texts_is_cut_or_executed(
    load_script: Callable[[str], Any],
    page_of: "PageOf",
    overflow: "Callable[[Page], list[str]]",
) -> None:
    pytest.importorskip("PIL")
    script = load_script("take_screenshots")
    from nmt.visualization.page import render_page

    views = list(script.make_views())
    assert len(views) == 60
    cut = []
    for name, view in views:
        page = page_of(render_page("attention", [view.to_json()], title=name))
        assert page.locator("[data-side=source]").count() >= len(view.words.source)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            cut += [f"{name}, {width}: {problem}" for problem in overflow(page)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                cut.append(f"{name}, {width}: scrolls to the right")
        page.context.close()
    assert cut == []


def test_there_are_20_texts_of_3_lengths(load_script: Callable[[str], Any]) -> None:
    pytest.importorskip("playwright")
    script = load_script("take_screenshots")
    sizes = {name: len(view.words.source) for name, view in script.make_views()}
    assert sorted(sizes.values()) == [1] * 20 + [15] * 20 + [80] * 20
