"""The attention page in a browser: what is lit, what is shown, and how it is reached."""

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nmt.visualization.attention_view import AttentionView, Matrix
from nmt.visualization.page import attention_page, render_page
from nmt.visualization.views import VIEWS, notebook_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.browser.conftest import PageOf

FIXTURES = Path(__file__).parents[1] / "visualization/views"
SPREAD = Path(__file__).parent / "spread.js"
SOURCE = ("two", "small", "children", "watch", "a", "brown", "dog", "in", "the", "snow")
TARGET = ("zwei", "kleine", "Kinder", "sehen", "einen", "braunen", "Hund", "im", "Schnee")
THRESHOLD = 0.02
PRECISION = 1 / 65535 + 5e-7


def arrays(seed: int, *shape: int) -> np.ndarray:
    """Weights of which some are small, and some exactly zero."""
    weights = np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.3), shape[:-1])
    return np.where(weights < 1e-3, 0.0, weights)


WEIGHTS = arrays(1, len(TARGET), len(SOURCE))
HEADS = arrays(2, 3, len(TARGET), len(SOURCE))
PIECES = arrays(3, 3, 5, 4)


def view(**fields: Any) -> AttentionView:
    given: dict[str, Any] = {"line": 1, "words": Matrix(SOURCE, TARGET, WEIGHTS), **fields}
    return AttentionView(**given)


def page_with(*views: AttentionView, title: str = "Attention of runs/toy") -> str:
    return render_page("attention", [one.to_json() for one in views], title=title)


def word(side: str, index: int, view: str = "lines") -> str:
    return f".view-{view} [data-side={side}][data-index='{index}']"


def pairs_of(page: "Page", selector: str) -> dict[tuple[int, int], float]:
    """Return the weights of elements, by target and source word."""
    found = page.eval_on_selector_all(
        selector,
        "all => all.map((one) => [one.dataset.target, one.dataset.source, one.dataset.weight])",
    )
    return {(int(target), int(source)): float(weight) for target, source, weight in found}


def check_weights(found: dict[tuple[int, int], float], expected: np.ndarray) -> None:
    assert found
    for at, weight in found.items():
        assert weight == pytest.approx(expected[at], abs=PRECISION)


@pytest.mark.parametrize("name", ["lines", "matrix"])
def test_a_hovered_word_lights_its_words_with_their_weights(name: str, page_of: "PageOf") -> None:
    page = page_of(page_with(view()))
    every = pairs_of(page, ".view-matrix td[data-source]")
    assert len(every) == WEIGHTS.size
    check_weights(every, WEIGHTS)
    for side, index in [("source", 0), *(("target", at) for at in range(9)), ("source", 9)]:
        page.hover(word(side, index, name))
        of_word = WEIGHTS[:, index] if side == "source" else WEIGHTS[index]
        other = "target" if side == "source" else "source"
        wanted = {
            (at, index) if side == "source" else (index, at): weight
            for at, weight in enumerate(of_word)
            if weight >= THRESHOLD
        }
        lit = pairs_of(page, ".arc.lit")
        assert lit.keys() == wanted.keys()
        check_weights(lit, WEIGHTS)
        assert page.locator(".arc:visible").count() == len(wanted)
        cells = pairs_of(page, ".view-matrix td.lit")
        assert len(cells) == len(of_word) and {at[side == "source"] for at in cells} == {index}
        numbers = page.locator(f".words.{other} .number").all_text_contents()
        assert numbers == [f"{one:.3f}" if one >= THRESHOLD else "" for one in of_word]
        marked = page.locator(f".words.{side} .pointed")
        assert marked.count() == 1 and marked.get_attribute("data-index") == str(index)


def test_cells_show_their_weights_and_a_zero_only_for_zeros(page_of: "PageOf") -> None:
    weights = np.array([[0.0, 1e-9, 0.00049], [0.0006, 0.5, 1.0]])
    page = page_of(page_with(view(words=Matrix(("a", "b", "c"), ("x", "y"), weights))))
    cells = page.locator(".view-matrix td[data-source]")
    assert cells.all_text_contents() == ["0", "<0.001", "<0.001", "0.001", "0.500", "1.000"]
    classes = cells.evaluate_all("all => all.map((one) => one.className)")
    assert classes == ["zero", "weight below", "weight below", "weight below", "weight", "weight"]
    shades = cells.evaluate_all("all => all.map((one) => one.dataset.shade)")
    assert shades == ["0", "1", "1", "1", "5", "10"]
    assert page.locator(".arc").count() == 2


