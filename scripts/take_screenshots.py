"""Take pictures of pages in headless Chromium, at three widths, in light and dark.

    python scripts/take_screenshots.py docs/pages/*.html --out shots
    python scripts/take_screenshots.py --texts --out shots

Besides a picture of each page, `sheet-N.png` have twelve pictures each, to be looked at together.
With `--texts`, the pages are attention pages of 60 texts: 20 languages and kinds of text, each
with one word, about 15 and about 80. Needs Playwright and Chromium (`make browser`).
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
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
    "german": "Der alte Hund jagt die kleine Donaudampfschifffahrtskatze , weiß Anna .",
    "french": "L’enfant n’a pas vu qu’aujourd’hui le chat « dort » : où est-il ?",
    "greek": "Η γάτα κοιμάται κάτω από το παλιό τραπέζι της κουζίνας .",
    "russian": "Старая собака гонится за маленькой кошкой через сад .",
    "arabic": "القطة الصغيرة تنام تحت الطاولة القديمة في المطبخ .",
    "hebrew": "החתול הקטן ישן מתחת לשולחן הישן במטבח .",
    "persian": "گربهٔ کوچک زیر میز قدیمی می‌خوابد .",
    "hindi": "छोटी बिल्ली पुरानी मेज़ के नीचे सोती है ।",
    "tamil": "சிறிய பூனை பழைய மேசையின் கீழ் தூங்குகிறது .",
    "thai": "แมว ตัว เล็ก นอน อยู่ ใต้ โต๊ะ เก่า",
    "chinese": "小 猫 睡 在 厨房 的 旧 桌子 下面 。",
    "japanese": "小さな 猫 は 古い テーブル の 下 で 眠って いる 。",
    "korean": "작은 고양이가 낡은 식탁 밑에서 잠을 잔다 .",
    "vietnamese": "Con mèo nhỏ ngủ dưới cái bàn cũ trong bếp .",
    "emoji": "👩‍👩‍👧‍👦 loves 🐈‍⬛ and 🏳️‍🌈 , 👍🏽 5️⃣ 🇩🇪 !",
    "marks": "Z̸̡͝a̷͓͌l̶̰̈g̵͇̀o̷ e\u0301 a\u0323\u0302 text ﷽ ⸻ .",
    "mixed": "Der محمد sagt 你好 to Ольга via e-mail@example.org , RTL \u200fend .",
    "markup": "<script>alert(1)</script> </script> {{7*7}} & &amp; \"quoted\" 'x' \\u003c \x1b[31m",
    "long": "Pneumonoultramicroscopicsilicovolcanoconiosis"
    + "s" * 60
    + " is https://example.org/"
    + "a" * 70,
}


def make_views() -> Iterator[tuple[str, AttentionView]]:
    """Yield the name and the view of each text; weights are near the diagonal, some are zero."""
    names = list(TEXTS)
    random = np.random.default_rng(1)
    for place, name in enumerate(names):
        for length in _LENGTHS:
            sides = []
            for language in (name, names[(place + 1) % len(names)]):
                words = TEXTS[language].split()
                sides.append(tuple((words * (length // len(words) + 1))[:length]))
            distance = np.subtract.outer(np.arange(length), np.arange(length))
            weights = np.exp(-(distance**2) / 2.0) * random.uniform(0.2, 1.0, distance.shape)
            weights[weights < 0.02] = 0.0
            weights /= weights.sum(axis=1, keepdims=True)
            links = frozenset(
                (int(source), row) for row, source in enumerate(weights.argmax(axis=1))
            )
            matrix = Matrix(sides[0], sides[1], weights)
            yield f"{name}-{length}", AttentionView(1, matrix, None, links, score=-0.5)


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
