"""Sixty texts of all scripts and lengths: none is cut, and none leaves the window.

With NMT_SCREENSHOTS=FOLDER, a picture of each is written, to be looked at.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nmt.visualization.attention_view import AttentionView, Matrix
from nmt.visualization.page import render_page

if TYPE_CHECKING:
    from tests.browser.conftest import PageOf

TEXTS = {
    "en": "A brown dog runs through the deep snow .",
    "de": "Ein brauner Hund rennt durch den tiefen Schnee .",
    "fr": "Un chien brun court dans la neige profonde .",
    "es": "¿ Un perro marrón corre por la nieve profunda ?",
    "pt": "Um cão castanho corre pela neve profunda .",
    "pl": "Brązowy pies biegnie przez głęboki śnieg .",
    "cs": "Hnědý pes běží hlubokým sněhem .",
    "ru": "Коричневый пёс бежит по глубокому снегу .",
    "uk": "Коричневий пес біжить глибоким снігом .",
    "el": "Ένας καφέ σκύλος τρέχει στο βαθύ χιόνι .",
    "tr": "Kahverengi bir köpek derin karda koşuyor .",
    "vi": "Một con chó nâu chạy qua lớp tuyết dày .",
    "ar": "يركض كلب بني عبر الثلج العميق .",
    "he": "כלב חום רץ דרך השלג העמוק .",
    "fa": "یک سگ قهوه\u200cای در برف عمیق می\u200cدود .",
    "ur": "ایک بھورا کتا گہری برف میں دوڑ رہا ہے ۔",
    "hi": "एक भूरा कुत्ता गहरी बर्फ में दौड़ता है ।",
    "bn": "একটি বাদামী কুকুর গভীর তুষারে দৌড়ায় ।",
    "ta": "ஒரு பழுப்பு நாய் ஆழமான பனியில் ஓடுகிறது .",
    "te": "ఒక గోధుమ రంగు కుక్క లోతైన మంచులో పరిగెడుతుంది .",
    "th": "สุ นั ข สี น้ำตาล วิ่ง ผ่าน หิมะ",
    "lo": "ໝາ ສີ ນ້ຳຕານ ແລ່ນ ຜ່ານ ຫິມະ",
    "km": "ឆ្កែ ពណ៌ ត្នោត រត់ កាត់ ព្រិល",
    "my": "အညိုရောင် ခွေး တစ်ကောင် ပြေး နေသည် ။",
    "ka": "ყავისფერი ძაღლი ღრმა თოვლში გარბის .",
    "hy": "Շագանակագույն շունը վազում է խոր ձյան միջով ։",
    "am": "ቡናማ ውሻ በጥልቅ በረዶ ይሮጣል ።",
    "ja": "茶色 の 犬 が 深い 雪 の 中 を 走る 。",
    "ko": "갈색 개 가 깊은 눈 속 을 달린다 .",
    "bo": "ཁྱི སྨུག་པོ གངས་ ནང་ རྒྱུག །",
    "zh-Hans": "一 只 棕 色 的 狗 在 深 雪 中 奔 跑 。",
    "zh-Hant": "一 隻 棕 色 的 狗 在 深 雪 中 奔 跑 。",
}
ENGLISH, GERMAN = TEXTS["en"].split(), TEXTS["de"].split()
LONG_WORDS = [["Donaudampfschifffahrtsgesellschaftskapitän" * 3, "x"], ["y", "x" * 5000]]
OTHERS = [
    [TEXTS["ar"].split(), TEXTS["he"].split()],
    [["👩🏽‍💻", "🏳️‍🌈", "🇩🇪", "1️⃣", "👨‍👩‍👧"], ["👍", "e\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉"]],
    [["https://example.org/a/very/long/path?with=query&and=more#fragment"], ["x"]],
    LONG_WORDS,
    [["one"], GERMAN * 3],
    [ENGLISH * 4, ["eins"]],
    [[], ["x"]],
    [["a"], []],
    [["", " "], ["a", ""]],
    [["\u202eabc\u202c", "\u200b", "\u00a0", "\x07", "a\tb"], ["\ufffd", "\u2066x", "\ufeff"]],
    [[")", "«", "'", "…", "-"], ["(", "»", '"', "...", "—"]],
    [["∑", "∂x", "α≤β", "x²", "½"], ["1,234.5", "−7", "10⁻³"]],
    [["<b>", "&amp;", "{{x}}", "</script>"], ["<i>", "${y}", "'\"", "-->"]],
    *([(ENGLISH * 60)[:number], (GERMAN * 60)[:number]] for number in (1, 2, 15, 40, 80, 150, 300)),
]


def near_diagonal(rows: int, columns: int) -> np.ndarray:
    place = np.arange(rows)[:, None] / max(rows - 1, 1) * max(columns - 1, 0)
    weights = np.exp(-((np.arange(columns)[None] - place) ** 2))
    weights[weights < 0.02] = 0.0
    total: np.ndarray = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return total


def all_views() -> list[AttentionView]:
    views: list[AttentionView] = []

    def add(
        source: list[str], target: list[str], weights: np.ndarray | None = None, **more: Any
    ) -> None:
        shown = near_diagonal(len(target), len(source)) if weights is None else weights
        words = Matrix(tuple(source), tuple(target), shown)
        views.append(AttentionView(len(views) + 1, words, **more))

    for language, text in TEXTS.items():
        add(text.split(), ENGLISH, languages=(language, "en"), score=-0.5)
    for source, target in OTHERS:
        add(source, target)
    add(ENGLISH, GERMAN, np.full((9, 9), 1 / 9))
    add(ENGLISH, GERMAN, np.zeros((9, 9)))
    diagonal = frozenset((at, at) for at in range(9))
    add(ENGLISH, GERMAN, np.eye(9), picks_one=True, gold=(diagonal, diagonal | {(0, 1)}))
    generator = np.random.default_rng(1)
    for rows, columns in ((4, 4), (14, 14), (1, 10), (20, 3)):
        weights = generator.dirichlet(np.full(rows * columns, 0.2), 4)
        cells = [f"{at // columns + 1},{at % columns + 1}" for at in range(rows * columns)]
        grid = generator.integers(0, 256, (rows, columns, 3)).astype(np.uint8)
        weights[weights < 0.01] = 0.0
        add(cells, ["a", "red", "circle", "."], weights, grid=grid, text=("", "a red circle ."))
    return views


@pytest.mark.parametrize(("width", "theme"), [(360, "light"), (768, "dark"), (1440, "light")])
def test_no_text_leaves_the_window(width: int, theme: Any, page_of: "PageOf") -> None:
    views = all_views()
    assert len(views) >= 59
    html = render_page("attention", [view.to_json() for view in views], title="Sixty texts")
    page = page_of(html, width, theme)
    for number in range(len(views)):
        page.evaluate(f"document.querySelectorAll('[data-list] button')[{number}].click()")
        fits = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert fits, f"sentence {number + 1}"
        if folder := os.environ.get("NMT_SCREENSHOTS"):
            path = Path(folder) / f"{width}-{number + 1:02}.png"
            page.screenshot(path=path, full_page=True)