def test_a_cell_names_both_words(page_of: "PageOf") -> None:
    page = page_of(page_with(view()))
    page.hover(".view-matrix td[data-source='3'][data-target='2']")
    text = page.inner_text(".readout").replace("\u2068", "").replace("\u2069", "")
    shown = WEIGHTS[2, 3]
    assert text == f"“Kinder” looks at “watch”: {shown:.3f}" or shown < 5e-4
    assert page.locator(".view-matrix td.lit").count() == 1


def box(page: "Page", selector: str) -> list[float]:
    """Return left, top, right and bottom of all elements of a selector together."""
    found = page.locator(selector).evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect())"
        ".map(({ left, top, right, bottom }) => [left, top, right, bottom])"
    )
    (*low, _, _), (_, _, *high) = np.min(found, axis=0), np.max(found, axis=0)
    return [*low, *high]


def test_one_element_dims_all_cells_but_the_lit_ones(page_of: "PageOf") -> None:
    """A rule for all other cells takes a second to apply to 80 x 80 words."""
    page = page_of(page_with(view()))
    assert not page.locator(".spotlight").is_visible()
    row, column, cell = "data-target='3'", "data-source='4'", "[data-source='4'][data-target='3']"
    for pointed, lit in [
        (word("target", 3, "matrix"), f"td[{row}]"),
        (word("source", 4, "lines"), f"td[{column}]"),
        (f".view-matrix td{cell}", f"td{cell}"),
    ]:
        page.hover(pointed)
        assert box(page, ".spotlight") == pytest.approx(box(page, lit), abs=0.6)
    page.click(f".view-matrix td{cell}")
    page.set_viewport_size({"width": 800, "height": 900})  # the cells have another size
    page.mouse.move(2, 2)
    assert box(page, ".spotlight") == pytest.approx(box(page, f"td{cell}"), abs=0.6)
    page.focus(word("source", 0))
    page.keyboard.press("Escape")
    assert not page.locator(".spotlight").is_visible()


def test_the_three_largest_weights_are_read_out(page_of: "PageOf") -> None:
    page = page_of(page_with(view()))
    page.hover(word("target", 6))
    text = page.inner_text(".readout").replace("\u2068", "").replace("\u2069", "")
    best = sorted(range(len(SOURCE)), key=lambda at: -WEIGHTS[6, at])[:3]
    expected = " · ".join(f"{SOURCE[at]} {WEIGHTS[6, at]:.3f}" for at in best)
    assert text.startswith(f"“Hund” looks at: {expected}")
    assert page.get_attribute(".readout", "aria-live") == "polite"


def test_heads_and_subwords_can_be_chosen(page_of: "PageOf") -> None:
    names = ("a", "b", "c", "</s>"), ("v", "w", "x", "y", "</s>")
    pieces = Matrix(*names, PIECES.mean(0), PIECES)
    words = Matrix(SOURCE, TARGET, HEADS.mean(0), HEADS)
    links = (frozenset[tuple[int, int]](),) * 3
    page = page_of(page_with(view(words=words, pieces=pieces, head_links=links)))
    check_weights(pairs_of(page, ".view-matrix td[data-source]"), HEADS.mean(0))
    for head in range(3):
        page.select_option("select[name=head]", str(head))
        check_weights(pairs_of(page, ".view-matrix td[data-source]"), HEADS[head])
    page.check("input[name=level][value=pieces]", force=True)
    assert page.locator(".words.source button").all_text_contents() == ["a", "b", "c", "</s>"]
    check_weights(pairs_of(page, ".view-matrix td[data-source]"), PIECES[2])


