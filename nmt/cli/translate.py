"""`nmt translate`: raw text in, translations out, line for line."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.arguments import (
    add_alignment_units,
    add_run_arguments,
    add_search_arguments,
    load_run,
    load_translator,
    whole_number,
)
from nmt.cli.ineffective_options import key_of
from nmt.cli.inputs import (
    add_line_limit,
    input_files,
    read_constraints,
    read_input,
    stdin_is_typed,
)
from nmt.cli.output_formats import Format, format_attention, format_translation
from nmt.cli.output_locks import reserve_outputs
from nmt.cli.output_streams import is_stream
from nmt.cli.outputs import open_output
from nmt.cli.terminal import count_on_terminal, require_line_buffering, translated
from nmt.cli.translate_exported import is_exported, translate_exported
from nmt.core.console import print_notice
from nmt.core.errors import UserError
from nmt.system.torchrun import is_distributed, is_first

if TYPE_CHECKING:
    import torch

    from nmt.cli.resume import Bookmark, Output
    from nmt.config.experiment import Config
    from nmt.inference.translator import Input, Translation, Translator
    from nmt.runs.run import Run

    Machine = tuple[torch.device, torch.dtype]

DESCRIPTION = """Translate text files (plain, .gz, .bz2 or .xz), or stdin, with a trained run, or a
file of `nmt export`. One line comes out for each line that goes in, in order, whatever the line
holds: an empty line gives an empty line, as does one that is too long, and bytes that are no UTF-8
are replaced, with a warning; so are lines named whose characters or words the model does not know,
for it makes something fluent of anything. The text streams through, so a file may be larger than
memory. What is typed at a terminal is answered line by line; of all else some thousands of lines
are read before the first translations come out (--line-buffered answers each)."""

EXAMPLES = """output:
  The translation. With --scores: score, log-probability and translation, with tabs between.
  With --n-best N: `line ||| translation ||| score`, lines counted from 0, up to N of them for
  each line of the input, best first; --scores adds ` ||| log-probability`. The score is what they
  are ranked by: the log-probability under the length penalty, less what other penalties take; or
  what a translation is worth (mbr). The log-probability is that of the text, as `nmt score` has it,
  also where the search has found it in other tokens.

  With --json: an object for each line of the input, with `line` (from 1), `source`, `translation`,
  `score`, `log_probability`, `tokens`, `token_log_probabilities` (the last is that of the
  end of the sentence; by one pass more, so that their sum is `log_probability` but for rounding),
  `hypotheses` (the same of each of the n best), and where the model has attention `alignment`: the
  words of both sides, the units that they are, the pairs of --alignments, and the weights, a row
  for each target word.

  A file of `nmt export` takes -o, --n-best, --scores, --json, --beam-size, --search greedy or beam
  and --batch-tokens; it tells the scores of its search; no scores of tokens, no alignments.

examples:
  echo 'Tom chases Jerry.' | nmt translate runs/toy
  nmt translate runs/toy book.en -o book.de --beam-size 10
  nmt translate runs/toy book.en.gz --alignments book.align > book.de
  nmt translate runs/toy book.en --n-best 5 --length-penalty 0.8
  nmt translate runs/toy book.en --search sampling --set search.top_k=10 --n-best 20
  nmt translate runs/one book.en --ensemble runs/two --ensemble runs/three
  nmt translate toy.onnx book.en -o book.de
  nmt translate runs/toy book.en --prefixes begun.de --constraints terms.tsv
  torchrun --nproc-per-node 4 -m nmt translate runs/toy book.en -o book.de"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    parser.add_argument(
        "input",
        metavar="INPUT",
        nargs="*",
        default=[],
        help="files to translate, one after the other (.npz, where the run reads grids); none, or "
        "-: stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="write here, not to stdout; the file appears when it is complete, compressed if its "
        "name ends in .gz",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an output (-o) that was broken off, by a kill or a power cut, say: what "
        "is there is checked, and the whole is what it would have been",
    )
    parser.add_argument(
        "--alignments",
        metavar="FILE",
        type=Path,
        help="write which word comes from which, by attention: pairs i-j of source and target "
        "word, counted from 0 (Pharaoh format), a line for each best translation",
    )
    add_alignment_units(parser, default=None)
    parser.add_argument(
        "--scores", action="store_true", help="write scores and log-probabilities as well"
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=whole_number(256),
        default=1,
        help="processes that compute, on the CPU: for many lines, one for each core (default: 1)",
    )
    parser.add_argument(
        "--json", action="store_true", help="write an object for each line, with all that is known"
    )
    parser.add_argument(
        "--attention",
        action="store_true",
        help="show where the model looked: a table for each translation, on stderr",
    )
    parser.add_argument(
        "--prefixes",
        metavar="FILE",
        type=Path,
        help="how each translation must begin: a line for each line of the input, empty for any; "
        "its last word may go on (where words are written in parts); one that is too long or not "
        "UTF-8 is left out, with a warning",
    )
    parser.add_argument(
        "--constraints",
        metavar="FILE",
        type=Path,
        help="words and phrases that each translation must have: a line for each line of the "
        "input, with tabs between them, empty for none (beam search alone)",
    )
    add_line_limit(parser)
    parser.add_argument(
        "--line-buffered",
        action="store_true",
        help="answer each line as soon as it is read, for a program at the other end of a pipe "
        "that waits for it; slower where there are many lines",
    )
    add_search_arguments(parser)
    parser.add_argument(
        "--n-best",
        metavar="N",
        help="translations of each line; at most the beam size, where there is a beam",
    )


