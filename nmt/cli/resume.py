"""State of a long translation, so that one that was killed continues and loses nothing.

Next to `NAME.partial`, which is being written, lies `NAME.state`: a small JSON file with a
fingerprint of all that decides on the outputs, the number of lines done, and the sizes of the
outputs then. It is written after each window of lines, when these are on the disk; whatever comes
after it is cut off and done again.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, NonNegativeInt

from nmt.cli.output_locks import state_file
from nmt.cli.output_streams import is_stream
from nmt.core.errors import DataError, UserError
from nmt.data.formats.lines import open_binary
from nmt.system.files import (
    MAX_JSON_BYTES,
    atomic_write,
    flush,
    partial_path,
    read_regular,
    write_flushed,
)

if TYPE_CHECKING:
    from nmt.runs.run import Run

_MAX_BYTES: Final = 1 << 26  # of a small file that is part of a fingerprint, as a dictionary


def fingerprint_model(
    run: "Run", others: Sequence[str], checkpoint: str, options: Mapping[str, object]
) -> str:
    """Return a SHA-256 of all that decides on an output except the input.

    Args:
        run: whose model translates, with the configuration that says how.
        others: further runs of an ensemble.
        checkpoint: of each, by name; its content counts.
        options: further options of the output.
    """
    from nmt.runs.manifest import MANIFEST
    from nmt.runs.run import RunDirectory

    config, decoding = run.config, run.config.decoding
    folders = [run.folder, *map(RunDirectory.open, others)]
    files = [folder.checkpoint(checkpoint) / MANIFEST for folder in folders]
    if decoding.shortlist is not None:
        files.append(run.folder.lexicon / MANIFEST)
    if decoding.dictionary is not None:
        files.append(Path(decoding.dictionary))
    given = [decoding.model_dump(mode="json"), config.device, config.precision, dict(options)]
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode())
    for path in files:
        digest.update(_read(path))
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    """Read a file; whoever uses it complains where it cannot be read."""
    try:
        return read_regular(path, _MAX_BYTES)
    except OSError:
        return b""


def open_resume_state(
    outputs: Mapping[str, Path],
    inputs: Sequence[str | Path | None],
    fingerprint: str,
    *,
    resume: bool,
) -> "ResumeState":
    """Return the state of a translation, which stays empty where it cannot be resumed.

    Args:
        outputs: argument -> the output that is written for it.
        inputs: all files that are read, with None for each that could be given.
        fingerprint: of all else that decides on the outputs.
        resume: continue where it was broken off.

    Raises:
        UserError: `resume`, and an input or output is not a file; or as `ResumeState`.
    """
    problem = None
    files = [None if path is None else Path(path) for path in inputs]
    if "-o" not in outputs:
        problem = "continues a file; give the same -o FILE as before"
    for argument, path in outputs.items():
        if is_stream(path):
            problem = f"{argument} {path} is not a regular file, so it cannot be resumed"
    for path in filter(None, files):
        if not path.is_file():
            problem = f"{path} cannot be read again; name a file"
    if problem is not None:
        if resume:
            raise UserError(f"--resume: {problem}")
        return ResumeState(outputs, None)
    digest = hashlib.sha256(fingerprint.encode())
    for name in files:
        digest.update(b"-")
        if name is not None:
            with open_binary(name) as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return ResumeState(outputs, digest.hexdigest(), resume=resume)


class State(BaseModel, frozen=True, strict=True, extra="forbid"):
    """Content of the state file.

    Attributes:
        fingerprint: of all that decides on the outputs.
        num_lines: lines of the input that are done.
        sizes: argument -> bytes of its output then.
    """

    fingerprint: str
    num_lines: NonNegativeInt = 0
    sizes: dict[str, NonNegativeInt] = {}


class ResumeState:
    """Keeps the state file of one translation.

    Args:
        paths: argument -> the output that is written for it; the state lies next to that of -o.
        fingerprint: of all that decides on the outputs; None: keep no state.
        resume: continue where the state file says; without one, begin.

    Raises:
        UserError: what is there was made by another model, with other options or from other input.
        DataError: the state file is not valid, or an output lacks what it had.
    """

    def __init__(
        self, paths: Mapping[str, Path], fingerprint: str | None, *, resume: bool = False
    ) -> None:
        self._given = paths
        self._paths = {argument: Path(os.path.realpath(path)) for argument, path in paths.items()}
        self._path = state_file(self._paths.get("-o", Path("stdout")))
        self._keeps = fingerprint is not None
        self._state = State(fingerprint=fingerprint or "")
        if resume and os.path.isfile(self._path):
            try:
                self._state = State.model_validate_json(read_regular(self._path, MAX_JSON_BYTES))
            except (OSError, ValueError):
                raise DataError(f"{self._path}: is damaged; begin again without --resume") from None
            self._check(fingerprint)

    def _check(self, fingerprint: str | None) -> None:
        """Refuse a state of another translation, and outputs that are not as it says."""
        if self._state.fingerprint != fingerprint or self._state.sizes.keys() != self._paths.keys():
            raise UserError(
                f"{self._path}: what is there was made by another model, with other options or "
                "from other input: give the same, or begin again without --resume"
            )
        for argument, path in self._paths.items():
            partial = partial_path(path)
            is_ours = os.path.isfile(partial) and not os.path.islink(partial)
            if not is_ours or os.path.getsize(partial) < self._state.sizes[argument]:
                raise DataError(
                    f"{partial}: is missing or was cut short since the translation broke off; "
                    "begin again without --resume"
                )

    @property
    def num_lines(self) -> int:
        """Number of input lines that are done."""
        return self._state.num_lines

    def cut(self, argument: str) -> int:
        """Cut off what an output has of lines that are not done; return the bytes that stay."""
        size = self._state.sizes.get(argument, 0)
        if size:
            os.truncate(partial_path(self._paths[argument]), size)
        elif argument == "-o" and not is_stream(self._given[argument]):
            self._path.unlink(missing_ok=True)  # of what was there before
        return size

    def save(self, num_lines: int) -> None:
        """Record that so many lines are done; their outputs are flushed."""
        if not self._keeps:
            return
        partials = {argument: partial_path(path) for argument, path in self._paths.items()}
        for partial in partials.values():
            flush(partial)
        sizes = {argument: os.path.getsize(partial) for argument, partial in partials.items()}
        self._state = self._state.model_copy(update={"num_lines": num_lines, "sizes": sizes})
        with atomic_write(self._path) as path:
            write_flushed(path, self._state.model_dump_json().encode())

    def finish(self) -> None:
        """Remove the state file: all is done."""
        if self._keeps:
            self._path.unlink(missing_ok=True)
