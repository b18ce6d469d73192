"""Plug-ins from outside the package, imported only if the user names their file or module.

A name with a colon is one from outside: `my_scores.py:Distance` or `package.module:Distance`. Such
names come from configurations, runs and exported files, which others may have written. They never
import anything by themselves: `--plugin` or `plugins=` must name the file or the module first.

What the user named is kept for the whole process, as an import cannot be undone. Other threads and
later calls must find the same classes.
"""

import hashlib
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from nmt.core.errors import ConfigError, os_reason
from nmt.system.files import read_regular

Base = TypeVar("Base")

_MAX_BYTES: Final = 1_000_000
_PREFIX: Final = "nmt_plugin_"  # of the modules that files become


def is_outside(name: str) -> bool:
    """Return whether the name of a plug-in is one from outside the package."""
    return ":" in name


@dataclass(frozen=True, eq=False)
class Source:
    """An imported file or module.

    Attributes:
        name: the name of the file, or the dotted name of the module.
        path: the real path of the file; empty if the module has none.
        content: the content of the file; for a file that the user named, exactly what was run.
        module: the imported module.
    """

    name: str
    path: str
    content: bytes
    module: ModuleType

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


# The real path of a file, the name of a module, or the reference of a class that the user named,
# and what was imported; None: nothing yet.
_NAMED: Final[dict[str, Source | type | None]] = {}


def allow(given: Iterable[str | Path | type]) -> None:
    """Allow the import of files and modules for the rest of the process; import nothing yet.

    Args:
        given: files (`NAME.py`), dotted names of modules, which include their submodules, and
            classes, which are imported already.

    Raises:
        ConfigError: a file does not exist, or a text is neither a file nor the name of a module.
    """
    for one in given:
        if isinstance(one, type):
            _NAMED[reference_of(one)] = one
            continue
        text = os.path.expanduser(one)
        if text.endswith(".py") and os.path.isfile(text):
            _NAMED.setdefault(os.path.realpath(text), None)
        elif text.endswith(".py"):
            raise ConfigError(
                f"plug-in {one}: no such file; give its path from the working folder {Path.cwd()}"
            )
        elif os.path.exists(text) or not all(map(str.isidentifier, text.split("."))):
            raise ConfigError(
                f"plug-in {one}: neither a Python file nor the name of a module; give FILE.py or "
                "PACKAGE.MODULE"
            )
        else:
            _NAMED.setdefault(text, None)


@contextmanager
def allowed(given: Sequence[str]) -> Iterator[None]:
    """Allow the import of files and modules inside the `with`."""
    before = dict(_NAMED)
    try:
        allow(given)
        yield
    finally:
        _NAMED.clear()
        _NAMED.update(before)


def require_allowed(name: str) -> str:
    """Return the key of `_NAMED` that a plug-in belongs to; read and import nothing.

    Args:
        name: the name of the plug-in, as in `my_scores.py:Distance`. Its file is found by its real
            path, or else by its file name, so that a run can be moved.

    Raises:
        ConfigError: the user has not named its file or module, or two files of this name.
    """
    place = name.rpartition(":")[0]
    path, file = os.path.realpath(os.path.expanduser(place)), os.path.basename(place)
    for key in (name, path):
        if key in _NAMED:
            return key
    if file.endswith(".py"):
        same = [key for key in _NAMED if os.path.isabs(key) and os.path.basename(key) == file]
        if len(same) > 1:
            raise ConfigError(
                f"{name!r} is in {' or '.join(same)}; give --plugin for one of them only"
            )
        if same:
            return same[0]
    elif any(f"{place}.".startswith(f"{key}.") for key in _NAMED):
        return place
    raise ConfigError(
        f"{name!r} is code from outside the package, which must be allowed; add --plugin {place} "
        f"(in Python: plugins=[{place!r}])"
    )


