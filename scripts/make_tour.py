"""Fill the tour with code of the package, and write it as a notebook.

python scripts/make_tour.py docs/tour.md
python scripts/make_tour.py docs/tour.md --run

A block of Python after `<!-- source: MODULE:NAME -->` becomes the source of that function, without
its indentation. The notebook next to the page has a cell for each other block of Python or shell,
and text cells with everything else. With --run, the programs of the page run in their order, and
the block after `<!-- output -->` becomes what the program before it prints.
"""

import argparse
import ast
import contextlib
import io
import json
import re
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

_BLOCK: Final = re.compile(
    r"(?:^<!-- source: (?P<source>[\w.:]+) -->\n)?^```(?P<language>python|sh)\n(?P<code>.*?)^```\n"
    r"(?:\n<!-- output -->\n```text\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
_OUTPUT: Final = "\n<!-- output -->\n```text\n{}```\n"
# Jupyter starts in the folder of the notebook, and the commands run where the README is.
_FIRST_CELL: Final = """\
import os

if os.path.basename(os.getcwd()) == "docs":
    os.chdir("..")
"""
_KERNEL: Final = {"display_name": "Python 3", "language": "python", "name": "python3"}


def fill(page: str) -> str:
    """Return the page with the current source in each block that names one."""

    def source_of(block: re.Match[str]) -> str:
        if block["source"] is None:
            return block[0]
        return f"<!-- source: {block['source']} -->\n```python\n{find_source(block['source'])}```\n"

    return _BLOCK.sub(source_of, page)


def run(page: str) -> str:
    """Return the page with what each program prints; the programs run in their order."""
    names: dict[str, object] = {}

    def run_block(block: re.Match[str]) -> str:
        if block["source"] is not None or block["language"] != "python":
            return block[0]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], "tour", "exec", dont_inherit=True), names)
        output = _OUTPUT.format(printed.getvalue()) if printed.getvalue() else ""
        return f"```python\n{block['code']}```\n{output}"

    return _BLOCK.sub(run_block, page)


def find_source(name: str) -> str:
    """Return the source of a function or class of the package, without its indentation.

    Args:
        name: module and qualified name, as in `nmt.nn.model:Model.step`.

    Raises:
        LookupError: there is no such module, function or class.
    """
    module, _, qualified_name = name.partition(":")
    found = find_spec(module)
    if found is None or found.origin is None:
        raise LookupError(f"{name}: no such module; correct the comment")
    text = Path(found.origin).read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in qualified_name.split("."):
        inner = [it for it in ast.iter_child_nodes(node) if getattr(it, "name", None) == part]
        if not inner:
            raise LookupError(f"{name}: no {part!r} there; correct the comment")
        node = inner[-1]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = text.splitlines(keepends=True)[first - 1 : node.end_lineno]
    return textwrap.dedent("".join(lines))


def notebook(page: str) -> str:
    """Return the page as a notebook, in JSON."""
    cells: list[dict[str, Any]] = []
    _add_code(cells, _FIRST_CELL, None)
    done = 0
    for block in _BLOCK.finditer(page):
        if block["source"] is not None:
            continue
        _add_text(cells, page[done : block.start()])
        code = block["code"]
        if block["language"] == "sh":
            code = re.sub(r"^(?=\S)", "!", code, flags=re.MULTILINE)
        _add_code(cells, code, block["output"])
        done = block.end()
    _add_text(cells, page[done:])
    content = {
        "cells": cells,
        "metadata": {"kernelspec": _KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _add_text(cells: list[dict[str, Any]], text: str) -> None:
    text = re.sub(r"^<!-- source: .*\n", "", text, flags=re.MULTILINE)
    if text.strip():
        _add(cells, "markdown", text)


def _add_code(cells: list[dict[str, Any]], code: str, output: str | None) -> None:
    lines = (output or "").splitlines(keepends=True)
    outputs = [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []
    _add(cells, "code", code, execution_count=None, outputs=outputs)


def _add(cells: list[dict[str, Any]], kind: str, text: str, **more: Any) -> None:
    lines = text.strip("\n").splitlines(keepends=True)
    name = f"cell-{len(cells) + 1}"
    cells.append({"cell_type": kind, "id": name, "metadata": {}, **more, "source": lines})


def main() -> None:
    """Write the page and its notebook."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path, help="the page in Markdown")
    help_run = "also run the programs, and write what they print (needs runs/toy of nmt demo)"
    parser.add_argument("--run", action="store_true", help=help_run)
    given = parser.parse_args()
    path: Path = given.page
    page = fill(path.read_text(encoding="utf-8"))
    if given.run:
        page = run(page)
    path.write_text(page, encoding="utf-8")
    path.with_suffix(".ipynb").write_text(notebook(page), encoding="utf-8")


if __name__ == "__main__":
    main()
