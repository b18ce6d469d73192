"""`nmt translate`: translate raw text, line by line.

Translate text files (plain, .gz, .bz2 or .xz), or stdin, with a trained run or a file of
`nmt export`. The output has one line for each line of the input, in the same order. An empty or
too long line becomes an empty line. Invalid UTF-8 is replaced, with a warning. A warning also
names lines with unknown characters or words, as the model translates them fluently but not
reliably.

The text is streamed, so a file may be larger than memory. Lines typed at a terminal are translated
one by one. From a file or pipe, some thousands of lines are read before the first translations are
written (--line-buffered translates each line at once).

output:
  Default: the translation. With --scores: score, log-probability and translation, separated by
  tabs. With --n-best N: up to N lines `line ||| translation ||| score` for each line of the input,
  best first, with lines counted from 0; --scores adds ` ||| log-probability`. Translations are
  ranked by the score: the log-probability after length penalty and other penalties, or the
  expected utility (mbr). The log-probability is that of the text, as in `nmt score`, even if the
  search split it into other tokens.

  With --json: a JSON object for each line of the input, with `line` (from 1), `source`,
  `translation`, `score`, `log_probability`, `tokens`, `token_log_probabilities` (the last one is
  that of the end of the sentence; computed separately, so their sum is `log_probability` up to
  rounding) and `hypotheses` (the same for each of the n best). If the model has attention,
  `alignment` has the words of both sides, their units, the pairs of --alignments, and the weights,
  a row for each target word.

  A file of `nmt export` supports -o, --n-best, --scores, --json, --beam-size, --search greedy or
  beam, --batch-tokens and --workers. Scores are those of its search; token scores and alignments
  are not available.

examples:
  echo 'Tom chases Jerry.' | nmt translate runs/toy
  nmt translate runs/toy book.en -o book.de --beam-size 10
  nmt translate runs/toy book.en.gz --alignments book.align > book.de
  nmt translate runs/toy book.en -o book.de --html page.html
  nmt translate runs/toy book.html -o buch.html --document
  nmt translate runs/toy book.en --n-best 5 --length-penalty 0.8
  nmt translate runs/toy book.en --search sampling --set search.top_k=10 --n-best 20
  nmt translate runs/one book.en --ensemble runs/two --ensemble runs/three
  nmt translate toy.onnx book.en -o book.de
  nmt translate runs/toy book.en --prefixes begun.de --constraints terms.tsv
  torchrun --nproc-per-node 4 -m nmt translate runs/toy book.en -o book.de
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli import inputs
from nmt.cli.arguments import (
    RunArguments,
    SearchArguments,
    alignment_units,
    flag,
    option,
    output_path,
    path,
    positional,
    whole_number,
)
from nmt.cli.attention_outputs import html_lines, open_translation_page, page_path, require_page
from nmt.cli.documents import DocumentArguments, require_document, translate_documents
from nmt.cli.output_formats import Format, TranslationWriter
from nmt.cli.outputs import check_files, open_output
from nmt.core.errors import UserError
from nmt.system.plugins import sources
from nmt.system.process import is_distributed, is_first
from nmt.word_alignment.units import AlignmentUnits

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Source
    from nmt.inference.translation import ExtraOutputs
    from nmt.inference.translator import Input, Translator
    from nmt.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Arguments(DocumentArguments, SearchArguments, RunArguments):
    """Arguments of the command."""

    input: list[str] = positional(
        "INPUT",
        "files to translate, in this order (.npz for a run that reads grids); none, or -: stdin",
        nargs="*",
        default=[],
    )
    output: Path | None = output_path(
        "write here, not to stdout; the file appears when it is complete, and is compressed if "
        "its name ends in .gz"
    )
    resume: bool = flag(
        "continue an interrupted output (-o); the input files must be unchanged, and the output "
        "not compressed"
    )
    alignments: Path | None = path(
        "write word alignments from the attention: pairs i-j of source and target word, counted "
        "from 0 (Pharaoh format), one line for each best translation"
    )
    alignment_units: AlignmentUnits | None = alignment_units(None)
    scores: bool = flag("also write scores and log-probabilities")
    workers: int | None = option(
        "N",
        "threads on the CPU, each with a batch; the output is the same for every N (default: one "
        "per core, at most 8)",
        type=whole_number(256),
    )
    json: bool = flag("write a JSON object for each line, with all details")
    attention: bool = flag("print the attention of each translation as a table on stderr")
    html: Path | None = page_path("translation")
    html_lines: int | None = html_lines()
    prefixes: Path | None = path(
        "prefix of each translation, one per line of the input; empty: none. The last word of a "
        "prefix may continue, if words are split into pieces. A prefix that is too long or not "
        "UTF-8 is ignored, with a warning"
    )
    constraints: Path | None = path(
        "words and phrases that each translation must contain, separated by tabs, one line per "
        "line of the input; empty: none (only with beam search)"
    )
    line_buffered: bool = flag(
        "translate each line as soon as it is read, for interactive use through a pipe; slower "
        "for many lines"
    )
    n_best: int | None = option(
        "N",
        "translations per line; in beam search at most the beam size",
        key="decoding.n_best",
        type=whole_number(10_000),
    )
    max_line_bytes: int = inputs.line_limit()

    @property
    def needs_alignments(self) -> bool:
        """Return whether an output needs alignments."""
        return self.alignments is not None or self.attention or self.json or self.html is not None

    @property
    def input_files(self) -> list[Path | None]:
        """Return the input files that are read line by line."""
        return [*inputs.input_files(self.input), self.prefixes, self.constraints]

    @property
    def outputs(self) -> dict[str, Path]:
        """Return the output files by argument."""
        given = {"-o": self.output, "--alignments": self.alignments}
        return {argument: name for argument, name in given.items() if name is not None}

    @property
    def format(self) -> Format:
        """Return the output format."""
        return Format(with_scores=self.scores, n_best=self.n_best is not None, json=self.json)

    @property
    def shows_progress(self) -> bool:
        """Return whether stderr is a terminal that shows nothing but a progress bar."""
        shows_output = self.output is None and sys.stdout.isatty()
        shows_more = shows_output or self.attention or inputs.stdin_is_typed(self.input)
        return sys.stderr.isatty() and not shows_more


def run(arguments: Arguments) -> int:
    """Translate the input as a stream; under torchrun, only the first process reads and writes."""
    if arguments.document or arguments.no_split or arguments.no_protect:
        require_document(arguments)
    if os.path.isfile(arguments.run):
        from nmt.cli.translate_exported import translate_exported

        return translate_exported(arguments)
    opened = arguments.open_run()
    _check(opened.config, arguments)
    if arguments.document:
        translate_documents(opened, arguments)
    elif is_first():
        _translate(opened, arguments)
    else:
        translator = _load(opened, arguments)
        translator.serve_ranks(_fingerprint(opened, translator, arguments))
    return 0


def _translate(run: "Run", arguments: Arguments) -> None:
    from nmt.cli.resume import ResumableOutputs
    from nmt.inference.inputs import LineWarnings

    outputs = arguments.outputs
    written = {**outputs, "--html": arguments.html}
    check_files(written, arguments.input_files, run, arguments.ensemble)
    limit = arguments.max_line_bytes
    sources = inputs.read_input(run.config, arguments.input, limit)
    lines: Iterator[Source | Input] = sources
    if arguments.prefixes is not None or arguments.constraints is not None:
        lines = inputs.add_constraints(sources, arguments.prefixes, arguments.constraints, limit)
    translator = _load(run, arguments)
    fingerprint = _fingerprint(run, translator, arguments)
    resumable = ResumableOutputs.open(
        outputs, arguments.input_files, fingerprint, resume=arguments.resume
    )
    with ExitStack() as stack:
        if is_distributed():
            translator = stack.enter_context(translator.with_ranks(fingerprint))
        elif arguments.workers is not None:
            translator = stack.enter_context(translator.with_workers(arguments.workers))
        files = {
            argument: stack.enter_context(open_output(name, keep=resumable.is_resumed))
            for argument, name in outputs.items()
        }
        page = None
        if arguments.html is not None:
            opened = open_translation_page(arguments.html, run, arguments.html_lines)
            page = stack.enter_context(opened)
        num_done, lines = resumable.begin(lines, has_lists=arguments.format.has_lists)
        progress = stack.enter_context(inputs.progress_bar(arguments, num_done))
        writer = TranslationWriter(
            files.get("-o", sys.stdout),
            arguments.format,
            translator.target_tokenizer.pieces,
            num_lines=num_done,
            alignments=files.get("--alignments"),
            shows_attention=arguments.attention,
            page=page,
        )
        translate = partial(
            translator.translate_windows,
            extra=_extra_outputs(arguments, translator),
            warnings=LineWarnings(num_done + 1, names_unknown=True),
            report=progress.update,
        )
        for window in inputs.translate_lines(translate, lines, arguments):
            writer.write((given.source, translation) for given, translation in window)
    resumable.finish()


def _extra_outputs(arguments: Arguments, translator: "Translator") -> "ExtraOutputs":
    """Return what the outputs need besides the text."""
    from nmt.inference.translation import ExtraOutputs

    return ExtraOutputs(
        alignments=arguments.needs_alignments and translator.has_attention,
        scores=arguments.scores or arguments.n_best is not None or arguments.json,
        token_scores=arguments.json,
    )


def _check(config: "Config", arguments: Arguments) -> None:
    """Refuse arguments that contradict each other or the run's configuration."""
    inputs.require_line_buffering(arguments)
    if arguments.constraints is not None:
        from nmt.config.registry import SEARCHES
        from nmt.inference.windows import require_phrases

        require_phrases(SEARCHES.find(config.decoding.search.name))
    if arguments.attention and config.reads_grids:
        raise UserError("--attention: not supported for grids; use `nmt align --plot`")
    if arguments.alignment_units is not None and not arguments.needs_alignments:
        raise UserError(
            f"--alignment-units {arguments.alignment_units}: has no effect without alignments; add "
            "--alignments FILE, --html FILE, --attention or --json, or leave it out"
        )
    if arguments.html_lines is not None:
        require_page(arguments.html, arguments.html_lines)
    if arguments.html is not None and arguments.resume:
        raise UserError("--html: cannot be combined with --resume; leave one of them out")
    if arguments.json and arguments.scores:
        raise UserError("--scores: has no effect with --json, which includes them; leave it out")
    if arguments.options and arguments.n_best is None and not arguments.json:
        for override in arguments.list_overrides():
            if override.key == "decoding.n_best" and not config.decoding.draws_samples:
                raise UserError(f"{override.argument}: has no effect here; give --n-best N")
    if is_distributed() and arguments.workers is not None:
        raise UserError("--workers: cannot be combined with torchrun; leave it out")


def _load(run: "Run", arguments: Arguments) -> "Translator":
    """Load the model; refuse a model without attention if attention is requested."""
    units = arguments.alignment_units or "auto"
    translator = arguments.load_translator(run, alignment_units=units)
    if arguments.alignments is not None or arguments.attention:
        translator.require_attention()
    return translator


def _fingerprint(run: "Run", translator: "Translator", arguments: Arguments) -> str:
    """Return a digest of everything that determines the output, except the input."""
    from nmt.cli.resume import fingerprint_model

    names = ("scores", "json", "n_best", "average", "device")
    options = {name: getattr(arguments, name) for name in names}
    options["alignment_units"] = translator.alignment_units
    options["computed_in"] = str(translator.runner.precision)
    if arguments.plugins:
        options["plugins"] = sorted(source.sha256 for source in sources())
    return fingerprint_model(run, arguments.ensemble, arguments.checkpoint, options)
