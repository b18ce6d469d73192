"""`nmt lexicon`: make the lexicon for vocabulary shortlists.

Make the lexicon of a run: the likely target tokens of each source token, learned from the training
data (IBM model 1) or read from a table. It is saved in the run. `nmt translate --shortlist` then
computes the probabilities of these tokens and of the most frequent ones only, which is faster.
Meanwhile, no other process can train or tune the run or make its lexicon.

table:  one line for each entry, with a source word, a target word and the probability of the target
  word given the source word, separated by tabs. An entry of several tokens applies to each of them.
output: the lexicon in the same format, with tokens in place of words, the most probable first.

examples:
  nmt lexicon runs/toy
  nmt lexicon runs/toy -o toy.lexicon
  nmt lexicon runs/toy --table mine.tsv.gz
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nmt.cli.arguments import CommandArguments, option, output_path, path, positional, whole_number
from nmt.cli.inputs import line_limit
from nmt.cli.outputs import check_files, open_if_given
from nmt.core.console import print_notice
from nmt.core.errors import UserError
from nmt.core.special_tokens import SPECIAL_SYMBOLS

if TYPE_CHECKING:
    from nmt.text.tokenizer import Tokenizer
    from nmt.word_alignment.ibm1 import Lexicon


@dataclass(frozen=True, kw_only=True)
class Arguments(CommandArguments):
    """Arguments of the command."""

    run: Path = positional("RUN", "folder of a trained run", type=Path)
    table: Path | None = path("read the lexicon from this table; do not learn it")
    iterations: int | None = option("N", "EM iterations (default: 5)", type=whole_number(1_000))
    output: Path | None = output_path("also write the lexicon as a table to this file")
    max_line_bytes: int = line_limit()


def run(arguments: Arguments) -> int:
    """Make the lexicon, save it in the run, and write it as a table on request."""
    from nmt.build.data import encode_training
    from nmt.build.lexicon import NUM_ITERATIONS, learn_lexicon, read_lexicon
    from nmt.build.tokenizers import load_tokenizers
    from nmt.inference.shortlist import save_lexicon
    from nmt.runs.run import Run
    from nmt.text.tokenizer import Tokenizer

    table, num_iterations = arguments.table, arguments.iterations or NUM_ITERATIONS
    if table is not None and arguments.iterations is not None:
        raise UserError("--iterations: has no effect with --table; leave one of them out")
    run = Run.open(arguments.run)
    folder = run.folder
    if table is not None and folder.protects(table):
        raise UserError(f"--table {table}: is a file of the run to be replaced; give a copy")
    check_files({"-o": arguments.output}, [table], run)
    tokenizers = load_tokenizers(run)
    source, target = tokenizers.source, tokenizers.target
    if not isinstance(source, Tokenizer):
        raise UserError(f"{folder.path}: reads grids, not words; name another run")
    with folder.held(), open_if_given(arguments.output) as stream:
        corpora = partial(encode_training, run.config, folder, source, target)
        if table is not None:
            lexicon = read_lexicon(table, arguments.max_line_bytes, tokenizers, corpora)
        else:
            lexicon = learn_lexicon(corpora(), tokenizers, num_iterations)
        if stream is not None:
            _write(lexicon, source, target, stream)
        save_lexicon(folder, lexicon, tokenizers)
    known = int((lexicon.probabilities > 0)[len(SPECIAL_SYMBOLS) :].any(axis=1).sum())
    origin = f"{num_iterations} iterations of IBM model 1" if table is None else str(table)
    print_notice(
        f"{folder.lexicon}: {known:,} of {len(source):,} source tokens have translations, up to "
        f"{lexicon.candidates.shape[1]} each (from {origin})"
    )
    return 0


def _write(lexicon: "Lexicon", source: "Tokenizer", target: "Tokenizer", stream: TextIO) -> None:
    """Write a line for each entry, best first."""
    for token in range(len(SPECIAL_SYMBOLS), len(source)):  # earlier rows belong to the empty word
        name = source.pieces([token])[0]
        pieces = target.pieces(lexicon.candidates[token].tolist())
        for piece, probability in zip(pieces, lexicon.probabilities[token].tolist(), strict=True):
            if probability > 0:
                stream.write(f"{name}\t{piece}\t{probability:.6g}\n")
