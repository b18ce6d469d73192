"""Inputs of the commands: sentence pairs to score, and lines or grids to translate."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

from nmt.cli.arguments import CommandArguments, option, path, whole_number
from nmt.cli.outputs import STDIN, is_stream
from nmt.core.errors import DataError, UserError
from nmt.data.formats.lines import MAX_LINE_BYTES, count_lines, decode_lines, read_lines
from nmt.system.process import is_distributed

if TYPE_CHECKING:
    from tqdm import tqdm

    from nmt.cli.translate import Arguments
    from nmt.config.data import CorpusConfig
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Source
    from nmt.inference.inputs import Input
    from nmt.inference.translation import Translation

T = TypeVar("T")
S = TypeVar("S")

_DASH: Final = "-"  # means stdin
_MOST_LINE_BYTES: Final = 10**12


def line_limit() -> Any:
    """Declare a field for --max-line-bytes, the line limit of all text that the command reads."""
    return option(
        "N",
        "maximum length of a line; a longer line is read as empty, with a warning (default: "
        f"{MAX_LINE_BYTES:,}; memory grows with it)",
        default=MAX_LINE_BYTES,
        type=whole_number(_MOST_LINE_BYTES),
    )


@dataclass(frozen=True, kw_only=True)
class PairArguments(CommandArguments):
    """Two files that correspond line by line."""

    source: Path = path(
        "source sentences, one per line; for a run that reads grids, an .npz file", required=True
    )
    target: Path = path("target sentences, one per line", required=True)
    max_line_bytes: int = line_limit()

    def read(self, config: "Config") -> "Iterator[tuple[Source, str]]":
        """Read the pairs lazily.

        Raises:
            DataError: raised while reading, as by `read_pairs`.
        """
        from nmt.build.data import build_corpus

        corpus = given_corpus(config, self.source, self.target)
        return build_corpus(corpus, self.max_line_bytes).read_pairs()


def given_corpus(config: "Config", source: str | Path, target: str | Path) -> "CorpusConfig":
    """Return files of the command line as a corpus, of text or grids like the run's."""
    from nmt.config.data import CorpusConfig

    key = "grids" if config.reads_grids else "source"
    return CorpusConfig.model_validate({key: str(source), "target": str(target)})


def read_input(
    config: "Config", names: Sequence[str], max_line_bytes: int = MAX_LINE_BYTES
) -> "Iterator[Source]":
    """Read files one after the other: as lines, or as grids if the run reads grids.

    Args:
        config: configuration of the run.
        names: file names; for lines, `-` or no name means stdin.
        max_line_bytes: limit of a line, as in `read_text`.

    Raises:
        UserError: raised at once: grids cannot be read from stdin.
        DataError: raised while reading: a file cannot be opened, or is not a file of grids.
    """
    if not config.reads_grids:
        return read_text(names, max_line_bytes)
    from nmt.data.formats.grids import read_grids

    if not names or _DASH in names:
        raise UserError("stdin: not supported by a run that reads grids; give an .npz file")
    return chain.from_iterable(read_grids(Path(name)) for name in names)


def input_files(names: Sequence[str]) -> list[Path]:
    """Return the files that `read_input` reads, including the file behind stdin, if any."""
    return [STDIN if name == _DASH else Path(name) for name in names or [_DASH]]


