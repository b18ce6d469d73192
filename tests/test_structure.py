"""The size and shape of the package: what keeps it easy to find one's way in."""

import ast
import io
import tokenize
from pathlib import Path

import nmt

PACKAGE = Path(nmt.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            assert docstring.end_lineno is not None
            lines.update(range(docstring.lineno, docstring.end_lineno + 1))
    return lines


def count_code_lines(text: str) -> int:
    """Count the lines that are neither blank nor comment nor docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    blank = {number for number, line in enumerate(text.split("\n"), 1) if not line.strip()}
    return len(lines - blank - docstring_lines(ast.parse(text)))


def test_code_lines_by_hand() -> None:
    text = '"""Module.\n\nMore."""\n\n# why\nx = """a\n\nb"""\n\n\n'
    text += 'def f():\n    """Doc."""\n    return 1\n'
    assert count_code_lines(text) == 4  # x = """a, b""", def, return


def test_hardly_anything_is_loose() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 3
    assert len([path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]) <= 19


def test_no_file_is_longer_than_300_lines() -> None:
    assert [str(path) for path in FILES if len(path.read_text().splitlines()) > 300] == []


def test_no_function_is_longer_than_50_lines() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 50
    ]
    assert long == []


def test_few_files_are_tiny() -> None:
    short = [
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if path.name != "__init__.py" and len(path.read_text().splitlines()) < 50
    ]
    assert len(short) <= 30, short
