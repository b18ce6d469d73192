"""Hooks of MkDocs (mkdocs.yml): pages made from the code, and formulas as MathML.

- `reference/`: a page for each package, with the docstrings of its modules.
- `configuration.md`: a section for each group of `configs/reference.yaml`.
- `command-line.md`: the help of every command.
- Formulas, as the extension `arithmatex` marks them, become MathML.
"""

import ast
import contextlib
import html
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from latex2mathml.converter import convert
from mkdocs.structure.files import File
from pygments.formatters import HtmlFormatter

from nmt.cli.main import COMMANDS, main

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "nmt"
REFERENCE: Final = ROOT / "configs/reference.yaml"
COLUMNS: Final = "100"  # of help texts

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: Any) -> Any:
    """Add the API reference to the navigation."""
    pages = [{"Overview": "reference/index.md"}]
    pages += [{name: f"reference/{name}.md"} for name in packages()]
    config.nav.append({"API": pages})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the API reference, and the colours of highlighted code."""
    made = {f"reference/{name}.md": package_page(name) for name in packages()}
    made["reference/index.md"] = overview_page()
    made["stylesheets/code.css"] = code_colours()
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Fill the pages that are made from the code."""
    fill = {"configuration.md": configuration, "command-line.md": command_line}
    make = fill.get(page.file.src_uri)
    return markdown if make is None else f"{markdown}\n{make()}"


def on_page_content(text: str, *, page: Any, config: Any, files: Any) -> str:
    """Convert the formulas of a page to MathML."""
    return _FORMULA.sub(_to_mathml, text)


def _to_mathml(found: re.Match[str]) -> str:
    display = "block" if found[2] == "[" else "inline"
    return str(convert(html.unescape(found[3]), display=display))


def packages() -> list[str]:
    """Return the dotted names of all packages with modules, in the order of their names."""
    folders = sorted({path.parent for path in PACKAGE.rglob("*.py") if path.name[0] != "_"})
    return [".".join(folder.relative_to(ROOT).parts) for folder in folders]


def modules(package: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted name of each module of a package, with the first line of its docstring."""
    for path in sorted((ROOT / package.replace(".", "/")).glob("[!_]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        yield f"{package}.{path.stem}", docstring.partition("\n")[0]


def package_page(package: str) -> str:
    """Return the page of a package: a section for each module."""
    return "\n".join([f"# {package}\n", *(f"::: {name}\n" for name, _ in modules(package))])


def overview_page() -> str:
    """Return the list of all modules."""
    lines = [
        "# API reference\n",
        "From `nmt` itself: `Translator`, `ExportedTranslator` and the other names below are "
        "loaded at their first use.\n",
    ]
    exported = re.findall(r'^    "(\w+)": "([\w.]+)",$', _read("nmt/__init__.py"), re.MULTILINE)
    lines += [f"- [`nmt.{name}`][{module}.{name}]" for name, module in exported]
    for package in packages():
        lines.append(f"\n## {package}\n")
        lines += [
            f"- [`{name.rpartition('.')[2]}`]({package}.md#{name}): {summary}"
            for name, summary in modules(package)
        ]
    return "\n".join(lines) + "\n"


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def code_colours() -> str:
    """Return the style sheet of highlighted code, on light and on dark pages."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs('[data-bs-theme="dark"] .highlight')
    return f"{light}\n{dark}"


def configuration() -> str:
    """Return the reference configuration, with a section for each group of options."""
    _, *options = REFERENCE.read_text(encoding="utf-8").split("\n\n")
    blocks, title = [], ""
    for option in options:
        key = re.search(r"^(\w+):", option, re.MULTILINE)
        if key is not None and key[1] != title:
            title = key[1]
            blocks.append((title, option))
        else:
            blocks[-1] = (title, f"{blocks[-1][1]}\n\n{option}")
    return "\n".join(f"## {key}\n\n```yaml\n{text.strip()}\n```\n" for key, text in blocks)


def command_line() -> str:
    """Return the help of every command."""
    return "\n".join(
        f"## nmt {name}\n\n{summary[0].upper()}{summary[1:]}.\n\n```text\n{command_help(name)}```\n"
        for name, summary in COMMANDS.items()
    )


def command_help(name: str) -> str:
    """Return what `nmt NAME --help` prints."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main([name, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return printed.getvalue()
