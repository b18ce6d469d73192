"""`nmt align`: which word of a translation comes from which source word, by attention."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from nmt.alignment.units import DESCRIPTIONS
from nmt.cli.arguments import add_alignment_units, add_run_arguments, load_run, load_translator
from nmt.cli.gold_alignments import Gold
from nmt.cli.inputs import add_pair_arguments, read_given_pairs
from nmt.cli.output_locks import reserve_outputs
from nmt.cli.outputs import make_folder, open_output
from nmt.core.console import print_notice
from nmt.core.errors import UserError

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceAlignment
    from nmt.runs.directory import RunDirectory
    from nmt.runs.run import Run

_SYMMETRIZATION: Final = "grow-diag-final-and"

DESCRIPTION = """Align the words of given translations: the model reads each pair, and the attention
that it pays says which source word each target word comes from. Words are what stands between
blanks, with the punctuation that is glued to it; the pieces of the tokenizer are merged. In scripts
without spaces (Chinese, Japanese, Thai) words are characters (--alignment-units). What a target
word looks at need not sum to 1: the rest went to the end of the sentence, which is no word and has
no column (often much of it for words at the end, and for those that have no source). With a second
run, of the opposite direction, the links of both are made one."""

EXAMPLES = """output, a line for each pair:
  pharaoh  pairs i-j of a source word and a target word, counted from 0: `0-0 1-2 2-1`
  json     an object with the words of both sides, the units that they are (words, characters,
           "words and characters" or pieces), the weights (a row for each target word) and the pairs
  npz      the weights alone, for NumPy: arrays line_1, line_2, ... of float32, a row for each
           target word and a column for each source word (needs -o)

pictures (--plot): a row for each target word, the darker the more it looks there; of grids, the
picture and a panel for each target word, in which the cells fade that it does not look at.

