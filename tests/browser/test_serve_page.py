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

from nmt.inference.alternatives import find_alternatives
from nmt.serving.models import ModelRegistry, SearchOptions

if TYPE_CHECKING:
    from playwright.sync_api import Page

LINE = "the old cat sees a small dog"
HELPERS = Path(__file__).parents[1] / "serving/conftest.py"
CHINESE = "我们看见小猫和老狗"
SHOWS = "text => document.querySelector('.output').textContent === text"


@pytest.fixture(scope="module")
def helpers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serving_helpers", HELPERS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class Altered:
    """A model with other properties; it holds the lines with the word `here` back."""

    def __init__(self, model: Any, **properties: Any) -> None:
        self._model = model
        self.may_run = threading.Event()
        self.has_begun = threading.Event()
        vars(self).update(properties)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def translate(self, lines: list[Any], options: Any, *rest: Any) -> Any:
        if any("here" in line.source for line in lines):
            self.has_begun.set()
            assert self.may_run.wait(20)
        return self._model.translate(lines, options, *rest)


@pytest.fixture(scope="module")
def models(helpers: ModuleType) -> Any:
    from nmt.text.characters import CharacterTrainer
    from nmt.text.normalization import Normalizer

    characters = CharacterTrainer(Normalizer()).train(lambda: iter([CHINESE]))
    first = helpers.make_model("first", ("en", "de"))
    others: Any = [
        Altered(first, name="held", languages=("en", "sv")),
        Altered(
            first, name="exported", languages=("en", "da"), kind="exported", has_attention=False
        ),
        Altered(first, name="plain", languages=("en", "nl"), has_attention=False),
    ]
    return ModelRegistry(
        [
            first,
            helpers.make_model("second", ("en", "fr"), 5),
            helpers.make_model("third", ("de", "en"), 7),
            helpers.make_model("chinese", ("zh", "zh"), 3, characters),
            helpers.make_model("arabic", ("en", "ar"), 4, arabic_words()),
            *others,
        ]
    )


def arabic_words() -> Any:
    from nmt.text.normalization import Normalizer
    from nmt.text.words import WordTrainer

    return WordTrainer(Normalizer()).train(lambda: iter(["قط كلب يرى بيت قديم صغير هنا"]))


@pytest.fixture(scope="module")
def server(helpers: ModuleType, models: Any) -> Iterator[Any]:
    with helpers.run_server(models, num_threads=2, max_characters=6_000) as running:
        yield running


@pytest.fixture
def open_page(server: Any, page_of: Callable[..., "Page"]) -> Callable[..., "Page"]:
    def open_one(address: str = server.url, **options: Any) -> "Page":
        opened = page_of(address, allowed=(address,), **options)
        opened.set_default_timeout(10_000)
        opened.wait_for_selector("[data-model]")
        return opened

    return open_one


@pytest.fixture
def page(open_page: Callable[..., "Page"]) -> "Page":
    return open_page()


def settle(page: "Page") -> None:
    """Wait until every column shows the translation of the text."""
    page.wait_for_function(
        "() => !document.querySelector('.late') && document.querySelector('.output .word')"
    )


def type_line(page: "Page", line: str = LINE) -> None:
    with page.expect_response("**/v1/translate"):
        page.fill("#text", line)
    settle(page)


def choose_model(page: "Page", name: str, line: str = LINE) -> None:
    page.select_option("[name=model]", name)
    page.wait_for_selector(f"[data-model={name}]")
    type_line(page, line)


def words_of(page: "Page", model: str = "first") -> list[str]:
    return page.locator(f"[data-model={model}] .output .word").all_text_contents()


def lit_words(page: "Page", place: str) -> list[int]:
    numbers = "all => all.map(one => Number(one.dataset.index))"
    lit: list[int] = page.eval_on_selector_all(f"{place} [data-shade]", numbers)
    return lit


def said(page: "Page") -> str:
    """Return the line that says what is pointed at, without marks of direction."""
    return re.sub("[\u2068\u2069]", "", page.text_content(".said") or "")


def focused(page: "Page", selector: str) -> bool:
    return bool(page.evaluate(f"document.activeElement.matches({selector!r})"))


# Attention


