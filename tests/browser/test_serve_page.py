"""The page of the server: type, look, choose another word, compare, trace."""

import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

if TYPE_CHECKING:
    from playwright.sync_api import Page

LINE = "the old cat sees a small dog"
HELPERS = Path(__file__).parents[1] / "serving/conftest.py"


@pytest.fixture(scope="module")
def helpers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serving_helpers", HELPERS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class Held:
    """A model that holds the lines with the word `here` back."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.may_run = threading.Event()
        self.has_begun = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def translate(self, lines: list[Any], options: Any) -> Any:
        if any("here" in line.source for line in lines):
            self.has_begun.set()
            assert self.may_run.wait(20)
        return self._model.translate(lines, options)


@pytest.fixture(scope="module")
def models(helpers: ModuleType) -> Any:
    from nmt.serving.models import ModelRegistry

    made = [
        helpers.make_model("first", ("en", "de")),
        helpers.make_model("second", ("en", "fr"), 5),
        helpers.make_model("third", ("de", "en"), 7),
    ]
    return ModelRegistry(made)


@pytest.fixture(scope="module")
def server(helpers: ModuleType, models: Any) -> Iterator[Any]:
    with helpers.run_server(models, num_threads=2) as running:
        yield running


@pytest.fixture
def page(server: Any, page_of: Callable[..., "Page"]) -> "Page":
    return open_page(page_of, server)


def open_page(page_of: Callable[..., "Page"], server: Any, **options: Any) -> "Page":
    opened = page_of(server.url, allowed=(server.url,), **options)
    opened.wait_for_selector("[data-model]")
    return opened


def type_line(page: "Page", line: str = LINE) -> None:
    page.fill("#text", line)
    page.wait_for_function(
        "() => document.querySelector('.looked')"
        " && !document.querySelector('.late') && document.querySelector('.output .word')"
    )


def words_of(page: "Page") -> list[str]:
    return page.locator("[data-model=first] .output .word").all_text_contents()


def lit_words(page: "Page", place: str) -> list[int]:
    numbers = "all => all.map(one => Number(one.dataset.index))"
    lit: list[int] = page.eval_on_selector_all(f"{place} [data-shade]", numbers)
    return lit


def test_hovering_a_word_lights_what_it_looks_at(page: "Page", models: Any) -> None:
    type_line(page)
    (there,) = models.first.translator.translate([LINE], with_alignments=True)
    assert page.locator(".output").text_content() == there.text
    alignment = there.alignment
    assert words_of(page) == list(alignment.target_words)
    for index, weights in enumerate(alignment.weights[:10]):
        page.hover(f".output [data-side=target][data-index='{index}']")
        assert lit_words(page, ".looked") == [
            at for at, weight in enumerate(weights) if weight > 0.005
        ]
        best = int(weights.argmax())
        said = page.text_content(".said") or ""
        found = re.match(r"“(.*)” looks at: (\S+) ([\d.]+)", said)
        assert found, said
        assert found.group(1, 2) == (alignment.target_words[index], alignment.source_words[best])
        assert float(found[3]) == pytest.approx(weights[best], abs=6e-4)


def test_hovering_a_source_word_lights_the_translation(page: "Page", models: Any) -> None:
    type_line(page)
    (there,) = models.first.translator.translate([LINE], with_alignments=True)
    page.hover(".looked [data-index='1']")
    column = there.alignment.weights[:, 1]
    assert lit_words(page, ".output") == [at for at, weight in enumerate(column) if weight > 0.005]


def test_another_word_keeps_what_is_before(page: "Page") -> None:
    type_line(page)
    before = words_of(page)
    page.click(".output .word >> nth=1")
    page.wait_for_selector(".choice-word")
    choices = page.locator(".choice-word bdi:first-child").all_text_contents()
    other = next(word for word in choices if word != before[1])
    page.click(f".choice-word[data-word='{other}']")
    page.wait_for_selector(".output .changed")
    after = words_of(page)
    assert after[:2] == [before[0], other]
    page.click("text=Undo")
    page.wait_for_function("() => !document.querySelector('.output .changed')")
    assert words_of(page) == before


def test_two_models_side_by_side(page: "Page", models: Any) -> None:
    type_line(page)
    page.select_option("[name=other]", "second")
    page.wait_for_selector("[data-model=second] .output .word")
    expected = models.models["second"].translator.translate([LINE])[0].text
    assert page.locator("[data-model=second] .output").text_content() == expected
    page.select_option("[name=other]", "third")
    page.wait_for_selector("[data-model=third] .problem")
    assert page.text_content("[data-model=third] .problem") == "third reads German, not English."


def test_other_translations_are_ranked(page: "Page") -> None:
    type_line(page)
    page.select_option("[name=best]", "3")
    page.wait_for_selector(".ranked")
    assert page.locator(".ranked li").count() == 3


def test_attention_and_trace_of_a_sentence(page: "Page") -> None:
    type_line(page)
    page.click("[data-detail=attention]")
    page.wait_for_selector("#details .matrix")
    page.click("[data-detail=trace]")
    page.wait_for_selector("#details .strip-word")
    choice = page.locator("#details [data-prefix]:not(.taken *)").first
    prefix = choice.get_attribute("data-prefix") or ""
    choice.click()
    page.wait_for_selector("#details .note")
    assert (page.locator("#details .text.target").text_content() or "").startswith(prefix)
    page.click("#details >> text=Close")
    assert page.locator("#details").is_hidden()


def test_an_older_answer_never_replaces_a_newer_one(
    helpers: ModuleType, models: Any, page_of: Callable[..., "Page"]
) -> None:
    from nmt.serving.models import ModelRegistry

    held = Held(models.first)
    with helpers.run_server(ModelRegistry([held]), num_threads=2) as server:  # type: ignore[list-item]
        page = open_page(page_of, server)
        page.fill("#text", "here")
        assert held.has_begun.wait(20)
        page.fill("#text", LINE)
        expected = models.first.translator.translate([LINE])[0].text
        is_shown = "text => document.querySelector('.output').textContent === text"
        page.wait_for_function(is_shown, arg=expected)
        held.may_run.set()
        page.wait_for_timeout(500)
        assert page.locator(".output").text_content() == expected


@pytest.mark.parametrize(
    "text",
    [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{config}}",
        "مرحبا \u202e the",
        "a\x1b[31m",
    ],
)
def test_hostile_texts_are_shown_as_texts(page: "Page", text: str) -> None:
    type_line(page, text)
    assert page.locator("img").count() == 0
    page.click("[data-detail=attention]")
    page.wait_for_selector("#details .text")
    page.wait_for_timeout(200)


def test_lines_keep_their_places(page: "Page", models: Any) -> None:
    type_line(page, f"{LINE}\n\n  see https://example.org/x here")
    text = page.locator(".output").inner_text()
    assert text.startswith(models.first.translator.translate([LINE])[0].text + "\n\n  ")
    assert "https://example.org/x" in text


def test_the_keyboard_reaches_everything(page: "Page") -> None:
    page.focus("#text")
    page.keyboard.type(LINE)
    page.wait_for_selector(".looked")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.output .word')"):
            break
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.index") == "1"
    assert "looks at" in (page.text_content(".said") or "")
    page.keyboard.press("Enter")
    page.wait_for_selector(".choice-word")
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.choice-word')"):
            break
    else:
        raise AssertionError("the other words are not reached")
    page.keyboard.press("Escape")
    assert page.locator(".choices").is_hidden()
    assert page.evaluate("document.activeElement.matches('.output .word')")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_is_cut_and_rules_of_accessibility_hold(
    server: Any,
    page_of: Callable[..., "Page"],
    axe: Callable[["Page"], list[str]],
    width: int,
    theme: str,
) -> None:
    page = open_page(page_of, server, width=width, theme=theme)
    assert axe(page) == []
    type_line(page)
    page.select_option("[name=best]", "3")
    page.select_option("[name=other]", "second")
    page.wait_for_selector("[data-model=second] .ranked")
    page.click("[data-model=first] .output .word >> nth=1")
    page.wait_for_selector(".choice-word")
    page.click("[data-model=first] [data-detail=attention]")
    page.wait_for_selector("#details .matrix")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_key_is_asked_for(
    helpers: ModuleType, models: Any, page_of: Callable[..., "Page"]
) -> None:
    from nmt.serving.options import key_digest

    with helpers.run_server(models, api_keys=(key_digest("secret"),)) as server:
        page = page_of(server.url, allowed=(server.url,))
        page.wait_for_selector("[name=key]:visible")
        assert page.text_content("#summary") == "Enter an API key to start."
        page.fill("[name=key]", "secret")
        page.keyboard.press("Tab")
        page.wait_for_selector("[data-model]")
        type_line(page)
