"""Plug-ins from outside the package, imported only if the user names their file or module.

A name with a colon is one from outside: `my_scores.py:Distance` or `package.module:Distance`. Such
names come from configurations, runs and exported files, which others may have written. They never
import anything by themselves: `--plugin` or `plugins=` must name the file or the module first.

An import cannot be undone, so what the user named is kept for the process and all its threads.
"""

import hashlib
import importlib
import inspect
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

from nmt.core.errors import ConfigError, UserError, explain_system_error
from nmt.system.files import read_regular

Base = TypeVar("Base")

_MAX_BYTES: Final = 1_000_000
_MOST_NAMED: Final = 8  # classes in a message
_TERMINATED: Final = 128 + signal.SIGTERM  # exit code
_PREFIX: Final = "nmt_plugin_"  # of the modules that files become


@dataclass(frozen=True, eq=False)
class Source:
    """An imported file or module.

    Attributes:
        name: the name of the file, or the dotted name of the module.
        content: the content of the file; for a file that the user named, exactly what was run.
        module: the imported module.
    """

    name: str
    content: bytes
    module: ModuleType

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


# Keys: real paths of files and names of modules. Values: None if it is not imported yet.
_NAMED: Final[dict[str, Source | None]] = {}
_IMPORTING: Final = threading.RLock()  # a plug-in may find another one


def allow(given: Iterable[str | Path | type]) -> None:
    """Allow the import of files and modules for the rest of the process; import nothing yet.

    Args:
        given: files (`NAME.py`), dotted names of modules, which include their submodules, and
            classes, which stand for the file or module that they are in.

    Raises:
        ConfigError: a text is neither an existing file nor the name of a module.
    """
    for one in given:
        if isinstance(one, type):
            name, key = _locate(sys.modules[one.__module__])
            _NAMED[key] = _NAMED.get(key) or _describe(name, sys.modules[one.__module__])
            continue
        text = os.path.expanduser(one)
        is_file = text.endswith(".py")
        if not (os.path.isfile(text) if is_file else all(map(str.isidentifier, text.split(".")))):
            raise ConfigError(
                f"plug-in {one}: no such file or module; give FILE.py (from the working folder "
                f"{Path.cwd()}) or PACKAGE.MODULE"
            )
        _NAMED.setdefault(os.path.realpath(text) if is_file else text, None)


@contextmanager
def allowed(given: Sequence[str]) -> Iterator[None]:
    """Allow the import of files and modules inside the `with`, for a command.

    Raises:
        ConfigError: as `allow`; or code of a plug-in raised an error.
    """
    before = dict(_NAMED)
    try:
        allow(given)
        yield
    except (Exception, SystemExit) as error:
        message = explain_failure(error)
        if message is None:
            if names := ", ".join(source.name for source in sources()):
                error.add_note(f"plug-ins in use: {names}; check the shapes of what they return")
            raise
        raise ConfigError(message) from error
    finally:
        _NAMED.clear()
        _NAMED.update(before)


def require_allowed(name: str) -> str:
    """Return the path of the file or the name of the module of a plug-in; import nothing.

    Args:
        name: the name of the plug-in, as in `my_scores.py:Distance`. Its file is found by its real
            path, or else by its file name, so that a run can be moved.

    Raises:
        ConfigError: the user has not named its file or module, or two files of this name.
    """
    place = name.rpartition(":")[0]
    path, file = os.path.realpath(os.path.expanduser(place)), os.path.basename(place)
    if path in _NAMED:
        return path
    same = [key for key in list(_NAMED) if os.path.isabs(key) and os.path.basename(key) == file]
    if len(same) > 1:
        raise ConfigError(f"{name!r} is in {' or '.join(same)}; give one of them with --plugin")
    if same or any(_contains(key, place) for key in list(_NAMED) if not os.path.isabs(key)):
        return same[0] if same else place
    raise ConfigError(
        f"{name!r} is code from outside the package, which must be allowed; add --plugin {place} "
        f"(in Python: plugins=[{place!r}])"
    )


def _contains(module: str, name: str) -> bool:
    """Return whether a name is a module itself, or one of its submodules."""
    return f"{name}.".startswith(f"{module}.")


def find(name: str, base: type[Base]) -> type[Base]:
    """Return the class of a plug-in; the first use imports its file or module.

    Args:
        name: the name of the plug-in, as in `my_scores.py:Distance`.
        base: the class that it must extend.

    Raises:
        ConfigError: the import is not allowed (see `require_allowed`) or fails, or there is no such
            class that can be used.
    """
    source, wanted = source_of(name), name.rpartition(":")[2]
    found = vars(source.module)
    parts = {
        key: kind
        for key, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, base) and not inspect.isabstract(kind)
    }
    if wanted in parts:
        return parts[wanted]
    if wanted not in found:
        by_lower = {key.lower(): key for key in parts}
        close = [by_lower[key] for key in get_close_matches(wanted.lower(), by_lower)]
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        shown = list(parts) or ["none"]
        if len(shown) > _MOST_NAMED:
            shown = [*(close or shown[:_MOST_NAMED]), "…"]
        raise ConfigError(
            f"unknown class {wanted!r} of {source.name}{hint}; allowed: {', '.join(shown)}"
        )
    missing = ", ".join(sorted(getattr(found[wanted], "__abstractmethods__", ())))
    what_to_do = f"define {missing}" if missing else f"extend {base.__module__}.{base.__qualname__}"
    raise ConfigError(f"{name!r} is not a complete {base.__qualname__}; {what_to_do}")