def test_hovering_a_word_lights_what_it_looks_at(page: "Page", models: Any) -> None:
    type_line(page)
    (there,) = models.first.translator.translate([LINE], with_alignments=True)
    assert page.locator(".output").text_content() == there.text
    alignment = there.alignment
    assert words_of(page) == list(alignment.target_words)
    for index, weights in enumerate(alignment.weights[:10]):
        page.hover(f".output [data-side=target][data-index='{index}']")
        assert lit_words(page, ".looked") == [
            at for at, weight in enumerate(weights) if weight >= 0.02
        ]
        best = int(weights.argmax())
        found = re.match(r"“(.*)” looks at: (\S+) ([\d.]+)", said(page))
        assert found, said(page)
        assert found.group(1, 2) == (alignment.target_words[index], alignment.source_words[best])
        assert float(found[3]) == pytest.approx(weights[best], abs=6e-4)
    page.hover("h1")
    assert said(page) == ""
    assert lit_words(page, ".column") == []


def test_a_source_word_lights_the_translation(page: "Page", models: Any) -> None:
    type_line(page)
    (there,) = models.first.translator.translate([LINE], with_alignments=True)
    for index in (1, 2):
        if index == 1:
            page.hover(".looked [data-index='1']")
        else:  # by the keyboard
            page.focus(".looked [data-index='1']")
            page.keyboard.press("ArrowRight")
        column = there.alignment.weights[:, index]
        lit = [at for at, weight in enumerate(column) if weight >= 0.02]
        assert lit_words(page, ".output") == lit
        assert said(page).startswith(f"“{LINE.split()[index]}” is looked at by: ")


def test_each_sentence_has_its_own_attention(page: "Page", models: Any) -> None:
    type_line(page, f"the cat sees\n\n  {LINE}")
    for number, line in ((1, LINE), (0, "the cat sees")):
        page.hover(f".output [data-sentence='{number}'] >> nth=0")
        assert page.locator(".looked .word bdi").all_text_contents() == line.split()


# Other words


def test_another_word_keeps_what_is_before(page: "Page", models: Any) -> None:
    from nmt.inference.inputs import Input

    type_line(page)
    page.select_option("[name=best]", "3")
    page.wait_for_selector(".ranked")
    before = words_of(page)
    expected = find_alternatives(models.first.translator, LINE, before[0])
    page.click(".output .word >> nth=1")
    page.wait_for_selector(".choice-word")
    assert page.text_content(".choices h3") == f"After {before[0]}"
    shown = page.locator(".choice-word").all()
    assert [one.locator("bdi, span").all_text_contents() for one in shown] == [
        [one.word, f"{one.probability:.3f}" if one.probability >= 0.0005 else "<0.001", one.text]
        for one in expected
    ]
    assert page.locator(".choice-word[aria-current]").get_attribute("data-word") == before[1]
    other = next(one for one in expected if one.word != before[1])
    page.click(f".choice-word[data-word='{other.word}']")
    page.wait_for_selector(".output .chosen")
    search = SearchOptions(n_best=3)
    (forced,) = models.first.translate([Input(LINE, other.prefix)], search)
    assert page.text_content(".output") == forced.text
    assert words_of(page)[:2] == [before[0], other.word]
    assert page.locator(".ranked bdi").all_text_contents() == [
        text or "(empty)" for text in forced.texts
    ]
    assert page.locator(".output .chosen").all_text_contents() == [other.word]
    assert focused(page, ".output .chosen.pointed")
    assert page.locator(".choices").is_hidden()
    page.click("text=Undo")
    page.wait_for_function("() => !document.querySelector('.output .chosen')")
    assert words_of(page) == before


def test_another_word_leaves_the_other_sentences(page: "Page") -> None:
    type_line(page, f"the cat sees\n\n  {LINE}")
    (text,) = page.locator(".output").all_text_contents()
    page.click(".output [data-sentence='1'] >> nth=0")
    page.wait_for_selector(".choice-word")
    assert page.text_content(".choices h3") == "At the beginning"
    page.click(".choice-word:not([aria-current]) >> nth=0")
    page.wait_for_selector(".output .chosen")
    (changed,) = page.locator(".output").all_text_contents()
    assert changed != text
    assert changed.split("\n\n  ")[0] == text.split("\n\n  ")[0]


