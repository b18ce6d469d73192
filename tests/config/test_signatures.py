import ast
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config.signatures import (
    Option,
    read_attribute,
    read_module,
    read_options,
    read_summary,
    read_table,
)

Writer = Callable[[str], str]
_numbers = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Writes a module into a package of its own and returns its name."""
    package = f"signatures_of_{next(_numbers)}"
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def write_module(text: str, name: str = "parts") -> str:
        (folder / f"{name}.py").write_text(text.replace("PACKAGE", package))
        return f"{package}.{name}"

    return write_module


def options(module: str, name: str) -> list[Option]:
    return read_options(module, read_table(module, "TABLE")[name])


def test_keyword_only_arguments_are_the_options(write: Writer) -> None:
    module = write(
        "class A:\n"
        "    def __init__(self, size: int, *, rate: float = 0.5, name2: str): ...\n"
        'TABLE: dict[str, type[A]] = {"a": A}\n'
    )
    assert options(module, "a") == [
        Option("rate", "float", default=0.5, help=""),
        Option("name2", "str", default=..., help=""),
    ]


def test_type_aliases_of_the_module_are_resolved(write: Writer) -> None:
    module = write(
        'Kind = Literal["a", "b"]\n'
        "class A:\n    def __init__(self, *, x: Kind | None = None): ...\n"
        'TABLE = {"a": A}\n'
    )
    assert options(module, "a")[0].annotation == "Literal['a', 'b'] | None"


def test_module_is_not_imported(write: Writer) -> None:
    module = write('raise RuntimeError\nclass A: ...\nTABLE = {"a": A}\n')
    assert list(read_table(module, "TABLE")) == ["a"]


def test_constructor_is_inherited_as_in_python(write: Writer) -> None:
    module = write(
        "class Base:\n    def __init__(self, *, x: int = 1): ...\n"
        "class Heir(Outside, Base): ...\n"
        "class Own(Base):\n    def __init__(self, *, y: int = 2): ...\n"
        'TABLE = {"heir": Heir, "own": Own}\n'
    )
    assert [option.name for option in options(module, "heir")] == ["x"]
    assert [option.name for option in options(module, "own")] == ["y"]


def test_class_without_constructor_has_no_options(write: Writer) -> None:
    assert options(write('class A: ...\nTABLE = {"a": A}\n'), "a") == []


def test_imported_classes_are_resolved(write: Writer) -> None:
    write("class Base:\n    def __init__(self, *, x: int = 1): ...\n", "base")
    write("from PACKAGE.base import Base as B\nclass A(B[int]): ...\n", "a")
    module = write('from PACKAGE.a import A\nTABLE = {"a": A}\n')
    assert [option.name for option in options(module, "a")] == ["x"]


def test_help_is_the_entry_of_the_docstring(write: Writer) -> None:
    module = write(
        "class Base:\n"
        '    """Base.\n\n    Args:\n        x: of the base: hidden.\n        z: also.\n    """\n'
        "class A(Base):\n"
        '    """Does.\n\n    More.\n\n    Args:\n        x: one line\n            and a second.\n'
        '        y: why.\n\n    Raises:\n        E: no.\n    """\n'
        "    def __init__(self, *, x: int = 1, y: int = 2): ...\n"
        'TABLE = {"a": A}\n'
    )
    assert [option.help for option in options(module, "a")] == ["one line and a second.", "why."]
    assert read_summary(module, read_table(module, "TABLE")["a"]) == "Does."


def test_class_attributes_are_inherited_as_in_python(write: Writer) -> None:
    write("class Base:\n    flag: bool = False\n    size = 3\n", "base")
    module = write(
        "from PACKAGE.base import Base\n"
        "class A(Base):\n    flag: bool = True\n"
        "class B(Base):\n    other = len([])\n"
        'TABLE = {"a": A, "b": B}\n'
    )
    table = read_table(module, "TABLE")
    found = [
        (read_attribute(module, entry, "flag"), read_attribute(module, entry, "size"))
        for entry in table.values()
    ]
    assert found == [(True, 3), (False, 3)]
    with pytest.raises(AttributeError, match="B has no attribute missing"):
        read_attribute(module, table["b"], "missing")


def test_missing_module_is_an_internal_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'nmt\.nonsense'"):
        read_module("nmt.nonsense")


def test_missing_table_is_an_internal_error(write: Writer) -> None:
    with pytest.raises(AttributeError, match="has no table TABLE written as a dict"):
        read_table(write("TABLE = dict(a=1)\n"), "TABLE")


def test_computed_default_is_an_internal_error(write: Writer) -> None:
    module = write(
        'class A:\n    def __init__(self, *, x: int = len("a")): ...\nTABLE = {"a": A}\n'
    )
    with pytest.raises(TypeError, match="option 'x': the default must be written as a literal"):
        options(module, "a")


def test_entry_that_is_no_class_is_an_internal_error(write: Writer) -> None:
    module = write('TABLE = {"a": make()}\n')
    with pytest.raises(AssertionError, match=r"make\(\) is not a class that can be found"):
        read_options(module, ast.parse("make()", mode="eval").body)