def test_each_head_has_a_picture_that_chooses_it(page_of: "PageOf") -> None:
    words = Matrix(SOURCE, TARGET, HEADS.mean(0), HEADS)
    links = (frozenset[tuple[int, int]](),) * 3
    page = page_of(page_with(view(words=words, head_links=links, error_rates=(0.5, 0.1, 0.2, 0.3))))
    texts = page.locator(".head").all_inner_texts()
    assert [text.split()[0] for text in texts] == ["Mean", "Head", "Head", "Head"]
    assert [text.split()[-1] for text in texts] == ["0.500", "0.100", "0.200", "0.300"]

    def pixel(at: Any) -> list[int]:
        """Return the colour of a cell in the picture of the second head."""
        picture = page.locator(".head[data-head='1'] canvas")
        read = "(one, at) => [...one.getContext('2d').getImageData(...at, 1, 1).data]"
        found: list[int] = picture.evaluate(read, [4 * int(at[1]) + 2, 4 * int(at[0]) + 2])
        return found

    largest = np.unravel_index(HEADS[1].argmax(), HEADS[1].shape)
    assert pixel(np.argwhere(HEADS[1] == 0)[0])[3] == 0
    page.focus(".head[data-head='1']")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.head") == "1"
    assert page.locator(".head[aria-pressed=true]").get_attribute("data-head") == "1"
    assert page.input_value("select[name=head]") == "1"
    check_weights(pairs_of(page, ".view-matrix td[data-source]"), HEADS[1])
    cell = page.locator(f"td[data-target='{largest[0]}'][data-source='{largest[1]}']")
    shown = cell.evaluate("one => getComputedStyle(one).backgroundColor")
    red, green, blue, alpha = pixel(largest)
    assert (shown, alpha) == (f"rgb({red}, {green}, {blue})", 255)


def test_small_weights_can_be_hidden(page_of: "PageOf") -> None:
    page = page_of(page_with(view()))
    for limit in (0.0, 0.25, 0.5):
        page.locator("input[name=threshold]").fill(str(limit))
        shown = pairs_of(page, ".arc")
        assert len(shown) == ((limit <= WEIGHTS) & (WEIGHTS > 0)).sum()


def test_picked_positions_and_gold_links_are_marked(page_of: "PageOf") -> None:
    weights = np.array([[0.0, 1.0], [1.0, 0.0]])
    gold = frozenset({(0, 0)}), frozenset({(0, 0), (0, 1)})
    words = Matrix(("a", "b"), ("x", "y"), weights)
    page = page_of(page_with(view(words=words, picks_one=True, gold=gold, error_rates=(0.5,))))
    classes = page.locator(".view-matrix td[data-source]").evaluate_all(
        "all => all.map((one) => one.className)"
    )
    assert classes == ["zero gold sure", "weight picked", "weight picked gold possible", "zero"]
    assert page.locator(".arc.picked").count() == 2
    assert "at random" in page.inner_text(".legend")


def test_the_mean_of_heads_has_no_picked_position(page_of: "PageOf") -> None:
    heads = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    words = Matrix(("a", "b"), ("x",), heads.mean(0), heads)
    links = frozenset({(1, 0)}), frozenset({(0, 0)})
    page = page_of(page_with(view(words=words, picks_one=True, head_links=links)))
    assert page.locator("td.picked").count() == 0
    page.select_option("select[name=head]", "1")
    assert pairs_of(page, "td.picked") == {(0, 0): 1.0}


def test_everything_can_be_reached_with_the_keyboard(page_of: "PageOf") -> None:
    page = page_of(page_with(view(pieces=Matrix(("a",) * 4, ("b",) * 5, PIECES[0])), view(line=2)))
    reached: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(({ tagName, name, className, dataset, textContent }) => name || dataset.side"
                " || (tagName === 'BODY' ? 'end' : textContent.trim() || className))"
                "(document.activeElement)"
            )
        )
        if reached[-1] == "end":
            break
    for name in ("filter", "sort", "Previous", "Next", "view", "level", "threshold"):
        assert name in reached, reached
    # One stop for each group of words: two columns, and the heads of rows and columns.
    assert [one for one in reached if one in ("source", "target")] == [
        *("source", "target"),
        *("source", "target"),
    ]


def focused(page: "Page") -> tuple[str, int]:
    side, index = page.evaluate(
        "[document.activeElement.dataset.side, document.activeElement.dataset.index]"
    )
    return side, int(index)