def test_words_of_chinese_are_characters_and_other_words_are_tokens(
    page: "Page", models: Any
) -> None:
    choose_model(page, "chinese", CHINESE)
    chosen = models.models["chinese"]
    (there,) = chosen.translator.translate([CHINESE], with_alignments=True)
    assert words_of(page, "chinese") == [one for one in there.text if one.strip()]
    prefix = there.text[:2]
    expected = find_alternatives(chosen.translator, CHINESE, prefix)
    page.click(".output .word >> nth=2")
    page.wait_for_selector(".choice-word")
    offered = page.locator(".choice-word").evaluate_all("all => all.map(one => one.dataset.word)")
    assert offered and offered == [one.word for one in expected]
    assert not [word for word in offered if " " in word]


def test_the_box_of_other_words_closes(page: "Page") -> None:
    type_line(page)
    for leave in ("click", "word", "type"):
        page.click(".output .word >> nth=1")
        page.wait_for_selector(".choice-word")
        if leave == "click":
            page.click("h1")
        elif leave == "word":
            page.click(".output .word >> nth=1")
        else:
            type_line(page, "a cat")
        assert page.locator(".choices").is_hidden()
        assert page.locator(".output [aria-expanded=true]").count() == 0


# Settings


def test_translations_are_ranked_with_their_scores(page: "Page", models: Any) -> None:
    type_line(page)
    page.select_option("[name=best]", "3")
    page.wait_for_selector(".ranked")
    from nmt.inference.inputs import Input

    (there,) = models.first.translate([Input(LINE)], SearchOptions(n_best=3))
    shown = page.locator(".ranked li").all()
    assert [one.locator("bdi, span").all_text_contents() for one in shown] == [
        [text or "(empty)", f"{one.score:.3f}".replace("-", "−")]
        for text, one in zip(there.texts, there.hypotheses, strict=True)
    ]
    assert page.text_content(".score") == f"score {there.hypotheses[0].score:.3f}".replace("-", "−")


def test_the_beam_size_is_that_of_the_search(page: "Page", models: Any) -> None:
    from nmt.inference.inputs import Input

    line = "a dog hears the cat here the old old house"
    line = line.replace("here", "there")
    type_line(page, line)
    assert page.locator("[name=beam] option").first.text_content() == "3 (of the model)"
    for size in (1, 8):
        with page.expect_response("**/v1/translate") as answer:
            page.select_option("[name=beam]", str(size))
        assert answer.value.request.post_data_json["beam_size"] == size
        (there,) = models.first.translate([Input(line)], SearchOptions(beam_size=size))
        settle(page)
        assert page.text_content(".output") == there.text


def test_another_model_translates(page: "Page", models: Any) -> None:
    choose_model(page, "second")
    expected = models.models["second"].translator.translate([LINE])[0].text
    assert page.text_content(".output") == expected
    assert page.get_attribute(".output", "lang") == "fr"
    assert page.text_content("[data-model=second] h2") == "French second"


def test_two_models_side_by_side(page: "Page", models: Any) -> None:
    type_line(page)
    offered = page.locator("[name=other] option").all_text_contents()
    assert offered[:2] == ["Nothing", "second: English to French"]  # not the first itself
    page.select_option("[name=other]", "second")
    page.wait_for_selector("[data-model=second] .output .word")
    for name in ("first", "second"):
        expected = models.models[name].translator.translate([LINE])[0].text
        assert page.locator(f"[data-model={name}] .output").text_content() == expected
    left, right = (
        page.locator(f"[data-model={name}]").bounding_box() for name in ("first", "second")
    )
    assert left and right and left["y"] == right["y"] and left["x"] + left["width"] < right["x"]
    page.select_option("[name=other]", "third")
    page.wait_for_selector("[data-model=third] .problem")
    assert page.text_content("[data-model=third] .problem") == "third reads German, not English."


def test_languages_are_swapped(page: "Page", models: Any) -> None:
    type_line(page)
    there = page.text_content(".output") or ""
    page.click("text=Swap languages")
    back = models.models["third"].translator.translate([there])[0].text
    page.wait_for_function(SHOWS, arg=back)
    assert page.input_value("#text") == there
    assert page.text_content("#from") == "German"
    page.select_option("[name=model]", "second")
    assert page.locator(".swap").is_hidden()  # no model translates from French


# Details


