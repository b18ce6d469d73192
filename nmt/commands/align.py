"""`nmt align`: which word of a translation comes from which source word, by attention."""

import argparse
import json
import sys
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.decoding import add_run_arguments, load_run, load_translator
from nmt.commands.output import make_folder, open_output
from nmt.commands.text import add_pair_arguments, read_given_pairs
from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.data.grids import Source
    from nmt.pharaoh import GoldAlignment
    from nmt.teacher_forcing import SentenceAlignment

DESCRIPTION = """Align the words of given translations: the model reads each pair, and the attention
that it pays says which source word each target word comes from. Words are what stands between
blanks, with the punctuation that is glued to it; the pieces of the tokenizer are merged. What a
target word looks at need not sum to 1: the rest went to the end of the sentence, which is no word
and has no column (often much of it for words at the end, and for those that have no source)."""

EXAMPLES = """output, a line for each pair:
  pharaoh  pairs i-j of a source word and a target word, counted from 0: `0-0 1-2 2-1`
  json     an object with the words of both sides, the weights (a row for each target word)
           and the pairs

pictures (--plot): a row for each target word, the darker the more it looks there; of grids, the
picture and a panel for each target word, in which the cells fade that it does not look at.

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
        help="draw every pair as a heat map too: FOLDER/1.png for line 1, and so on",
    )
    parser.add_argument(
        "--gold",
        metavar="FILE",
        type=Path,
        help="alignments made by hand, in Pharaoh format: the error rate goes to stderr",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write a line for each pair; draw it and measure it where asked to."""
    from nmt.alignments import AlignmentCounts, count_links

    folder, config = load_run(arguments)
    pairs, read_again = tee(read_given_pairs(config, arguments))  # pictures need the grids
    gold = None if arguments.gold is None else _Gold(arguments.gold)
    if arguments.plot is not None:
        make_folder(arguments.plot)
    translator = load_translator(folder, config, arguments)
    counts = AlignmentCounts()
    number = 0
    with open_output(arguments.output) as output:
        aligned = zip(translator.align(pairs), read_again, strict=True)
        for number, (alignment, (source, _)) in enumerate(aligned, start=1):
            output.write(_format(alignment, arguments.format))
            if gold is not None:
                counts += count_links(alignment.links, gold.next(number, alignment))
            if arguments.plot is not None:
                _draw(alignment, source, arguments.plot / f"{number}.png")
    if arguments.plot is not None:
        print(f"{number:,} heat maps are in {arguments.plot}", file=sys.stderr)
    if gold is not None:
        gold.finish(number)
        print(
            f"alignment error rate {100 * counts.error_rate:.2f}% (precision "
            f"{100 * counts.precision:.2f}%, recall {100 * counts.recall:.2f}%)",
            file=sys.stderr,
        )
    return 0


def _format(alignment: "SentenceAlignment", style: str) -> str:
    from nmt.pharaoh import format_pharaoh

    pharaoh = format_pharaoh(alignment.links)
    if style == "pharaoh":
        return f"{pharaoh}\n"
    fields = {
        "source": alignment.source_words,
        "target": alignment.target_words,
        "weights": alignment.weights.round(6).tolist(),
        "alignment": pharaoh,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _draw(alignment: "SentenceAlignment", source: "Source", path: Path) -> None:
    from nmt.plots import plot_attention, plot_grid_attention

    if isinstance(source, str):
        plot_attention(alignment.weights, alignment.source_words, alignment.target_words, path)
    else:
        plot_grid_attention(alignment.weights, source.values, alignment.target_words, path)


class _Gold:
    """The alignments of a file, asked for one after the other."""

    def __init__(self, path: Path) -> None:
        from nmt.data.corpus import open_binary, read_lines

        open_binary(path).close()  # complain now, not after the model has been loaded
        self._path = path
        self._lines = read_lines(path)

    def next(self, number: int, alignment: "SentenceAlignment") -> "GoldAlignment":
        """The alignment of pair `number`."""
        from nmt.pharaoh import parse_pharaoh

        line = next(self._lines, None)
        if line is None:
            raise DataError(
                f"{self._path} has {number - 1:,} lines, but there are more pairs: "
                "it needs a line for each pair"
            )
        return parse_pharaoh(
            line,
            where=f"{self._path}:{number}",
            num_source=len(alignment.source_words),
            num_target=len(alignment.target_words),
        )

    def finish(self, num_pairs: int) -> None:
        """There must be no more than the pairs."""
        rest = sum(1 for _ in self._lines)
        if rest:
            raise DataError(
                f"{self._path} has {num_pairs + rest:,} lines, but there are {num_pairs:,} pairs: "
                "it needs a line for each pair"
            )
