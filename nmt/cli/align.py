r"""`nmt align`: align the words of given translations by attention.

Align each target word with the source words that the model attends to when it predicts the word.
Words are separated by spaces, and keep their punctuation; the weights of their pieces are merged.
In scripts without spaces (Chinese, Japanese, Thai) each character is a word (--alignment-units).
The weights of a target word may sum to less than 1: the rest is on the end-of-sentence token, which
has no column (often for the last words, and for words without a counterpart). With a second run of
the reverse direction, the links of both directions are merged.

output, one line for each pair:
  pharaoh  pairs i-j of source and target word, counted from 0: `0-0 1-2 2-1`
  json     an object with the words of both sides, their units (words, characters,
           "words and characters" or pieces), the weights (a row for each target word) and the pairs
  npz      only the weights, for NumPy: arrays line_1, line_2, ... of float32, a row for each
           target word and a column for each source word (needs -o)

plots (--plot): a row for each target word, darker for larger weights. For grids: the picture, and
a panel for each target word in which cells with small weights are faded.

examples:
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de
  nmt align runs/toy --source a.en --target a.de --plot pictures
  nmt align runs/en-de --reverse runs/de-en --source a.en --target a.de
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de \
      --gold data/toy/test.align > test.align
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast
from zipfile import ZIP_DEFLATED, ZipFile

from nmt.cli.arguments import RunArguments, alignment_units, option, output_path, path
from nmt.cli.gold_alignments import GoldAlignments
from nmt.cli.inputs import PairArguments
from nmt.cli.outputs import check_files, open_binary_output, open_folder, open_output
from nmt.core.console import print_notice
from nmt.core.errors import UserError
from nmt.word_alignment.units import AlignmentUnits

if TYPE_CHECKING:
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceAlignment
    from nmt.inference.inputs import LineWarnings
    from nmt.inference.translator import Translator
    from nmt.runs.run import Run
    from nmt.word_alignment.from_attention import Weights

_SYMMETRIZATION: Final = "grow-diag-final-and"


@dataclass(frozen=True, kw_only=True)
class Arguments(PairArguments, RunArguments):
    """Arguments of the command."""

    format: Literal["pharaoh", "json", "npz"] = option(
        None,
        "output format, see below (default: pharaoh)",
        default="pharaoh",
        choices=("pharaoh", "json", "npz"),
    )
    output: Path | None = output_path()
    alignment_units: AlignmentUnits = alignment_units("auto")
    reverse: str | None = option(
        "RUN",
        "run of the reverse direction, to merge its links with those of RUN (--symmetrize); the "
        "weights are those of RUN",
    )
    symmetrize: str | None = option(
        "HOW",
        "how --reverse merges links: grow-diag-final-and, grow-diag-final, grow-diag, "
        f"intersection or union (default: {_SYMMETRIZATION})",
    )
    plot: Path | None = path(
        "also draw a heat map of each pair: FOLDER/1.png for line 1, and so on", metavar="FOLDER"
    )
    gold: Path | None = path(
        "manual alignments (Pharaoh format, same units) to compare with; the alignment error rate "
        "is printed on stderr"
    )


def run(arguments: Arguments) -> int:
    """Write a line for each pair; also plot it and compare it with gold alignments on request."""
    _check(arguments)
    run = arguments.open_run()
    reverse = _open_reverse(run, arguments) if arguments.reverse else None
    outputs = {"-o": arguments.output, "--plot": arguments.plot}
    read = [arguments.source, arguments.target, arguments.gold]
    others = [*arguments.ensemble, *([] if arguments.reverse is None else [arguments.reverse])]
    check_files(outputs, read, run, others)
    with nullcontext() if arguments.plot is None else open_folder(arguments.plot):
        return _align(run, reverse, arguments)


def _align(run: "Run", reverse: "Run | None", arguments: Arguments) -> int:
    from nmt.inference.inputs import LineWarnings

    warnings = LineWarnings()
    number, gold = 0, None
    if arguments.gold is not None:
        is_auto = arguments.alignment_units == "auto"
        gold = GoldAlignments(arguments.gold, arguments.max_line_bytes, is_auto=is_auto)
    aligned = _aligned(run, reverse, arguments, warnings)
    with _open_writer(arguments) as write:
        for number, (pair, alignment) in enumerate(aligned, start=1):
            write(alignment)
            if gold is not None:
                gold.compare(number, alignment, pair)
            if arguments.plot is not None:
                _draw(alignment, pair[0], arguments.plot / f"{number}.png")
    warnings.sum_up_unknown()
    if arguments.plot is not None:
        print_notice(f"{number:,} heat maps written to {arguments.plot}")
    if gold is not None:
        gold.finish(number)
    return 0


def _aligned(
    run: "Run", reverse: "Run | None", arguments: Arguments, warnings: "LineWarnings"
) -> "Iterator[tuple[tuple[Source, str], SentenceAlignment]]":
    """Yield each pair as read, with its alignment."""
    from nmt.inference.inputs import windows

    translator = _load(run, arguments)
    backward = None if reverse is None else _load(reverse, _of_reverse(arguments))
    number = 1
    for window in windows(arguments.read(run.config), lambda pair: len(pair[0]) + len(pair[1])):
        found = translator.align(window, warnings)
        if backward is not None:
            turned = [(target, cast(str, source)) for source, target in window]
            found = _symmetrized(found, backward.align(turned), arguments, number)
        yield from zip(window, found, strict=True)
        number += len(window)


def _check(arguments: Arguments) -> None:
    """Refuse contradictory arguments before the model is loaded."""
    from nmt.config.messages import unknown
    from nmt.word_alignment.symmetrization import SYMMETRIZATIONS

    how = arguments.symmetrize
    if how is not None and how not in SYMMETRIZATIONS:
        raise UserError(f"--symmetrize: {unknown('method', how, list(SYMMETRIZATIONS))}")
    if how is not None and arguments.reverse is None:
        raise UserError(
            f"--symmetrize {how}: only supported with --reverse RUN; give that too, or leave it out"
        )
    if arguments.format == "npz" and arguments.output is None:
        raise UserError("--format npz: needs an output file; give -o FILE.npz")


def _load(run: "Run", arguments: Arguments) -> "Translator":
    units = arguments.alignment_units
    return arguments.load_translator(run, searches=False, alignment_units=units)


def _of_reverse(arguments: Arguments) -> Arguments:
    """Return the arguments for the run of the reverse direction."""
    assert arguments.reverse is not None
    return replace(arguments, run=arguments.reverse, ensemble=[], average="linear")


def _open_reverse(run: "Run", arguments: Arguments) -> "Run":
    """Open the run of the reverse direction; refuse grids, which no run writes."""
    reverse = _of_reverse(arguments).open_run()
    for one in (run, reverse):
        if one.config.reads_grids:
            raise UserError(
                f"--reverse {arguments.reverse}: not supported for grids, which {one.folder.path} "
                "reads; leave it out"
            )
    return reverse


def _symmetrized(
    found: "Iterator[SentenceAlignment]",
    backward: "Iterator[SentenceAlignment]",
    arguments: Arguments,
    first_number: int,
) -> "Iterator[SentenceAlignment]":
    """Yield alignments, numbered from `first_number`, with the links of both directions."""
    from nmt.word_alignment.symmetrization import SYMMETRIZATIONS

    symmetrize = SYMMETRIZATIONS[arguments.symmetrize or _SYMMETRIZATION]
    for number, (one, two) in enumerate(zip(found, backward, strict=True), start=first_number):
        sizes = len(one.source_words), len(one.target_words)
        if sizes != (len(two.target_words), len(two.source_words)):
            raise UserError(
                f"--reverse {arguments.reverse}: line {number} has different words in the two "
                "runs, as it was cut or split into other pieces; raise decoding.max_source_length "
                "in both runs, or set --alignment-units words"
            )
        links = frozenset((source, target) for target, source in two.links)
        yield replace(one, links=symmetrize(one.links, links))


@contextmanager
def _open_writer(arguments: Arguments) -> "Iterator[Callable[[SentenceAlignment], object]]":
    """Open the output; yield a function that writes an alignment in the format asked for."""
    if arguments.output is not None and arguments.format == "npz":
        with open_arrays(arguments.output) as append:
            yield lambda alignment: append(alignment.weights)
    else:
        with open_output(arguments.output) as output:
            yield lambda alignment: output.write(_format(alignment, arguments.format))


@contextmanager
def open_arrays(path: Path) -> "Iterator[Callable[[Weights], None]]":
    """Open a .npz file; yield a function that appends the array of the next line, as float32."""
    import numpy as np

    numbers = count(1)
    with open_binary_output(path) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive:

        def append(weights: "Weights") -> None:
            name = f"line_{next(numbers)}.npy"
            with archive.open(name, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(weights, np.float32))

        yield append


def _format(alignment: "SentenceAlignment", style: str) -> str:
    from nmt.word_alignment.pharaoh import format_pharaoh

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

    weights, targets = alignment.weights, alignment.target_words
    if isinstance(source, str):
        units = "pieces of the tokenizer" if alignment.units == "pieces" else alignment.units
        plot_attention(weights, alignment.source_words, targets, path, units=units)
    else:
        plot_grid_attention(weights, source.values, targets, path)
