"""`nmt align`: which word of a translation comes from which source word, by attention."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.decoding import add_run_arguments
from nmt.commands.text import add_pair_arguments

if TYPE_CHECKING:
    pass

DESCRIPTION = """Align the words of given translations: the model reads each pair, and the attention
that it pays says which source word each target word comes from. Words are what stands between
blanks; the pieces of the tokenizer are merged."""

EXAMPLES = """output, a line for each pair:
  pharaoh  pairs i-j of a source word and a target word, counted from 0: `0-0 1-2 2-1`
  json     an object with the words of both sides, the weights (a row for each target word)
           and the pairs

examples:
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de
  nmt align runs/toy --source a.en --target a.de --plot pictures
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de \\
      --gold data/toy/test.align > test.align"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    add_pair_arguments(parser)
    parser.add_argument(
        "--format",
        choices=("pharaoh", "json"),
        default="pharaoh",
        help="of the output, see below (default: pharaoh)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write here, not to stdout"
    )
    parser.add_argument(
        "--plot",
        metavar="FOLDER",
        type=Path,
        help="draw each pair as a heat map too: FOLDER/1.png for line 1, and so on",
    )
    parser.add_argument(
        "--gold",
        metavar="FILE",
        type=Path,
        help="alignments made by hand, in Pharaoh format: the error rate goes to stderr",
    )
