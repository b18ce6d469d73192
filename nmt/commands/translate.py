"""`nmt translate`: raw text in, translations out, line for line."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.decoding import (
    add_run_arguments,
    add_search_arguments,
    load_run,
    load_translator,
)
from nmt.commands.output import open_output, refuse_same_file
from nmt.commands.text import read_demands, read_input, stdin_is_typed
from nmt.errors import ConfigError

if TYPE_CHECKING:
    from nmt.data.grids import Source
    from nmt.translation import Input, Translation, Translator

DESCRIPTION = """Translate text files (plain or .gz), or stdin, with a trained run. One line comes
out for each line that goes in, in order, whatever the line holds: an empty line gives an empty
line, and bytes that are no UTF-8 are replaced, with a warning; so are lines named whose characters
or words the model does not know, for it makes something fluent of anything. The text streams
through, so a file may be larger than memory. What is typed at a terminal is answered line by line;
of all else some thousands of lines are read before the first translations come out."""

EXAMPLES = """output:
  The translation. With --scores: score, log-probability and translation, with tabs between.
  With --n-best N: `line ||| translation ||| score`, lines counted from 0, up to N of them for
  each line of the input, best first; --scores adds ` ||| log-probability`. The score is what the
  search ranks by: the log-probability under the length penalty. Both are those of the text, as
  `nmt score` has them, also where the search has found it in other tokens.

  With --json: an object for each line of the input, with `line` (from 1), `source`, `translation`,
  `score`, `log_probability`, `tokens`, `hypotheses` (the same of each of the n best), and where
  the model has attention `alignment`: the words of both sides and the pairs of --alignments.

