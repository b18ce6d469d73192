"""Outputs of a command that overwrite nothing that is read, and that no other process writes."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from nmt.cli.output_streams import cannot_write, find_descriptor, is_stream
from nmt.core.errors import DataError
from nmt.system.files import lock, partial_path

STDOUT: Final = Path("/dev/stdout")

Identity: TypeAlias = tuple[int, int] | str
"""Device and inode of what exists, which all its names share; else the path without links."""


@contextmanager
def reserve_outputs(
    outputs: Mapping[str, Path | None],
    inputs: Iterable[str | Path | None] = (),
    runs: Iterable[str | Path] = (),
) -> Iterator[None]:
    """Check what a command is to write, and keep other processes from writing it meanwhile.

    Args:
        outputs: argument -> the file or folder that was given for it; None: none.
        inputs: files and folders that are read, or that the run was made from.
        runs: the folders of runs that are read.

    Raises:
        DataError: an output is an input, or part of a run, or another output; or another process
            writes it.
    """
    refuse_overwriting(outputs, inputs, runs)
    with ExitStack() as stack:
        for argument, path in outputs.items():
            if path is not None and not is_stream(path):
                stack.enter_context(held(argument, path))
        yield


def refuse_overwriting(
    outputs: Mapping[str, Path | None],
    inputs: Iterable[str | Path | None] = (),
    runs: Iterable[str | Path] = (),
) -> None:
    """Refuse two outputs in one file, and an output in the place of what is read.

    Raises:
        DataError: as `reserve_outputs`. Devices and pipes may be shared.
    """
    from nmt.runs.run import RunDirectory

    read = [Path(path) for path in inputs if path is not None]
    protected = {identity for path in read if (identity := _identity(path)) is not None}
    folders = [os.path.realpath(path) + os.sep for path in read if os.path.isdir(path)]
    streamed: dict[Identity, str] = {}  # more than one may go to one stream, but no file
    written: dict[Identity, str] = {}
    for argument, path in {**outputs, "stdout": STDOUT}.items():
        if path is None:
            continue
        touched = _touched_by(path)
        is_inside = os.path.realpath(path).startswith(tuple(folders)) and not is_stream(path)
        if is_inside or not protected.isdisjoint(touched):
            raise DataError(f"{argument} {path}: is also an input; choose another output file")
        if is_stream(path):
            streamed.update(dict.fromkeys(touched, argument))
            continue
        for run in runs:
            if RunDirectory(Path(run)).protects(path):
                raise DataError(
                    f"{argument} {path}: belongs to the run {run}; choose another output file"
                )
        for other in (written[identity] for identity in touched if identity in written):
            raise DataError(f"{other} and {argument} are both {path}: give two files")
        written.update(dict.fromkeys(touched, argument))
    for identity in streamed.keys() & written.keys():
        raise DataError(
            f"{written[identity]} {outputs[written[identity]]}: {streamed[identity]} is the same "
            "file; give two files"
        )


def _touched_by(path: Path) -> set[Identity]:
    """Return what writing an output touches: the file, and its neighbours until it is complete."""
    if is_stream(path):
        names = [path]
    else:
        real = Path(os.path.realpath(path))
        names = [real, partial_path(real), state_file(real), _lock_file(real)]
    return {identity for name in names if (identity := _identity(name)) is not None}


def state_file(path: Path) -> Path:
    """Return where the state of an output lies while it is written, for `--resume`."""
    return path.with_name(f"{path.name}.state")


def _lock_file(path: Path) -> Path:
    """Return the file that is locked while an output is written; hidden, for it is nobody's."""
    return path.with_name(f".{path.name}.nmt-lock")


def _identity(path: Path) -> Identity | None:
    """Return what is the same for all names of a file; None for a device or a pipe."""
    try:
        descriptor = find_descriptor(path)
        found = os.stat(path) if descriptor is None else os.fstat(descriptor)
    except (OSError, ValueError):
        return os.path.realpath(path)
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return None
    return found.st_dev, found.st_ino


@contextmanager
def held(argument: str, path: Path) -> Iterator[None]:
    """Hold an output until the `with` ends; however the process ends, the system lets go.

    A folder is locked itself, a file by a hidden one in its folder, which is removed in the end.
    """
    real = Path(os.path.realpath(path))
    is_folder = os.path.isdir(real)
    name = real if is_folder else _lock_file(real)
    descriptor = _open_lock(argument, path, name, os.O_RDONLY if is_folder else os.O_CREAT)
    try:
        yield
    finally:
        if not is_folder:
            with suppress(OSError):
                name.unlink()
        os.close(descriptor)


def _open_lock(argument: str, path: Path, name: Path, flags: int) -> int:
    while True:
        try:
            descriptor = os.open(name, flags | os.O_NONBLOCK, 0o666)  # no pipe may block
        except OSError as error:
            raise cannot_write(path, error) from None
        if not lock(descriptor):
            os.close(descriptor)
            raise DataError(
                f"{argument} {path}: another process is writing it; wait until it ends, or choose "
                "another output"
            )
        with suppress(OSError):
            if os.path.samestat(os.stat(name), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)  # its owner removed it before we had the lock
