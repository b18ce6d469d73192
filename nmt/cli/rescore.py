"""`nmt rescore`: the translations of another system, ranked by this model."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice, tee
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.cli.arguments import (
    add_run_arguments,
    add_scoring_arguments,
    load_run,
    load_translator,
)
from nmt.cli.ineffective_options import key_of
from nmt.cli.inputs import add_line_limit, read_input, require_readable
from nmt.cli.output_locks import reserve_outputs
from nmt.cli.outputs import open_output
from nmt.core.errors import ConfigError, DataError
from nmt.data.formats.raw_lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Source
    from nmt.runs.run import Run

DESCRIPTION = """Score an n-best list, as this or another system writes it, and put the translations
of each line in the order that this model would have them in."""

EXAMPLES = """input:  `line ||| translation ||| whatever else`, lines counted from 0, those of one
  line together; of a line without translations nothing comes.
output: `line ||| translation ||| score ||| log-probability`, the best of each line first. The score
  is the log-probability under the length penalty, as `nmt translate --n-best` writes it where there
  is no coverage penalty (--set coverage_penalty=none).

examples:
  nmt rescore runs/toy --source test.en --n-best other.nbest > test.nbest
  nmt rescore runs/right-to-left --source test.en --n-best test.nbest --length-penalty none"""

_OF_SCORES: Final = ("length_penalty", "coverage_penalty", "max_source_length", "batch_tokens")
"""Options of `decoding` that mean something where translations are given."""


@dataclass(frozen=True)
class Candidate:
    """A line of an n-best list.

    Attributes:
        line: of the source that it translates, from 0.
        text: the translation.
    """

    line: int
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    parser.add_argument(
        "--source", metavar="FILE", type=Path, required=True, help="source sentences, one a line"
    )
    parser.add_argument(
        "--n-best", metavar="FILE", type=Path, required=True, help="their translations"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write here, not to stdout"
    )
    add_line_limit(parser)
    add_scoring_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Score all translations as they come, and write those of a line when it is complete."""
    given = arguments.n_best
    arguments.n_best = None  # here it is a file, and no option of decoding
    opened = load_run(arguments)
    folder, config = opened.folder, opened.config
    _check(config, arguments)
    inputs = [arguments.source, given, *config.input_paths().values()]
    with reserve_outputs({"-o": arguments.output}, inputs, [folder.path, *arguments.ensemble]):
        return _rescore(opened, given, arguments)


def _rescore(run: "Run", given: Path, arguments: argparse.Namespace) -> int:
    """Rank into an output that nothing else writes."""
    pairs, candidates = tee(_pairs(run.config, arguments.source, given, arguments.max_line_bytes))
    translator = load_translator(run, arguments, searches=False)

    from nmt.inference.postprocessing import score_without_coverage

    scoring = translator.runner.search.scoring
    scores = translator.score((source, candidate.text) for source, candidate in pairs)
    scored = zip((candidate for _, candidate in candidates), scores, strict=True)
    with open_output(arguments.output) as output:
        for line, group in groupby(scored, key=lambda item: item[0].line):
            rows = []
            for candidate, score in group:
                total = score.log_probability
                rank = score_without_coverage(total, score.num_tokens, scoring)
                rows.append((rank, candidate.text, total))
            rows.sort(key=lambda row: row[0], reverse=True)
            for rank, text, log_probability in rows:
                output.write(f"{line} ||| {text} ||| {rank:.6f} ||| {log_probability:.6f}\n")
    return 0


def _check(config: "Config", arguments: argparse.Namespace) -> None:
    """Complain of what a score cannot have in it, not after the model has been loaded."""
    for option in arguments.set:
        key = key_of(option).partition(".")[0]
        if key not in _OF_SCORES:
            raise ConfigError(
                f"--set {option}: has no effect, as {key} is for searches, and translations are "
                "given here; leave it out"
            )
    coverage = config.decoding.coverage_penalty.name
    if coverage != "none":
        raise ConfigError(
            f"decoding.coverage_penalty: {coverage!r} is for searches; given translations are "
            "ranked without one (--set coverage_penalty=none)"
        )


def _pairs(
    config: "Config", source: Path, n_best: Path, max_line_bytes: int
) -> "Iterator[tuple[Source, Candidate]]":
    """Each translation with its source, read as they are asked for.

    Raises:
        DataError: at once, a file cannot be opened; while reading, a line is no such thing, or is
            of a source line that is not there, or was passed.
    """
    require_readable(n_best)
    sources = read_input(config, [str(source)], max_line_bytes)
    return _join(sources, source, read_n_best(n_best, max_line_bytes), n_best)


def _join(
    sources: "Iterator[Source]", source: Path, candidates: Iterator[Candidate], n_best: Path
) -> "Iterator[tuple[Source, Candidate]]":
    number = -1
    for line, group in groupby(candidates, key=attrgetter("line")):
        if line <= number:
            raise DataError(f"{n_best}: line {line} comes again after line {number}: sort the list")
        found = next(islice(sources, line - number - 1, None), None)
        if found is None:
            raise DataError(
                f"{n_best}: has translations of line {line}, and {source} has not so many lines "
                "(they are counted from 0)"
            )
        number = line
        for candidate in group:
            yield found, candidate


def read_n_best(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Candidate]:
    """Read the translations of a list.

    Raises:
        DataError: the file cannot be read, or a line is no `number ||| translation`.
    """
    from nmt.data.formats.lines import read_lines

    for number, line in enumerate(read_lines(path, max_line_bytes=max_line_bytes), start=1):
        fields = re.split(r"\s*\|\|\|\s*", line.strip())
        if len(fields) < 2 or not fields[0].isdecimal():
            raise DataError(
                f"{path}, line {number}: must be `line ||| translation ||| ...`, not {line!r}"
            )
        yield Candidate(int(fields[0]), fields[1])