def run(arguments: argparse.Namespace) -> int:
    """Translate the input as it comes; of several that torchrun started, the others compute."""
    if is_exported(arguments.run):
        _require_run_first(arguments)
        return translate_exported(arguments)
    opened = load_run(arguments)
    folder, config = opened.folder, opened.config
    _check(config, arguments)
    if not is_first():
        machine = _machine(opened, arguments)
        translator = _load(opened, machine, arguments)
        translator.serve_ranks(_identity(opened, machine, arguments))
        return 0
    inputs = [*input_files(arguments.input), arguments.prefixes, arguments.constraints]
    outputs = {"-o": arguments.output, "--alignments": arguments.alignments}
    with reserve_outputs(
        outputs, [*inputs, *config.input_paths().values()], [folder.path, *arguments.ensemble]
    ):
        return _translate(opened, arguments)


def _translate(run: "Run", arguments: argparse.Namespace) -> int:
    """Translate into outputs that nothing else writes."""
    config = run.config
    lines = read_input(config, arguments.input, arguments.max_line_bytes)
    inputs = read_constraints(arguments.prefixes, arguments.constraints, arguments.max_line_bytes)(
        lines
    )
    machine = _machine(run, arguments)
    identity = _identity(run, machine, arguments)
    bookmark = _bookmark(identity, arguments)
    translator = _load(run, machine, arguments)
    with ExitStack() as stack:
        if is_distributed():
            translator = stack.enter_context(translator.with_ranks(identity))
        elif arguments.workers > 1:
            translator = stack.enter_context(translator.with_workers(arguments.workers))
        if bookmark is not None:
            bookmark.skip(inputs)  # the others, who have met, may wait for long
        num_done = 0 if bookmark is None else bookmark.num_lines
        progress = stack.enter_context(
            count_on_terminal(arguments, num_done, reads_grids=config.reads_grids)
        )
        windows = _translated(translator, inputs, bookmark, arguments, progress.update)
        _write(windows, translator, bookmark, arguments)
    return 0


def _require_run_first(arguments: argparse.Namespace) -> None:
    """Refuse a run that is given behind the file to translate."""
    from nmt.runs.directory import RunDirectory

    for name in arguments.input:
        if RunDirectory(Path(name)).config.is_file():
            raise UserError(
                f"{name}: is a run, and {arguments.run} is not; the run comes first, as in "
                f"`nmt translate {name} {arguments.run}`"
            )


def _check(config: "Config", arguments: argparse.Namespace) -> None:
    """Complain of arguments that contradict each other or the run."""
    if arguments.constraints is not None:
        _require_phrases(config)
    if arguments.attention and config.reads_grids:
        raise UserError("--attention: is for words; of grids `nmt align --plot` draws it")
    if arguments.alignment_units is not None and not _asks_alignments(arguments):
        raise UserError(
            f"--alignment-units {arguments.alignment_units}: nothing is aligned; give --alignments "
            "FILE, --attention or --json as well, or leave it out"
        )
    if arguments.resume:
        _require_files(arguments)
    require_line_buffering(arguments)
    if arguments.json and arguments.scores:
        raise UserError("--scores: has no effect with --json, which has all scores; leave it out")
    if arguments.n_best is None and not arguments.json and not config.decoding.draws_samples:
        for option in arguments.set:
            if key_of(option) == "n_best":
                raise UserError(f"--set {option}: has no effect here; give --n-best N")
    if is_distributed() and arguments.workers > 1:
        raise UserError("--workers: torchrun has started the processes already; leave it out")


def _asks_alignments(arguments: argparse.Namespace) -> bool:
    return arguments.alignments is not None or arguments.attention or arguments.json


def _load(run: "Run", machine: "Machine", arguments: argparse.Namespace) -> "Translator":
    """The model, which must have attention where that is asked for."""
    translator = load_translator(run, arguments, machine=machine)
    if arguments.alignments is not None or arguments.attention:
        translator.require_attention()
    return translator