examples:
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de
  nmt align runs/toy --source a.en --target a.de --plot pictures
  nmt align runs/en-de --reverse runs/de-en --source a.en --target a.de
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de \\
      --gold data/toy/test.align > test.align"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    add_pair_arguments(parser)
    parser.add_argument(
        "--format",
        choices=("pharaoh", "json", "npz"),
        default="pharaoh",
        help="of the output, see below (default: pharaoh)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write here, not to stdout"
    )
    add_alignment_units(parser, default="auto")
    parser.add_argument(
        "--reverse",
        metavar="RUN",
        type=Path,
        help="a run that translates the other way: the links of both are made one (--symmetrize); "
        "the weights stay those of the first",
    )
    parser.add_argument(
        "--symmetrize",
        metavar="HOW",
        help="with --reverse: grow-diag-final-and, grow-diag-final, grow-diag, intersection or "
        f"union (default: {_SYMMETRIZATION})",
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
        help="alignments made by hand, in Pharaoh format and the same units: the error rate goes "
        "to stderr",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write a line for each pair; draw it and measure it where asked to."""
    _check(arguments)
    opened = load_run(arguments)
    folder, config = opened.folder, opened.config
    reverse = None if arguments.reverse is None else _Reverse(arguments, config)
    inputs = [arguments.source, arguments.target, arguments.gold, *config.input_paths().values()]
    runs = [folder.path, *arguments.ensemble, *([] if reverse is None else [reverse.folder.path])]
    if arguments.plot is not None:
        make_folder(arguments.plot)
    with reserve_outputs({"-o": arguments.output, "--plot": arguments.plot}, inputs, runs):
        return _align(opened, reverse, arguments)


def _align(
    run: "Run",
    reverse: "_Reverse | None",
    arguments: argparse.Namespace,
) -> int:
    """Align into outputs that nothing else writes."""
    from nmt.alignment.word_alignment import AlignmentCounts, count_links
    from nmt.inference.length_batching import sum_up_unknown

    pairs, read_again, turned = tee(read_given_pairs(run.config, arguments), 3)
    gold = None if arguments.gold is None else Gold(arguments)
    translator = load_translator(run, arguments, searches=False)
    found = translator.align(sum_up_unknown(pairs, translator.readers))
    if reverse is not None:
        how = _SYMMETRIZATION if arguments.symmetrize is None else arguments.symmetrize
        found = _symmetrized(found, reverse.align(turned), how, reverse.folder)
    counts = AlignmentCounts()
    number = 0
    with _open_writer(arguments) as write:
        aligned = zip(found, read_again, strict=True)  # pictures need the grids
        for number, (alignment, pair) in enumerate(aligned, start=1):
            write(alignment)
            if gold is not None:
                counts += count_links(alignment.links, gold.next(number, alignment, pair))
            if arguments.plot is not None:
                _draw(alignment, pair[0], arguments.plot / f"{number}.png")
    if arguments.plot is not None:
        print_notice(f"{number:,} heat maps are in {arguments.plot}")
    if gold is not None:
        gold.finish(number)
        print(
            f"alignment error rate {100 * counts.error_rate:.2f}% (precision "
            f"{100 * counts.precision:.2f}%, recall {100 * counts.recall:.2f}%)",
            file=sys.stderr,
        )
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Complain of arguments now, not after the model has been loaded."""
    from nmt.alignment.symmetrization import SYMMETRIZATIONS
    from nmt.config.messages import unknown

    how = arguments.symmetrize
    if how is not None and how not in SYMMETRIZATIONS:
        raise UserError(f"--symmetrize: {unknown('way', how, list(SYMMETRIZATIONS))}")
    if how is not None and arguments.reverse is None:
        raise UserError(
            f"--symmetrize {how}: makes the links of two runs one; name the second (--reverse RUN)"
        )
    if arguments.format == "npz" and arguments.output is None:
        raise UserError("--format npz: is no text; give a file for it (-o FILE.npz)")


class _Reverse:
    """The run of the other direction.

    Raises:
        UserError: at once, it is no run, or one of the two reads grids.
    """

    def __init__(self, arguments: argparse.Namespace, config: "Config") -> None:
        changed = {"run": arguments.reverse, "ensemble": []}
        self._arguments = argparse.Namespace(**{**vars(arguments), **changed})
        self._run = load_run(self._arguments)
        self.folder = self._run.folder
        for run, read in ((arguments.run, config), (self.folder.path, self._run.config)):
            if read.reads_grids:
                raise UserError(
                    f"--reverse {self.folder.path}: {run} reads grids, and no run writes them; "
                    "leave --reverse out"
                )

    def align(self, pairs: "Iterator[tuple[Source, str]]") -> "Iterator[SentenceAlignment]":
        """The alignments of the targets with their sources; the model is loaded at once."""
        turned = ((target, cast(str, source)) for source, target in pairs)
        return load_translator(self._run, self._arguments, searches=False).align(turned)


def _symmetrized(
    found: "Iterator[SentenceAlignment]",
    backward: "Iterator[SentenceAlignment]",
    how: str,
    folder: "RunDirectory",
) -> "Iterator[SentenceAlignment]":
    """The alignments, with the links that they and those of the other direction come to."""
    from nmt.alignment.symmetrization import SYMMETRIZATIONS

    symmetrize = SYMMETRIZATIONS[how]
    for number, (one, two) in enumerate(zip(found, backward, strict=True), start=1):
        sizes = len(one.source_words), len(one.target_words)
        if sizes != (len(two.target_words), len(two.source_words)):
            raise UserError(
                f"--reverse {folder.path}: line {number} has other words for it: the line was cut "
                "(decoding.max_source_length must be larger in both), or its tokenizer has other "
                "pieces (--alignment-units must not be pieces)"
            )
        links = frozenset((source, target) for target, source in two.links)
        yield replace(one, links=symmetrize(one.links, links))


@contextmanager
def _open_writer(
    arguments: argparse.Namespace,
) -> "Iterator[Callable[[SentenceAlignment], object]]":
    """What writes one alignment after the other in the format that was asked for."""
    if arguments.format != "npz":
        with open_output(arguments.output) as output:
            yield lambda alignment: output.write(_format(alignment, arguments.format))
        return
    from nmt.cli.npz_output import open_arrays

    with open_arrays(arguments.output, "line_{}") as append:
        yield lambda alignment: append(alignment.weights)


def _format(alignment: "SentenceAlignment", style: str) -> str:
    from nmt.alignment.pharaoh import format_pharaoh

    pharaoh = format_pharaoh(alignment.links)
    if style == "pharaoh":
        return f"{pharaoh}\n"
    fields = {
        "source": alignment.source_words,
        "target": alignment.target_words,
        "units": alignment.units,
        "weights": alignment.weights.round(6).tolist(),
        "alignment": pharaoh,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _draw(alignment: "SentenceAlignment", source: "Source", path: Path) -> None:
    from nmt.visualization.plots import plot_attention, plot_grid_attention

    if isinstance(source, str):
        plot_attention(
            alignment.weights,
            alignment.source_words,
            alignment.target_words,
            path,
            units=DESCRIPTIONS[alignment.units],
        )
    else:
        plot_grid_attention(alignment.weights, source.values, alignment.target_words, path)