def test_arrow_keys_move_between_words(page_of: "PageOf") -> None:
    page = page_of(page_with(view()))
    page.focus(word("source", 0))
    check_weights(pairs_of(page, ".arc.lit"), WEIGHTS)
    for key, expected in [
        ("ArrowDown", ("source", 1)),
        ("ArrowDown", ("source", 2)),
        ("ArrowUp", ("source", 1)),
        ("End", ("source", 9)),
        ("ArrowDown", ("source", 9)),
        ("Home", ("source", 0)),
        ("ArrowRight", ("target", int(WEIGHTS[:, 0].argmax()))),
    ]:
        page.keyboard.press(key)
        assert focused(page) == expected
    page.keyboard.press("Escape")
    assert page.locator(".arc.lit").count() == 0
    page.focus(word("source", 0, "matrix"))
    page.keyboard.press("ArrowRight")
    assert focused(page) == ("source", 1)
    page.keyboard.press("ArrowDown")
    assert focused(page) == ("target", int(WEIGHTS[:, 1].argmax()))


def test_a_clicked_word_stays_lit_until_escape(page_of: "PageOf") -> None:
    page = page_of(page_with(view()))
    page.click(word("target", 2))
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    assert {target for target, _ in pairs_of(page, ".arc.lit")} == {2}
    page.focus(word("target", 2))
    page.keyboard.press("Escape")
    assert page.locator(".arc.lit").count() == 0


def test_the_matrix_of_long_sentences_is_a_picture(page_of: "PageOf") -> None:
    names = tuple(map(str, range(150)))
    page = page_of(page_with(view(words=Matrix(names, names, np.eye(150)))))
    assert page.locator("table").count() == 0
    size = page.locator("canvas.heat-map").bounding_box()
    assert size is not None
    place: Any = {"x": size["width"] * 10.5 / 150, "y": size["height"] * 10.5 / 150}
    page.hover("canvas.heat-map", position=place)
    assert pairs_of(page, ".arc.lit") == {(10, 10): 1.0}
    assert "looks at" in page.inner_text(".readout")


def several() -> list[AttentionView]:
    def one(line: int, source: str, score: float, weights: list[list[float]]) -> AttentionView:
        target = tuple("xy"[: len(weights)])
        matrix = Matrix(tuple(source.split()), target, np.array(weights))
        return AttentionView(line, matrix, score=score, error_rates=(line / 10,))

    return [
        one(1, "the dog", -1.0, [[0.5, 0.5]]),
        one(2, "a cat here", -3.0, [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
        one(3, "Dogs", -2.0, [[1.0]]),
    ]


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        ("line", [1, 2, 3]),
        ("length", [2, 1, 3]),
        ("score", [2, 3, 1]),
        ("entropy", [1, 2, 3]),
        ("coverage", [2, 1, 3]),
        ("aer", [3, 2, 1]),
    ],
)
def test_sentences_are_sorted(order: str, lines: list[int], page_of: "PageOf") -> None:
    page = page_of(page_with(*several()))
    page.select_option("select[name=sort]", order)
    assert page.locator("[data-list] .line").all_text_contents() == list(map(str, lines))


def test_sentences_are_filtered(page_of: "PageOf") -> None:
    page = page_of(page_with(*several()))
    page.fill("input[name=filter]", "DOG")
    assert page.locator("[data-list] .line").all_text_contents() == ["1", "3"]
    assert page.inner_text(".list-count") == "2 of 3 sentences"
    page.click("[data-list] li:nth-child(2) button")
    assert page.locator(".words.source button").all_text_contents() == ["Dogs"]
    assert page.url.endswith("#3")


def test_only_the_first_1000_sentences_are_listed(page_of: "PageOf") -> None:
    words = Matrix(("a",), ("b",), np.ones((1, 1)))
    page = page_of(page_with(*(view(line=line, words=words) for line in range(1, 1101))))
    assert page.locator("[data-list] li").count() == 1000
    assert page.inner_text(".list-count") == "the first 1,000 are listed"
    page.click("text=Previous")
    assert page.inner_text(".title h2") == "Sentence 1,000"
    page.evaluate("location.hash = '#1100'")
    page.wait_for_function("document.querySelector('.title h2').textContent === 'Sentence 1,100'")


