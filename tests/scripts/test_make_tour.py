import json
import re
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs/tour.md"


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("make_tour")
    return module


def test_the_code_in_the_tour_is_that_of_the_package(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- source: ") >= 9
    assert page == script.fill(page), "run `make tour`"


def test_the_notebook_is_made_from_the_tour(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    text = PAGE.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == script.notebook(page), "run `make tour`"


def test_every_formula_is_next_to_code() -> None:
    text = re.sub(r"```python\n.*?```", "CODE", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    formulas = [match.end() for match in re.finditer(r"\$\$.*?\$\$", text, re.DOTALL)]
    assert len(formulas) == 4
    assert all("CODE" in text[end : end + 400] for end in formulas)


def test_source_is_that_of_the_last_function_of_a_name(script: ModuleType) -> None:
    assert script.find_source("nmt.nn.attention.scores.multiplicative:DotScore.keys") == (
        "def keys(self, inputs: Inputs) -> Keys:\n"
        '    """Return the memory unchanged."""\n'
        "    return inputs\n"
    )
    source = script.find_source("nmt.inference.translator:Translator.from_run")
    assert source.startswith("@classmethod\ndef from_run(")


@pytest.mark.parametrize(
    ("name", "says"), [("nmt.missing:f", "no such module"), ("nmt.text.words:f.g", "no 'f' there")]
)
def test_a_wrong_name_is_refused(script: ModuleType, name: str, says: str) -> None:
    with pytest.raises(LookupError, match=f"^{re.escape(name)}: {says}; correct the comment$"):
        script.find_source(name)


def test_a_page_becomes_cells(script: ModuleType) -> None:
    page = (
        "# Title\n\n```sh\nnmt a\n```\n\n<!-- source: nmt.x:f -->\n```python\ndef f(): ...\n```\n\n"
        "```python\nx = 1\n\nprint(x)\n```\n"
    )
    cells = json.loads(script.notebook(page))["cells"]
    found = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    assert found[0] == (
        "code",
        'import os\n\nif os.path.basename(os.getcwd()) == "docs":\n    os.chdir("..")',
    )
    assert found[1:] == [
        ("markdown", "# Title"),
        ("code", "!nmt a"),
        ("markdown", "```python\ndef f(): ...\n```"),
        ("code", "x = 1\n\nprint(x)"),
    ]


def test_a_program_is_followed_by_what_it_prints(script: ModuleType) -> None:
    page = (
        "```python\nx = 1\n```\n\n```python\nprint(x + 1)\n```\n\n"
        "<!-- output -->\n```text\nold\n```\n\n```sh\nnmt a\n```\n"
    )
    page = script.run(page)
    assert "print(x + 1)\n```\n\n<!-- output -->\n```text\n2\n```\n\n```sh" in page
    assert page.count("<!-- output -->") == 1
    assert script.fill(page) == script.run(page) == page
    cells = json.loads(script.notebook(page))["cells"]
    assert [cell.get("outputs") for cell in cells] == [
        [],
        [],
        [{"name": "stdout", "output_type": "stream", "text": ["2\n"]}],
        [],
    ]


def test_every_program_of_the_tour_that_prints_has_its_output() -> None:
    page = PAGE.read_text(encoding="utf-8")
    programs = re.findall(
        r"^```python\n(?!def |class )(.*?)^```\n(.*?\n.*?\n)", page, re.DOTALL | re.M
    )
    assert len(programs) == 8
    for program, following in programs:
        assert "print(" in program
        assert following == "\n<!-- output -->\n"
    assert "```text\n```" not in page


def test_the_page_and_its_notebook_are_written(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- source: nmt.core.errors:os_reason -->\n```python\nold\n```\n")
    monkeypatch.setattr("sys.argv", ["make_tour.py", str(page)])
    script.main()
    assert "def os_reason(" in page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "page.ipynb").read_text(encoding="utf-8"))["nbformat"] == 4
