"""Outputs: stdout, an open stream, or a file that is written atomically.

A file is written as `NAME.partial` next to it, locked, and renamed at the end. An existing file is
untouched until then. If the work is interrupted, the partial file is kept, as it may have taken
hours.

`/dev/stdout`, `/dev/fd/N` and `/proc/self/fd/N` name open descriptors of this process, even of
regular files, and are never replaced: `-o /dev/stdout >> log` appends to the log.
"""

import fcntl
import gzip
import io
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, TypeAlias

from nmt.core.console import print_notice
from nmt.core.errors import DataError, os_reason
from nmt.data.formats.lines import open_binary
from nmt.system.files import free_partial_path, lock, partial_path, state_file

if TYPE_CHECKING:
    from nmt.runs.run import Run

STDIN: Final = Path("/dev/stdin")
_DESCRIPTOR: Final = re.compile(
    r"/dev/std(?P<standard>in|out|err)|(/dev|/proc/(?P<process>self|\d+))/fd/(?P<number>\d+)"
)
_INPUT: Final = "an input"

# Device and inode of an existing file, equal for all its names; else the path without links.
_Identity: TypeAlias = tuple[int, int] | str


def check_files(
    outputs: Mapping[str, Path | None],
    inputs: Iterable[str | Path | None],
    run: "Run | None" = None,
    others: Iterable[str | Path] = (),
) -> None:
    """Check the inputs and outputs of a command before the work.

    Args:
        outputs: argument -> its file or folder; None: not given.
        inputs: files that are read; None: not given.
        run: the run that is read; no output may replace its files or the data it was made from.
        others: folders of further runs that are read.

    Raises:
        DataError: an output is an input, part of a run, or another output (only streams may be
            shared); or an input cannot be opened.
    """
    from nmt.runs.run import RunDirectory

    runs = [RunDirectory(Path(path)) for path in others]
    opened = [Path(path) for path in inputs if path is not None]
    kept = list(opened)
    if run is not None:
        runs.append(run.folder)
        kept += map(Path, run.config.input_paths().values())
    taken = {one: _INPUT for path in kept for one in _identities(path)}
    folders = tuple(os.path.realpath(path) + os.sep for path in kept if os.path.isdir(path))
    given = {argument: path for argument, path in outputs.items() if path is not None}
    given["stdout"] = Path("/dev/stdout")
    for argument, path in sorted(given.items(), key=lambda output: not is_stream(output[1])):
        touched = _touched_by(path)
        clashes = {taken[one] for one in touched if one in taken}
        if is_stream(path):
            clashes &= {_INPUT}
        else:
            if os.path.realpath(path).startswith(folders):
                clashes.add(_INPUT)
            clashes |= {f"part of the run {one.path}" for one in runs if one.protects(path)}
        if clashes:
            what = max(clashes)
            raise DataError(f"{argument} {path}: is also {what}; choose another output file")
        taken |= dict.fromkeys(touched, argument)
    for path in opened:
        if path != STDIN and not path.is_fifo():  # a pipe can be opened only once
            open_binary(path).close()


def _touched_by(path: Path) -> set[_Identity]:
    """Return the files that writing an output touches: the file itself and its temporary files."""
    real = Path(os.path.realpath(path))
    names = [path] if is_stream(path) else [real, partial_path(real), state_file(real)]
    return set().union(*map(_identities, names))


def _identities(path: Path) -> set[_Identity]:
    """Return identities that all names of a file share; none for a device or a pipe."""
    try:
        descriptor = find_descriptor(path)
        found = os.stat(path) if descriptor is None else os.fstat(descriptor)
    except (OSError, ValueError):
        return {os.path.realpath(path)}
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return set()
    return {(found.st_dev, found.st_ino)}