def _require_phrases(config: "Config") -> None:
    """The search must know of phrases that must appear."""
    from nmt.config.base import SEARCHES
    from nmt.inference.inputs import require_phrases

    require_phrases(SEARCHES.get(config.decoding.search.name))


def _require_files(arguments: argparse.Namespace) -> None:
    """What is gone on with must be files, and the input must come again."""
    if stdin_is_typed(arguments.input):
        raise UserError("--resume: what is typed at a terminal cannot come again; name a file")
    if arguments.output is None:
        raise UserError("--resume: goes on with a file; give the same -o FILE as before")
    for argument, path in (("-o", arguments.output), ("--alignments", arguments.alignments)):
        if path is not None and is_stream(path):
            raise UserError(f"--resume: {argument} {path} is no file that can be gone on with")


def _bookmark(identity: str, arguments: argparse.Namespace) -> "Bookmark | None":
    """Where the state of the work is kept; None where the output is no file."""
    from nmt.cli.resume import Bookmark

    given = {"-o": arguments.output, "--alignments": arguments.alignments}
    paths = {key: path for key, path in given.items() if path is not None}
    if arguments.output is None or any(map(is_stream, paths.values())):
        return None
    paths = {key: Path(os.path.realpath(path)) for key, path in paths.items()}
    return Bookmark(paths, identity, resume=arguments.resume)


def _machine(run: "Run", arguments: argparse.Namespace) -> "Machine":
    """Return the device and the precision, which are found out once."""
    from nmt.inference.loading import choose_precision
    from nmt.system.device import resolve_device

    device = resolve_device(run.config.device)
    return device, choose_precision(run, arguments.precision, device)


def _identity(run: "Run", machine: "Machine", arguments: argparse.Namespace) -> str:
    """Return a digest of all that the output depends on, except the input."""
    from nmt.cli.resume import identify

    options = {name: getattr(arguments, name) for name in ("scores", "json", "n_best", "average")}
    options["alignment_units"] = arguments.alignment_units or "auto"
    options["computed_in"] = str(machine[1])
    runs = [run.folder.path, *map(Path, arguments.ensemble)]
    return identify(runs, arguments.checkpoint, run.config, options)


def _translated(
    translator: "Translator",
    inputs: "Iterator[Input]",
    bookmark: "Bookmark | None",
    arguments: argparse.Namespace,
    report: Callable[[int], object],
) -> "Iterator[list[tuple[Input, Translation]]]":
    """The lines and their translations, a window at a time; a line at a time from a terminal."""
    from nmt.inference.length_batching import warn_of_unknown

    number = 1 if bookmark is None else bookmark.num_lines + 1
    warned = warn_of_unknown(
        inputs, translator.source_reader, attrgetter("source"), first_number=number
    )
    translate = partial(
        translator.translate_windows,
        with_alignments=_asks_alignments(arguments) and translator.has_attention,
        with_scores=arguments.scores or arguments.n_best is not None or arguments.json,
        with_token_scores=arguments.json,
        report=report,
    )
    return translated(
        translate, warned, arguments.input, number, line_buffered=arguments.line_buffered
    )


def _write(
    windows: "Iterator[list[tuple[Input, Translation]]]",
    translator: "Translator",
    bookmark: "Bookmark | None",
    arguments: argparse.Namespace,
) -> None:
    """Write all that is asked for, and remember after each window how far it is."""
    from nmt.alignment.pharaoh import format_pharaoh

    pieces = translator.target_tokenizer.pieces
    how = Format(
        with_scores=arguments.scores, n_best=arguments.n_best is not None, json=arguments.json
    )
    number = 0 if bookmark is None else bookmark.num_lines
    with ExitStack() as stack:
        output = _open(stack, "-o", arguments.output, bookmark)
        alignments = None
        if arguments.alignments is not None:
            alignments = _open(stack, "--alignments", arguments.alignments, bookmark)
        for window in windows:
            for given, translation in window:
                output.write(format_translation(number, given.source, translation, how, pieces))
                if arguments.attention and translation.text:
                    if bookmark is None:
                        output.flush()  # so that a terminal shows them together
                    print_notice(format_attention(translation))
                if alignments is not None:
                    assert translation.alignment is not None, "it was asked for"
                    alignments.write(f"{format_pharaoh(translation.alignment.links)}\n")
                if bookmark is not None:
                    bookmark.add(given)
                number += 1
            if bookmark is not None:
                bookmark.save(len(window))
            else:
                output.flush()
    if bookmark is not None:
        bookmark.finish()


def _open(
    stack: ExitStack, argument: str, path: Path | None, bookmark: "Bookmark | None"
) -> "Output":
    """An output to write to, from where the bookmark says."""
    if bookmark is None or path is None:
        return stack.enter_context(open_output(path))
    stream = stack.enter_context(open_output(path, keep=bookmark.take_up(argument)))
    return bookmark.writer(argument, stream)
