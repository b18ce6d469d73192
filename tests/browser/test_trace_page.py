"""The page of a trace shows the numbers of the trace, and is operated by mouse and keyboard."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.config.model import ModelConfig
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.inference.trace import Trace
from nmt.inference.translation import Translation
from nmt.inference.translator import Translator
from nmt.search.hypothesis import Hypothesis
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.visualization.page import render_page

if TYPE_CHECKING:
    from conftest import PageOf
    from playwright.sync_api import Page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "{{7*7}}",
    "\"'><img src=x onerror=alert(1)>",
    "مرحبا",
    "日本語の文章がとても長いのでどうなりますか",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "e\u0301\u0302\u0303",
    "\x1b[31mred",
    "\u200d",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen",
]
LINE = "w1 w2 w3 w4"


def make_trace(line: str, model: dict[str, Any] | None = None, **decoding: Any) -> Trace:
    """Trace a line with a tiny model of random weights."""
    prefix = decoding.pop("prefix", "")
    words = [*HOSTILE, *(f"w{number}" for number in range(30))]
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter([" ".join(words)]))
    torch.manual_seed(5)
    sizes = {"embedding": {"size": 16}, "encoder": {"hidden_size": 8}}
    config = {**sizes, "decoder": {"hidden_size": 12}, **(model or {})}
    built = build_model(ModelConfig.model_validate(config), len(tokenizer), len(tokenizer)).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(2.0)
    options = DecodingConfig.model_validate({"max_length": 7, "beam_size": 3, **decoding})
    cpu = torch.device("cpu")
    runner = BatchRunner(built, build_search(options, tokenizer), cpu, torch.float32, 200)
    translator = Translator(
        runner, source_reader=tokenizer, target_tokenizer=tokenizer, max_source_length=100
    )
    return translator.trace(line, prefix=prefix)


def html_of(trace: Trace) -> str:
    return render_page("trace", [trace.view(lambda prefix: f"nmt {prefix!r}")], title="run: trace")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace(LINE)


@pytest.fixture
def page(page_of: "PageOf", trace: Trace) -> "Page":
    return page_of(html_of(trace))


def test_each_step_shows_its_scores_and_weights(page: "Page", trace: Trace) -> None:
    for step, word in enumerate(trace.target):
        page.click(f"[data-step='{step}']")
        assert page.get_attribute(f"[data-step='{step}']", "aria-current") == "step"
        assert word in page.inner_text(".step-title")
        rows = page.query_selector_all(".over-source tbody tr")
        assert [row.query_selector("th").inner_text() for row in rows] == list(trace.source)
        weights = [float(row.get_attribute("data-weight") or "nan") for row in rows]
        expected = trace.arrays["decoder.attention.weights"][step].tolist()
        assert weights == pytest.approx(expected, rel=1e-5)
        scores = [row.query_selector(".score").inner_text().replace("−", "-") for row in rows]
        found = trace.arrays["decoder.attention.score.scores"][step].tolist()
        assert list(map(float, scores)) == pytest.approx(found, abs=6e-4)


def test_the_keyboard_alone_reaches_each_step(page: "Page", trace: Trace) -> None:
    page.focus("[data-step='0']")
    for step in range(1, len(trace.target)):
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.step") == str(step)
        assert page.inner_text(".step-title").startswith(f"Step {step + 1}:")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.step") == "0"


def test_the_keyboard_alone_reaches_each_token_of_the_beam(page: "Page", trace: Trace) -> None:
    page.focus("[name='beam-shown']")
    page.keyboard.press("Tab")
    best = trace.tree.path(trace.tree.best())
    assert page.evaluate("document.activeElement.dataset.node") == str(best[0].id)
    reached = set()
    for step in range(1 + max(node.step for node in trace.tree.nodes)):
        page.keyboard.press("Home")
        for key in [*["ArrowRight"] * step, *["ArrowUp"] * 9, *["ArrowDown"] * 9]:
            page.keyboard.press(key)
            reached.add(int(page.evaluate("document.activeElement.dataset.node")))
    assert reached >= {node.id for node in trace.tree.nodes}
    page.focus(f"button[data-node='{best[-1].id}']")
    for node in best[-2::-1]:
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.dataset.node") == str(node.id)


def test_a_word_that_is_forced_is_a_command(page: "Page", trace: Trace) -> None:
    chosen = trace.steps[1].likeliest[2]
    page.click("[data-step='1']")
    assert page.query_selector("code.command") is None
    page.click(f"[data-next='{chosen.word}']")
    assert page.inner_text("code.command") == f"nmt {chosen.prefix!r}"


def test_a_chosen_word_that_is_not_among_the_likeliest_is_shown(
    page_of: "PageOf", trace: Trace
) -> None:
    view = trace.view()
    word = view["steps"][1]["word"]
    view["steps"][1]["likeliest"] = [
        one for one in view["steps"][1]["likeliest"] if one["word"] != word
    ]
    page = page_of(render_page("trace", [view], title="unlikely"))
    for number, step in enumerate(trace.steps):
        page.click(f"[data-step='{number}']")
        assert page.locator(".next-words .taken bdi").all_inner_texts() == [step.word]
        reasons = page.locator(".next-why").all_inner_texts()
        why = "Chosen: less likely here, but better with the words after it"
        assert reasons == ([why] if number == 1 else [])


def test_a_word_that_nothing_can_force_offers_no_command(page_of: "PageOf", trace: Trace) -> None:
    page = page_of(render_page("trace", [trace.view()], title="no commands"))
    assert page.locator("button.next-word").count() == 0
    assert "Choose a word" not in page.inner_text("[data-part='next']")


def test_the_beam_follows_the_step_that_is_open(page_of: "PageOf", trace: Trace) -> None:
    page = page_of(html_of(trace), 360)
    last = len(trace.target) - 1
    page.click(f"[data-step='{last}']")
    assert page.inner_text(".beam-step.open").startswith(str(last + 1))
    column = page.locator(".beam-step.open").bounding_box()
    box = page.locator(".beam-scroll").bounding_box()
    assert column is not None and box is not None
    assert box["x"] <= column["x"] < box["x"] + box["width"] - 90
    page.check("[name='beam-shown'][value='kept']", force=True)
    assert page.inner_text(".beam-step.open").startswith(str(last + 1))


def test_each_token_of_the_beam_shows_its_probability(page: "Page", trace: Trace) -> None:
    cut = page.evaluate(
        """() => [...document.querySelectorAll("button[data-node]")].filter((one) => {
          const outer = one.getBoundingClientRect();
          const inner = one.querySelector(".share").getBoundingClientRect();
          return inner.width === 0 || inner.bottom > outer.bottom || inner.right > outer.right;
        }).map((one) => one.textContent)"""
    )
    assert cut == []


def test_of_a_large_beam_only_what_is_kept_is_shown_at_first(page_of: "PageOf") -> None:
    trace = make_trace(LINE, beam_size=7)
    page = page_of(html_of(trace))
    kept = [node for node in trace.tree.nodes if node.reason in ("kept", "finished")]
    assert page.locator("button[data-node]").count() == len(kept) < len(trace.tree.nodes)
    page.check("[name='beam-shown'][value='all']", force=True)
    assert page.locator("button[data-node]").count() == len(trace.tree.nodes)


def test_the_beam_has_every_node_and_its_reason(page: "Page", trace: Trace) -> None:
    reasons = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('button[data-node]')]"
        ".map((one) => [one.dataset.node, one.dataset.reason]))"
    )
    assert reasons == {str(node.id): node.reason for node in trace.tree.nodes}
    best = page.eval_on_selector_all(".beam-node.best", "all => all.map(one => one.dataset.node)")
    assert best == [str(node.id) for node in trace.tree.path(trace.tree.best())]
    page.hover(f"button[data-node='{best[-1]}']")
    readout = page.inner_text(".beam .readout").replace("−", "-")
    assert "Finished: the translation ends here" in readout
    assert f"score {trace.tree.best().score:.3f}" in readout
    lit = page.eval_on_selector_all("button.lit", "all => all.map(one => one.dataset.node)")
    assert lit == best


def test_the_beam_can_be_reduced_to_what_is_kept(page: "Page", trace: Trace) -> None:
    page.check("[name='beam-shown'][value='kept']", force=True)
    shown = page.locator("button[data-node]").count()
    kept = [node for node in trace.tree.nodes if node.reason in ("kept", "finished")]
    assert shown == len(kept) < len(trace.tree.nodes)


def test_the_beam_is_a_table_too(page: "Page", trace: Trace) -> None:
    page.click(".beam-table summary")
    assert page.locator(".beam-table tbody tr").count() == len(trace.tree.nodes)


def test_formulas_name_paper_class_and_line(page: "Page", trace: Trace) -> None:
    (score,) = (part for part in trace.parts if part.kind == "score")
    place = f"{score.formula.file}:{score.formula.line}"
    text = page.inner_text("[data-part='decoder.attention']")
    for expected in ("v · tanh(W q + U h + b)", "Bahdanau 2015, A.1.2", f"AdditiveScore {place}"):
        assert expected in text
    assert page.locator(".facts").first.locator("tbody tr").count() == len(trace.parts)


def test_each_head_can_be_seen(page_of: "PageOf") -> None:
    trace = make_trace(LINE, {"attention": {"num_heads": 2}})
    page = page_of(html_of(trace))
    for head in (0, 1):
        page.select_option("[name='trace-head']", str(head))
        rows = page.query_selector_all(".over-source tbody tr")
        weights = [float(row.get_attribute("data-weight") or "nan") for row in rows]
        expected = trace.arrays[f"decoder.attention.heads.{head}.alignment.weights"][0].tolist()
        assert weights == pytest.approx(expected, rel=1e-5)


def test_each_group_of_a_diverse_beam_can_be_seen(page_of: "PageOf") -> None:
    trace = make_trace(LINE, search="diverse_beam")
    page = page_of(html_of(trace))
    for group in range(3):
        page.select_option("[name='beam-group']", str(group))
        count = sum(node.group == group for node in trace.tree.nodes)
        assert page.locator("button[data-node]").count() == count


def test_hostile_words_are_shown_as_text(page_of: "PageOf") -> None:
    line = "  ".join(HOSTILE)
    trace = make_trace(line)
    page = page_of(render_page("trace", [trace.view(lambda text: text)], title=HOSTILE[0]))
    assert page.inner_text("h1") == HOSTILE[0]
    assert HOSTILE[2] in page.inner_text(".text.source")
    assert page.locator("img").count() == 0
    page.evaluate("document.querySelectorAll('button[data-node]').forEach((one) => one.focus())")


def test_what_a_trace_lacks_is_said(page_of: "PageOf") -> None:
    no_attention = {"decoder": {"style": "sutskever", "hidden_size": 12}, "attention": None}
    page = page_of(html_of(make_trace(LINE, no_attention)))
    assert "attention: the model has none" in page.inner_text(".trace-head")
    assert page.locator(".over-source").count() == 0
    page = page_of(html_of(make_trace(LINE, search="sampling", beam_size=1)))
    assert "a beam: sampling draws one word" in page.inner_text(".trace-head")
    assert page.locator(".beam").count() == 0
    exported = Translation(("ein Hund",), (Hypothesis((5,), -1.0, -0.5),))
    page = page_of(html_of(Trace.of_exported("a dog", exported)))
    assert "Not in this trace: states, gates, attention and beam, which stay" in page.inner_text(
        "main"
    )


def test_a_model_that_computes_nan_has_a_page(page_of: "PageOf", trace: Trace) -> None:
    view = trace.view()
    for array in view["arrays"].values():
        array["rows"] = [[None for _ in row] for row in array["rows"]]
    page = page_of(render_page("trace", [view], title="nan"))
    assert "NaN" in page.inner_text(".over-source")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible(
    page_of: "PageOf", axe: "Callable[[Page], list[str]]", trace: Trace, theme: Any
) -> None:
    page = page_of(html_of(trace), 1440, theme)
    page.click(".beam-table summary")
    page.click(".folded summary >> nth=0")
    page.click(f"[data-next='{trace.steps[0].likeliest[1].word}']")
    assert axe(page) == []


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_leaves_the_window(
    page_of: "PageOf", overflow: "Callable[[Page], list[str]]", width: int
) -> None:
    page = page_of(html_of(make_trace("  ".join(HOSTILE))), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert overflow(page) == []