def read_text(names: Sequence[str], max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[str]:
    """Read all lines of files, one file after the other; no line is refused.

    Args:
        names: file names; `-` or no name means stdin. Files may be compressed.
        max_line_bytes: limit of a line in bytes; a longer line is read as an empty one.

    Raises:
        DataError: a file cannot be opened.
    """
    return chain.from_iterable(
        decode_lines(cast(BufferedReader, sys.stdin.buffer), "stdin", "replace", max_line_bytes)
        if name == _DASH
        else read_lines(Path(name), "replace", max_line_bytes)
        for name in names or [_DASH]
    )


def add_constraints(
    lines: "Iterator[Source]",
    prefixes: Path | None,
    constraints: Path | None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> "Iterator[Input]":
    """Yield lines with the constraints on their translations.

    Args:
        lines: lines of the input.
        prefixes: file with the forced beginning of each translation, line by line; None: no
            prefixes. A line that is not UTF-8 is read as an empty one (no prefix), with a warning.
        constraints: file with the phrases of each translation, separated by tabs; read likewise.
        max_line_bytes: limit of a line of both files, as in `read_text`.

    Raises:
        DataError: the number of lines of a file differs from the input.
    """
    from nmt.inference.inputs import Input

    begun, wanted = (
        repeat("") if name is None else read_lines(name, "blank", max_line_bytes)
        for name in (prefixes, constraints)
    )
    for number, line in enumerate(lines, start=1):
        prefix, phrases = next(begun, None), next(wanted, None)
        for name, given in ((prefixes, prefix), (constraints, phrases)):
            if given is None:
                raise DataError(f"{name}: has {number - 1} lines; give one for each input line")
        assert prefix is not None and phrases is not None
        stripped = (phrase.strip() for phrase in phrases.split("\t"))
        yield Input(line, prefix.strip(), tuple(filter(None, stripped)))
    for name, rest in ((prefixes, begun), (constraints, wanted)):
        if name is not None and next(rest, None) is not None:
            raise DataError(f"{name}: has more lines than the input; give one for each input line")


def stdin_is_typed(names: Sequence[str]) -> bool:
    """Return whether `read_input` reads from a terminal."""
    return (not names or _DASH in names) and sys.stdin.isatty()


def translate_lines(
    translate: "Callable[..., Iterator[list[tuple[S, Translation]]]]",
    lines: Iterator[T],
    arguments: "Arguments",
) -> "Iterator[list[tuple[S, Translation]]]":
    """Yield windows of lines with their translations; one line at a time from a terminal.

    Args:
        translate: `translate_windows` of a translator, with the warnings of the stream.
        lines: its input.
        arguments: arguments with the input files and --line-buffered.
    """
    is_typed = stdin_is_typed(arguments.input)
    if not is_typed and not arguments.line_buffered:
        yield from translate(lines)
        return
    # No prefetching: the user waits for each answer.
    for line in _prompt_for(lines) if is_typed else lines:
        yield from translate([line])


def _prompt_for(lines: Iterator[T]) -> Iterator[T]:
    """Yield lines that are typed, with a prompt before each."""
    print("type a sentence and press Enter; Ctrl-D ends", file=sys.stderr)
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        try:
            yield next(lines)
        except StopIteration:
            print(file=sys.stderr)
            return


def require_line_buffering(arguments: "Arguments") -> None:
    """Refuse --line-buffered with outputs that are not streams, or with several processes.

    Raises:
        UserError: it cannot be combined with the other arguments.
    """
    if not arguments.line_buffered:
        return
    output = arguments.output
    if output is not None and not is_stream(output):
        raise UserError(
            f"--line-buffered: has no effect with -o {output}, which is written at the end; leave "
            "one of them out"
        )
    if arguments.workers is not None:
        raise UserError("--workers: has no effect with --line-buffered; leave one of them out")
    if is_distributed():
        raise UserError("--line-buffered: cannot be combined with several processes; use one")


def count_input(names: Sequence[str]) -> int | None:
    """Count the lines of files; None: they cannot be read twice, or are not text."""
    if not names or not all(map(os.path.isfile, names)):
        return None
    try:
        return sum(count_lines(Path(name)) for name in names)
    except DataError:  # grids, or an unreadable file, which is reported when it is read
        return None


def progress_bar(arguments: "Arguments", num_done: int = 0) -> "tqdm[NoReturn]":
    """Return a progress bar that counts lines, with their total if it is known.

    Args:
        arguments: arguments with the input files; the bar is shown only on a free terminal.
        num_done: lines that are already done.
    """
    from tqdm import tqdm

    is_shown = arguments.shows_progress
    total = count_input(arguments.input) if is_shown else None
    return tqdm(unit=" lines", disable=not is_shown, file=sys.stderr, initial=num_done, total=total)