def source_of(name: str) -> Source:
    """Return the file or module of a plug-in, after importing it if it is allowed."""
    key = require_allowed(name)
    with _IMPORTING:
        if (source := _NAMED.get(key)) is None:
            with _explaining(key):
                is_file = os.path.isabs(key)
                source = _run_file(key) if is_file else _describe(key, importlib.import_module(key))
            _NAMED[key] = source
    return source


def sources() -> list[Source]:
    """Return the imported files and modules from outside the package."""
    return [it for it in list(_NAMED.values()) if it is not None and not _contains("nmt", it.name)]


def unused() -> list[str]:
    """Return the files and modules that were allowed, and not imported since."""
    imported = [key for key, source in list(_NAMED.items()) if source is not None]
    return [key for key in list(_NAMED) if not any(_contains(key, other) for other in imported)]


def reference_of(kind: type) -> str:
    """Return the name of a class in a configuration, as in `my_scores.py:Distance`."""
    return f"{_locate(sys.modules[kind.__module__])[0]}:{kind.__qualname__}"


def _locate(module: ModuleType) -> tuple[str, str]:
    """Return the file name or the name of a module, and its key in `_NAMED`."""
    file = getattr(module, "__file__", None)
    if file and module.__name__.startswith(("__main__", _PREFIX)):
        return os.path.basename(file), os.path.realpath(file)
    return module.__name__, module.__name__


def _run_file(path: str, content: bytes | None = None) -> Source:
    """Run a file as a module.

    The import system would run a compiled file with the same time and size, whose text may be
    another one. It would also write such a file next to the plug-in. Without content it is read.
    """
    digest = hashlib.sha256(path.encode()).hexdigest()[:8]
    module = ModuleType(f"{_PREFIX}{Path(path).stem}_{digest}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look there, and so does pickle
    content = read_regular(Path(path), _MAX_BYTES) if content is None else content
    exec(compile(content, path, "exec", dont_inherit=True), vars(module))
    return Source(os.path.basename(path), content, module)


def _describe(name: str, module: ModuleType) -> Source:
    try:
        content = read_regular(Path(getattr(module, "__file__", None) or ""), _MAX_BYTES)
    except OSError:  # a notebook or a compiled module
        content = b""
    return Source(name, content, module)


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    """Turn any error of an import into one line; print to stderr what it prints to stdout."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        if _is_termination(error):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == name]
        if isinstance(error, SyntaxError) and error.filename == name:
            lines = [error.lineno]
        where = f"{name}, line {lines[-1]}" if lines else name
        hint = "install the module, or set PYTHONPATH to its folder"
        advice = hint if isinstance(error, ModuleNotFoundError) else "correct the file"
        problem = f"plug-in {where}: cannot be imported: {_describe_error(error)}"
        raise ConfigError(f"{problem}; {advice}") from error


def _describe_error(error: BaseException) -> str:
    """Return the type of an error, and the first line of its message."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _is_termination(error: BaseException) -> bool:
    """Return whether a signal, not a plug-in, ends the process."""
    return isinstance(error, SystemExit) and error.code == _TERMINATED


def explain_failure(error: BaseException) -> str | None:
    """Return an error of a plug-in's code as one line; None for any other error."""
    if isinstance(error, UserError) or _is_termination(error) or explain_system_error(error):
        return None
    lines = lines_of(error)
    return f"plug-in {lines[-1]}: {_describe_error(error)}; correct the file" if lines else None


def lines_of(error: BaseException | None) -> list[str]:
    """Return the lines of plug-in files in the traceback of an error and of its causes."""
    names = {getattr(source.module, "__file__", None): source.name for source in sources()}
    lines: list[str] = []
    while error is not None:
        frames = [it for it in traceback.extract_tb(error.__traceback__) if it.filename in names]
        lines += [f"{names[frame.filename]}, line {frame.lineno}" for frame in frames]
        error = error.__cause__ or error.__context__
    return list(dict.fromkeys(lines))


class ImportedFiles:
    """The plug-in files of this process; reading their pickle runs them in another process.

    It must come before the objects of their classes in a pickle.
    """

    def __reduce__(self) -> tuple[object, ...]:
        ours = [source for source in sources() if source.module.__name__.startswith(_PREFIX)]
        return _restore, ([(source.module.__file__, source.content) for source in ours],)


def _restore(files: Sequence[tuple[str, bytes]]) -> ImportedFiles:
    for path, content in files:
        with _explaining(path):
            _NAMED[path] = _run_file(path, content)
    return ImportedFiles()
