"""Resuming a long translation that was killed: what was translated is kept.

Next to `NAME.partial`, which is being written, lies `NAME.state` with a fingerprint of all that
decides on the outputs. Lines come out in order, so that the complete lines of the partial files say
how far the translation has come.
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

_MAX_BYTES: Final = 1 << 26  # of a small file that is part of a fingerprint, as a dictionary

T = TypeVar("T", bound=Sized)


def fingerprint_model(
    run: "Run", ensemble: Sequence[str], checkpoint: str, options: Mapping[str, object]
) -> str:
    """Return a SHA-256 of all that decides on an output except the input.

    Args:
        run: the run, with the options that it translates with.
        ensemble: folders of further runs that translate with it.
        checkpoint: of each, by name; its content counts.
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
    """Read a file; whoever uses it complains where it cannot be read."""
    try:
        return read_regular(path, _MAX_BYTES)
    except OSError:
        return b""


@dataclass(frozen=True)
class ResumableOutputs:
    """The outputs of a translation that may have been broken off.

    Attributes:
        paths: argument -> the output that is written for it, without links.
        fingerprint: of all that decides on the outputs; None: they cannot be resumed.
        is_resumed: they are continued.
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
        """Find out whether a translation can be resumed, and is to be; write nothing.

        Args:
            outputs: argument -> the output that is given for it.
            inputs: all files that are read, with None for each that could be given.
            fingerprint: of all else that decides on the outputs.
            resume: continue what was broken off; what was not begun is begun.

        Raises:
            UserError: `resume`, and an input or output is not a file, or what is there was made by
                another model, with other options or from other input.
        """
        paths = {argument: Path(os.path.realpath(path)) for argument, path in outputs.items()}
        problem = _find_problem(outputs, inputs)
        if problem is not None:
            if resume:
                raise UserError(f"--resume: {problem}")
            return cls(paths, None)
        digest = hashlib.sha256(fingerprint.encode())
        for argument, path in paths.items():
            # A folder of outputs may be moved as a whole.
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
                f"{state}: what is there was made by another model, with other options or from "
                "other input: give the same, or begin again without --resume"
            )
        return cls(paths, digest.hexdigest(), is_resumed)

    def begin(self, lines: Iterator[T], *, has_lists: bool) -> tuple[int, Iterator[T]]:
        """Keep what is complete of outputs that are continued; write the state of new ones.

        All are open by now, so that no other process writes them, and new ones are empty.

        Args:
            lines: all of the input.
            has_lists: the output of -o is an n-best list.

        Returns:
            How many lines are done, and the others.
        """
        if self.is_resumed:
            return self._skip_done(lines, has_lists=has_lists)
        if self.fingerprint is not None:
            write_text(state_file(self.paths["-o"]), self.fingerprint)
        elif "-o" in self.paths and not is_stream(self.paths["-o"]):
            state_file(self.paths["-o"]).unlink(missing_ok=True)  # of what was there before
        return 0, lines

    def _skip_done(self, lines: Iterator[T], *, has_lists: bool) -> tuple[int, Iterator[T]]:
        """Cut the outputs where a window of lines ends, so that the batches stay the same."""
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
        """Remove the state file: all is done."""
        if self.fingerprint is not None:
            state_file(self.paths["-o"]).unlink(missing_ok=True)


def _find_problem(outputs: Mapping[str, Path], inputs: Sequence[Path | None]) -> str | None:
    """Return why outputs cannot be resumed; None: they can."""
    if "-o" not in outputs:
        return "continues a file; give the same -o FILE as before"
    for argument, path in outputs.items():
        if is_stream(path):
            return f"{argument} {path} is not a regular file, so it cannot be resumed"
        if path.suffix == ".gz":
            return f"{argument} {path} is compressed, so it cannot be resumed; write a plain file"
    for name in inputs:
        if name is not None and not name.is_file():
            return f"{name} cannot be read again; name a file"
    return None


def _measure(path: Path, *, is_list: bool, most: int | None = None) -> tuple[int, int]:
    """Return for how many lines of the input an output is complete, and its bytes for these.

    What a power cut has left as NULs, or an entry of a list without a number, is not complete.

    Args:
        path: the file.
        is_list: it is an n-best list: what it has for a line ends where the next line begins.
        most: lines to count; None: all.
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