def is_stream(path: Path) -> bool:
    """Return whether a path names an open descriptor, or an existing pipe or device.

    Errors of the path are not raised here, but when it is opened.
    """
    if find_descriptor(path) is not None:
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def find_descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that a path names, such as `/dev/fd/3`, or None."""
    found = _DESCRIPTOR.fullmatch(os.path.abspath(path))
    if found is None or found["process"] not in (None, "self", str(os.getpid())):
        return None
    return int(found["number"] or ("in", "out", "err").index(found["standard"]))


@contextmanager
def open_output(path: Path | None, *, keep: bool = False) -> Iterator[TextIO]:
    r"""Open an output for text in UTF-8 with `\n`; a name in .gz is compressed.

    Streams are written line by line, in order with other output to them.

    Args:
        path: the file, written as by `open_binary_output`; None: stdout.
        keep: as in `open_binary_output`; not for a compressed file.
    """
    is_compressed = path is not None and path.suffix == ".gz"
    if path is None or (find_descriptor(path) == 1 and not is_compressed):
        yield sys.stdout
        sys.stdout.flush()
        return
    with open_binary_output(path, keep=keep) as file:
        packed = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if is_compressed else file
        with io.TextIOWrapper(
            packed, "utf-8", "replace", newline="\n", line_buffering=is_stream(path)
        ) as text:
            yield text


def open_if_given(path: Path | None) -> AbstractContextManager[TextIO | None]:
    """Open an output with `open_output`; yield None if no path is given."""
    return nullcontext() if path is None else open_output(path)


@contextmanager
def open_binary_output(path: Path, *, keep: bool = False) -> Iterator[BinaryIO]:
    """Open an output for bytes.

    Args:
        path: the file; a stream (`is_stream`) is written directly.
        keep: append to the existing partial file.

    Raises:
        DataError: the file cannot be written, or stays incomplete because the reader of another
            output has closed it.
    """
    if is_stream(path):
        with _open_stream(path) as stream:
            yield stream
        return
    with lock_output(path) as (descriptor, partial):
        if not keep:
            os.ftruncate(descriptor, 0)
        try:
            with io.BufferedWriter(_NamedWriter(descriptor, partial)) as stream:
                yield stream
            partial.replace(partial.with_name(partial.name.removesuffix(".partial")))
        except BaseException as error:
            if os.fstat(descriptor).st_size:
                print_notice(f"nmt: the finished part is in {partial}")
            if isinstance(error, BrokenPipeError):
                raise DataError(
                    f"{path}: incomplete, because the program that read the other output ended; "
                    "run the command again, and read that output to its end"
                ) from None
            raise


@contextmanager
def lock_output(path: Path) -> Iterator[tuple[int, Path]]:
    """Lock an output; yield the descriptor of its partial file, open to append, and its path.

    Args:
        path: the file; for a link, its target is written and the link stays.

    Raises:
        DataError: the file cannot be written, or another process is writing it.
    """
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder; give a file name")
    partial = free_partial_path(Path(os.path.realpath(path)))  # os.path never raises
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with _locked(partial, flags, path) as descriptor:
        try:
            yield descriptor, partial
        except BaseException:
            if os.fstat(descriptor).st_size == 0 and _is_open_at(partial, descriptor):
                partial.unlink()
            raise


@contextmanager
def open_folder(path: Path) -> Iterator[None]:
    """Create a folder for output files, and lock it against other processes.

    Raises:
        DataError: it cannot be created or written to, or another process is writing it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{path}: is not a folder; choose another one") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataError(f"{path}: no permission to write in this folder; choose another one")
    with _locked(path, os.O_RDONLY, path):
        yield


@contextmanager
def _locked(place: Path, flags: int, path: Path) -> Iterator[int]:
    """Open a file or folder, and lock it until the `with` ends."""
    while True:
        try:
            descriptor = os.open(place, flags, 0o666)
        except OSError as error:
            raise _cannot_write(path, error) from None
        try:
            if not lock(descriptor):
                raise DataError(
                    f"{path}: is being written by another process; wait until it ends, or choose "
                    "another output"
                )
            if _is_open_at(place, descriptor):  # or its writer renamed it before we locked it
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_open_at(place: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(place), os.fstat(descriptor))
    return False


@contextmanager
def _open_stream(path: Path) -> Iterator[BinaryIO]:
    number = find_descriptor(path)
    if number == 1:
        sys.stdout.flush()
    try:
        descriptor = os.open(path, os.O_WRONLY) if number is None else os.dup(number)
    except OSError as error:
        raise _cannot_write(path, error) from None
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise DataError(f"{path}: is only open for reading; choose another output")
        with io.BufferedWriter(_NamedWriter(descriptor, path)) as stream:
            yield stream
    finally:
        os.close(descriptor)


class _NamedWriter(io.RawIOBase):
    """Writer to an open descriptor that stays open; system errors name its path.

    It does not support seeking, as some outputs are append-only.
    """

    def __init__(self, descriptor: int, name: Path) -> None:
        self._descriptor = descriptor
        self._name = str(name)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: Any) -> int:
        """Write bytes and return how many the system accepted."""
        try:
            return os.write(self._descriptor, content)
        except OSError as error:
            error.filename = self._name
            raise


def _cannot_write(path: Path, error: OSError) -> DataError:
    """Return the error for an output that the system refuses to open."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: its folder does not exist; create it first")
    return DataError(f"{path}: cannot be written: {os_reason(error)}")
