"""What a module's source text says of its classes, read without importing it.

Importing a part imports torch, which takes seconds; a misspelt option is to be refused at once.
So the tables of plug-ins and the constructors that they list are read with `ast`.
"""

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Option:
    """One keyword-only argument of a constructor."""

    name: str
    annotation: str
    default: Any
    """What is written; ... where the option is required, as in pydantic."""
    help: str


@dataclass(frozen=True)
class Module:
    """The top level of a module: its classes, what it imports by name, what it assigns."""

    name: str
    classes: dict[str, ast.ClassDef]
    imported: dict[str, tuple[str, str]]
    assigned: dict[str, ast.expr]


@functools.cache
def read_module(name: str) -> Module:
    """Parse a module; its parent packages are imported (they are empty), the module is not."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"), filename=spec.origin)
    module = Module(name, {}, {}, {})
    for node in tree.body:
        match node:
            case ast.ClassDef():
                module.classes[node.name] = node
            case ast.ImportFrom(module=str(origin), level=0):
                for alias in node.names:
                    module.imported[alias.asname or alias.name] = (origin, alias.name)
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                module.assigned[target] = value
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                module.assigned[target] = value
    return module


def read_table(module_name: str, attribute: str) -> dict[str, ast.expr]:
    """The entries of a dict that is written out at the top level of a module."""
    match read_module(module_name).assigned.get(attribute):
        case ast.Dict(keys=keys, values=values):
            names = [key.value for key in keys if isinstance(key, ast.Constant)]
            assert len(names) == len(keys), f"{module_name}.{attribute}: keys must be plain strings"
            return dict(zip(map(str, names), values, strict=True))
    raise AttributeError(f"{module_name} has no table {attribute} written as a dict")


def read_options(module_name: str, entry: ast.expr) -> list[Option]:
    """The keyword-only arguments of the class that a table's entry names, inherited ones too.

    As in Python, a class without a constructor has its base's. A constructor of its own hides the
    base's: options that it passes on must be among its own arguments.
    """
    found = find_class(module_name, entry)
    assert found is not None, (
        f"{module_name}: {ast.unparse(entry)} is not a class that can be found"
    )
    helps: dict[str, str] = {}
    for module, node in lineage(*found):
        helps = _argument_helps(ast.get_docstring(node) or "") | helps
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                return list(_keyword_options(module, statement.args, helps))
    return []


def read_summary(module_name: str, entry: ast.expr) -> str:
    """The first line of the docstring of the class that a table's entry names, or nothing."""
    found = find_class(module_name, entry)
    docstring = ast.get_docstring(found[1]) if found else None
    return (docstring or "").split("\n", 1)[0]


def read_attribute(module_name: str, entry: ast.expr, attribute: str) -> Any:
    """Return a class attribute of the class that a table's entry names, or an inherited one.

    Raises:
        AttributeError: no class of its lineage assigns a literal to that name.
    """
    found = find_class(module_name, entry)
    for _, node in lineage(*found) if found is not None else ():
        for statement in node.body:
            match statement:
                case (
                    ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                    | ast.Assign(targets=[ast.Name(id=name)], value=value)
                ) if name == attribute:
                    return ast.literal_eval(value)
    raise AttributeError(f"{module_name}: {ast.unparse(entry)} has no attribute {attribute}")


def find_class(module_name: str, expression: ast.expr) -> tuple[str, ast.ClassDef] | None:
    """Where the class that an expression names is written; None outside this package."""
    match expression:
        case ast.Subscript(value=value):  # Base[T]
            return find_class(module_name, value)
        case ast.Name(id=name):
            module = read_module(module_name)
            if name in module.classes:
                return module_name, module.classes[name]
            origin, original = module.imported.get(name, ("", ""))
            if origin.partition(".")[0] == module_name.partition(".")[0]:
                return find_class(origin, ast.Name(id=original))
    return None


def lineage(module_name: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """A class and its bases in this package, depth first (the order of Python without diamonds)."""
    yield module_name, node
    for base in node.bases:
        found = find_class(module_name, base)
        if found is not None:
            yield from lineage(*found)


def _keyword_options(
    module_name: str, arguments: ast.arguments, helps: dict[str, str]
) -> Iterator[Option]:
    aliases = _Aliases(module_name)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        where = f"{module_name}: option {argument.arg!r}"
        assert argument.annotation is not None, f"{where} has no type"
        try:
            value = ... if default is None else ast.literal_eval(default)
        except ValueError:
            raise TypeError(f"{where}: the default must be written as a literal") from None
        yield Option(
            name=argument.arg,
            annotation=ast.unparse(aliases.visit(argument.annotation)),
            default=value,
            help=helps.get(argument.arg, ""),
        )


class _Aliases(ast.NodeTransformer):
    """Puts what a module assigns to a name, as a type that several options have, in its place."""

    def __init__(self, module_name: str) -> None:
        self._assigned = read_module(module_name).assigned

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """See `ast.NodeVisitor`."""
        return self._assigned.get(node.id, node)


def _argument_helps(docstring: str) -> dict[str, str]:
    """The entries of the `Args:` section of a docstring, each on one line."""
    section = re.search(r"^Args:\n((?:[ \t]+.*(?:\n|$)|\n)+)", docstring, flags=re.MULTILINE)
    if section is None:
        return {}
    entries = re.split(r"^ {4}(?=\w+:)", section.group(1), flags=re.MULTILINE)[1:]
    pairs = (entry.partition(":") for entry in entries)
    return {name: " ".join(text.split()) for name, _, text in pairs}
