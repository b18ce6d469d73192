"""Inputs of the commands: pairs to score; lines or grids to translate, typed, piped or in files."""

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

_DASH: Final = "-"  # stands for stdin
_MOST_LINE_BYTES: Final = 10**12


def line_limit() -> Any:
    """Declare a field for --max-line-bytes, the limit for all text that the command reads."""
    return option(
        "N",
        "read a longer line as an empty one, with a warning "
        f"(default: {MAX_LINE_BYTES:,}; memory grows with it)",
        default=MAX_LINE_BYTES,
        type=whole_number(_MOST_LINE_BYTES),
    )


@dataclass(frozen=True, kw_only=True)
class PairArguments(CommandArguments):
    """Two files that correspond line for line."""

    source: Path = path(
        "source sentences, one a line; or, where the run reads grids, an .npz file", required=True
    )
    target: Path = path("their translations", required=True)
    max_line_bytes: int = line_limit()

    def read(self, config: "Config") -> "Iterator[tuple[Source, str]]":
        """Read the pairs, as they are asked for.

        Raises:
            DataError: while reading, what `read_pairs` raises.
        """
        from nmt.build.data import build_corpus

        corpus = given_corpus(config, self.source, self.target)
        return build_corpus(corpus, self.max_line_bytes).read_pairs()


def given_corpus(config: "Config", source: str | Path, target: str | Path) -> "CorpusConfig":
    """Files that were named on the command line, as a corpus of the kind that the run reads."""
    from nmt.config.data import CorpusConfig

    key = "grids" if config.reads_grids else "source"
    return CorpusConfig.model_validate({key: str(source), "target": str(target)})


def read_input(
    config: "Config", names: Sequence[str], max_line_bytes: int = MAX_LINE_BYTES
) -> "Iterator[Source]":
    """Read the files named, one after the other: lines, or grids where the run reads these.

    Args:
        config: of the run.
        names: of files; for lines, `-`, or no names, is stdin.
        max_line_bytes: of lines, as in `read_text`.

    Raises:
        UserError: at once, grids are to come from stdin.
        DataError: while reading, a file cannot be opened, or a file of grids is none.
    """
    if not config.reads_grids:
        return read_text(names, max_line_bytes)
    from nmt.data.formats.grids import read_grids

    if not names or _DASH in names:
        raise UserError("this run reads grids: name an .npz file; they are not read from stdin")
    return chain.from_iterable(read_grids(Path(name)) for name in names)


def input_files(names: Sequence[str]) -> list[Path]:
    """Return the files that `read_input` reads, with the one that stdin may come from."""
    return [STDIN if name == _DASH else Path(name) for name in names or [_DASH]]


def read_text(names: Sequence[str], max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[str]:
    """Read all lines of the files named, one file after the other, with no line refused.

    Args:
        names: of files; `-`, or no names, for stdin. All may be compressed.
        max_line_bytes: the most bytes of a line; a longer one is read as an empty line.

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
        lines: of the input.
        prefixes: how each begins, line for line; None: anyhow. A line that is not UTF-8 is read as
            an empty one, with a warning, so that its translation is free.
        constraints: what each must have, line for line, with tabs between; likewise.
        max_line_bytes: of the lines of both files, as in `read_text`.

    Raises:
        DataError: a file has other lines than there are.
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
                raise DataError(f"{name}: has {number - 1} lines, and the input has more")
        assert prefix is not None and phrases is not None
        stripped = (phrase.strip() for phrase in phrases.split("\t"))
        yield Input(line, prefix.strip(), tuple(filter(None, stripped)))
    for name, rest in ((prefixes, begun), (constraints, wanted)):
        if name is not None and next(rest, None) is not None:
            raise DataError(f"{name}: has more lines than the input")


def stdin_is_typed(names: Sequence[str]) -> bool:
    """Return whether the input that `read_input` reads is typed at a terminal."""
    return (not names or _DASH in names) and sys.stdin.isatty()


def translate_lines(
    translate: "Callable[..., Iterator[list[tuple[S, Translation]]]]",
    lines: Iterator[T],
    arguments: "Arguments",
) -> "Iterator[list[tuple[S, Translation]]]":
    """Yield lines with their translations by windows; a line at a time from a terminal.

    Args:
        translate: `translate_windows` of a translator, with the warnings of the stream.
        lines: what it takes.
        arguments: say where the lines come from, and who waits for the translation of each.
    """
    is_typed = stdin_is_typed(arguments.input)
    if not is_typed and not arguments.line_buffered:
        yield from translate(lines)
        return
    # Nothing is read ahead where somebody waits for the answer.
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
    """Refuse --line-buffered where nothing can be answered line by line, or several compute.

    Raises:
        UserError: it cannot be done with the other arguments.
    """
    if not arguments.line_buffered:
        return
    output = arguments.output
    if output is not None and not is_stream(output):
        raise UserError(
            f"--line-buffered: has no effect with -o {output}, which appears when it is complete; "
            "leave one of them out"
        )
    if arguments.workers > 1 or is_distributed():
        raise UserError("--line-buffered: cannot be combined with several processes; use one")


def count_input(names: Sequence[str]) -> int | None:
    """Return how many lines files hold; None: they cannot be read twice, or hold something else."""
    if not names or not all(map(os.path.isfile, names)):
        return None
    try:
        return sum(count_lines(Path(name)) for name in names)
    except DataError:  # grids, or what cannot be read, which is reported where it is
        return None


def progress_bar(arguments: "Arguments", num_done: int = 0) -> "tqdm[NoReturn]":
    """Return a bar that counts lines, up to their number where it can be known.

    Args:
        arguments: say which files are read, and whether a terminal has room for it.
        num_done: lines that were done before.
    """
    from tqdm import tqdm

    is_shown = arguments.shows_progress
    total = count_input(arguments.input) if is_shown else None
    return tqdm(unit=" lines", disable=not is_shown, file=sys.stderr, initial=num_done, total=total)
