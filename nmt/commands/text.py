"""What the commands are given: pairs to score, lines or grids to translate."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nmt.errors import DataError, UserError

if TYPE_CHECKING:
    from nmt.config import Config, CorpusConfig
    from nmt.data.grids import Grid, Source
    from nmt.demands import Input

STDIN = "-"


def add_pair_arguments(parser: argparse.ArgumentParser) -> None:
    """--source and --target, two files that correspond line for line."""
    parser.add_argument(
        "--source",
        metavar="FILE",
        type=Path,
        required=True,
        help="source sentences, one a line; or, where the run reads grids, an .npz file",
    )
    parser.add_argument(
        "--target", metavar="FILE", type=Path, required=True, help="their translations"
    )


def given_corpus(config: "Config", source: str | Path, target: str | Path) -> "CorpusConfig":
    """Files that were named on the command line, as a corpus of the kind that the run reads."""
    from nmt.config import CorpusConfig

    key = "grids" if config.reads_grids else "source"
    return CorpusConfig.model_validate({key: str(source), "target": str(target)})


def read_given_pairs(
    config: "Config", arguments: argparse.Namespace
) -> "Iterator[tuple[Source, str]]":
    """The pairs of --source and --target, read as they are asked for.

    Raises:
        DataError: at once, a file cannot be opened; while reading, what `read_pairs` raises.
    """
    from nmt.build_corpus import build_corpus
    from nmt.data.corpus import read_pairs

    _check(arguments.source)
    _check(arguments.target)
    return read_pairs(build_corpus(given_corpus(config, arguments.source, arguments.target)))


def read_input(config: "Config", names: Sequence[str]) -> "Iterator[Source]":
    """What the files named hold, one file after the other: lines, or the grids of a run's kind.

    Args:
        config: of the run.
        names: of files; for lines, `-`, or no names, is stdin.

    Raises:
        UserError: at once, grids are to come from stdin.
        DataError: at once, a file cannot be opened; while reading, a file of grids is none.
    """
    return _read_grids(names) if config.reads_grids else read_text(names)


def count_lines(names: Sequence[str]) -> int | None:
    """How many lines the files named hold; None where they cannot be read twice."""
    from nmt.data.corpus import count_lines_of

    if not names or not all(map(os.path.isfile, names)):
        return None
    return sum(count_lines_of(Path(name)) for name in names)


def read_text(names: Sequence[str]) -> Iterator[str]:
    """All lines of the files named, one file after the other, with no line refused.

    Args:
        names: of files; `-`, or no names, for stdin. All may be compressed with gzip.

    Raises:
        DataError: at once, a file cannot be opened.
    """
    from nmt.data.corpus import decode_lines, read_lines, unpacked

    for name in names:
        if name != STDIN:
            _check(Path(name))
    return chain.from_iterable(
        decode_lines(unpacked(cast(BufferedReader, sys.stdin.buffer)), "stdin", "replace")
        if name == STDIN
        else read_lines(Path(name), "replace")
        for name in names or [STDIN]
    )


def read_demands(
    prefixes: Path | None, constraints: Path | None
) -> "Callable[[Iterator[Source]], Iterator[Input]]":
    """Joins lines with what is asked of their translations, as they are read.

    Args:
        prefixes: how each begins, line for line; None: anyhow.
        constraints: what each must have, line for line, with tabs between; None: nothing.

    Raises:
        DataError: at once, a file cannot be opened; while reading, it has other lines than there
            are.
    """
    for path in (prefixes, constraints):
        if path is not None:
            _check(path)

    def join(lines: "Iterator[Source]") -> "Iterator[Input]":
        from nmt.demands import Input

        begun, wanted = _lines_of(prefixes), _lines_of(constraints)
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


def _lines_of(path: Path | None) -> Iterator[str]:
    """The lines of a file; of none, empty ones without end."""
    from nmt.data.corpus import read_lines

    return repeat("") if path is None else read_lines(path)


def _read_grids(names: Sequence[str]) -> "Iterator[Grid]":
    from nmt.data.grids import read_grids

    if not names or STDIN in names:
        raise UserError("this run reads grids: name an .npz file; they are not read from stdin")
    for name in names:
        _check(Path(name))
    return chain.from_iterable(read_grids(Path(name)) for name in names)


def stdin_is_typed(names: Sequence[str]) -> bool:
    """Whether the input that `read_input` reads is a person at a terminal."""
    return (not names or STDIN in names) and sys.stdin.isatty()


def _check(path: Path) -> None:
    """Complain now of a file that cannot be opened, not after the model has been loaded."""
    from nmt.data.corpus import open_binary

    if not path.is_fifo():  # a pipe can be opened only once
        open_binary(path).close()
