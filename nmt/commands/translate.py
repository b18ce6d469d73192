"""`nmt translate`: raw text in, translations out, line for line."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.decoding import (
    add_run_arguments,
    add_search_arguments,
    load_run,
    load_translator,
)

if TYPE_CHECKING:
    pass

DESCRIPTION = """Translate text files (plain or .gz), or stdin, with a trained run. One line comes
out for each line that goes in, in order, whatever the line holds: an empty line gives an empty
line, and bytes that are no UTF-8 are replaced, with a warning. The text streams through, so a file
may be larger than memory."""

EXAMPLES = """output:
  Plain: the translation. With --scores: score, log-probability and translation, with tabs between.
  With --n-best N: `line ||| translation ||| score`, lines counted from 0, N of them for each line of
  the input, best first; --scores adds ` ||| log-probability`. The score is what search ranks by: the
  log-probability under the length penalty.

examples:
  echo 'Tom chases Jerry .' | nmt translate runs/toy
  nmt translate runs/toy book.en -o book.de --beam-size 10
  nmt translate runs/toy book.en.gz --alignments book.align > book.de
  nmt translate runs/toy book.en --n-best 5 --length-penalty 0.8"""

STDIN = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    parser.add_argument(
        "input",
        metavar="INPUT",
        nargs="*",
        default=[STDIN],
        help="files to translate, one after the other; none, or -: stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="write here, not to stdout; the file appears when it is complete",
    )
    parser.add_argument(
        "--alignments",
        metavar="FILE",
        type=Path,
        help="write which word comes from which, by attention: pairs i-j of source and target "
        "word, counted from 0 (Pharaoh format), a line for each best translation",
    )
    parser.add_argument(
        "--scores", action="store_true", help="write scores and log-probabilities as well"
    )
    add_search_arguments(parser)
    parser.add_argument(
        "--n-best", metavar="N", help="translations of each line; at most the beam size"
    )


def run(arguments: argparse.Namespace) -> int:
    """Translate line for line."""
    folder, config = load_run(arguments)
    with ExitStack() as inputs:
        _read(arguments.input, inputs)
        load_translator(folder, config, arguments)