def test_the_trace_of_a_sentence(page: "Page", models: Any) -> None:
    type_line(page)
    page.click("[data-detail=trace]")
    page.wait_for_selector("#details .strip-word")
    assert focused(page, "#details h2")
    steps = models.first.translator.trace(LINE).view()["steps"]
    assert page.locator("#details .strip-word bdi").all_text_contents() == [
        step["word"] for step in steps
    ]
    choice = page.locator("#details [data-prefix]:not(.taken *)").first
    prefix = choice.get_attribute("data-prefix") or ""
    choice.click()
    page.wait_for_selector("#details .note")
    forced = models.first.translator.trace(LINE, prefix=prefix).view()
    assert page.text_content("#details .text.target") == forced["text"][1]
    assert forced["text"][1].startswith(prefix)
    assert page.text_content("#details .note") == (
        f"The translation was forced to start with {prefix}."
    )
    assert focused(page, "#details h2")
    page.keyboard.press("Escape")
    assert page.locator("#details").is_hidden()
    assert focused(page, "[data-detail=trace]")


def test_a_forced_trace_keeps_the_page_still(page: "Page") -> None:
    type_line(page)
    page.click("[data-detail=trace]")
    page.wait_for_selector("#details .strip-word")
    height = page.evaluate("document.documentElement.scrollHeight")
    waiting: list[Any] = []
    page.route("**/v1/trace", lambda route: waiting.append(route))
    page.locator("#details [data-prefix]:not(.taken *)").first.click()
    page.wait_for_selector("#details .panel.late")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollHeight") == height
    waiting[0].continue_()
    page.wait_for_selector("#details .note")
    assert page.locator("#details .late").count() == 0


def test_details_follow_the_text(page: "Page", models: Any) -> None:
    type_line(page)
    page.click("[data-detail=attention]")
    page.wait_for_selector("#details .matrix")
    (there,) = models.first.translator.translate([LINE], with_alignments=True)
    cells = page.locator("#details td[data-weight]").evaluate_all(
        "all => all.map(one => Number(one.dataset.weight))"
    )
    assert cells == pytest.approx(list(there.alignment.weights.flat), abs=2e-5)
    type_line(page, "a cat")
    assert page.text_content("#details .text.source") == "a cat"
    page.click(".output .word >> nth=0")
    page.click(".choice-word:not([aria-current]) >> nth=0")
    page.wait_for_selector(".output .chosen")
    assert page.text_content("#details .text.target") == page.text_content(".output")
    page.click("[data-detail=trace]")
    page.wait_for_selector("#details .note")  # the words that were chosen are forced
    assert page.text_content("#details .text.target") == page.text_content(".output")
    page.click("text=Clear")
    page.wait_for_function("() => document.querySelector('#details').hidden")


# Time


def test_typing_asks_once(page: "Page") -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/v1/" in one.url else None)
    page.evaluate(
        """() => {
          const area = document.querySelector("#text");
          for (const letter of "the cat sees") {
            area.value += letter;
            area.dispatchEvent(new Event("input", { bubbles: true }));
          }
        }"""
    )
    settle(page)
    assert len(asked) == 1


def test_an_older_answer_never_replaces_a_newer_one(page: "Page", models: Any) -> None:
    held = models.models["held"]
    page.select_option("[name=model]", "held")
    page.fill("#text", "here")
    assert held.has_begun.wait(20)
    page.fill("#text", LINE)
    expected = models.first.translator.translate([LINE])[0].text
    page.wait_for_function(SHOWS, arg=expected)
    held.may_run.set()
    page.wait_for_timeout(300)
    assert page.text_content(".output") == expected


def test_an_answer_that_comes_late_is_not_shown(page: "Page", models: Any) -> None:
    # The first answer is complete before the second, but it is delivered after it.
    type_line(page, "the cat")
    waiting: list[Any] = []
    page.evaluate("() => { AbortController.prototype.abort = () => {}; }")
    page.route("**/v1/translate", lambda route: waiting.append(route))
    page.fill("#text", "a dog")
    page.wait_for_timeout(400)
    page.fill("#text", LINE)
    page.wait_for_timeout(400)
    older, newer = waiting
    newer.continue_()
    expected = models.first.translator.translate([LINE])[0].text
    page.wait_for_function(SHOWS, arg=expected)
    with page.expect_response("**/v1/translate"):
        older.continue_()
    page.wait_for_timeout(100)
    assert page.text_content(".output") == expected


def test_a_slow_answer_moves_nothing(page: "Page") -> None:
    type_line(page)
    before = page.text_content(".output")
    box = page.locator(".column:not(.typed) .sheet").bounding_box()
    waiting: list[Any] = []
    page.route("**/v1/translate", lambda route: waiting.append(route))
    page.fill("#text", f"{LINE} a")
    page.wait_for_selector(".column.late")
    assert page.text_content(".output") == before
    assert page.get_attribute(".output", "aria-busy") == "true"
    assert page.locator(".column:not(.typed) .sheet").bounding_box() == box
    waiting[0].continue_()
    settle(page)
    assert page.get_attribute(".output", "aria-busy") is None


