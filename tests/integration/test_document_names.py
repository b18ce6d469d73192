"""Sizes of the documents; names, files, tables and layers in them are those of the code."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from nmt.config import registry
from tests.integration.documents import PAGES, README, ROOT, commands


def test_every_table_is_in_the_list_of_adding_a_part() -> None:
    page = (ROOT / "docs/adding-a-part.md").read_text(encoding="utf-8")
    listed = re.findall(r"\| `([A-Z_]+)` in `([\w/.]+)` \|$", page, re.MULTILINE)
    tables = [it for it in vars(registry).values() if isinstance(it, registry.Table)]
    files = [(it.attribute, f"{it.module.replace('.', '/')}.py") for it in tables]
    assert sorted(listed) == sorted(files)


def test_the_readme_is_short() -> None:
    """Its programs are short, too: see test_examples.py."""
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150


def test_lines_of_prose_fit_into_100_columns() -> None:
    """Links, tables, formulas and code may be wider."""
    for path in PAGES:
        text = re.sub(r"(?ms)^\s*```.*?^\s*```$", "", path.read_text(encoding="utf-8"))
        wide = [line for line in text.splitlines() if len(line) > 100]
        assert [line for line in wide if not re.match(r"\||\s*\$\$|.*\]\(", line)] == [], path


def test_every_file_that_is_named_exists() -> None:
    # What the demo and training make does not exist yet, nor do the files of the reader.
    made = re.compile(r"(data|runs|\.venv|site)/|(mine|own|train|valid|test)\.\w+$|.*NAME")
    named = set()
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([\w./-]+)(?:#[\w.-]*)?\)", text)
        named |= {(path.parent / link).resolve() for link in links if "reference/" not in link}
        quoted = re.findall(r"`((?:nmt|configs|scripts|docs|tests)/[\w./-]+)`", text)
        named |= {ROOT / name for name in quoted if not made.match(name)}
    named |= {ROOT / word for it in commands() for word in re.findall(r"\bscripts/\w+\.\w+", it)}
    assert len(named) > 30
    assert sorted(str(name) for name in named if not name.exists()) == []


def test_names_of_the_code_exist() -> None:
    """Decisions also name what was replaced, and the fused layers have formulas."""
    files = [path for name in ("nmt", "scripts", "tests", "configs") for path in files_in(name)]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    known = {*re.findall(r"\w+", code), *(path.stem for path in files), "prepare_NAME"}
    for path in PAGES:
        if path.parent.name == "decisions" or path.stem in ("fused", "benchmarks"):
            continue
        spans = re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))
        names = {word for span in spans for word in re.findall(r"\b[A-Za-z]\w+", span)}
        joined = {name for name in names if re.search(r"[a-z]_[a-z]|[a-z][A-Z]", name)}
        assert sorted(joined - known) == [], path
        modules = {word for span in spans for word in re.findall(r"^(?:\w+/)+\w+\.py$", span)}
        missing = [it for it in modules if not any(str(file).endswith(f"/{it}") for file in files)]
        assert [it for it in missing if "NAME" not in it and "docs/" not in it] == [], path


def files_in(name: str) -> Iterator[Path]:
    for path in sorted((ROOT / name).rglob("*.*")):
        if path.suffix in (".py", ".js", ".yaml", ".slurm"):
            yield path


def test_the_layers_in_the_picture_are_those_that_are_checked() -> None:
    picture = (ROOT / "docs/images/packages.svg").read_text(encoding="utf-8")
    drawn: dict[str, list[str]] = {}
    for top, name in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"[^>]*>(\w+)<', picture):
        drawn.setdefault(top, []).append(name)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    layers = [sorted(layer.split(" | ")) for layer in contract["layers"]]
    assert [sorted(names) for names in drawn.values()] == layers