def test_the_next_sentence_is_that_of_the_list(page_of: "PageOf") -> None:
    page = page_of(page_with(*several()))
    page.select_option("select[name=sort]", "score")
    opened = []
    for _ in range(3):
        page.click("text=Next")
        opened.append(page.inner_text("[data-list] [aria-current] .line"))
    assert opened == ["2", "3", "1"]


def test_a_page_says_how_many_lines_are_not_in_it(page_of: "PageOf", tmp_path: Path) -> None:
    path = tmp_path / "lines.html"
    with path.open("w") as output, attention_page(output, title="t", most_lines=2) as append:
        for line in range(1, 1235):
            append(lambda line=line: view(line=line))  # type: ignore[misc]
    summary = page_of(path).inner_text("#summary")
    assert summary == "2 of 1,234 lines are in this page; --html-lines N takes more"


def test_sentences_without_weights_say_why(page_of: "PageOf") -> None:
    long = Matrix(("a",) * 301, ("x",), np.zeros((1, 301)))
    page = page_of(page_with(view(words=None, text=("a", "x")), view(line=2, words=long)))
    assert page.inner_text(".note") == "No weights are shown: the model has no attention."
    page.click("[data-list] li:nth-child(2) button")
    assert page.inner_text(".note") == "No weights are shown: too long: 301 x 1 words."


def test_a_notebook_shows_the_sentence_in_its_frame(page_of: "PageOf") -> None:
    page = page_of(f"<!doctype html><title>notebook</title>{notebook_html(view())}")
    frame = page.frame_locator("iframe")
    frame.locator(word("target", 2)).hover()
    assert frame.locator(".arc.lit").count() == (WEIGHTS[2] >= THRESHOLD).sum()
    assert not frame.locator("[data-list]").is_visible()


def fixture_page(name: str) -> str:
    views = json.loads((FIXTURES / f"{name}.json").read_text())
    return render_page("attention", views, title=f"Attention of runs/{name}")


def number_of_sentences(page: "Page") -> int:
    return page.locator("[data-list] li").count()


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1440, "light")])
@pytest.mark.parametrize("name", ["one", "heads", "grid"])
def test_pages_are_accessible(
    name: str, width: int, theme: Any, page_of: "PageOf", axe: "Callable[[Page], list[str]]"
) -> None:
    page = page_of(fixture_page(name), width, theme)
    for index, text in enumerate(page.locator("[data-list] .pair").all_inner_texts()):
        if len(text.split()) < 100:  # the check of a long table takes seconds, and finds no more
            page.evaluate(f"document.querySelectorAll('[data-list] button')[{index}].click()")
            assert axe(page) == []
    page.focus(word("target", 0, "matrix"))
    assert axe(page) == []


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("name", ["one", "heads", "grid"])
def test_nothing_leaves_the_window(
    name: str, width: int, page_of: "PageOf", overflow: "Callable[[Page], list[str]]"
) -> None:
    page = page_of(fixture_page(name), width)
    for index in range(number_of_sentences(page)):
        page.evaluate(f"document.querySelectorAll('[data-list] button')[{index}].click()")
        assert overflow(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_new_view_is_one_file_and_one_line(
    page_of: "PageOf", axe: "Callable[[Page], list[str]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view that `docs/adding-a-part.md` shows."""
    folder = Path(str(files("nmt.visualization"))) / "page/views"
    monkeypatch.setitem(VIEWS, "spread", os.path.relpath(SPREAD, folder))
    page = page_of(page_with(view()))
    rows = page.locator(".view-spread li").all_inner_texts()
    shares = WEIGHTS / WEIGHTS.sum(axis=1, keepdims=True)
    spread = [np.exp(-(row[row > 0] * np.log(row[row > 0])).sum()) for row in shares]
    assert [float(row.split()[1]) for row in rows] == pytest.approx(spread, abs=0.006)
    page.hover(word("target", 3, "spread"))
    check_weights(pairs_of(page, ".arc.lit"), WEIGHTS)
    assert page.locator(".view-spread .pointed").inner_text().startswith("sehen")
    page.check("input[name=view][value=spread]", force=True)
    assert page.locator(".view").count() == 1
    assert axe(page) == []


def test_a_long_text_is_cut_with_a_button_that_shows_it(
    page_of: "PageOf", overflow: "Callable[[Page], list[str]]"
) -> None:
    words = Matrix(("ab",) * 250, TARGET, np.zeros((len(TARGET), 250)))
    page = page_of(page_with(view(words=words)), 360)
    source = page.locator(".text.source")
    assert page.locator(".more:visible").all_inner_texts() == ["Show the whole source"]
    height = source.evaluate("one => one.clientHeight")
    assert height < 0.2 * 900
    page.click(".more:visible")
    assert page.get_attribute(".more:visible", "aria-expanded") == "true"
    shown = source.evaluate("one => [one.clientHeight, one.scrollHeight]")
    assert shown[0] == shown[1] > 2 * height
    assert overflow(page) == []
    page.click("text=Show less of the source")
    assert source.evaluate("one => one.clientHeight") == height
    page.emulate_media(media="print")
    assert source.evaluate("one => one.clientHeight") > 2 * height
    assert page.locator(".more:visible").count() == 0


def test_texts_are_shown_as_they_are(page_of: "PageOf") -> None:
    hostile = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{7*7}}",
        "${alert(1)}",
        "'\"><svg onload=alert(1)>",
        "a\x00b\x1b[31m",
        "&lt;b&gt;",
        "e\u0301",
        "x" * 5000,
    ]
    matrix = Matrix(tuple(hostile), tuple(hostile), np.eye(len(hostile)))
    page = page_of(page_with(view(words=matrix), title=hostile[0]))
    shown = page.locator(".words.source bdi").all_text_contents()
    assert shown == [text.replace("\x00", "\ufffd").replace("\x1b", "\ufffd") for text in hostile]
    assert page.inner_text("h1") == hostile[0]
    assert page.locator("script").count() == 2  # the data, and that of the page
    for index in range(len(hostile)):
        page.hover(word("source", index))
    page.wait_for_timeout(100)