def find(name: str, base: type[Base]) -> type[Base]:
    """Return the class of a plug-in; the first use imports its file or module.

    Args:
        name: the name of the plug-in, as in `my_scores.py:Distance`.
        base: the class that it must extend.

    Raises:
        ConfigError: the import is not allowed (see `require_allowed`) or fails, the class does not
            exist, is abstract, or extends another class.
    """
    found = _import(require_allowed(name))
    wanted = name.rpartition(":")[2]
    kind: Any = found if isinstance(found, type) else vars(found.module).get(wanted)
    if kind is None and isinstance(found, Source):
        names = [key for key, value in vars(found.module).items() if _is_part(value, base)]
        close = get_close_matches(wanted, names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(
            f"unknown class {wanted!r} of {found.name}{hint}; allowed: {', '.join(names) or 'none'}"
        )
    if not _is_part(kind, base):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        problem = (
            f"does not define {missing}; define it"
            if missing
            else (f"is not a {base.__name__}; extend {base.__module__}.{base.__name__}")
        )
        raise ConfigError(f"{name!r} {problem}")
    part: type[Base] = kind
    return part


def _is_part(kind: Any, base: type) -> bool:
    """Return whether an object of a module is a class that can be used as a plug-in."""
    return isinstance(kind, type) and issubclass(kind, base) and not inspect.isabstract(kind)


def source_of(name: str) -> Source:
    """Return the file or module of a plug-in that has been found."""
    found = _import(require_allowed(name))
    if isinstance(found, Source):
        return found
    return _describe(name.rpartition(":")[0], sys.modules[found.__module__])


def reference_of(kind: type) -> str:
    """Return the name of a class in a configuration: its file name or module, and its name."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    is_file = kind.__module__ == "__main__" or kind.__module__.startswith(_PREFIX)
    place = os.path.basename(file) if is_file and file else kind.__module__
    return f"{place}:{kind.__qualname__}"


def _import(key: str) -> Source | type:
    found = _NAMED.get(key)
    if found is None:
        found = _import_file(key) if os.path.isabs(key) else _import_module(key)
        _NAMED[key] = found
    return found


def _import_file(path: str) -> Source:
    try:
        content = read_regular(Path(path), _MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"plug-in {path}: cannot be read: {os_reason(error)}") from None
    return _run_file(path, content)


def _run_file(path: str, content: bytes) -> Source:
    """Run the content of a file as a module.

    The import system would run a compiled file with the same time and size, whose text may be
    another one. It would also write such a file next to the plug-in.
    """
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    stem = re.sub(r"\W", "_", Path(path).stem)
    module = ModuleType(f"{_PREFIX}{stem}_{digest}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look there, and so does pickle
    try:
        with _explaining(path):
            exec(compile(content, path, "exec", dont_inherit=True), vars(module))
    except ConfigError:
        del sys.modules[module.__name__]
        raise
    return Source(os.path.basename(path), path, content, module)


def _import_module(name: str) -> Source:
    with _explaining(name):
        module = importlib.import_module(name)
    return _describe(name, module)


def _describe(name: str, module: ModuleType) -> Source:
    path = getattr(module, "__file__", None) or ""
    try:
        content = read_regular(Path(path), _MAX_BYTES)
    except OSError:  # a notebook or a compiled module
        content = b""
    return Source(name, path, content, module)


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    """Turn any error of an import into one line; print to stderr what it prints to stdout."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == name]
        if isinstance(error, SyntaxError) and error.filename == name:
            lines = [error.lineno]
        where = f"{name}, line {lines[-1]}" if lines else name
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        advice = "correct the file"
        if isinstance(error, ModuleNotFoundError):
            advice = "install the module, or set PYTHONPATH to its folder"
        raise ConfigError(f"plug-in {where}: cannot be imported: {reason}; {advice}") from error


def lines_of(error: BaseException | None) -> list[str]:
    """Return the lines of imported plug-ins in the traceback of an error and of its causes."""
    names = {it.path: it.name for it in _NAMED.values() if isinstance(it, Source) and it.path}
    lines: list[str] = []
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame for frame in frames if frame.filename in names]
        lines += [f"{names[frame.filename]}, line {frame.lineno}" for frame in inside]
        error = error.__cause__ or error.__context__
    return list(dict.fromkeys(lines))


class ImportedFiles:
    """The plug-in files of this process; reading their pickle runs them in another process.

    It must come before the objects of their classes in a pickle.
    """

    def __reduce__(self) -> tuple[object, ...]:
        found = [it for it in _NAMED.values() if isinstance(it, Source)]
        files = [(it.path, it.content) for it in found if it.module.__name__.startswith(_PREFIX)]
        return _restore, (files,)


def _restore(files: Sequence[tuple[str, bytes]]) -> ImportedFiles:
    for path, content in files:
        _NAMED[path] = _run_file(path, content)
    return ImportedFiles()
