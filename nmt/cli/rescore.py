"""`nmt rescore`: rank an n-best list.

Score the translations of an n-best list, of this or another system, and sort the translations of
each source line by this model's score.

input:  `line ||| translation ||| anything`, with lines counted from 0 and in order. Lines without
  translations are skipped.
output: `line ||| translation ||| score ||| log-probability`, the best of each line first. The score
  is the log-probability with the length penalty, as in `nmt translate --n-best` without a coverage
  penalty (--set coverage_penalty=none).

examples:
  nmt rescore runs/toy --source test.en --n-best other.nbest > test.nbest
  nmt rescore runs/right-to-left --source test.en --n-best test.nbest --length-penalty none
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.cli.arguments import DEFAULT, RunArguments, length_penalty, output_path, path, set_options
from nmt.cli.inputs import line_limit, read_input
from nmt.cli.outputs import check_files, open_output
from nmt.core.errors import ConfigError, DataError
from nmt.data.formats.lines import MAX_LINE_BYTES, read_lines

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceScore
    from nmt.inference.translator import Translator

# Options of `decoding` that affect the score of a given translation.
_OF_SCORES: Final = ("length_penalty", "coverage_penalty", "max_source_length", "batch_tokens")


@dataclass(frozen=True, kw_only=True)
class RescoreArguments(RunArguments):
    """The list to rank."""

    source: Path = path("source sentences, one per line", required=True)
    n_best: Path = path("n-best list to rank", required=True)
    output: Path | None = output_path()
    max_line_bytes: int = line_limit()


@dataclass(frozen=True, kw_only=True)
class Arguments(RescoreArguments):
    """Arguments of the command."""

    TITLE = f"scoring options {DEFAULT}"
    length_penalty: str | None = length_penalty()
    options: list[str] = set_options("length_penalty.alpha=0.8, max_source_length=200")


@dataclass(frozen=True)
class Candidate:
    """A line of an n-best list.

    Attributes:
        line: number of its source line, from 0.
        text: the translation.
    """

    line: int
    text: str


def run(arguments: Arguments) -> int:
    """Score all translations, and write the translations of each source line once complete."""
    from nmt.inference.forced_decoding import score_without_coverage

    run = arguments.open_run()
    _check(run.config, arguments)
    read = [arguments.source, arguments.n_best]
    check_files({"-o": arguments.output}, read, run, arguments.ensemble)
    translator = arguments.load_translator(run, searches=False)
    scoring = translator.runner.search.scoring
    scored = _score(_read_pairs(run.config, arguments), translator)
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


def _score(
    pairs: "Iterator[tuple[Source, Candidate]]", translator: "Translator"
) -> "Iterator[tuple[Candidate, SentenceScore]]":
    """Yield the translations with their scores."""
    from nmt.inference.inputs import LineWarnings, windows

    warnings = LineWarnings()
    for window in windows(pairs, lambda pair: len(pair[0]) + len(pair[1].text)):
        scores = translator.score([(source, found.text) for source, found in window], warnings)
        yield from zip((candidate for _, candidate in window), scores, strict=True)


def _check(config: "Config", arguments: Arguments) -> None:
    """Refuse options that do not affect scores, before the model is loaded."""
    for override in arguments.list_overrides():
        _, group, option = override.key.partition("decoding.")
        key = option.partition(".")[0]
        if group and key not in _OF_SCORES:
            raise ConfigError(
                f"{override.argument}: has no effect, as {key} is only used in search; leave it out"
            )
    coverage = config.decoding.coverage_penalty.name
    if coverage != "none":
        raise ConfigError(
            f"decoding.coverage_penalty: {coverage!r} is only used in search; set it to none "
            "(--set coverage_penalty=none)"
        )


def _read_pairs(config: "Config", arguments: Arguments) -> "Iterator[tuple[Source, Candidate]]":
    """Read each translation with its source, lazily.

    Raises:
        DataError: a line is not valid, or its source line does not exist or was passed before.
    """
    sources = read_input(config, [str(arguments.source)], arguments.max_line_bytes)
    n_best, number = arguments.n_best, -1
    listed = read_n_best(n_best, arguments.max_line_bytes)
    for line, group in groupby(listed, key=attrgetter("line")):
        if line <= number:
            raise DataError(f"{n_best}: line {line} follows line {number}; sort the list")
        found = next(islice(sources, line - number - 1, None), None)
        if found is None:
            raise DataError(
                f"{n_best}: has translations of line {line}, but {arguments.source} is shorter "
                "(lines are counted from 0); give the source file of this list"
            )
        number = line
        for candidate in group:
            yield found, candidate


def read_n_best(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Candidate]:
    """Read the translations of a list.

    Raises:
        DataError: the file cannot be read, or a line is not `number ||| translation`.
    """
    for number, line in enumerate(read_lines(path, max_line_bytes=max_line_bytes), start=1):
        fields = re.split(r"\s*\|\|\|\s*", line.strip())
        if len(fields) < 2 or not fields[0].isdecimal():
            raise DataError(
                f"{path}, line {number}: must be `line ||| translation ||| ...`, not {line!r}"
            )
        yield Candidate(int(fields[0]), fields[1])
