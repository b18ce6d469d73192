"""The fixtures of this folder find what they are there to find."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PageOf
    from playwright.sync_api import Page

HEAD = "<!doctype html><html lang=en><meta charset=utf-8><title>t</title><body><main><h1>t</h1>"


def test_a_page_is_opened_with_its_size_and_theme(page_of: "PageOf") -> None:
    page = page_of(f"{HEAD}<p id=a>Tom", 360, "dark")
    assert page.inner_text("#a") == "Tom"
    assert page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [
        360,
        True,
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<img src='http://127.0.0.1:9/x.png'>", "loads http://127.0.0.1:9/x.png"),
        ("<script>alert('x')</script>", "dialog: x"),
        ("<script>missing()</script>", "error: missing is not defined"),
    ],
)
def test_problems_of_a_page_fail_the_test(
    body: str, problem: str, checked_pages: "Callable[[], AbstractContextManager[PageOf]]"
) -> None:
    with pytest.raises(AssertionError) as failure, checked_pages() as open_page:
        open_page(HEAD + body)
    assert problem in str(failure.value)


def test_axe_finds_violations(page_of: "PageOf", axe: "Callable[[Page], list[str]]") -> None:
    assert axe(page_of(f"{HEAD}<p>Tom")) == []
    bad = axe(page_of(f"{HEAD}<p style='color:#ccc'>Tom<button></button>"))
    assert [one.partition(" ")[0] for one in bad] == ["button-name", "color-contrast"]


def test_overflow_finds_what_is_too_wide(
    page_of: "PageOf", overflow: "Callable[[Page], list[str]]"
) -> None:
    wide = "<div class=a style='width:500px'>x</div>"
    assert len(overflow(page_of(HEAD + wide, 360))) == 1
    assert overflow(page_of(f"{HEAD}<div style='overflow-x:auto'>{wide}</div>", 360)) == []