def test_a_screen_reader_hears_of_a_translation_once(page: "Page") -> None:
    page.evaluate(
        """() => {
          window.heard = [];
          const listen = (one) => new MutationObserver(() => {
            if (one.textContent) window.heard.push(one.textContent);
          }).observe(one, { childList: true, characterData: true, subtree: true });
          document.querySelectorAll("[role=status], [aria-live]").forEach(listen);
        }"""
    )
    for line in ("the cat", "the cat sees", LINE):
        type_line(page, line)
    page.wait_for_timeout(1200)
    assert page.evaluate("window.heard") == ["Translated to German."]
    assert page.locator(".output[aria-live]").count() == 0


# Errors


def test_a_text_that_is_too_long_is_not_sent(page: "Page") -> None:
    type_line(page)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.fill("#text", "\U0001f600" * 6_002)
    page.wait_for_selector(".problem")
    assert page.text_content(".problem") == "The text is too long: shorten it by 2 characters."
    assert page.text_content("#count") == "6,002 of 6,000 characters"
    assert page.text_content(".output") == ""
    assert asked == []


def test_an_error_keeps_the_text_and_can_be_tried_again(open_page: Callable[..., "Page"]) -> None:
    page = open_page(expected=("ERR_FAILED",))
    type_line(page)
    before = page.text_content(".output")
    page.route("**/v1/translate", lambda route: route.abort())
    page.fill("#text", "a cat")
    page.wait_for_selector(".problem")
    assert page.text_content(".problem") == "The server does not answer. Try again"
    assert page.text_content(".output") == before
    assert page.locator(".column.stale:not(.late)").count() == 1  # it is not of this text
    page.unroute("**/v1/translate")
    page.click("text=Try again")
    settle(page)
    assert page.locator(".problem").count() == 0
    assert page.text_content(".output") != before


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(open_page: Callable[..., "Page"], status: int) -> None:
    page = open_page(expected=(f"{status}",))
    asked: list[float] = []

    def answer(route: Any) -> None:
        asked.append(page.evaluate("performance.now()"))
        if len(asked) == 1:
            headers = {"Retry-After": "1"}
            route.fulfill(status=status, headers=headers, json={"error": "later"})
        else:
            route.continue_()

    page.route("**/v1/translate", answer)
    page.fill("#text", LINE)
    page.wait_for_selector(".problem")
    assert page.text_content(".problem") == "The server is busy. Trying again in 1\u00a0s\u00a0…"
    settle(page)
    assert page.locator(".problem").count() == 0
    assert len(asked) == 2 and asked[1] - asked[0] >= 1_000


def test_other_errors_are_shown_at_once(open_page: Callable[..., "Page"]) -> None:
    page = open_page(expected=("503", "400"))
    given: dict[str, Any] = {}
    page.route("**/v1/translate", lambda route: route.fulfill(**given))
    for status, wait in ((503, "61"), (400, "1")):
        headers = {"Retry-After": wait}
        given.update(status=status, headers=headers, json={"error": f"it is {status}"})
        page.fill("#text", f"the cat {status}")
        page.wait_for_selector(f".problem >> text=it is {status}")


def test_a_model_without_attention_says_so(page: "Page", models: Any) -> None:
    choose_model(page, "plain")
    assert said(page) == "This model has no attention. Choose a word for other words."
    assert page.locator("[data-detail]").all_text_contents() == ["Trace"]
    page.click(".output .word >> nth=1")
    page.wait_for_selector(".choice-word")


def test_an_exported_model_says_what_it_lacks(page: "Page", models: Any) -> None:
    choose_model(page, "exported")
    assert said(page) == (
        "An exported file only translates: it shows no attention, no other words and no trace."
    )
    assert page.text_content(".output") == models.first.translator.translate([LINE])[0].text
    assert page.locator("[data-detail], .output button").count() == 0


# Texts


