"""Resuming a translation that was killed: complete lines are kept.

While `NAME.partial` is being written, `NAME.state` next to it has a fingerprint of everything that
determines the outputs. Lines are written in order, so the complete lines of the partial files show
the progress of the translation.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from nmt.cli.outputs import is_stream
from nmt.core.errors import UserError
from nmt.system.files import file_sha256, partial_path, read_regular, state_file, write_text

if TYPE_CHECKING:
    from nmt.runs.run import Run

_MAX_BYTES: Final = 1 << 26  # limit of a small file in the fingerprint, such as a dictionary

T = TypeVar("T", bound=Sized)


def fingerprint_model(
    run: "Run", ensemble: Sequence[str], checkpoint: str, options: Mapping[str, object]
) -> str:
    """Return a SHA-256 of everything that determines an output, except the input.

    Args:
        run: the run, with its options for translation.
        ensemble: folders of further runs of an ensemble.
        checkpoint: name of the checkpoint of each run; its content is part of the digest.
        options: further options of the output.
    """
    from nmt.runs.manifest import MANIFEST
    from nmt.runs.run import RunDirectory

    folders = [run.folder, *(RunDirectory.open(path) for path in ensemble)]
    files = [folder.checkpoint(checkpoint) / MANIFEST for folder in folders]
    decoding = run.config.decoding
    if decoding.shortlist is not None:
        files.append(run.folder.lexicon / MANIFEST)
    if decoding.dictionary is not None:
        files.append(Path(decoding.dictionary))
    given = [decoding.model_dump(mode="json"), dict(options)]
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode())
    for path in files:
        digest.update(_read(path))
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    """Read a file; if it cannot be read, its user reports the error later."""
    try:
        return read_regular(path, _MAX_BYTES)
    except OSError:
        return b""


@dataclass(frozen=True)
class ResumableOutputs:
    """Outputs of a translation that may have been interrupted.

    Attributes:
        paths: argument -> its output, with links resolved.
        fingerprint: digest of everything that determines the outputs; None: not resumable.
        is_resumed: whether the outputs are continued.
    """

    paths: Mapping[str, Path]
    fingerprint: str | None
    is_resumed: bool = False

    @classmethod
    def open(
        cls,
        outputs: Mapping[str, Path],
        inputs: Sequence[Path | None],
        fingerprint: str,
        *,
        resume: bool,
    ) -> "ResumableOutputs":
        """Check whether a translation can be resumed, and should be; write nothing.

        Args:
            outputs: argument -> its output.
            inputs: files that are read; None for each optional file that is not given.
            fingerprint: digest of everything else that determines the outputs.
            resume: continue interrupted outputs; start if there are none.

        Raises:
            UserError: with `resume`, an input or output is not a regular file, or the existing
                output was made by another model, with other options or from other input.
        """
        paths = {argument: Path(os.path.realpath(path)) for argument, path in outputs.items()}
        problem = _find_problem(outputs, inputs)
        if problem is not None:
            if resume:
                raise UserError(f"--resume: {problem}")
            return cls(paths, None)
        digest = hashlib.sha256(fingerprint.encode())
        for argument, path in paths.items():
            # The folder of the outputs may be moved as a whole.
            place = "" if argument == "-o" else os.path.relpath(path, paths["-o"].parent)
            digest.update(f"{argument} {place}\n".encode())
        for name in inputs:
            digest.update(b"-")
            if name is not None:
                digest.update(bytes.fromhex(file_sha256(name)))
        state = state_file(paths["-o"])
        is_resumed = resume and os.path.isfile(state)
        if is_resumed and _read(state) != digest.hexdigest().encode():
            raise UserError(
                f"{state}: the output was started with another model, other options or other "
                "input; give the same, or leave --resume out"
            )
        return cls(paths, digest.hexdigest(), is_resumed)

    def begin(self, lines: Iterator[T], *, has_lists: bool) -> tuple[int, Iterator[T]]:
        """Truncate continued outputs to their complete lines; write the state of new ones.

        All outputs are open and locked at this point, and new ones are empty.

        Args:
            lines: all lines of the input.
            has_lists: whether the output of -o is an n-best list.

        Returns:
            The number of lines that are done, and the remaining lines.
        """
        if self.is_resumed:
            return self._skip_done(lines, has_lists=has_lists)
        if self.fingerprint is not None:
            write_text(state_file(self.paths["-o"]), self.fingerprint)
        elif "-o" in self.paths and not is_stream(self.paths["-o"]):
            state_file(self.paths["-o"]).unlink(missing_ok=True)  # state of an earlier output
        return 0, lines

    def _skip_done(self, lines: Iterator[T], *, has_lists: bool) -> tuple[int, Iterator[T]]:
        """Truncate the outputs at the end of a window of lines, so that batches stay the same."""
        from nmt.inference.inputs import windows

        partials = {partial_path(path): argument == "-o" for argument, path in self.paths.items()}
        num_complete = min(
            _measure(partial, is_list=is_main and has_lists)[0]
            for partial, is_main in partials.items()
        )
        num_done = 0
        for window in windows(lines, len):
            if num_done + len(window) > num_complete:
                lines = chain(window, lines)
                break
            num_done += len(window)
        for partial, is_main in partials.items():
            _, size = _measure(partial, is_list=is_main and has_lists, most=num_done)
            os.truncate(partial, size)
        return num_done, lines

    def finish(self) -> None:
        """Remove the state file after the last line."""
        if self.fingerprint is not None:
            state_file(self.paths["-o"]).unlink(missing_ok=True)


def _find_problem(outputs: Mapping[str, Path], inputs: Sequence[Path | None]) -> str | None:
    """Return why outputs cannot be resumed; None if they can."""
    if "-o" not in outputs:
        return "only continues a file; give the same -o FILE as before"
    for argument, path in outputs.items():
        if is_stream(path):
            return f"{argument} {path} is not a regular file; choose another output"
        if path.suffix == ".gz":
            return f"{argument} {path} is compressed; write an uncompressed file"
    for name in inputs:
        if name is not None and not name.is_file():
            return f"{name} cannot be read again; use a file"
    return None


def _measure(path: Path, *, is_list: bool, most: int | None = None) -> tuple[int, int]:
    """Return the number of input lines for which an output is complete, and their bytes.

    NULs after a power cut, and list entries without a number, do not count as complete.

    Args:
        path: path of the file.
        is_list: whether it is an n-best list, where entries of a line end where the next begins.
        most: maximum number of lines to count; None: all.
    """
    num_lines = num_bytes = offset = 0
    with path.open("rb") as file:
        while num_lines != most:
            line = file.readline()
            number = line.partition(b" ")[0] if is_list else b"0"
            if not line.endswith(b"\n") or b"\0" in line or not number.isdigit():
                break
            if int(number) > num_lines:
                num_lines, num_bytes = num_lines + 1, offset
            offset += len(line)
            if not is_list:
                num_lines, num_bytes = num_lines + 1, offset
    return num_lines, num_bytes
