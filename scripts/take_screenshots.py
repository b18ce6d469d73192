"""Take pictures of pages in headless Chromium, at three widths, in light and dark.

    python scripts/take_screenshots.py docs/pages/*.html --out shots
    python scripts/take_screenshots.py --texts --out shots

Besides a picture of each page, `sheet-N.png` have twelve pictures each, to be looked at together.
With `--texts`, the pages are attention pages of 60 texts: 13 languages and kinds of text, each with
1, 15 and 80 words, and texts, weights and pictures of unusual kinds. Needs Playwright and Chromium
(`make browser`).
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

from nmt.visualization.attention_view import AttentionView, Matrix
from nmt.visualization.page import render_page

WIDTHS = (360, 768, 1440)
THEMES = ("light", "dark")
_HEIGHT = 900
_ON_A_SHEET = 12
_TILE = (480, 640)
_LENGTHS = (1, 15, 80)

# Words that are repeated up to the length of a text; the target is in the next language.
TEXTS = {
    "english": "The old dog chases the small black cat through the garden behind our house .",
    "russian": "Старая собака гонится за маленькой кошкой через сад .",
    "arabic": "القطة الصغيرة تنام تحت الطاولة القديمة في المطبخ .",
    "hindi": "छोटी बिल्ली पुरानी मेज़ के नीचे सोती है ।",
    "tamil": "சிறிய பூனை பழைய மேசையின் கீழ் தூங்குகிறது .",
    "thai": "แมว ตัว เล็ก นอน อยู่ ใต้ โต๊ะ เก่า",
    "burmese": "ကြောင်လေး သည် စားပွဲ အောက်တွင် အိပ်နေသည် ။",
    "chinese": "小 猫 睡 在 厨房 的 旧 桌子 下面 。",
    "japanese": "小さな 猫 は 古い テーブル の 下 で 眠って いる 。",
    "korean": "작은 고양이가 낡은 식탁 밑에서 잠을 잔다 .",
    "emoji": "👩‍👩‍👧‍👦 loves 🐈‍⬛ and 🏳️‍🌈 , 👍🏽 5️⃣ 🇩🇪 👩🏽‍💻 !",
    "marks": "Z̸̡͝a̷͓͌l̶̰̈g̵͇̀o̷ e\u0301 a\u0323\u0302 text ﷽ ⸻ Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉ .",
    "mixed": "Der محمد sagt 你好 to Ольга via e-mail@example.org , RTL \u200fend .",
}
_ENGLISH = TEXTS["english"].split()
_GERMAN = [
    "Der",
    "alte",
    "Hund",
    "jagt",
    "die",
    "kleine",
    "schwarze",
    "Katze",
    "durch",
    "den",
    "Garten",
    "hinter",
    "unserem",
    "Haus",
    ".",
]
# Pairs of texts that are unlike a sentence.
PAIRS = {
    "right-to-left": (
        ["החתול", "הקטן", "ישן", "מתחת", "לשולחן", "הישן", "במטבח", "."],
        ["گربهٔ", "کوچک", "زیر", "میز", "قدیمی", "می\u200cخوابد", "."],
    ),
    "markup": (
        [
            "<script>alert(1)</script>",
            "</script>",
            "{{7*7}}",
            "&amp;",
            '"quoted"',
            "\x1b[31m",
            "\0",
        ],
        ["<img", "src=x", "onerror=alert(1)>", "${y}", "'\"", "-->", "\\u003c"],
    ),
    "directions": (
        ["\u202eabc\u202c", "\u202eopen", "\u2069\u2069\u202e", "\u200b", "\u00a0", "a\tb", ""],
        ["\ufffd", "\u2066x", "\ufeff", " "],
    ),
    "signs": (
        ["∑", "∂x", "α≤β", "x²", "½", "1,234.5", "−7", "10⁻³", "«", "…", "—", ")"],
        ["(", "“", "”", ";", "'", "-", "...", "»", "。", "،", "؟"],
    ),
    "addresses": (
        ["https://example.org/a/very/long/path?with=query&and=more#" + "a" * 70, "x"],
        ["Donaudampfschifffahrtsgesellschaftskapitän" * 3, "x", "y"],
    ),
    "5000-characters": (["y", "x" * 5000], ["z"]),
    "1000-words": (_ENGLISH * 70, _GERMAN * 70),
    "1-to-30": (["one"], _GERMAN * 2),
    "45-to-1": (_ENGLISH * 3, ["eins"]),
    "no-source": ([], ["x"]),
    "no-target": (["a"], []),
    "150": ((_ENGLISH * 10)[:150], (_GERMAN * 11)[:150]),
}


def make_views() -> Iterator[tuple[str, AttentionView]]:
    """Yield the name and the view of each text; weights are near the diagonal, some are zero."""
    random = np.random.default_rng(1)
    names = list(TEXTS)
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        for length in _LENGTHS:
            sides = [list(islice(cycle(TEXTS[one].split()), length)) for one in (name, following)]
            yield f"{name}-{length}", _view(*sides, _weights(random, length, length))
    for name, (source, target) in PAIRS.items():
        yield name, _view(source, target, _weights(random, len(target), len(source)))
    yield from _special_views(random)


def _special_views(random: np.random.Generator) -> Iterator[tuple[str, AttentionView]]:
    """Yield views of other weights: the same ones, none, picked ones, heads, and pictures."""
    size = len(_ENGLISH), len(_ENGLISH)
    german = _GERMAN[: size[0]]
    yield "equal", _view(_ENGLISH, german, np.full(size, 1 / size[1]))
    yield "zeros", _view(_ENGLISH, german, np.zeros(size))
    links = frozenset((place, place) for place in range(size[0]))
    more = {"picks_one": True, "gold": (links, links | {(0, 1), (5, 2)}), "error_rates": (0.125,)}
    yield "picked", replace(_view(_ENGLISH, german, np.eye(*size)[::-1]), **more)
    heads = [np.stack([_weights(random, *np.add(size, more)) for _ in range(4)]) for more in (0, 1)]
    words = Matrix(tuple(_ENGLISH), tuple(german), heads[0].mean(axis=0), heads[0])
    pieces = Matrix((*_ENGLISH, "</s>"), (*german, "</s>"), heads[1].mean(axis=0), heads[1])
    yield "heads", AttentionView(1, words, pieces, head_links=(frozenset(),) * 4, score=-0.5)
    yield "without-attention", AttentionView(1, None, score=-0.5, text=("one two", "eins zwei"))
    for rows, columns in ((4, 4), (14, 14), (1, 10), (20, 3)):
        grid = random.integers(0, 256, (rows, columns, 3)).astype(np.uint8)
        cells = [f"{row},{column}" for row, column in np.ndindex(rows, columns)]
        weights = random.dirichlet(np.full(len(cells), 0.2), 4)
        weights[weights < 0.01] = 0.0
        view = _view(cells, ["a", "red", "circle", "."], weights)
        yield f"grid-{rows}x{columns}", replace(view, grid=grid, text=("", "a red circle ."))


def _view(
    source: Sequence[str], target: Sequence[str], weights: NDArray[np.floating]
) -> AttentionView:
    links = frozenset((int(row.argmax()), place) for place, row in enumerate(weights) if row.size)
    return AttentionView(1, Matrix(tuple(source), tuple(target), weights), None, links, score=-0.5)


def _weights(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.floating]:
    """Return random weights near the diagonal; small ones are zero."""
    place = np.linspace(0.0, max(columns - 1, 0), rows)[:, None]
    weights = np.exp(-((np.arange(columns) - place) ** 2) / 2.0)
    weights *= random.uniform(0.2, 1.0, weights.shape)
    weights[weights < 0.02] = 0.0
    near: NDArray[np.floating] = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return near


def make_text_pages(folder: Path) -> list[Path]:
    """Write a page for each text."""
    pages = []
    for name, view in make_views():
        pages.append(folder / f"{name}.html")
        pages[-1].write_text(
            render_page("attention", [view.to_json()], title=name), encoding="utf-8"
        )
    return pages


def take(pages: Sequence[Path], out: Path, *, whole: bool) -> list[Path]:
    """Write a picture of each page, width and theme."""
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    shots = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for width in WIDTHS:
            for theme in THEMES:
                size: Any = {"width": width, "height": _HEIGHT}
                scheme: Any = theme
                context = browser.new_context(viewport=size, color_scheme=scheme)
                window = context.new_page()
                for page in pages:
                    window.goto(page.resolve().as_uri())
                    shots.append(out / f"{page.stem}-{width}-{theme}.png")
                    window.screenshot(path=shots[-1], full_page=whole)
                context.close()
        browser.close()
    return shots


def write_sheets(shots: Sequence[Path], out: Path) -> list[Path]:
    """Write sheets of twelve pictures each, with their names."""
    sheets = []
    for start in range(0, len(shots), _ON_A_SHEET):
        sheet = Image.new("RGB", (_TILE[0] * 4, _TILE[1] * 3), "grey")
        for place, path in enumerate(shots[start : start + _ON_A_SHEET]):
            with Image.open(path) as picture:
                picture.thumbnail((_TILE[0] - 8, _TILE[1] - 24))
                corner = (place % 4 * _TILE[0] + 4, place // 4 * _TILE[1] + 20)
                sheet.paste(picture, corner)
                ImageDraw.Draw(sheet).text((corner[0], corner[1] - 16), path.stem, fill="yellow")
        sheets.append(out / f"sheet-{len(sheets) + 1:02}.png")
        sheet.save(sheets[-1])
    return sheets


def main(arguments: list[str] | None = None) -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, help="pages to take pictures of")
    parser.add_argument("--texts", action="store_true", help="also attention pages of 60 texts")
    parser.add_argument(
        "--whole", action="store_true", help="whole pages, not only their first screen"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pages = [*given.pages, *(make_text_pages(Path(folder)) if given.texts else [])]
        shots = take(pages, given.out, whole=given.whole)
    print(*write_sheets(shots, given.out), sep="\n")


if __name__ == "__main__":
    main()
