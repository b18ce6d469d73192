"""Pages in headless Chromium: how they are opened, and what must hold for every one of them.

The tests are skipped where Playwright, Chromium or axe-core is missing; with NMT_REQUIRE_BROWSER=1
they fail instead. `make test-pages` installs the first and the last, `.ci/run` all three.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
AXE = Path(__file__).parents[2] / ".venv/axe/package/axe.min.js"
HEIGHT = 900
WIDTHS = (360, 768, 1440)
Theme = Literal["light", "dark"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that `make test` leaves them out."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


class PageOf(Protocol):
    """Open a page in a new window.

    Args:
        page: HTML, the path of a file, or an address of this machine.
        width: of the window in pixels.
        theme: preferred colours.
        allowed: beginnings of the addresses that the page may load besides its own.
        expected: parts of the errors that the console may show.
    """

    def __call__(
        self,
        page: str | Path,
        width: int = 1440,
        theme: Theme = "light",
        *,
        allowed: tuple[str, ...] = (),
        expected: tuple[str, ...] = (),
    ) -> "Page": ...


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it if a browser is required."""
    if os.environ.get("NMT_REQUIRE_BROWSER") == "1":
        pytest.fail(f"NMT_REQUIRE_BROWSER=1, but {what} is not installed")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="package")
def browser() -> "Iterator[Browser]":
    """Chromium; it ends after this folder, as asyncio cannot be used while Playwright runs."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def checked_pages(
    browser: "Browser", tmp_path: Path
) -> Callable[[], AbstractContextManager[PageOf]]:
    """Return a context that opens pages, and at its end checks what they did."""
    return lambda: _checked_pages(browser, tmp_path)


@pytest.fixture
def page_of(checked_pages: Callable[[], AbstractContextManager[PageOf]]) -> Iterator[PageOf]:
    """Open pages; at the end, check that none loaded, asked or failed to run anything."""
    with checked_pages() as open_page:
        yield open_page


@contextmanager
def _checked_pages(browser: "Browser", folder: Path) -> Iterator[PageOf]:
    problems: list[str] = []
    contexts = []

    def open_page(
        page: str | Path,
        width: int = 1440,
        theme: Theme = "light",
        *,
        allowed: tuple[str, ...] = (),
        expected: tuple[str, ...] = (),
    ) -> "Page":
        if isinstance(page, str) and not page.startswith("http://127.0.0.1"):
            file = folder / f"page-{len(contexts)}.html"
            file.write_text(page, encoding="utf-8", errors="surrogatepass")
            page = file
        address = page.as_uri() if isinstance(page, Path) else page
        size: Any = {"width": width, "height": HEIGHT}
        context = browser.new_context(viewport=size, color_scheme=theme)
        contexts.append(context)
        opened = context.new_page()
        fine = ("data:", "about:srcdoc", *allowed)

        def check_request(url: str) -> None:
            if url.partition("#")[0] != address and not url.startswith(fine):
                problems.append(f"loads {url}")

        def check_dialog(dialog: Any) -> None:
            problems.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def check_message(message: Any) -> None:
            if message.type == "error" and not any(part in message.text for part in expected):
                problems.append(f"console: {message.text}")

        context.on("request", lambda request: check_request(request.url))
        context.on("page", lambda other: problems.append(f"opens {other.url}"))
        opened.on("dialog", check_dialog)
        opened.on("pageerror", lambda error: problems.append(f"error: {error}"))
        opened.on("console", check_message)
        opened.goto(address)
        return opened

    yield open_page
    for context in contexts:
        with suppress(Exception):  # a test may have closed it
            context.close()
    assert problems == []


@pytest.fixture(scope="package")
def axe() -> "Callable[[Page], list[str]]":
    """Return a function that lists the violations of accessibility rules on a page."""
    if not AXE.is_file():
        missing("axe-core")
    code = AXE.read_text(encoding="utf-8")

    def check(page: "Page") -> list[str]:
        page.evaluate(code)
        found = page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{violation['id']} ({violation['impact']}): {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    return check


@pytest.fixture
def overflow() -> "Callable[[Page], list[str]]":
    """Return a function that lists the elements that are cut or leave the window to the right.

    An element that scrolls may have content that is wider than it.
    """

    def find(page: "Page") -> list[str]:
        found: list[str] = page.evaluate(
            """() => {
              const scrolls = (one) => {
                for (let at = one; at && at !== document.body; at = at.parentElement) {
                  const how = getComputedStyle(at).overflowX;
                  if (how !== "visible") return true;
                }
                return false;
              };
              const name = (one) => one.tagName.toLowerCase() + "." + [...one.classList].join(".");
              const most = document.documentElement.clientWidth + 1;
              return [...document.body.querySelectorAll("*")]
                .filter((one) => one.getBoundingClientRect().right > most)
                .filter((one) => !one.closest("svg") || one.tagName === "svg")
                .filter((one) => !scrolls(one))
                .map((one) => `${name(one)}: ${one.getBoundingClientRect().right} > ${most - 1}`);
            }"""
        )
        return found

    return find
