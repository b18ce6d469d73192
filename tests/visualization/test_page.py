"""Pages as text: what may run in them, what a text cannot do, and how large they are."""

import base64
import hashlib
import io
import json
import re
import resource
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError

from nmt.visualization.attention_view import AttentionView, Matrix
from nmt.visualization.page import attention_page, environment, json_for_script, render_page
from nmt.visualization.views import VIEWS, notebook_html

FOLDER = Path(str(files("nmt.visualization"))) / "page"
SCRIPTS = sorted(FOLDER.rglob("*.js"))
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "${alert(1)}",
    "<!-- data -->",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "\u2028\u2029",
    "\x00\x1b[31m\x7f",
    "\ud800",
    "&lt;&amp;",
    "javascript:alert(1)",
    "'; DROP TABLE x; --",
    "\u202eabc\u2069",
    "x" * 5_000,
]


class Reader(HTMLParser):
    """The tags of a page, and the content of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.title = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("script", "style") and self.cdata_elem:
            self.scripts[-1] += data
        elif self.lasttag == "title":
            self.title += data

    @property
    def blocks(self) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and content of scripts and styles."""
        kept = [attributes for tag, attributes in self.tags if tag in ("script", "style")]
        return list(zip(kept, self.scripts, strict=True))

    @property
    def data(self) -> list[object]:
        return [json.loads(text) for attrs, text in self.blocks if attrs.get("class") == "data"]


def view(text: str = "a", line: int = 1) -> AttentionView:
    return AttentionView(line, Matrix((text, "b"), (text,), np.array([[0.25, 0.75]])))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_its_place(text: str) -> None:
    plain = Reader(render_page("attention", [view().to_json()], title="t"))
    page = render_page("attention", [view(text).to_json()], title=text)
    page = page.encode("utf-8", "replace").decode()  # as files are written
    read = Reader(page)
    assert [tag for tag, _ in read.tags] == [tag for tag, _ in plain.tags]
    (data,) = read.data
    assert data["words"]["source"] == [text, "b"]  # type: ignore[index]
    assert page.count("<!-- data -->") == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_json_in_a_script_is_the_same_json(text: str) -> None:
    written = json_for_script({text: [text]})
    assert json.loads(written) == {text: [text]}
    assert not re.search("[<>&\u2028\u2029\ud800-\udfff]", written)


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_for_script([float("nan")])


def test_the_policy_allows_the_script_and_the_style_and_nothing_else() -> None:
    read = Reader(render_page("attention", [view().to_json()], title="t"))
    (policy,) = [
        attributes["content"]
        for tag, attributes in read.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    code = [text for attributes, text in read.blocks if "type" not in attributes]
    allowed = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in code
    ]
    assert len(code) == 2
    assert sorted(re.findall(r"'sha256-[^']+'", policy)) == sorted(allowed)
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy and "http" not in policy


def test_a_page_names_no_other_file() -> None:
    page = render_page("attention", [view().to_json()], title="t")
    loads = re.findall(r"(?:src|href|action)=[\"']?([^\"'>\s]+)|url\(([^)]*)\)|@import", page)
    assert [found for found in loads if not found[0].startswith("#")] == []
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}


def test_templates_mark_nothing_as_safe() -> None:
    texts = {path.name: path.read_text() for path in FOLDER.rglob("*.html")}
    assert texts
    assert [name for name, text in texts.items() if re.search(r"\bsafe\b|autoescape", text)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_texts_only_as_text(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    assert not re.search(rf"{forbidden}|\bfetch\b|XMLHttpRequest|\bimport\b", path.read_text())
    if node := shutil.which("node"):
        subprocess.run([node, "--check", path], check=True)


def test_every_view_is_one_file() -> None:
    assert {path.name for path in (FOLDER / "views").iterdir()} == set(VIEWS.values())
    for name, file in VIEWS.items():
        assert f'nmt.register("{name}"' in (FOLDER / "views" / file).read_text()


def test_a_template_without_a_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().get_template("attention.html").render(title="t")


def test_only_the_first_lines_are_in_a_page_and_it_counts_the_others() -> None:
    made = []

    def make_view(line: int) -> AttentionView:
        made.append(line)
        return view(line=line)

    output = io.StringIO()
    with attention_page(output, title="t", most_lines=2) as append:
        for line in range(1, 6):
            append(lambda line=line: make_view(line))  # type: ignore[misc]
    assert made == [1, 2]
    read = Reader(output.getvalue())
    assert [data["line"] for data in read.data] == [1, 2]  # type: ignore[index, call-overload]
    totals = [text for attributes, text in read.blocks if attributes.get("class") == "total"]
    assert totals == ['{"total":5}']


def multi30k_sized(generator: np.random.Generator, line: int) -> AttentionView:
    """A sentence pair of the lengths of Multi30k's: 12 words and 15 pieces, on average."""

    def random_words(number: int) -> tuple[str, ...]:
        letters = generator.choice(list("abcdefghijklmnopqrstuvwxyz"), (number, 6))
        return tuple("".join(word) for word in letters)

    def matrix(source: int, target: int) -> Matrix:
        weights = generator.dirichlet(np.ones(source), target)
        return Matrix(random_words(source), random_words(target), weights)

    source, target = generator.integers(6, 20, 2).tolist()
    return AttentionView(line, matrix(source, target), matrix(source + 4, target + 4))


def test_a_page_of_200_sentences_is_below_a_megabyte() -> None:
    generator = np.random.default_rng(1)
    output = io.StringIO()
    with attention_page(output, title="t", most_lines=200) as append:
        for line in range(1, 1001):
            append(lambda line=line: multi30k_sized(generator, line))  # type: ignore[misc]
    size = len(output.getvalue().encode())
    assert 200_000 < size < 1_000_000


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    one = multi30k_sized(np.random.default_rng(1), 1)

    def write(number: int) -> None:
        with (
            (tmp_path / "page.html").open("w") as output,
            attention_page(output, title="t", most_lines=number) as append,
        ):
            for _ in range(number):
                append(lambda: one)

    write(100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write(10_000)
    assert (tmp_path / "page.html").stat().st_size > 10_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB


def test_a_notebook_shows_a_page_in_a_frame() -> None:
    html = notebook_html(view("<b>"))
    assert html.count("<iframe") == 1 and 'sandbox="allow-scripts"' in html
    (frame,) = [attributes for tag, attributes in Reader(html).tags if tag == "iframe"]
    assert frame["srcdoc"] == render_page("attention", [view("<b>").to_json()], title="attention")
    assert frame["height"] == str(420 + 66 * 2)
