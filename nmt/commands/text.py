"""Text that the commands are given: pairs to score, lines to translate."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any, cast

from nmt.errors import UserError

STDIN = "-"


def add_pair_arguments(parser: argparse.ArgumentParser) -> None:
    """--source and --target, two files that correspond line for line."""
    parser.add_argument(
        "--source", metavar="FILE", type=Path, required=True, help="source sentences, one a line"
    )
    parser.add_argument(
        "--target", metavar="FILE", type=Path, required=True, help="their translations"
    )


def read_given_pairs(arguments: argparse.Namespace, has_grids: bool) -> Iterator[tuple[str, str]]:
    """The pairs of --source and --target, read as they are asked for.

    Raises:
        DataError: at once, a file cannot be opened; while reading, what `read_pairs` raises.
    """
    from nmt.data.corpus import ParallelFiles, read_pairs

    _check(arguments.source)
    _check(arguments.target)
    if has_grids:
        from nmt.data.grids import read_grids

        return read_pairs(ParallelFiles(arguments.source, arguments.target, None, read_grids))
    return read_pairs(ParallelFiles(arguments.source, arguments.target))


def read_input(names: Sequence[str]) -> Iterator[str]:
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


def read_grid_input(names: Sequence[str]) -> Iterator[Any]:
    """All grids of the .npz files named, one file after the other.

    Raises:
        UserError: no file is named: an .npz file cannot be read from a pipe.
        DataError: a file cannot be read.
    """
    from nmt.data.grids import read_grids

    if not names or STDIN in names:
        raise UserError("this run reads grids: name an .npz file; they are not read from stdin")
    for name in names:
        _check(Path(name))
    return chain.from_iterable(map(read_grids, map(Path, names)))


def stdin_is_typed(names: Sequence[str]) -> bool:
    """Whether the input that `read_input` reads is a person at a terminal."""
    return (not names or STDIN in names) and sys.stdin.isatty()


def _check(path: Path) -> None:
    """Complain now of a file that cannot be opened, not after the model has been loaded."""
    from nmt.data.corpus import open_binary

    if not path.is_fifo():  # a pipe can be opened only once
        open_binary(path).close()