examples:
  echo 'Tom chases Jerry .' | nmt translate runs/toy
  nmt translate runs/toy book.en -o book.de --beam-size 10
  nmt translate runs/toy book.en.gz --alignments book.align > book.de
  nmt translate runs/toy book.en --n-best 5 --length-penalty 0.8
  nmt translate runs/toy book.en --search sampling --set search.top_k=10 --n-best 20
  nmt translate runs/one book.en --ensemble runs/two --ensemble runs/three
  nmt translate runs/toy book.en --prefixes begun.de --constraints terms.tsv"""


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
        help="write here, not to stdout; the file appears when it is complete",
    )
    parser.add_argument(
        "--alignments",
        metavar="FILE",
        type=Path,
        help="write which word comes from which, by attention: pairs i-j of source and target "
        "word, counted from 0 (Pharaoh format), a line for each best translation",
    )
    parser.add_argument(
        "--scores", action="store_true", help="write scores and log-probabilities as well"
    )
    parser.add_argument(
        "--json", action="store_true", help="write an object for each line, with all that is known"
    )
    parser.add_argument(
        "--prefixes",
        metavar="FILE",
        type=Path,
        help="how each translation must begin: a line for each line of the input, empty for any",
    )
    parser.add_argument(
        "--constraints",
        metavar="FILE",
        type=Path,
        help="words and phrases that each translation must have: a line for each line of the "
        "input, with tabs between them, empty for none (beam search alone)",
    )
    add_search_arguments(parser)
    parser.add_argument(
        "--n-best", metavar="N", help="translations of each line; at most the beam size"
    )


def run(arguments: argparse.Namespace) -> int:
    """Translate the input as it comes."""
    refuse_same_file({"-o": arguments.output, "--alignments": arguments.alignments})
    folder, config = load_run(arguments)
    if arguments.constraints is not None and config.decoding.search.name != "beam":
        raise ConfigError(
            f"--constraints: the search {config.decoding.search.name!r} knows nothing of them; the "
            "nearest that does is beam (--search beam)"
        )
    lines, sources = tee(read_input(config, arguments.input))
    asked = read_demands(arguments.prefixes, arguments.constraints)
    translator = load_translator(folder, config, arguments)
    pieces = translator.target_tokenizer.pieces

    from nmt.pharaoh import format_pharaoh

    with ExitStack() as stack:
        output = stack.enter_context(open_output(arguments.output))
        alignments = None
        if arguments.alignments is not None:
            alignments = stack.enter_context(open_output(arguments.alignments))
        translations = _translate(translator, lines, asked, arguments)
        for number, (translation, source) in enumerate(
            zip(_with_progress(translations, arguments), sources, strict=False)
        ):
            output.write(_format(number, source, translation, arguments, pieces))
            if alignments is not None:
                assert translation.alignment is not None, "it was asked for"
                alignments.write(f"{format_pharaoh(translation.alignment.links)}\n")
            if stdin_is_typed(arguments.input):
                output.flush()
    return 0


def _translate(
    translator: "Translator",
    lines: "Iterator[Source]",
    asked: "Callable[[Iterator[Source]], Iterator[Input]]",
    arguments: argparse.Namespace,
) -> "Iterator[Translation]":
    from nmt.reading import warn_of_unknown

    translate = partial(
        translator.translate_stream,
        with_alignments=arguments.alignments is not None
        or (arguments.json and translator.model.has_attention),
        with_scores=arguments.scores or arguments.n_best is not None or arguments.json,
    )
    given = asked(warn_of_unknown(lines, translator.source_reader))
    if not stdin_is_typed(arguments.input):
        return translate(given)
    # Nothing is read ahead where a person waits for the answer.
    print("type a sentence and press Enter; Ctrl-D ends", file=sys.stderr)
    return (translation for line in given for translation in translate([line]))


def _format(
    number: int,
    source: "Source",
    translation: "Translation",
    arguments: argparse.Namespace,
    pieces: "Callable[[Sequence[int]], list[str]]",
) -> str:
    """What is written for one line of the input, line ends included."""
    if arguments.json:
        return _format_json(number, source, translation, pieces)
    hypotheses = list(zip(translation.texts, translation.hypotheses, strict=True))
    if arguments.n_best is None:
        text, best = hypotheses[0]
        if arguments.scores:
            return f"{best.score:.6f}\t{best.log_probability:.6f}\t{text}\n"
        return f"{text}\n"
    rows = []
    for text, hypothesis in hypotheses:
        fields = [str(number), text, f"{hypothesis.score:.6f}"]
        if arguments.scores:
            fields.append(f"{hypothesis.log_probability:.6f}")
        rows.append(" ||| ".join(fields) + "\n")
    return "".join(rows)


def _format_json(
    number: int,
    source: "Source",
    translation: "Translation",
    pieces: "Callable[[Sequence[int]], list[str]]",
) -> str:
    from nmt.pharaoh import format_pharaoh

    hypotheses = [
        {
            "translation": text,
            "score": round(hypothesis.score, 6),
            "log_probability": round(hypothesis.log_probability, 6),
            "tokens": pieces(hypothesis.tokens),
        }
        for text, hypothesis in zip(translation.texts, translation.hypotheses, strict=True)
    ]
    fields: dict[str, object] = {
        "line": number + 1,
        "source": source if isinstance(source, str) else source.name,
        **hypotheses[0],
        "hypotheses": hypotheses,
    }
    if translation.alignment is not None:
        fields["alignment"] = {
            "source": translation.alignment.source_words,
            "target": translation.alignment.target_words,
            "pairs": format_pharaoh(translation.alignment.links),
        }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _with_progress(
    translations: "Iterable[Translation]", arguments: argparse.Namespace
) -> "Iterator[Translation]":
    """Counts the lines on a terminal, where the translations go elsewhere."""
    from tqdm import tqdm

    is_in_the_way = arguments.output is None and sys.stdout.isatty()
    disable = True if is_in_the_way or stdin_is_typed(arguments.input) else None
    yield from tqdm(translations, unit=" lines", disable=disable, file=sys.stderr)
