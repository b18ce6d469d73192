"""How far a long translation has come, so that one that was killed goes on and loses nothing.

Beside `NAME.partial`, which is being written, lies `NAME.state`: a small JSON file that says what
is made of what, how many lines of the input are done, and how long the outputs are then. It is
written after each window of lines, when they are on the disk; what comes after is done again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from nmt.cli.output_locks import state_file
from nmt.core.errors import DataError, UserError
from nmt.system.atomic_files import atomic_write, partial_path, write_flushed
from nmt.system.untrusted_files import MAX_JSON_BYTES, parse_json, read_regular

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.inference.inputs import Input

_CHUNK = 1 << 20
_MOST_BYTES = 1 << 26  # of a file that is compared as a whole, as a dictionary


def identify(
    runs: Sequence[Path], checkpoint: str, config: "Config", arguments: Mapping[str, object]
) -> str:
    """SHA-256 of all that decides on an output beside the input.

    Args:
        runs: whose models translate.
        checkpoint: of each, by name; what is in it counts.
        config: how it is translated.
        arguments: what else is asked for.
    """
    from nmt.runs.checkpoint import MANIFEST
    from nmt.runs.directory import RunDirectory

    manifests = []
    for path in runs:
        manifests.append(_text_of(RunDirectory.open(path).checkpoint(checkpoint) / MANIFEST))
    if config.decoding.shortlist is not None:
        manifests.append(_text_of(RunDirectory.open(runs[0]).lexicon / MANIFEST))
    options = config.decoding.model_dump(mode="json")
    dictionary = config.decoding.dictionary
    if dictionary is not None:
        options["dictionary"] = _text_of(Path(dictionary)) or dictionary
    told = [manifests, options, config.device, config.precision, dict(arguments)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _text_of(path: Path) -> str | None:
    """None: it cannot be read, or not twice. Whoever uses it complains, of damage, too."""
    try:
        return read_regular(path, _MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return None


class Output(Protocol):
    """What text is written to."""

    def write(self, text: str, /) -> object:
        """Append it."""

    def flush(self) -> object:
        """Bring it to where it belongs."""


@dataclass
class State:
    """What the state file says.

    Attributes:
        identity: of all that decides on the output beside the input: model and options.
        num_lines: of the input, that are done.
        input_digest: SHA-256 of these lines.
        outputs: argument -> bytes written, and their SHA-256.
    """

    identity: str
    num_lines: int = 0
    input_digest: str = ""
    outputs: dict[str, tuple[int, str]] = field(default_factory=dict)

    def is_valid(self) -> bool:
        """Return whether the fields, which a file may have given, have the right types."""
        numbers = [self.num_lines, *(size for size, _ in self.outputs.values())]
        digests = [self.identity, self.input_digest, *(it for _, it in self.outputs.values())]
        return all(type(number) is int and number >= 0 for number in numbers) and all(
            isinstance(digest, str) for digest in digests
        )


class Bookmark:
    """Keeps the state file of one translation.

    Args:
        paths: argument -> the output that is written for it, the first the main one.
        identity: of model and options.
        resume: go on where the state file says; without one, begin.

    Raises:
        UserError: what is there was made by another model or with other options.
        DataError: the state file or an output is not as it was left.
    """

    def __init__(self, paths: dict[str, Path], identity: str, *, resume: bool) -> None:
        self._paths = paths
        main = next(iter(paths.values()))
        self._path = state_file(main)
        self._state = State(identity)
        self._digest = hashlib.sha256()
        self._outputs: dict[str, _Digested] = {}
        if resume and os.path.isfile(self._path):
            self._state = self._read(identity)
            for argument, (size, digest) in self._state.outputs.items():
                _require_same(paths[argument], size, digest)

    @property
    def num_lines(self) -> int:
        """Lines of the input that are done."""
        return self._state.num_lines

    def take_up(self, argument: str) -> int:
        """Make an output ready to be gone on with, once all else is in order.

        Returns:
            Bytes of it that stay; what was beyond is cut off.
        """
        size = self._size(argument)
        if size:
            partial = partial_path(self._paths[argument])
            if not partial.exists():
                self._paths[argument].rename(partial)
            os.truncate(partial, size)
        return size

    def skip(self, given: "Iterator[Input]") -> None:
        """Take from the input what is done.

        Raises:
            DataError: what was translated is not the beginning of this input.
        """
        num_skipped = 0
        for line in islice(given, self.num_lines):
            self.add(line)
            num_skipped += 1
        same = self.num_lines == 0 or self._digest.hexdigest() == self._state.input_digest
        if num_skipped < self.num_lines or not same:
            raise DataError(
                f"{self._path}: {self.num_lines:,} lines are done, and they are not the first of "
                "this input: give the same input, or begin again without --resume"
            )

    def add(self, line: "Input") -> None:
        """A line is done, for the next `save`."""
        source = line.source if isinstance(line.source, str) else line.source.values.tobytes()
        for part in (source, line.prefix, *line.phrases):
            content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self._digest.update(len(content).to_bytes(8, "little") + content)
        self._digest.update(b"\n")

    def writer(self, argument: str, stream: TextIO) -> "_Digested":
        """What to write an output with, which is open."""
        if self.num_lines == 0:  # what was there is begun anew, and its state is no more
            self._path.unlink(missing_ok=True)
        path = self._paths[argument]
        self._outputs[argument] = _Digested(stream, path, self._size(argument))
        return self._outputs[argument]

    def _size(self, argument: str) -> int:
        """Bytes of an output that stay."""
        return self._state.outputs.get(argument, (0, ""))[0]

    def save(self, num_lines: int) -> None:
        """So many more lines are done, those that were added; what came of them is written."""
        self._state = State(
            self._state.identity,
            self._state.num_lines + num_lines,
            self._digest.hexdigest(),
            {argument: output.flush() for argument, output in self._outputs.items()},
        )
        with atomic_write(self._path) as partial:
            write_flushed(partial, json.dumps(asdict(self._state)).encode())

    def finish(self) -> None:
        """All is done: the state is needed no more."""
        self._path.unlink(missing_ok=True)

    def _read(self, identity: str) -> State:
        try:
            fields: dict[str, Any] = parse_json(read_regular(self._path, MAX_JSON_BYTES))
            outputs = {name: (size, digest) for name, (size, digest) in fields["outputs"].items()}
            state = State(**{**fields, "outputs": outputs})
            if not state.is_valid():
                raise ValueError("a field of another type, or a negative number")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{self._path}: is damaged; begin again without --resume") from None
        if state.identity != identity or set(state.outputs) != set(self._paths):
            raise UserError(
                f"{self._path}: what is there was made by another model or with other options: "
                "give the same, or begin again without --resume"
            )
        return state


class _Digested:
    """A text stream, with the SHA-256 of all that its file holds, compressed or not."""

    def __init__(self, stream: TextIO, path: Path, size: int) -> None:
        self._stream = stream
        self._path = partial_path(path)
        self._size = size
        self._digest = _digest(self._path, size)

    def write(self, text: str) -> None:
        self._stream.write(text)

    def flush(self) -> tuple[int, str]:
        """Bring all to the disk; bytes and digest."""
        self._stream.flush()
        with self._path.open("rb") as written:
            os.fsync(written.fileno())
            written.seek(self._size)
            while chunk := written.read(_CHUNK):
                self._size += len(chunk)
                self._digest.update(chunk)
        return self._size, self._digest.hexdigest()


def _digest(path: Path, size: int) -> "hashlib._Hash":
    """Of the first bytes of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
            digest.update(chunk)
            size -= len(chunk)
    return digest


def _require_same(output: Path, size: int, digest: str) -> None:
    """What was written must begin with these bytes, or be them, where it was completed."""
    path = partial_path(output)
    try:
        if not path.exists() and output.is_file() and output.stat().st_size == size:
            path = output  # it was killed before it could say so
        is_long_enough = os.path.getsize(path) >= size
        is_ours = os.path.isfile(path) and not os.path.islink(path)
        if is_long_enough and is_ours and _digest(path, size).hexdigest() == digest:
            return
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}), and the translation would go on with it; "
            "begin again without --resume"
        ) from None
    raise DataError(
        f"{path}: was changed since the translation broke off; begin again without --resume"
    )
