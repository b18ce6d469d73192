"""The attention page of 60 texts of all scripts and lengths: none is cut, and none leaves the page.

`scripts/take_screenshots.py --texts` writes pictures of them, to be looked at.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from nmt.visualization.page import render_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from nmt.visualization.attention_view import AttentionView
    from tests.browser.conftest import PageOf

WIDTHS = (360, 768, 1440)


@pytest.fixture
def texts(load_script: Callable[[str], Any]) -> "dict[str, AttentionView]":
    pytest.importorskip("PIL")
    pytest.importorskip("playwright")
    return dict(load_script("take_screenshots").make_views())


@pytest.mark.parametrize("most_words", [30, pytest.param(10_000, marks=pytest.mark.slow)])
def test_nothing_of_sixty_texts_is_cut_or_executed(
    most_words: int,
    texts: "dict[str, AttentionView]",
    page_of: "PageOf",
    overflow: "Callable[[Page], list[str]]",
) -> None:
    short = {
        name: view
        for name, view in texts.items()
        if view.words is None or max(view.words.weights.shape) <= most_words
    }
    html = render_page("attention", [view.to_json() for view in short.values()], title="Texts")
    page = page_of(html)
    cut = []
    for number, (name, view) in enumerate(short.items()):
        page.evaluate(f"document.querySelectorAll('[data-list] button')[{number}].click()")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            cut += [f"{name}, {width}: {problem}" for problem in overflow(page)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                cut.append(f"{name}, {width}: scrolls to the right")
        if view.omitted is None and view.words is not None:
            assert page.locator(".view [data-side=source]").count() >= len(view.words.source)
    assert cut == []


def test_there_are_sixty_texts_of_many_lengths(texts: "dict[str, AttentionView]") -> None:
    sizes = [len(view.words.source) for view in texts.values() if view.words is not None]
    assert len(texts) == 60
    for length in (1, 15, 80):
        assert sizes.count(length) >= 13
