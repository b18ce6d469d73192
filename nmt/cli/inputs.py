"""Inputs of the commands: pairs to score, lines or grids to translate."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from nmt.cli.arguments import CommandArguments, line_limit, required_path
from nmt.core.errors import DataError, UserError
from nmt.data.formats.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from nmt.config.data import CorpusConfig
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Grid, Source
    from nmt.inference.inputs import Input

STDIN = "-"
_STDIN_PATH: Final = "/dev/stdin"


@dataclass(frozen=True, kw_only=True)
class PairArguments(CommandArguments):
    """Two files that correspond line for line."""

    source: Path = required_path(
        "source sentences, one a line; or, where the run reads grids, an .npz file"
    )
    target: Path = required_path("their translations")
    max_line_bytes: int = line_limit()

    def read(self, config: "Config") -> "Iterator[tuple[Source, str]]":
        """Read the pairs, as they are asked for.

        Raises:
            DataError: at once, a file cannot be opened; while reading, what `read_pairs` raises.
        """
        from nmt.build.data import build_corpus
        from nmt.data.formats.corpus import read_pairs

        require_readable(self.source)
        require_readable(self.target)
        corpus = given_corpus(config, self.source, self.target)
        return read_pairs(build_corpus(corpus, self.max_line_bytes))


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
        DataError: at once, a file cannot be opened; while reading, a file of grids is none.
    """
    return _read_grids(names) if config.reads_grids else read_text(names, max_line_bytes)


def input_files(names: Sequence[str]) -> list[str]:
    """Return the files that `read_input` reads, with the one that stdin may come from."""
    return [_STDIN_PATH if name == STDIN else name for name in names or [STDIN]]


def count_lines(names: Sequence[str], max_line_bytes: int = MAX_LINE_BYTES) -> int | None:
    """Return how many lines the files named hold; None where they cannot be read twice."""
    from nmt.data.formats.lines import count_lines

    if not names or not all(map(os.path.isfile, names)):
        return None
    return sum(count_lines(Path(name), max_line_bytes) for name in names)


def read_text(names: Sequence[str], max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[str]:
    """Read all lines of the files named, one file after the other, with no line refused.

    Args:
        names: of files; `-`, or no names, for stdin. All may be compressed.
        max_line_bytes: the most bytes of a line; a longer one is read as an empty line.

    Raises:
        DataError: at once, a file cannot be opened.
    """
    from nmt.data.formats.lines import decode_lines, read_lines

    for name in names:
        if name != STDIN:
            require_readable(Path(name))
    return chain.from_iterable(
        decode_lines(cast(BufferedReader, sys.stdin.buffer), "stdin", "replace", max_line_bytes)
        if name == STDIN
        else read_lines(Path(name), "replace", max_line_bytes)
        for name in names or [STDIN]
    )


def read_constraints(
    prefixes: Path | None, constraints: Path | None, max_line_bytes: int = MAX_LINE_BYTES
) -> "Callable[[Iterator[Source]], Iterator[Input]]":
    """Return a function that joins lines with the constraints on their translations, as they come.

    Args:
        prefixes: how each begins, line for line; None: anyhow. A line that is not UTF-8 is read as
            an empty one, with a warning, so that its translation is free.
        constraints: what each must have, line for line, with tabs between; likewise.
        max_line_bytes: the most bytes of a line; a longer one is read as an empty line.

    Raises:
        DataError: at once, a file cannot be opened; while reading, it has other lines than there
            are.
    """
    for path in (prefixes, constraints):
        if path is not None:
            require_readable(path)

    def join(lines: "Iterator[Source]") -> "Iterator[Input]":
        from nmt.inference.inputs import Input

        begun = _lines_of(prefixes, max_line_bytes)
        wanted = _lines_of(constraints, max_line_bytes)
        for number, line in enumerate(lines, start=1):
            prefix, phrases = next(begun, None), next(wanted, None)
            for path, given in ((prefixes, prefix), (constraints, phrases)):
                if given is None:
                    raise DataError(f"{path}: has {number - 1} lines, and the input has more")
            assert prefix is not None and phrases is not None
            stripped = (phrase.strip() for phrase in phrases.split("\t"))
            yield Input(line, prefix.strip(), tuple(filter(None, stripped)))
        for path, rest in ((prefixes, begun), (constraints, wanted)):
            if path is not None and next(rest, None) is not None:
                raise DataError(f"{path}: has more lines than the input")

    return join


def _lines_of(path: Path | None, max_line_bytes: int) -> Iterator[str]:
    """Read the lines of a file; of none, empty ones without end."""
    from nmt.data.formats.lines import read_lines

    return repeat("") if path is None else read_lines(path, "blank", max_line_bytes)


def _read_grids(names: Sequence[str]) -> "Iterator[Grid]":
    from nmt.data.formats.grids import read_grids

    if not names or STDIN in names:
        raise UserError("this run reads grids: name an .npz file; they are not read from stdin")
    for name in names:
        require_readable(Path(name))
    return chain.from_iterable(read_grids(Path(name)) for name in names)


def stdin_is_typed(names: Sequence[str]) -> bool:
    """Return whether the input that `read_input` reads is typed at a terminal."""
    return (not names or STDIN in names) and sys.stdin.isatty()


def require_readable(path: Path) -> None:
    """Refuse now a file that cannot be opened, not after the model has been loaded."""
    from nmt.data.formats.lines import open_binary

    if not path.is_fifo():  # a pipe can be opened only once
        open_binary(path).close()