def test_words_that_cannot_be_seen_have_a_sign(page_of: "PageOf") -> None:
    words = (
        "",
        " ",
        "\u00a0",
        "\u200b",
        "\u202e",
        "\u2069\u2069",
        "\u200d",
        "\u3164",
        "\u202ex",
        "ا",
    )
    page = page_of(page_with(view(words=Matrix(words, ("a",), np.full((1, 10), 0.1)))))
    shown = page.locator(".words.source bdi").all_text_contents()
    assert shown == ["␣"] * 8 + ["\u202ex", "ا"]


def test_no_word_turns_the_direction_of_what_is_read_out(page_of: "PageOf") -> None:
    words = ("\u2069\u202e\u2066ab\u202bc", "d")
    page = page_of(page_with(view(words=Matrix(words, ("x",), np.array([[0.75, 0.25]])))))
    page.hover(word("target", 0))
    assert page.inner_text(".readout") == (
        "“\u2068x\u2069” looks at: \u2068abc\u2069 0.750 · \u2068d\u2069 0.250"
    )


def test_a_printed_page_shows_only_the_sentence(page_of: "PageOf") -> None:
    page = page_of(page_with(*several()))
    page.emulate_media(media="print")
    assert not page.locator("[data-list]").is_visible()
    assert not page.locator(".controls").is_visible()
    assert page.locator(".view-matrix table").is_visible()


def test_a_long_matrix_fits_on_a_printed_page(page_of: "PageOf") -> None:
    names = tuple(map(str, range(80)))
    page = page_of(page_with(view(words=Matrix(names, names[:3], np.eye(3, 80)))))
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without margins
    assert box(page, ".matrix")[2] < 718 * 1.05  # browsers shrink a page to its paper


def test_a_picture_shows_what_was_looked_at(page_of: "PageOf") -> None:
    page = page_of(fixture_page("grid"))
    views = json.loads((FIXTURES / "grid.json").read_text())
    page.hover(word("target", 1, "grid"))
    cells = page.locator(".pixel")
    zeros = cells.evaluate_all("all => all.map((one) => one.classList.contains('zero'))")
    weights = pairs_of(page, ".view-matrix td.lit")
    assert zeros == [weights[1, at] == 0 for at in range(16)] and any(zeros)
    assert len(views[0]["words"]["source"]) == 16