@pytest.mark.parametrize(
    "text",
    [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{config}}",
        "مرحبا \u202e the",
        "a\x1b[31m \x00 b",
        "cat" * 1_600,
    ],
    ids=["script", "image", "template", "bidi", "controls", "long word"],
)
def test_hostile_texts_are_shown_as_texts(page: "Page", text: str) -> None:
    type_line(page, text)
    assert page.locator("img").count() == 0
    page.click("[data-detail=attention]")
    page.wait_for_selector("#details .text")
    shown = page.text_content("#details .text.source") or ""  # up to a number
    assert len(shown) > 1 and re.sub("[\x00-\x1f]", "\ufffd", text).startswith(shown)
    assert page.locator("script").count() == 1
    assert not re.search("[\x00-\x08\x0b-\x1f]", page.text_content(".column .output") or "")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440


def test_a_script_that_gets_into_the_page_does_not_run(open_page: Callable[..., "Page"]) -> None:
    page = open_page(expected=("Content Security Policy",))
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          const handler = '<details open ontoggle="window.ran = true"></details>';
          document.body.insertAdjacentHTML("beforeend", handler);
        }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None


def test_lines_keep_their_places(page: "Page", models: Any) -> None:
    type_line(page, f"{LINE}\n\n  see https://example.org/x now")
    text = page.locator(".output").inner_text()
    assert text.startswith(models.first.translator.translate([LINE])[0].text + "\n\n  ")
    assert "https://example.org/x" in text


def test_text_is_counted_copied_and_cleared(page: "Page") -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    type_line(page)
    assert page.text_content("#count") == f"{len(LINE)} of 6,000 characters"
    page.click("text=Copy")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.text_content(".output")
    page.click("text=Clear")
    page.wait_for_function(SHOWS, arg="")
    assert focused(page, "#text")
    assert page.text_content("#count") == ""
    assert page.locator(".clear, .copy, .actions").locator("visible=true").count() == 0


# Keyboard and accessibility


def test_the_keyboard_reaches_everything(page: "Page") -> None:
    assert focused(page, "#text")
    page.keyboard.type(LINE)
    page.wait_for_selector(".looked")
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className"))
    assert reached == ["step copy", "word pointed", "word pointed", "step", "step"]
    page.focus(".output .word")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.index") == "1"
    assert "looks at" in said(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(".choice-word")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page, "li:nth-child(2) > .choice-word")
    page.keyboard.press("Escape")
    assert page.locator(".choices").is_hidden()
    assert focused(page, ".output .word[data-index='1']")
    page.keyboard.press("Enter")
    page.wait_for_selector(".choice-word")
    page.keyboard.press("Tab")
    assert focused(page, "li:nth-child(1) > .choice-word")


def test_arrow_keys_follow_the_direction_of_writing(page: "Page") -> None:
    choose_model(page, "arabic", "قط كلب يرى بيت قديم")
    assert page.evaluate("getComputedStyle(document.querySelector('.output')).direction") == "rtl"
    page.focus(".output .word")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.index") == "1"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_is_cut_and_rules_of_accessibility_hold(
    open_page: Callable[..., "Page"], axe: Callable[["Page"], list[str]], width: int, theme: str
) -> None:
    page = open_page(width=width, theme=theme, expected=("ERR_FAILED",))

    def check() -> None:
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    check()
    type_line(page)
    page.select_option("[name=best]", "3")
    page.select_option("[name=other]", "second")
    page.wait_for_selector("[data-model=second] .ranked")
    page.click("[data-model=first] [data-detail=attention]")
    page.wait_for_selector("#details .matrix")
    page.click("[data-model=second] .output .word >> nth=1")
    page.wait_for_selector(".choice-word")
    check()
    page.route("**/v1/translate", lambda route: route.abort())
    page.fill("#text", "a cat")
    page.wait_for_selector(".problem")
    page.wait_for_timeout(700)  # what is old has faded
    check()


def test_a_key_is_asked_for(
    helpers: ModuleType, models: Any, page_of: Callable[..., "Page"]
) -> None:
    from nmt.serving.options import key_digest

    with helpers.run_server(models, api_keys=(key_digest("secret"),)) as server:
        page = page_of(server.url, allowed=(server.url,), expected=("403",))
        page.wait_for_selector("[name=key]:visible")
        assert page.text_content("#summary") == "Enter an API key to start."
        page.fill("[name=key]", "wrong")
        page.keyboard.press("Tab")
        page.wait_for_selector("#summary >> text=Invalid API key")
        page.fill("[name=key]", "secret")
        page.keyboard.press("Tab")
        page.wait_for_selector("[data-model]")
        type_line(page)
