"""The site of docs/, as `make docs` has built it: complete, and loading nothing of other sites."""

import re
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "site"

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="the site is not built; run make docs"
)

# In the theme's scripts and styles, for people to read or as names of XML; none is loaded.
HARMLESS = re.compile(
    r"http://www\.w3\.org/(1999/xlink|2000/svg|1998/Math/MathML)"
    r"|https://popper\.js\.org"  # in a message
    r"|https://developer\.mozilla\.org/[\w/.-]+#Browser_compatibility"  # in a message
)
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*$", re.DOTALL | re.MULTILINE)


def pages() -> dict[str, str]:
    found = {str(it.relative_to(SITE)): it.read_text("utf-8") for it in SITE.rglob("*.html")}
    assert len(found) > 40
    return found


def test_pages_load_nothing_of_other_sites() -> None:
    loads = re.compile(
        r"<(?:script|link|img|iframe|source|video|audio|object)\b[^>]*"
        r"\b(?:src|href|data|srcset)=[\"']?((?:https?:)?//[^\"'\s>]*)"
    )
    assert {
        (page, *loads.findall(text)) for page, text in pages().items() if loads.search(text)
    } == set()


def test_scripts_and_styles_have_no_addresses_of_other_sites() -> None:
    files = [path for path in SITE.rglob("*") if path.suffix in (".js", ".css")]
    assert len(files) > 4
    inline = re.compile(r"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL)
    texts = {str(path.relative_to(SITE)): path.read_text("utf-8") for path in files}
    for page, text in pages().items():
        texts[page] = "\n".join(content for _, content in inline.findall(text))
    left = {
        name: found
        for name, text in texts.items()
        if (found := re.findall(r"https?://[^\"'\s)]*", HARMLESS.sub("", COMMENT.sub("", text))))
    }
    assert left == {}


def test_formulas_and_code_are_ready() -> None:
    text = (SITE / "architecture.html").read_text("utf-8")
    assert text.count("<math") >= 5
    assert "arithmatex" not in text
    assert 'class="highlight"' in (SITE / "walkthrough.html").read_text("utf-8")
    colours = (SITE / "stylesheets/code.css").read_text("utf-8")
    assert "\n.highlight .k " in colours
    assert '\n[data-bs-theme="dark"] .highlight .k ' in colours


def test_pages_from_the_code_are_filled() -> None:
    command_line = (SITE / "command-line.html").read_text("utf-8")
    assert "usage: nmt translate" in command_line
    configuration = (SITE / "configuration.html").read_text("utf-8")
    assert 'id="training"' in configuration
    assert "learning_rate" in configuration
    api = (SITE / "reference/nmt.nn.attention.html").read_text("utf-8")
    assert 'id="nmt.nn.attention.attention.Attention.prepare"' in api
    assert "--8&lt;--" not in (SITE / "adding-a-part.html").read_text("utf-8")
