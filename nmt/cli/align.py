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

--per-head adds to a line of json:
  entropy         of the attention, in nats: the mean over the target's pieces
  coverage        sum of the weights of each source word
  coverage_error  mean distance of the coverage from 1
  error_rate      alignment error rate of the pairs; null without --gold
  heads           if there are several: weights, entropy, alignment and error_rate of each head
and to npz the arrays line_1_entropy (of the mean, then of each head) and, if there are several
heads, line_1_heads (head, target word, source word). With --gold, stderr has the error rate of
each head.

page (--html): one file for a browser, which needs no network. It shows each pair as words with
lines, and as a table; sentences can be filtered and sorted.

plots (--plot): a row for each target word, darker for larger weights. For grids: the picture, and
a panel for each target word in which cells with small weights are faded, and cells without any
weight are hatched.

examples:
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de
  nmt align runs/toy --source a.en --target a.de --html attention.html
  nmt align runs/toy --source a.en --target a.de --plot pictures
  nmt align runs/en-de --reverse runs/de-en --source a.en --target a.de
  nmt align runs/toy --source data/toy/test.en --target data/toy/test.de \
      --gold data/toy/test.align > test.align
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

from nmt.cli.arguments import RunArguments, alignment_units, flag, option, output_path, path
from nmt.cli.attention_outputs import (
    draw,
    html_lines,
    open_alignments,
    open_page,
    page_path,
    require_page,
)
from nmt.cli.gold_alignments import GoldAlignments
from nmt.cli.inputs import PairArguments
from nmt.cli.outputs import check_files, open_folder
from nmt.core.console import print_notice
from nmt.core.errors import UserError
from nmt.word_alignment.units import AlignmentUnits

if TYPE_CHECKING:
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceAlignment
    from nmt.inference.inputs import LineWarnings
    from nmt.inference.translator import Translator
    from nmt.runs.run import Run

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
    html: Path | None = page_path("pair")
    html_lines: int | None = html_lines()
    per_head: bool = flag("also write entropy, coverage and the attention of each head, see below")
    gold: Path | None = path(
        "manual alignments (Pharaoh format, same units) to compare with; the alignment error rate "
        "is printed on stderr"
    )


def run(arguments: Arguments) -> int:
    """Write a line for each pair; also plot it and compare it with gold alignments on request."""
    _check(arguments)
    run = arguments.open_run()
    reverse = _open_reverse(run, arguments) if arguments.reverse else None
    outputs = {"-o": arguments.output, "--plot": arguments.plot, "--html": arguments.html}
    read = [arguments.source, arguments.target, arguments.gold]
    others = [*arguments.ensemble, *([] if arguments.reverse is None else [arguments.reverse])]
    check_files(outputs, read, run, others)
    with nullcontext() if arguments.plot is None else open_folder(arguments.plot):
        return _align(run, reverse, arguments)


def _align(run: "Run", reverse: "Run | None", arguments: Arguments) -> int:
    from nmt.inference.inputs import LineWarnings
    from nmt.inference.views import view_of_alignment

    translator = _load(run, arguments)
    translator.require_attention()
    backward = None if reverse is None else _load(reverse, _of_reverse(arguments))
    warnings = LineWarnings()
    number, gold, links = 0, None, None
    if arguments.gold is not None:
        is_auto = arguments.alignment_units == "auto"
        gold = GoldAlignments(arguments.gold, arguments.max_line_bytes, is_auto=is_auto)
    pairs = arguments.read(run.config)
    aligned = _aligned(translator, backward, pairs, arguments, warnings)
    title, languages = f"Attention of {arguments.run}", run.config.data.languages()
    with (
        open_alignments(arguments.output, arguments.format, per_head=arguments.per_head) as write,
        (
            nullcontext()
            if arguments.html is None
            else open_page(arguments.html, title, arguments.html_lines)
        ) as add_to_page,
    ):
        for number, (pair, alignment) in enumerate(aligned, start=1):
            if gold is not None:
                links = gold.compare(number, alignment, pair)
            make_view = partial(
                view_of_alignment, alignment, number, pair=pair, gold=links, languages=languages
            )
            write(alignment, make_view)
            if add_to_page is not None:
                add_to_page(make_view)
            if arguments.plot is not None:
                draw(alignment, pair[0], arguments.plot / f"{number}.png", f"line {number}")
    warnings.sum_up_unknown()
    if arguments.plot is not None:
        print_notice(f"{number:,} heat maps written to {arguments.plot}")
    if gold is not None:
        gold.finish(number, per_head=arguments.per_head)
    return 0


def _aligned(
    translator: "Translator",
    backward: "Translator | None",
    pairs: "Iterator[tuple[Source, str]]",
    arguments: Arguments,
    warnings: "LineWarnings",
) -> "Iterator[tuple[tuple[Source, str], SentenceAlignment]]":
    """Yield each pair as read, with its alignment."""
    from nmt.inference.inputs import windows

    number = 1
    for window in windows(pairs, lambda pair: len(pair[0]) + len(pair[1])):
        found = translator.align(window, warnings, with_scores=arguments.html is not None)
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
    if arguments.html_lines is not None:
        require_page(arguments.html, arguments.html_lines)
    if arguments.per_head and arguments.format == "pharaoh" and arguments.gold is None:
        raise UserError(
            "--per-head: has no effect on --format pharaoh; add --format json, --format npz or "
            "--gold FILE, or leave it out"
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
